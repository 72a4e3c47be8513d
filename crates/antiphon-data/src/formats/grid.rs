//! Tables within documents: the rows in which a cell names the speaker of another.
//!
//! | cells of a row | read as |
//! |---|---|
//! | `Ana Berg`, `I bake.` | `Ana Berg: I bake.` |
//! | `0:03`, `Ana Berg`, `I bake.`, or the time behind the name | `0:03 Ana Berg: I bake.` |
//! | `4`, `Ana Berg`, `I bake.` | the same without the number of the row |
//! | an empty one, `And sell.`, below a row with a name | `And sell.` |
//!
//! A table with headings is read so only if one of them is a speaker's and another that of the words, as in `Speaker`
//! and `Text`. Whether a name is a speaker's is then decided as for any label.

use crate::formats::record;
use crate::speakers;

/// The rows of a table so far.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    /// Whether the headings are those of a dialogue; `None` without headings.
    is_dialogue: Option<bool>,
    has_rows: bool,
    has_names: bool,
}

/// A row that someone says, as indices of its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpokenRow {
    pub(crate) time: Option<usize>,
    /// `None` if the words continue those of the row above.
    pub(crate) name: Option<usize>,
    pub(crate) words: usize,
}

impl Grid {
    /// Adds a row, and returns how it is said; `None` for headings and for rows that no one says. `is_heading` is
    /// whether the document marks the row as a table's headings.
    pub(crate) fn add_row(&mut self, cells: &[&str], is_heading: bool) -> Option<SpokenRow> {
        let has =
            |is_key: fn(&str) -> bool| cells.iter().any(|cell| is_key(&record::normal(without_colon(cell))));
        let is_dialogue = cells.len() > 1 && has(record::is_person_key) && has(is_words_key);
        if !self.has_rows && (is_heading || is_dialogue) {
            self.is_dialogue = Some(is_dialogue);
        }
        let is_first = !std::mem::replace(&mut self.has_rows, true);
        if is_heading || (is_first && is_dialogue) || self.is_dialogue == Some(false) {
            return None;
        }
        let row = self.spoken(cells)?;
        self.has_names |= row.name.is_some();
        Some(row)
    }

    /// Returns how the cells of a row are said, from their shapes.
    fn spoken(&self, cells: &[&str]) -> Option<SpokenRow> {
        let is_name = |index: usize| speakers::can_be_label(without_colon(cells[index]));
        let is_more = |index: usize| self.has_names && cells[index].trim().is_empty();
        let row = |time, name, words| Some(SpokenRow { time, name, words });
        let words = cells.len().checked_sub(1).filter(|words| !cells[*words].trim().is_empty())?;
        match words {
            1 if is_name(0) => row(None, Some(0), 1),
            1 if is_more(0) => row(None, None, 1),
            2 if is_name(1) && speakers::is_time(cells[0]) => row(Some(0), Some(1), 2),
            2 if is_name(0) && speakers::is_time(cells[1]) => row(Some(1), Some(0), 2),
            2 if is_name(1) && is_number(cells[0]) => row(None, Some(1), 2),
            2 if is_more(1) && (is_number(cells[0]) || speakers::is_time(cells[0]) || is_more(0)) => {
                row(None, None, 2)
            }
            _ => None,
        }
    }
}

/// Returns a cell's text without white space and the colon behind a name.
pub(crate) fn without_colon(cell: &str) -> &str {
    cell.trim().trim_end_matches(':').trim_end()
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
