//! Dialogues in tables without a heading row: which is the column of the names, and which that of the words.
//!
//! | first row | is |
//! |---|---|
//! | `00:00:03`, `Sam`, `How so?`, if the rows below begin with times as well | said |
//! | `Sam`, `How so?`, if another row begins with `Sam` | said |
//! | `Interviewer`, `How so?`, above names or sides | said |
//! | `Customer`, `How so?`, above other names | the headings |
//!
//! Without a question, a word for a side, or sentences of people who take turns, the table is a list: `Lamp`, `A nice lamp`.
//!
//! The words are in the last column, and every cell before it is a name, a time or the number of the row.

use std::collections::BTreeMap;

use crate::document::SpeakerRole;
use crate::formats::record::{self, without_colon};
use crate::speakers;

/// The most rows that are examined.
pub(super) const SAMPLE: usize = 20;
/// The most columns of a dialogue: a number, two times, a name and the words.
const MOST_COLUMNS: usize = 5;

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnKind {
    Number,
    Time,
    Name,
}

/// Returns the names of the columns of a dialogue whose first row is no heading; `None` for any other table.
pub(super) fn missing(rows: &[Vec<&str>]) -> Option<Vec<String>> {
    let (first, others) = rows.split_first()?;
    let words = first.len().checked_sub(1).filter(|words| (1..MOST_COLUMNS).contains(words))?;
    let is_even = rows.iter().all(|row| row.len() == first.len());
    if others.is_empty() || !is_even || rows.iter().any(|row| row[words].trim().is_empty()) {
        return None;
    }
    let kinds: Vec<ColumnKind> = (0..words).map(|at| kind_of(rows, at)).collect::<Option<_>>()?;
    let count = |wanted: ColumnKind| kinds.iter().filter(|kind| **kind == wanted).count();
    let name = kinds.iter().position(|kind| *kind == ColumnKind::Name);
    if count(ColumnKind::Name) > 1 || count(ColumnKind::Number) > 1 {
        return None;
    }
    let has_more = count(ColumnKind::Time) + count(ColumnKind::Number) > 0;
    let is_said = match name {
        Some(name) => is_dialogue(rows, name, words) && (has_more || is_said(rows, name, words)),
        None => count(ColumnKind::Time) > 0,
    };
    is_said.then(|| names(&kinds))
}

/// Returns the kind of a column before the words; `None` if its cells differ.
fn kind_of(rows: &[Vec<&str>], at: usize) -> Option<ColumnKind> {
    let all = |is_one: fn(&str) -> bool| rows.iter().all(|row| is_one(row[at].trim()));
    let is_number = |cell: &str| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    if all(is_number) {
        Some(ColumnKind::Number)
    } else if all(speakers::is_time) {
        Some(ColumnKind::Time)
    } else if all(|cell| speakers::can_be_name(without_colon(cell))) {
        Some(ColumnKind::Name)
    } else {
        None
    }
}

/// Returns whether names and words are a dialogue and no list of things: with a question, a word for a side, or sentences
/// of people who take turns, at least half of whom speak again.
fn is_dialogue(rows: &[Vec<&str>], name: usize, words: usize) -> bool {
    let label = |row: &Vec<&str>| speakers::is_side(without_colon(row[name]));
    if rows.iter().any(|row| speakers::is_question(row[words]) || label(row)) {
        return true;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(without_colon(row[name])).or_default() += 1;
    }
    let repeated = counts.values().filter(|count| **count > 1).count();
    let ends = |row: &&Vec<&str>| speakers::ends_sentence(row[words]);
    let alternate = rows.windows(2).all(|pair| without_colon(pair[0][name]) != without_colon(pair[1][name]));
    counts.len() > 1
        && repeated * 2 >= counts.len()
        && alternate
        && rows.iter().filter(ends).count() * 2 >= rows.len()
}

/// Returns whether the first row of names and words is said: its name speaks again, or it asks those below.
fn is_said(rows: &[Vec<&str>], name: usize, words: usize) -> bool {
    let label = without_colon(rows[0][name]);
    let is_sentence =
        rows[0][words].split_whitespace().nth(1).is_some() || speakers::ends_sentence(rows[0][words]);
    let is_heading = record::is_person_key(&record::normal(label));
    let speaks_again = || rows[1..].iter().any(|row| without_colon(row[name]) == label);
    let answers = |row: &Vec<&str>| speakers::role_of(without_colon(row[name])) == SpeakerRole::Participant;
    let asks = || {
        speakers::role_of(label) == SpeakerRole::Interviewer
            && speakers::is_question(rows[0][words])
            && (rows[1..].iter().any(answers) || rows.len() == 2)
    };
    is_sentence && !is_heading && (speaks_again() || asks())
}

/// Returns names for the columns: those that rows have for the same purpose.
fn names(kinds: &[ColumnKind]) -> Vec<String> {
    let mut times = ["time", "end"].iter();
    let name = |kind: &ColumnKind| match kind {
        ColumnKind::Number => "number",
        ColumnKind::Time => times.next().copied().unwrap_or("until"),
        ColumnKind::Name => "speaker",
    };
    kinds.iter().map(name).chain(["text"]).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn a_first_row_is_said_if_it_looks_like_the_others() {
        let check = |rows: &[&[&str]], expected: Option<&str>| {
            let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.to_vec()).collect();
            assert_eq!(missing(&rows).map(|names| names.join(" ")).as_deref(), expected, "{rows:?}");
        };
        check(&[&["Sam", "Why so?"], &["Ana", "So."], &["Sam", "And?"]], Some("speaker text"));
        check(&[&["0:03", "Sam", "Why?"], &["0:05", "Ana", "So."]], Some("time speaker text"));
        check(
            &[&["1", "0:03", "Sam", "Why?"], &["2", "0:05", "Ana", "So."]],
            Some("number time speaker text"),
        );
        check(&[&["Interviewer", "Why?"], &["P1", "So."]], Some("speaker text"));
        check(&[&["Interviewer:", "Why?"], &["P1:", "So."]], Some("speaker text"));
        check(&[&["Sam:", "Why?"], &["Ana", "So."], &["Sam", "And?"]], Some("speaker text"));
        check(&[&["Customer", "Why so?"], &["Ana", "So."], &["Bo", "So."]], None);
        check(&[&["Speaker", "Text"], &["Ana", "So."], &["Ana", "Ja."]], None);
        check(&[&["Speaker", "Time", "Text"], &["Ana", "0:03", "So."]], None);
        check(&[&["Age", "Why?"], &["40", "So."]], None);
    }
}
