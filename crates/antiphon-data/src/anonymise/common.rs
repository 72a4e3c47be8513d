//! Words that are names and something else, and first names by which a file's name or a mentioned person is noticed.
//!
//! A name that is also a word is dangerous in two places: in lower case, where it is nearly always the word, and at the
//! beginning of a sentence, where a capital letter shows nothing. `Olive` is a word only in the first of them, `Will` in
//! both.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Names that are common words as well, folded: they count as a name only where the sentence shows it.
const WORDS_TOO: &str = "
    abel amber april archer art august autumn baker banks barber basil bell berry bill bird bishop black blanca blanche
    bloom blue booth brook brown buck burns bush butcher butler cannon carpenter carter case cash chance chase chip
    christian claire clay cliff colt cook cross cruz daisy dale dawn day dean dolores don drew duke earl early eve ernst
    faith ferry field fields finch fisher flora flores ford forest foster fox frank franz free freitag gay gene ginger
    glen good gore grace grand grant gray green gross guy hale hall hand harmony hart hazel head heath heather heaven
    herb hill holly holmes hood hope hunt hunter iris ivy jack jade jay jet jewel johns joy judge jung june justice
    justin kaiser keen kerry key king kitty klein knight koch konig lake lamb lance land lane lang lark laurel law lee
    light lily little long love lucky luz major mark marsh marshal martin mason max may mead melody mercedes mercy miles
    mill miller misty more moss myrtle neu nick noble nord norm north oak olive page paige parker pat patience paz pearl
    penny pepper petit piper poppy porter potter powers price pride prince queen rain randy ray reed reich rex reyes
    rice rich ring rivers rob robin rock rod rosa rose roth rowan ruby rush rusty sage sailor salt sandy savage sexton
    shade sharp shepherd short silver singer sky small smith snow sol sommer song spring star stein sterling stone
    storm sue summer sunny swan tanner taylor temple terry thorn tiger trinity tucker turner van vernon victor viola
    violet vogel wade walker ward washington waters weaver webb weiss weiss west wheeler white wild will winter wolf wood
    woods worth wren young";

/// The words of [`WORDS_TOO`] that often begin a sentence as a word: verbs, adjectives, times and nouns without an article.
const BEGINNERS: &str = "
    amber april art august autumn banks bill black bloom blue brook brown bush case cash chance chase chip cliff cook
    cross dawn day dean don drew early eve faith field fields ford forest frank free freitag gay good grace grand grant
    gray green gross hall hand harmony hart head heath heaven herb hill hope hunt joy judge jung june justice keen key
    king klein lake lamb land lane lang law light little long love major mark marsh may mead melody mercy miles mill
    misty more moss neu noble nord north page paige pat patience pepper pride prince rain reich rice rich ring rivers rob
    rock rod rose rush rusty sage salt savage shade sharp short silver sky small snow sol sommer song spring star stein
    sterling stone storm sue summer sunny swan thorn tiger waters weiss west white wild will winter wolf wood woods
    worth young";

