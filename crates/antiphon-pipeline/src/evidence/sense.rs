//! Decisions about single words: which of them decide the meaning of a statement, and which two are forms of one word.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::languages::{LANGUAGES, Language};
use super::text::word;
use super::words;

/// A set of normalised words.
type Words = HashSet<String>;

static NEGATIONS: LazyLock<Words> = LazyLock::new(|| set(words::NEGATIONS));
static LIMITS: LazyLock<Words> = LazyLock::new(|| set(words::LIMITS));
static NUMBERS: LazyLock<Words> = LazyLock::new(|| set(words::NUMBERS));
static QUANTITIES: LazyLock<Words> = LazyLock::new(|| set(words::QUANTITIES));
static COMMON: LazyLock<Vec<Words>> =
    LazyLock::new(|| LANGUAGES.iter().map(|language| set(language.common)).collect());

/// Returns the words of a list.
fn set(list: &str) -> Words {
    list.split_whitespace().map(word).collect()
}

/// Returns whether a word denies.
pub(super) fn is_negation(word: &str) -> bool {
    NEGATIONS.contains(word)
}

/// Returns whether a word limits a statement, or only comes near to it.
pub(super) fn is_limit(word: &str) -> bool {
    LIMITS.contains(word)
}

/// Returns whether a word is a number, in digits or in letters.
pub(super) fn is_number(word: &str) -> bool {
    word.chars().any(char::is_numeric) || NUMBERS.contains(word)
}

/// Returns whether a word is a degree, which an article before it changes: "few" and "a few".
pub(super) fn is_degree(word: &str) -> bool {
    has(words::DEGREES, word)
}

/// Returns whether a list of the words module has a word.
pub(super) fn has(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|known| known == word)
}

/// Returns whether a word decides the meaning of a statement, so that no other word is like it.
fn is_decisive(word: &str) -> bool {
    is_negation(word) || is_limit(word) || is_number(word) || QUANTITIES.contains(word)
}

/// Returns the indices of the languages with the most frequent words among `words`: of several, since some words are frequent in
/// more than one language. The index 0 if there is none of any language.
pub(super) fn languages_of(words: &[String]) -> Vec<usize> {
    let known = |common: &Words| words.iter().filter(|word| common.contains(word.as_str())).count();
    let counts: Vec<usize> = COMMON.iter().map(known).collect();
    match counts.iter().max() {
        None | Some(0) => vec![0],
        Some(most) => (0..counts.len()).filter(|language| counts[*language] == *most).collect(),
    }
}

/// Returns whether two different words are one word in two forms or spellings. Never for words that decide the meaning, and never in a
/// language whose endings tell who acts, or deny. The caller checks that not both begin with a capital letter, as names do.
pub(super) fn are_alike(one: &str, other: &str, language: &Language) -> bool {
    if language.endings.is_empty() || is_decisive(one) || is_decisive(other) {
        return false;
    }
    let (short, long) =
        if one.chars().count() <= other.chars().count() { (one, other) } else { (other, one) };
    has_ending(short, long, language) || are_spellings(short, long, language)
}

/// Minimum number of letters of a stem.
const MIN_STEM: usize = 4;

/// Returns whether the longer word is the shorter one with an ending of the language, as "loaves" is not, but "bakes" is of
/// "bake". Two words that both have an ending are not one: "paying" and "payed" are who acts and who is acted upon.
fn has_ending(short: &str, long: &str, language: &Language) -> bool {
    let stems = [(short, ""), (short.trim_end_matches('e'), "e"), (short.trim_end_matches('y'), "y")];
    let is_ending = stems.iter().any(|(stem, cut)| {
        let Some(ending) = long.strip_prefix(stem).filter(|ending| !ending.is_empty()) else { return false };
        let is_known = |ending: &str| language.endings.split_whitespace().any(|known| known == ending);
        let is_cut = short.len() == stem.len() + 1;
        let is_ending = match *cut {
            "" => is_known(ending) && follows(short, ending),
            "e" => is_cut && ending == "ing" && is_known(ending),
            _ => is_cut && matches!(ending, "ies" | "ied") && is_known("ing"),
        };
        is_ending && stem.chars().count() >= MIN_STEM
    });
    let is_pair = |pair: &str| pair.split_once('/') == Some((short, long));
    is_ending && !language.unrelated.split_whitespace().any(is_pair)
}

/// Returns whether an ending can follow a word, by the rules of English: "beard" is not of "bear", nor "needless" of "needles".
fn follows(word: &str, ending: &str) -> bool {
    let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end));
    match ending {
        "s" => !hisses,
        "es" => hisses || word.ends_with('o'),
        "d" => word.ends_with('e'),
        "ed" | "ing" => !word.ends_with('e') && !word.ends_with("ed"),
        _ => true,
    }
}

/// Minimum number of letters of words that may have another spelling: short words have too many neighbours.
const MIN_SPELLING: usize = 5;
/// Number of letters at the beginning that must be the same, since prefixes turn words round.
const SAME_START: usize = 3;

