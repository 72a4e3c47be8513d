//! The decision which labels of a text are speakers.
//!
//! | labels | count if |
//! |---|---|
//! | words for a side, codes, names of the head | always |
//! | names before a colon | they occur twice, have a time in two lines, all others that count ask, or nearly all lines or paragraphs have a label, and two others occur twice, one that asks does, or one of the first asks (`once`); but neither topics (`topic`) nor lists (`lists`) |
//! | names beside a time | two lines have them; but not the levels of a log |
//! | names in lenticular brackets | two occur twice |
//! | names in capitals between `Q` and `A` | always |
//! | names in small letters, in square brackets, before a dash | nearly all lines have a label |
//! | dashes before questions | no other label counts, and two questions have an answer below them |
//! | headings, bold lines, names above a paragraph | no line has a label, and two of them occur twice or are words for a side |
//!
//! Neither one unknown label without a question, a time or the beginning of the text, nor three or more that repeat in the
//! same order in blocks without a question or a time, makes a dialogue.

use std::collections::BTreeSet;

use super::head::Head;
use super::label::{Mark, MarkKind, in_brackets, side_of};
use super::label_map::LabelMap;
use super::lines::Line;
use super::settle::is_question;
use super::sides::Side;
use super::stamp::Stamp;
use super::topic::Topics;
use super::{accepted_labels, dashes, is_heading, is_known, lists, once};

/// The labels that count as speakers.
pub(super) struct Labels<'a> {
    /// Labels at the beginning of lines.
    inline: LabelMap<'a, ()>,
    /// Labels above the words; empty if lines have labels.
    above: LabelMap<'a, ()>,
    /// Whether all of them ask, so that answers have no label.
    pub(super) only_ask: bool,
    /// Whether any of them asks, or there is only one: `R` and `P1` then answer.
    pub(super) has_asker: bool,
    /// Whether the head has the sides of its names, and not merely a list of all who are there.
    pub(super) has_sides: bool,
}

impl<'a> Labels<'a> {
    /// Decides which of the marked labels count.
    pub(super) fn accept(lines: &[Line<'a>], head: &Head<'_>) -> Self {
        let marks = || lines.iter().filter_map(|line| line.mark.as_ref());
        let inline = || marks().filter(|mark| matches!(mark.kind, MarkKind::Colon | MarkKind::Time));
        let kinds = kinds_of(marks());
        let labels = |wanted: &dyn Fn(&Mark<'a>) -> bool| {
            kinds.iter().filter(|mark| wanted(mark)).map(|mark| mark.label).collect::<BTreeSet<_>>()
        };
        let mut accepted = accepted_labels(inline().map(|mark| mark.label));
        let is_named = |mark: &Mark<'a>| head.side_of(mark.label).is_some();
        accepted.extend(labels(&|mark| mark.is_inline() && is_named(mark)));
        let is_word = |mark: &Mark<'a>| is_known(mark.label) && mark.label.len() > 1;
        accepted.extend(labels(&|mark| mark.kind == MarkKind::Weak && is_word(mark)));
        // Two lines of a name and a time are no chance.
        if timed(lines).nth(1).is_some() {
            accepted.extend(labels(&|mark| mark.time.is_some() && mark.kind != MarkKind::Weak));
        }
        let introduced: BTreeSet<&str> =
            accepted.iter().filter_map(|label| in_brackets(label)).flat_map(<[_; 2]>::from).collect();
        accepted.extend(labels(&|mark| mark.is_inline() && introduced.contains(mark.label)));
        accepted.extend(stopped(lines));
        accepted.extend(lenticular(lines));
        let asks = |label: &&str| is_asker(label, head);
        if accepted.iter().all(asks) && !accepted.is_empty() {
            accepted.extend(inline().map(|mark| mark.label));
        }
        let topics = Topics::of(lines, head);
        accepted.extend(topics.of_blocks(lines));
        let is_full = is_full(lines);
        if (is_full && topics.are_of_dialogue()) || once::is_group(lines, false) {
            accepted.extend(labels(&|mark| mark.kind == MarkKind::Colon));
        }
        if is_dense(lines, &kinds, is_full) {
            // Beside names with capitals, "she said: no" is what one of them says.
            let has_strong = inline().next().is_some();
            let is_name = |mark: &Mark<'a>| {
                mark.is_inline() && !(has_strong && mark.kind == MarkKind::Weak && mark.label.contains(' '))
            };
            accepted.extend(labels(&is_name));
        }
        let listed = lists::labels(lines, &kinds);
        accepted.retain(|label| !topics.holds(label) && !is_of_log(label) && !listed.contains(label));
        if accepted.contains("Q") && accepted.contains("A") {
            accepted.extend(labels(&|mark| mark.kind == MarkKind::Colon && is_of_court(mark.label)));
        }
        if accepted.len() == 1 {
            accepted.extend(answers_between(lines, &accepted));
        }
        if is_unsure(lines, &accepted, head) || are_sections(lines, &accepted, head) {
            accepted.clear();
        }
        if accepted.is_empty() {
            accepted.extend(dashes::asking(lines));
        }
        let above = if accepted.is_empty() { above(lines) } else { BTreeSet::new() };
        let only_ask = above.is_empty() && accepted.iter().all(asks);
        let has_asker = accepted.len() < 2 || accepted.iter().any(asks);
        let has_sides = !is_list_of_all(lines, &accepted, head);
        let [inline, above] = [accepted, above].map(set_of);
        Self { inline, above, only_ask, has_asker, has_sides }
    }

