//! Tables within documents: the rows in which a cell names the speaker of another.
//!
//! | cells of a row | read as |
//! |---|---|
//! | `Ana Berg`, `I bake.` | `Ana Berg: I bake.` |
//! | `0:03`, `Ana Berg`, `I bake.`, or the time behind the name | `0:03 Ana Berg: I bake.` |
//! | `4`, `Ana Berg`, `I bake.`, also with a time or two | the same without the number of the row |
//! | an empty one, `And sell.`, below a row with a name | `And sell.` |
//!
//! A table with headings is read so only if one of them is a speaker's and another that of the words, as in `Speaker`
//! and `Text`; other columns, such as notes, are then left out, and the order is any. Whether a name is a speaker's is then decided as for any label.

use crate::formats::clock;
use crate::formats::record::{self, without_colon};
use crate::speakers;

/// The rows of a table so far.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    /// The meaning of the headings; `None` without headings.
    headings: Option<Headings>,
    has_rows: bool,
    /// The column of the names, once a row has one.
    names: Option<usize>,
}

/// The meaning of a table's headings.
#[derive(Debug, Clone, Copy)]
enum Headings {
    /// The columns of a dialogue.
    Dialogue(SpokenRow),
    /// The headings of another table, whose rows no one says.
    Other,
}

/// A row that someone says, as indices of its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpokenRow {
    pub(crate) time: Option<usize>,
    /// `None` if the words continue those of the row above.
    pub(crate) name: Option<usize>,
    pub(crate) words: usize,
}

/// The kind of a cell before the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CellKind {
    Empty,
    /// The number of a row.
    Number,
    Time,
    Name,
    Other,
}

impl CellKind {
    /// Returns the kind of a cell.
    fn of(cell: &str) -> Self {
        if cell.trim().is_empty() {
            Self::Empty
        } else if is_number(cell) {
            Self::Number
        } else if speakers::is_time(cell) {
            Self::Time
        } else if speakers::can_be_label(without_colon(cell)) {
            Self::Name
        } else {
            Self::Other
        }
    }
}

impl Grid {
    /// Adds a row, and returns how it is said; `None` for headings and for rows that no one says. `is_heading` is
    /// whether the document marks the row as a table's headings.
    pub(crate) fn add_row(&mut self, cells: &[&str], is_heading: bool) -> Option<SpokenRow> {
        let is_first = !std::mem::replace(&mut self.has_rows, true);
        let columns = if is_first { columns_of(cells) } else { None };
        if is_first && (is_heading || columns.is_some()) {
            self.headings = Some(columns.map_or(Headings::Other, Headings::Dialogue));
            return None;
        }
        let row = match self.headings {
            _ if is_heading => None,
            Some(Headings::Other) => None,
            Some(Headings::Dialogue(columns)) => {
                // Cells may have changed places, but behind the words there may be notes.
                let is_last = columns.words + 1 == cells.len();
                self.under(columns, cells).or_else(|| self.shaped(cells).filter(|_| is_last))
            }
            None => self.shaped(cells),
        }?;
        self.names = self.names.or(row.name);
        Some(row)
    }

    /// Returns how a row is said whose columns the headings name.
    fn under(&self, columns: SpokenRow, cells: &[&str]) -> Option<SpokenRow> {
        let kind = |at: Option<usize>| at.and_then(|at| cells.get(at)).map(|cell| CellKind::of(cell));
        let is_said = cells.get(columns.words).is_some_and(|words| !words.trim().is_empty());
        let name = match kind(columns.name)? {
            CellKind::Name => columns.name,
            CellKind::Empty if self.names.is_some() => None,
            _ => return None,
        };
        let time = columns.time.filter(|_| name.is_some() && kind(columns.time) == Some(CellKind::Time));
        is_said.then_some(SpokenRow { time, name, words: columns.words })
    }

