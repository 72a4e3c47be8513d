//! Labels that are no speakers but topics within an answer: `Speed: fast`, `Price: low`.
//!
//! | a name before a colon, which nothing else makes a speaker's, is a topic if |
//! |---|
//! | it is a word for a thing or a beginning of sentences, such as `Price` or `Honestly` |
//! | the others begin paragraphs, and it never does; or the others have times |
//! | no question is ever directly before it, another such name is beside it, and the text has the word in small letters |
//! | the same, and both sides have labels of their own, and it occurs once or beside another such name |
//! | the same, two people talk, and it occurs once beside another that does |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::head::Head;
use super::label::{MarkKind, in_brackets, side_of};
use super::label_map::LabelMap;
use super::lines::Line;
use super::settle::is_question;
use super::sides::{Side, is_code};
use super::{is_known, once};

/// Words for things, and beginnings of sentences, that are no names; in lower case.
const WORDS: &str = "speed price prices cost costs quality design size weight taste smell colour color support service \
    delivery usability accessibility security privacy trust reliability performance features feature content layout \
    navigation search checkout payment shipping returns advantage advantages disadvantage disadvantages benefit benefits \
    problem problems issue issues solution solutions result results reason reasons positive negative positives negatives \
    good bad better worse best worst strengths weaknesses pro con plus minus likes dislikes first second third fourth \
    firstly secondly thirdly finally lastly next then before after also again still anyway honestly actually basically \
    well so look listen now okay ok yes no maybe sure right true however conclusion summary overall result step option \
    morning afternoon evening night noon breakfast lunch dinner weekday weekdays weekend weekends today tomorrow \
    yesterday spring summer autumn winter work home school family money health safety comfort convenience \
    preis preise kosten qualität geschwindigkeit tempo größe gewicht geschmack farbe bedienung lieferung sicherheit \
    vorteil vorteile nachteil nachteile problem probleme lösung lösungen ergebnis grund gründe erstens zweitens drittens \
    morgens mittags abends arbeit zuhause geld ehrlich also nun ja nein fazit \
    prix coût qualité vitesse taille avantage avantages inconvénient inconvénients problème solution raison \
    matin soir travail maison argent precio calidad velocidad tamaño ventaja ventajas desventaja desventajas problema \
    solución razón mañana tarde noche trabajo casa dinero prezzo qualità velocità vantaggi svantaggi preço qualidade \
    velocidade vantagens prijs kwaliteit snelheid voordelen nadelen cena jakość цена качество скорость \
    mostly sometimes usually often rarely never always generally normally typically later meanwhile budget staffing \
    finance hiring marketing sales timeline deadline roadmap risk risks example \
    examples important meaning purpose background ingredients preparation instructions method cooking serves \
    hinweis hinweise datum achtung tipp tipps beispiel beispiele ergebnisse zutaten zubereitung meistens manchmal \
    zuerst danach schließlich normalerweise resumen nota ejemplo ejemplos conclusión conclusion plazo consejo primero \
    luego después finalmente normalmente conclusions exemple exemples remarque attention conseil résumé \
    résultat abord ensuite puis enfin souvent esempio conclusione consiglio exemplo conclusão voorbeeld conclusie \
    注 注記 注意 理由 結論 例 背景 目的 結果 問題 方法 補足 備考 まとめ お金 時間 结论 原因 例如 问题 结果 背景 建议";
/// The words as a set.
static TOPICS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| WORDS.split_ascii_whitespace().collect());
/// The shortest word, in characters: many short names are words, too.
const SHORTEST: usize = 4;
/// The most labels whose words are looked for in the text.
const MOST_SOUGHT: usize = 64;

/// The facts about a label, from the lines that have it.
#[derive(Debug, Clone, Copy, Default)]
struct LabelFacts {
    count: usize,
    /// The lines that begin a paragraph.
    blocks: usize,
    /// The lines directly behind a question, or behind the words of one who is known to ask.
    answers: usize,
    /// The lines beside another label that has no more than this one.
    neighbours: usize,
    /// Whether something makes the label a speaker's: a side, a time, the head, the beginning of the text.
    is_sure: bool,
}