    /// Returns whether a mark is that of a speaker.
    pub(super) fn holds(&self, mark: &Mark<'_>) -> bool {
        let labels = if mark.is_inline() { &self.inline } else { &self.above };
        labels.get(mark.label).is_some()
    }

    /// Returns whether the labels make a dialogue: one label alone does only where the text begins.
    pub(super) fn make_dialogue(&self, lines: &[Line<'_>]) -> bool {
        let is_marked = |line: &&Line<'_>| line.mark.as_ref().is_some_and(|mark| self.holds(mark));
        let first = lines.iter().find(|line| !line.ends_turn());
        match lines.iter().filter(is_marked).take(2).count() {
            0 => false,
            1 => first.is_some_and(|line| is_marked(&line)),
            _ => true,
        }
    }
}

/// Returns labels in a form that is searched quickly.
fn set_of(labels: BTreeSet<&str>) -> LabelMap<'_, ()> {
    let mut set = LabelMap::default();
    labels.into_iter().for_each(|label| *set.get_or_default(label) = ());
    set
}

/// Returns one mark of each label, kind, and with and without a time: a few people speak thousands of lines.
fn kinds_of<'m, 'a>(marks: impl Iterator<Item = &'m Mark<'a>>) -> Vec<&'m Mark<'a>> {
    let mut seen: LabelMap<'a, Vec<(MarkKind, bool)>> = LabelMap::default();
    let is_new = |mark: &&Mark<'a>| {
        let (kinds, kind) = (seen.get_or_default(mark.label), (mark.kind, mark.time.is_some()));
        let is_new = !kinds.contains(&kind);
        kinds.extend(is_new.then_some(kind));
        is_new
    };
    marks.filter(is_new).collect()
}

/// Returns the labels of lines directly between two lines of the only accepted speaker, who talks with someone.
fn answers_between<'a>(lines: &[Line<'a>], accepted: &BTreeSet<&str>) -> BTreeSet<&'a str> {
    let label = |line: &Line<'a>| {
        line.mark.as_ref().filter(|mark| mark.kind == MarkKind::Colon).map(|mark| mark.label)
    };
    let is_accepted = |line: &Line<'a>| label(line).is_some_and(|label| accepted.contains(label));
    let between = lines.windows(3).filter(|lines| is_accepted(&lines[0]) && is_accepted(&lines[2]));
    between.filter_map(|lines| label(&lines[1])).collect()
}

/// Returns the marks of names with a time, but those of a timetable: `09:00 Breakfast` above the next time.
fn timed<'m, 'a>(lines: &'m [Line<'a>]) -> impl Iterator<Item = &'m Mark<'a>> {
    lines.iter().enumerate().filter_map(|(at, line)| {
        let mark = line
            .mark
            .as_ref()
            .filter(|mark| mark.time.is_some() && matches!(mark.kind, MarkKind::Colon | MarkKind::Time))?;
        let begins_with_time = |line: &Line<'_>| Stamp::lead(line.text.trim_start()).is_some();
        let is_plain =
            |line: &Line<'_>| begins_with_time(line) && line.text.starts_with(|c: char| c.is_ascii_digit());
        let has_words = mark.words < line.text.trim_end().len()
            || !is_plain(line)
            || mark.label.contains(' ')
            || lines.get(at + 1).is_some_and(|next| next.mark.is_none() && !begins_with_time(next));
        has_words.then_some(mark)
    })
}