/// First names that occur often, in several languages, folded. They are only hints: no word of a text is replaced because
/// it is one of them.
const FIRST_NAMES: &str = "
    aaron abigail ada adam adela adrian agata agnes agnieszka ahmed aisha alan albert alejandro aleksandra alessandro
    alex alexander alexandra alexis ali alice alicia alina alison allison amanda amelia amelie amir amy ana anastasia
    anders andre andrea andreas andrew andrzej andy angela angelika anita anja anke ann anna anne annette annika anthony
    antje antoine anton antonia antonio arthur astrid barbara bartosz beata beatrice beatriz ben benjamin bernd birgit
    bjorn bob boris brandon brian bridget bruno camila camille carina carl carla carlos carmen carol caroline catherine
    cecilia charles charlotte chiara chloe chris christa christina christine christoph christopher cindy clara claudia
    claus colin connor craig cristina cynthia dagmar daniel daniela danielle dariusz david deborah denis dennis diana
    diane diego dieter dietmar dirk dmitri dominik dominique donald donna doris dorota dorothy douglas edith eduardo
    edward ela elena elisabeth elizabeth elke ella ellen emil emilia emily emma eric erik erika erin esther eugene eva
    evelyn ewa fatima felix fernando filip fiona florian frances francesca francesco francisco francois franziska
    frederic frida friedrich gabriel gabriela gareth gary georg george georgina gerard gerd gerhard gertrud gisela
    giulia giuseppe gloria greg gregory greta grzegorz guillaume gunter gustav hanna hannah hans harald harry hassan
    heike heinrich heinz helen helena helga henri henrik henry herbert hiroshi holger hugo ian ibrahim ida igor ilse
    ines inga inge ingrid irena irene isabel isabella isabelle ivan jacek jacob jacqueline jakob jakub james jan jana
    jane janet janine janusz jasmin jason javier jean jeff jennifer jens jeremy jerzy jessica jessie jim joan joanna joao
    jochen joe joel johan johanna johannes john jonas jonathan jorg jorge jose josef joseph joshua juan judith julia
    julian juliane julie jurgen karen karin karl karolina katarzyna kate katharina katherine kathleen kathrin katja
    keith kelly kenneth kevin kim klaus kristin krystyna krzysztof lara larry lars laura lea lena leo leon leonie lewis
    liam lina linda lisa loic lorenzo louis louise luca lucas lucia lucie luis lukas luke luisa madeleine magdalena
    malgorzata manfred manuel manuela marc marcel marcin marco marcus marek margaret margarita maria marianne marie mario
    marion marta martha martina mary maria mateusz mathieu matteo matthew matthias maureen maya megan mehmet melanie
    melissa mia michael michal michel michelle miguel mike mikhail milan miriam mohamed mohammed monica monika monique
    morgan mustafa nadia nadine nancy natalia natalie natasha nathalie nathan neil nicholas nicola nicolas nicole niels
    nikolai nils nina noah nora norbert oliver olivia olga oscar otto pablo pamela patricia patrick paul paula pavel
    pawel pedro peter petra philip philipp philippe pierre piotr priya rachel rafael ralf raquel rebecca regina renate
    rene ricardo richard rita robert roberto roger roland rolf roman ronald rosemary ruth ryan sabine sabrina sam
    samantha samuel sandra sara sarah sascha scott sean sebastian sergei silke silvia simon simone sofia sonia sonja
    sophia sophie stefan stefanie stella stephan stephanie stephen steve steven susan susanne svetlana sven sylvia
    tamara tanja tatiana teresa theo theresa thomas thorsten tim timothy tina tobias tom tomas tomasz tony tracy ulrich
    ulrike ursula ute uwe valentina valerie vanessa vera veronica veronika victoria viktor vincent vladimir volker
    walter wendy werner wiktor william wojciech wolfgang xavier yasmin yuki yusuf yvonne zoe zofia";

static IS_WORD: LazyLock<BTreeSet<&str>> = LazyLock::new(|| WORDS_TOO.split_whitespace().collect());
static IS_BEGINNER: LazyLock<BTreeSet<&str>> = LazyLock::new(|| BEGINNERS.split_whitespace().collect());
static IS_FIRST: LazyLock<BTreeSet<&str>> = LazyLock::new(|| FIRST_NAMES.split_whitespace().collect());

/// Returns whether a folded name is a common word as well.
pub(super) fn is_word_too(folded: &str) -> bool {
    IS_WORD.contains(folded)
}

/// Returns whether a folded name is a word that often begins a sentence.
pub(super) fn begins_sentences(folded: &str) -> bool {
    IS_BEGINNER.contains(folded)
}

/// Returns whether a folded word is a frequent first name that is nothing else.
pub(super) fn is_first_name(folded: &str) -> bool {
    IS_FIRST.contains(folded) && !is_word_too(folded)
}

/// Returns whether a folded word is a month, which a preposition or a number shows.
pub(super) fn is_month(folded: &str) -> bool {
    matches!(folded, "april" | "may" | "june" | "august")
}