/// The labels of a text, with what their lines say about them.
pub(super) struct Topics<'a> {
    facts: LabelMap<'a, LabelFacts>,
    /// The names that are words of the text, too.
    words: BTreeSet<&'a str>,
    has_blocks: bool,
    /// Whether both sides have labels of their own, such as `Interviewer` and `P1`.
    has_sides: bool,
    is_pair: bool,
    /// Whether nearly all lines of those who have times have one.
    has_times: bool,
}

impl<'a> Topics<'a> {
    /// Collects the facts about the labels of lines.
    pub(super) fn of(lines: &[Line<'a>], head: &Head<'_>) -> Self {
        let mut topics = Self {
            facts: LabelMap::default(),
            words: BTreeSet::new(),
            has_blocks: false,
            has_sides: false,
            is_pair: false,
            has_times: false,
        };
        let mut timed = 0_usize;
        for mark in lines.iter().filter_map(|line| line.mark.as_ref()).filter(|mark| mark.is_inline()) {
            let facts = topics.facts.get_or_default(mark.label);
            facts.count += 1;
            facts.is_sure |= mark.time.is_some();
            timed += usize::from(mark.time.is_some());
        }
        let of_timed: usize =
            topics.facts.values().filter(|facts| facts.is_sure).map(|facts| facts.count).sum();
        topics.has_times = timed > 3 && timed * 5 >= of_timed * 4;
        let introduced: BTreeSet<&str> =
            topics.facts.keys().filter_map(|label| in_brackets(label)).flat_map(<[_; 2]>::from).collect();
        for (label, facts) in topics.facts.iter_mut() {
            facts.is_sure |= is_known(label) || introduced.contains(label) || head.side_of(label).is_some();
        }
        let first = lines.iter().find_map(|line| line.mark.as_ref());
        if let Some(first) = first.filter(|first| !is_topic(first.label)) {
            topics.facts.get_or_default(first.label).is_sure = true;
        }
        topics.place(lines, head);
        topics.judge(head);
        topics.seek(lines);
        topics
    }

    /// Notes where the lines of each label are.
    fn place(&mut self, lines: &[Line<'a>], head: &Head<'_>) {
        let label =
            |line: &Line<'a>| line.mark.as_ref().filter(|mark| mark.is_inline()).map(|mark| mark.label);
        let is_asker = |label: &str| head.side_of(label).or_else(|| side_of(label)) == Some(Side::Asks);
        let is_open = |facts: &LabelMap<'_, LabelFacts>, label: &str| {
            facts.get(label).is_some_and(|facts| !facts.is_sure)
        };
        let mut speaker = None;
        for (at, line) in lines.iter().enumerate() {
            let Some(own) = label(line) else { continue };
            if is_open(&self.facts, own) {
                let above = at.checked_sub(1).map(|above| &lines[above]);
                let is_near = line.begins_block || above.is_some_and(|above| above.mark.is_some());
                let is_answer = above.is_some_and(|above| is_question(above.text))
                    || (is_near && speaker.is_some_and(is_asker));
                let is_beside = |other: Option<&Line<'a>>| {
                    let other = other.and_then(label);
                    other.is_some_and(|other| other != own && is_open(&self.facts, other))
                };
                let has_neighbour = is_beside(above) || is_beside(lines.get(at + 1));
                if let Some(facts) = self.facts.get_mut(own) {
                    facts.answers += usize::from(is_answer);
                    facts.neighbours += usize::from(has_neighbour);
                }
            }
            if let Some(facts) = self.facts.get_mut(own) {
                facts.blocks += usize::from(line.begins_block);
            }
            speaker = Some(own);
        }
    }