/// Returns whether a label is a level of a log, or the beginning of a sentence about a time.
fn is_of_log(label: &str) -> bool {
    let first = label.split([' ', '-', '/']).next().unwrap_or_default();
    lists::is_level(first) || matches!(label, "At" | "Um" | "À" | "At about" | "At around")
}

/// Returns whether a label between questions and answers is one of a court: `MR. SMITH`, `THE COURT`.
fn is_of_court(label: &str) -> bool {
    label.chars().filter(|c| c.is_alphabetic()).nth(3).is_some() && !label.contains(char::is_lowercase)
}

/// Returns the labels in lenticular brackets if two of them occur twice: `【佐藤】はい`.
fn lenticular<'a>(lines: &[Line<'a>]) -> BTreeSet<&'a str> {
    let mut counts: LabelMap<'a, usize> = LabelMap::default();
    let bracketed = lines.iter().filter(|line| line.text.trim_start().starts_with('【'));
    for mark in bracketed.filter_map(|line| line.mark.as_ref()).filter(|mark| mark.is_inline()) {
        *counts.get_or_default(mark.label) += 1;
    }
    let is_dialogue = counts.values().filter(|count| **count > 1).nth(1).is_some();
    if is_dialogue { counts.keys().collect() } else { BTreeSet::new() }
}

/// Returns whether labels may have come by chance: a single unknown one that neither begins the text nor is beside a
/// question or a time.
fn is_unsure(lines: &[Line<'_>], accepted: &BTreeSet<&str>, head: &Head<'_>) -> bool {
    let first = lines.iter().find(|line| !line.ends_turn()).and_then(|line| line.mark.as_ref());
    let begins = first.is_some_and(|mark| mark.is_inline() && accepted.contains(mark.label));
    accepted.len() == 1 && !begins && are_bare(lines, accepted, head)
}

/// Returns whether labels are those of sections, as of recipes: three or more that occur again in the same order, each
/// time in a block of their own.
fn are_sections(lines: &[Line<'_>], accepted: &BTreeSet<&str>, head: &Head<'_>) -> bool {
    let count = accepted.len();
    if count < 3 || !are_bare(lines, accepted, head) {
        return false;
    }
    let label = |line: &Line<'_>| {
        let mark = line.mark.as_ref().filter(|mark| mark.is_inline())?;
        accepted.get(mark.label).copied()
    };
    let begins = |at: usize| {
        lines[at].begins_block || at.checked_sub(1).is_none_or(|above| label(&lines[above]).is_none())
    };
    let order: Vec<(usize, &str)> =
        lines.iter().enumerate().filter_map(|(at, line)| Some((at, label(line)?))).collect();
    // Each text begins a block; its sections are directly below each other.
    let is_text = |(index, (at, _)): (usize, &(usize, &str))| begins(*at) == (index % count == 0);
    order.len() >= 2 * count
        && order.iter().zip(order.iter().skip(count)).all(|((_, one), (_, next))| one == next)
        && order.iter().enumerate().all(is_text)
}

/// Returns whether nothing but their number makes labels those of speakers: no side, no time and no question.
fn are_bare(lines: &[Line<'_>], accepted: &BTreeSet<&str>, head: &Head<'_>) -> bool {
    let is_bare = |label: &&str| !is_known(label) && head.side_of(label).is_none();
    let is_timed = |line: &Line<'_>| line.mark.as_ref().is_some_and(|mark| mark.time.is_some());
    accepted.iter().all(is_bare) && !lines.iter().any(|line| is_timed(line) || is_question(line.text))
}

/// Returns whether a label is an interviewer's.
fn is_asker(label: &str, head: &Head<'_>) -> bool {
    head.side_of(label).or_else(|| side_of(label)) == Some(Side::Asks) || dashes::is_dash(label)
}

/// Returns the labels before a full stop, `Q. Why?`, if both sides have one and the first asks, or if one asks twice.
fn stopped<'a>(lines: &[Line<'a>]) -> BTreeSet<&'a str> {
    let marks = || {
        let marks = lines.iter().filter_map(|line| line.mark.as_ref());
        marks.filter(|mark| mark.kind == MarkKind::Weak && matches!(mark.label, "Q" | "A"))
    };
    let asks = || marks().filter(|mark| mark.label == "Q").nth(1).is_some();
    let answers = || marks().any(|mark| mark.label == "A");
    let is_dialogue = marks().next().is_some_and(|mark| mark.label == "Q") && (asks() || answers());
    if is_dialogue { marks().map(|mark| mark.label).collect() } else { BTreeSet::new() }
}