    /// Returns how a row is said, from the shapes of its cells: at most one name, and beside it only times and numbers.
    fn shaped(&self, cells: &[&str]) -> Option<SpokenRow> {
        let words = cells.len().checked_sub(1).filter(|words| !cells[*words].trim().is_empty())?;
        let kinds: Vec<CellKind> = cells[..words].iter().map(|cell| CellKind::of(cell)).collect();
        let count = |wanted: CellKind| kinds.iter().filter(|kind| **kind == wanted).count();
        let at = |wanted: CellKind| kinds.iter().position(|kind| *kind == wanted);
        let is_full = count(CellKind::Other) == 0 && count(CellKind::Number) < 2 && count(CellKind::Time) < 3;
        let name = at(CellKind::Name);
        let is_more = || self.names.is_some_and(|names| kinds.get(names) == Some(&CellKind::Empty));
        if words == 0 || words > 4 || !is_full || count(CellKind::Name) > 1 || (name.is_none() && !is_more())
        {
            return None;
        }
        Some(SpokenRow { time: at(CellKind::Time).filter(|_| name.is_some()), name, words })
    }
}

/// Returns the columns of a dialogue that a row of headings names; `None` if it names no speaker or no words.
fn columns_of(cells: &[&str]) -> Option<SpokenRow> {
    let keys: Vec<String> = cells.iter().map(|cell| record::normal(without_colon(cell))).collect();
    let find = |is_key: fn(&str) -> bool| keys.iter().position(|key| is_key(key));
    let (name, words) = (find(record::is_person_key)?, find(is_words_key)?);
    let time = keys.iter().enumerate().filter_map(|(at, key)| Some((clock::rank_of(key)?, at))).min();
    (name != words).then_some(SpokenRow { time: time.map(|(_, at)| at), name: Some(name), words })
}

/// Returns whether a normalised heading is that of the words.
fn is_words_key(heading: &str) -> bool {
    const MORE: [&str; 7] =
        ["comment", "dialogue", "said", "speech", "statement", "transcription", "whatwassaid"];
    record::is_text_key(heading) || MORE.contains(&heading)
}

/// Returns whether a cell is the number of a row, or empty.
fn is_number(cell: &str) -> bool {
    cell.trim().trim_end_matches('.').bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{Grid, SpokenRow};

    /// The columns of the time, the name and the words.
    type Said = (Option<usize>, Option<usize>, usize);

    #[track_caller]
    fn check(rows: &[&[&str]], expected: &[Option<Said>]) {
        let mut grid = Grid::default();
        let found: Vec<_> = rows
            .iter()
            .map(|cells| {
                grid.add_row(cells, false).map(|SpokenRow { time, name, words }| (time, name, words))
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_name_beside_words_is_said() {
        check(
            &[&["Mia Holt", "I bake."], &["", "Daily."], &["Bo:", "Why?"]],
            &[Some((None, Some(0), 1)), Some((None, None, 1)), Some((None, Some(0), 1))],
        );
        check(
            &[&["0:03", "Mia", "So"], &["Mia", "[00:04]", "So"], &["3.", "Mia", "So"], &["4", "", "So"]],
            &[
                Some((Some(0), Some(1), 2)),
                Some((Some(1), Some(0), 2)),
                Some((None, Some(1), 2)),
                Some((None, None, 2)),
            ],
        );
        check(&[&["Speaker", "Text"], &["Mia", "So"]], &[None, Some((None, Some(0), 1))]);
        check(
            &[&["1", "0:03", "Mia", "So"], &["2", "0:04", "", "So"], &["0:03", "0:05", "Mia", "So"]],
            &[Some((Some(1), Some(2), 3)), Some((None, None, 3)), Some((Some(0), Some(2), 3))],
        );
        check(
            &[&["Time", "Text", "Speaker", "Notes"], &["0:03", "So", "Mia", "x"], &["", "So", "", ""]],
            &[None, Some((Some(0), Some(2), 1)), Some((None, None, 1))],
        );
    }

    #[test]
    fn other_rows_are_not_said() {
        check(
            &[&["a pan", "it is hot"], &["", "hot"], &["Mia"], &[], &["Mia", ""], &["Mia", "x", "y"]],
            &[None; 6],
        );
        let mut grid = Grid::default();
        assert_eq!(grid.add_row(&["Day", "Place"], true), None);
        assert_eq!(grid.add_row(&["Monday", "the market"], false), None);
    }
}