    /// Judges the text from the facts.
    fn judge(&mut self, head: &Head<'_>) {
        let certain = || self.facts.iter().filter(|(_, facts)| facts.is_sure || facts.answers > 0);
        let (count, blocks) =
            certain().fold((0, 0), |sum, (_, facts)| (sum.0 + facts.count, sum.1 + facts.blocks));
        self.has_blocks = count > 2 && blocks * 5 >= count * 4;
        let sides = || self.facts.keys().filter_map(|label| head.side_of(label).or_else(|| side_of(label)));
        let answers = || sides().any(|side| side == Side::Answers) || self.facts.keys().any(is_code);
        self.has_sides = sides().any(|side| side == Side::Asks) && answers();
        let repeated = self.facts.values().filter(|facts| facts.count > 1).count();
        let is_group = self.facts.keys().any(leads_group)
            || self.facts.values().any(|facts| !facts.is_sure && facts.count == 1 && facts.answers > 0);
        self.is_pair = repeated <= 2 && !is_group;
    }

    /// Looks for the words of labels in small letters.
    fn seek(&mut self, lines: &[Line<'a>]) {
        let sought: BTreeMap<String, &'a str> = self
            .facts
            .iter()
            .filter(|(_, facts)| !facts.is_sure && facts.answers == 0)
            .filter(|(label, _)| !label.contains(' ') && label.starts_with(char::is_uppercase))
            .filter(|(label, _)| label.chars().nth(SHORTEST - 1).is_some())
            .map(|(label, _)| (label.to_lowercase(), label))
            .take(MOST_SOUGHT)
            .collect();
        if sought.is_empty() {
            return;
        }
        let words = lines.iter().flat_map(|line| line.text.split(|c: char| !c.is_alphanumeric()));
        self.words = words.filter_map(|word| sought.get(word).copied()).collect();
    }

    /// Returns whether a label is a topic.
    pub(super) fn holds(&self, label: &str) -> bool {
        let Some(facts) = self.facts.get(label).filter(|facts| !facts.is_sure) else { return false };
        if (is_topic(label) && (facts.answers == 0 || facts.count == 1))
            || (self.has_blocks && facts.blocks == 0)
            || self.has_times
        {
            return true;
        }
        let is_listed = facts.neighbours > 0;
        facts.answers == 0
            && ((self.words.contains(label) && is_listed)
                || (self.has_sides && (facts.count == 1 || is_listed))
                || (self.is_pair && facts.count == 1 && is_listed))
    }

    /// Returns whether the text is a conversation whatever else its labels are: one of them asks, or two occur twice.
    pub(super) fn are_of_dialogue(&self) -> bool {
        let repeated =
            self.facts.iter().filter(|(label, facts)| facts.count > 1 && !self.holds(label)).count();
        let asks =
            self.facts.iter().any(|(label, facts)| facts.count > 1 && side_of(label) == Some(Side::Asks));
        repeated > 1 || asks
    }

    /// Returns the labels of paragraphs in a text whose paragraphs nearly all begin with a label.
    pub(super) fn of_blocks(&self, lines: &[Line<'a>]) -> BTreeSet<&'a str> {
        let blocks = || lines.iter().filter(|line| line.begins_block && !line.is_noise());
        let marked =
            || blocks().filter_map(|line| line.mark.as_ref()).filter(|mark| mark.kind == MarkKind::Colon);
        let is_full = marked().count() * 5 >= blocks().count() * 4 && marked().nth(2).is_some();
        let is_dialogue = || marked().nth(3).is_some() && self.are_of_dialogue();
        if is_full && (is_dialogue() || once::is_group(lines, true)) {
            marked().map(|mark| mark.label).collect()
        } else {
            BTreeSet::new()
        }
    }
}

/// Returns whether a label is a word for a thing, or a beginning of sentences.
pub(crate) fn is_topic(label: &str) -> bool {
    TOPICS.contains(&*label.to_lowercase())
}

/// Returns whether a label is that of one who leads a group.
fn leads_group(label: &str) -> bool {
    let label = label.to_lowercase();
    ["moderat", "facilitat", "animat", "modérat", "gespräch", "модерат", "ведущ", "司会", "主持", "진행"]
        .iter()
        .any(|start| label.starts_with(start))
}