/// Returns whether a head lists all who speak as participants, although one of them mostly asks: those of a meeting.
fn is_list_of_all(lines: &[Line<'_>], accepted: &BTreeSet<&str>, head: &Head<'_>) -> bool {
    let is_listed = |label: &&str| head.side_of(label) == Some(Side::Answers);
    if accepted.len() < 2 || !accepted.iter().all(is_listed) {
        return false;
    }
    let mut asked: LabelMap<'_, (usize, usize)> = LabelMap::default();
    for (line, mark) in lines.iter().filter_map(|line| Some((line, line.mark.as_ref()?))) {
        let (turns, questions) = asked.get_or_default(mark.label);
        *turns += 1;
        *questions += usize::from(is_question(line.text));
    }
    asked.values().any(|(turns, questions)| *questions > 1 && questions * 2 >= *turns)
}

/// Returns whether nearly every line begins with a label: four lines at least.
fn is_full(lines: &[Line<'_>]) -> bool {
    let marked = lines.iter().filter_map(|line| line.mark.as_ref()).filter(|mark| mark.is_inline()).count();
    let may_speak = |line: &&Line<'_>| !line.is_noise() && !is_heading(line.text);
    marked > 3 && marked * 5 >= lines.iter().filter(may_speak).count() * 4
}

/// Returns whether nearly every line begins with a label, so that weak labels are ones, too: four lines at least, or all
/// of two or three with a question among them. Two different labels at least.
fn is_dense(lines: &[Line<'_>], kinds: &[&Mark<'_>], is_full: bool) -> bool {
    let is_marked = |line: &&Line<'_>| line.mark.as_ref().is_some_and(Mark::is_inline);
    let marked = lines.iter().filter(is_marked).count();
    let labels: BTreeSet<&str> =
        kinds.iter().filter(|mark| mark.is_inline()).map(|mark| mark.label).collect();
    let is_dialogue = labels.len() > 1;
    let asks = || lines.iter().any(|line| is_question(line.text));
    let is_repeated = || labels.len() * 2 <= marked;
    let is_dense = match marked {
        0 | 1 => false,
        2 | 3 => marked == lines.len() && asks() && !lines.iter().all(|line| is_question(line.text)),
        _ => is_full && is_repeated(),
    };
    is_dialogue && is_dense
}

/// Returns the labels above words that name speakers: known ones, and ones that occur twice. Two different ones at
/// least, since a topic may have a heading such as `Question`, too. Names without any markup count only where nearly
/// each paragraph has one.
fn above<'a>(lines: &[Line<'a>]) -> BTreeSet<&'a str> {
    let of = |kind: MarkKind| {
        lines.iter().filter_map(|line| line.mark.as_ref()).filter(move |mark| mark.kind == kind)
    };
    let found = repeated(of(MarkKind::Heading));
    if !found.is_empty() {
        return found;
    }
    let blocks = lines.iter().filter(|line| line.begins_block).count();
    let names: BTreeSet<&str> = of(MarkKind::Alone).map(|mark| mark.label).collect();
    let named = of(MarkKind::Alone).count();
    let is_dialogue = named > 2 && names.len() > 1 && names.len() < named && named * 5 >= blocks * 4;
    if is_dialogue { names } else { BTreeSet::new() }
}

/// Returns the labels that are known or occur twice; empty if there are not two.
fn repeated<'m, 'a: 'm>(marks: impl Iterator<Item = &'m Mark<'a>>) -> BTreeSet<&'a str> {
    let mut counts: LabelMap<'a, usize> = LabelMap::default();
    for mark in marks {
        *counts.get_or_default(mark.label) += 1;
    }
    let is_believed = |(label, count): &(&'a str, &usize)| **count > 1 || is_known(label);
    let found: BTreeSet<&'a str> = counts.iter().filter(is_believed).map(|(label, _)| label).collect();
    if found.len() > 1 { found } else { BTreeSet::new() }
}