/// Returns whether two words are spellings of one word in English: "colour" and "color", "organise" and "organize", "tomorrow" and
/// "tomorow". Any other letter may make another word, such as "month" and "mouth", or "desserts" and "deserts".
fn are_spellings(short: &str, long: &str, language: &Language) -> bool {
    if language.spellings.is_empty() {
        return false;
    }
    let start = short.bytes().zip(long.bytes()).take_while(|(one, other)| one == other).count();
    let (Some(left), Some(right)) = (short.get(start..), long.get(start..)) else { return false };
    if short.len() < MIN_SPELLING || start < SAME_START || !short.is_ascii() || !long.is_ascii() {
        return false;
    }
    let is_british =
        language.spellings.split_whitespace().filter_map(|pair| pair.split_once('/')).any(|(one, other)| {
            let are = |one: &str, other: &str| {
                let rests = short.strip_prefix(one).zip(long.strip_prefix(other));
                rests.is_some_and(|(short, long)| short == long)
            };
            are(one, other) || are(other, one)
        });
    let is_our =
        short[..start].ends_with('o') && right.strip_prefix('u') == Some(left) && left.starts_with('r');
    let is_ise = left.len() > 1
        && has(language.ise, &left[1..])
        && left[1..] == right[1..]
        && matches!((&left[..1], &right[..1]), ("s", "z") | ("z", "s"))
        && short[..start].ends_with(['i', 'y'])
        && short.len() > MIN_SPELLING + 1;
    is_british || !language.ise.is_empty() && is_our || is_ise
}

#[cfg(test)]
mod tests {
    use super::{LANGUAGES, are_alike, languages_of};
    use crate::evidence::text::words;

    #[track_caller]
    fn check(one: &str, other: &str, language: usize, expected: bool) {
        assert_eq!(are_alike(one, other, &LANGUAGES[language]), expected, "{one} {other}");
        assert_eq!(are_alike(other, one, &LANGUAGES[language]), expected, "{other} {one}");
    }

    #[test]
    fn forms_and_spellings_of_one_word_are_alike() {
        for (one, other) in [
            ("bake", "bakes"),
            ("walk", "walked"),
            ("walk", "walking"),
            ("smile", "smiling"),
            ("worry", "worries"),
            ("colour", "color"),
            ("neighbour", "neighbor"),
            ("organise", "organize"),
            ("separate", "seperate"),
            ("tomorrow", "tomorow"),
        ] {
            check(one, other, 1, true);
        }
        check("travelling", "traveling", 1, true);
        check("analyse", "analyze", 1, true);
        check("client", "clients", 3, true);
    }

    #[test]
    fn opposites_numbers_and_neighbours_are_not_alike() {
        for (one, other) in [
            ("fifteen", "fifty"),
            ("sixteen", "sixty"),
            ("able", "unable"),
            ("like", "dislike"),
            ("more", "less"),
            ("employer", "employee"),
            ("month", "mouth"),
            ("morning", "mourning"),
            ("careful", "careless"),
            ("hard", "hardly"),
            ("typical", "atypical"),
            ("increase", "decrease"),
            ("hundred", "hundreds"),
            ("paid", "pay"),
            ("house", "horse"),
            ("called", "calling"),
            ("cant", "can"),
            ("usually", "unusually"),
            ("even", "evening"),
            ("form", "former"),
            ("form", "from"),
            ("close", "closed"),
            ("bear", "beard"),
            ("needles", "needless"),
            ("cares", "caress"),
            ("princes", "princess"),
            ("desserts", "deserts"),
            ("complement", "compliment"),
            ("collision", "collusion"),
            ("conviction", "convection"),
            ("sparring", "sparing"),
            ("good", "goods"),
            ("will", "willing"),
        ] {
            check(one, other, 1, false);
        }
        // The endings of German say who acts: "Die Kunden bezahlte Maria" and "Die Kunden bezahlten Maria".
        for (one, other) in [
            ("abmelden", "anmelden"),
            ("anschalten", "abschalten"),
            ("wurde", "würde"),
            ("zahlen", "zählen"),
            ("bezahlte", "bezahlten"),
            ("mein", "meinen"),
            ("bereit", "bereits"),
            ("zahle", "zahlen"),
            ("brot", "brote"),
        ] {
            check(one, other, 2, false);
        }
        check("geliyorum", "gelmiyorum", 9, false);
        check("входит", "выходит", 8, false);
        check("trabajo", "trabaja", 4, false);
    }

    #[test]
    fn the_language_is_that_of_the_frequent_words() {
        for (text, language) in [
            ("We lose about fifteen loaves a day.", 1),
            ("Ich würde für so etwas im Leben etwas bezahlen.", 2),
            ("Il me faut toujours deux heures, jamais trois.", 3),
            ("Escribo la lista y compro pan por la mañana", 4),
            ("Compro il pane e scrivo la lista ogni mattina", 5),
            ("Eu compro pão de manhã e não vendo", 6),
            ("Piszę listę i kupuję chleb po pracy", 7),
            ("Я пишу список и покупаю хлеб", 8),
            ("Her sabah ekmek alıyorum ve liste yazıyorum", 9),
            ("xyzzy plugh", 0),
        ] {
            assert_eq!(languages_of(&words(text)), [language], "{text}");
        }
    }
}
