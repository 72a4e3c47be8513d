//! The rows of tables on a page, and the terms of definition lists: names that are beside their words.

use std::ops::Range;

use crate::document::LineStart;
use crate::formats::grid::{Grid, SpokenRow};
use crate::formats::record;
use crate::speakers;

/// White space between words of a page; a no-break space is a part of them.
const SPACES: [char; 2] = [' ', '\n'];

/// The open tables of a page. Each row is rewritten once, when it ends, unless it has a table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    tables: Vec<OpenTable>,
}

/// A table that is being read.
#[derive(Debug, Default)]
struct OpenTable {
    grid: Grid,
    row: Option<OpenRow>,
}

/// A row that is being read.
#[derive(Debug, Default)]
struct OpenRow {
    /// The byte offset of each cell in the text.
    cells: Vec<usize>,
    /// The number of cells that are headings.
    headings: usize,
    /// Whether a cell has a table, whose rows are lines already.
    has_table: bool,
}

impl Rows {
    /// Processes a tag of a table. The text so far ends before the tag.
    pub(super) fn tag(&mut self, name: &str, begins: bool, text: &mut String, lines: &mut Vec<LineStart>) {
        if name == "table" && begins {
            if let Some(row) = self.row() {
                row.has_table = true;
            }
            return self.tables.push(OpenTable::default());
        }
        let Some(table) = self.tables.last_mut() else { return };
        match (name, begins) {
            ("table" | "tr" | "thead" | "tbody" | "tfoot", _) => {
                table.end_row(text, lines);
                if name == "table" {
                    self.tables.pop();
                }
            }
            ("td" | "th", true) => {
                let row = table.row.get_or_insert_default();
                row.cells.push(text.len());
                row.headings += usize::from(name == "th");
            }
            _ => {}
        }
    }

    /// Returns the innermost open row.
    fn row(&mut self) -> Option<&mut OpenRow> {
        self.tables.last_mut()?.row.as_mut()
    }
}

impl OpenTable {
    /// Ends the open row. If a cell names the speaker of another, the cells become a line with a label.
    fn end_row(&mut self, text: &mut String, lines: &mut Vec<LineStart>) {
        let Some(row) = self.row.take().filter(|row| !row.has_table) else { return };
        let Some(start) = row.cells.first().copied() else { return };
        let ends = row.cells.iter().skip(1).copied().chain([text.len()]);
        let cells: Vec<Range<usize>> =
            row.cells.iter().zip(ends).map(|(from, to)| trimmed(text, *from..to)).collect();
        let words: Vec<&str> = cells.iter().map(|cell| &text[cell.clone()]).collect();
        let is_heading = row.headings == cells.len();
        let Some(spoken) = self.grid.add_row(&words, is_heading) else { return };
        let line = Rewritten::of(text, lines, start, &pieces(text, &cells, spoken));
        text.truncate(start);
        text.push_str(&line.text);
        lines.truncate(lines.partition_point(|mark| mark.offset < start));
        lines.extend(line.lines);
    }
}

/// A piece of a row, and the text behind it.
struct RowPiece {
    range: Range<usize>,
    behind: &'static str,
}

/// Returns the pieces of a row in the order of a line with a label: time, name, words.
fn pieces(text: &str, cells: &[Range<usize>], spoken: SpokenRow) -> Vec<RowPiece> {
    let time = spoken.time.map(|time| RowPiece { range: cells[time].clone(), behind: " " });
    let name = spoken.name.map(|name| {
        let cell = &text[cells[name].clone()];
        let start = cells[name].start + cell.len() - cell.trim_start().len();
        RowPiece { range: start..start + record::without_colon(cell).len(), behind: ": " }
    });
    let words = RowPiece { range: cells[spoken.words].clone(), behind: "" };
    time.into_iter().chain(name).chain([words]).collect()
}

/// A row as a line with a label.
struct Rewritten {
    text: String,
    /// The source lines of the text, with offsets in the whole text.
    lines: Vec<LineStart>,
}

impl Rewritten {
    /// Joins the pieces of the row that begins at `start`.
    fn of(text: &str, marks: &[LineStart], start: usize, pieces: &[RowPiece]) -> Self {
        // Line ends that were due before the row.
        let due = text[start..].len() - text[start..].trim_start_matches(SPACES).len();
        let mut line = Self { text: text[start..start + due].to_owned(), lines: Vec::new() };
        for RowPiece { range, behind } in pieces {
            let offset = start + line.text.len();
            let within = marks_in(marks, range);
            line.lines.extend(
                within.map(|mark| LineStart { offset: mark.offset - range.start + offset, line: mark.line }),
            );
            line.text.push_str(&text[range.clone()]);
            line.text.push_str(behind);
        }
        line
    }
}

/// Returns the source lines of a range, with that of its first byte.
fn marks_in(marks: &[LineStart], range: &Range<usize>) -> impl Iterator<Item = LineStart> {
    let first = marks.partition_point(|mark| mark.offset <= range.start);
    let last = marks.partition_point(|mark| mark.offset < range.end).max(first);
    let line = first.checked_sub(1).map_or(1, |index| marks[index].line);
    std::iter::once(LineStart { offset: range.start, line }).chain(marks[first..last].iter().copied())
}

/// Returns a range of a text without the white space at its ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + piece.len() - piece.trim_start_matches(SPACES).len();
    start..start + piece.trim_matches(SPACES).len()
}

/// Returns whether the text of a term is a name, so that its definition is that speaker's words.
pub(super) fn is_speaker(term: &str) -> bool {
    speakers::can_be_label(record::without_colon(term))
}
