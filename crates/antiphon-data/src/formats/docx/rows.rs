//! The rows of tables, whose cells share a line.

use crate::formats::docx::story::Paragraph;
use crate::formats::grid::{Grid, SpokenRow};
use crate::formats::record;

/// A table that is being read.
#[derive(Debug, Default)]
pub(super) struct Table {
    grid: Grid,
    pub(super) row: Option<OpenRow>,
}

/// A row that is being read.
#[derive(Debug, Default)]
pub(super) struct OpenRow {
    /// The index of the first paragraph of each cell.
    pub(super) cells: Vec<usize>,
    /// Whether the row has the table's headings.
    pub(super) is_heading: bool,
    /// Whether a cell has a table, whose rows are lines already.
    pub(super) has_table: bool,
}

impl Table {
    /// Ends the open row: its cells become one line, unless they have several lines and no one says them.
    pub(super) fn end_row(&mut self, paragraphs: &mut Vec<Paragraph>) {
        let Some(row) = self.row.take().filter(|row| !row.has_table) else { return };
        let Some(start) = row.cells.first().copied().filter(|start| *start <= paragraphs.len()) else {
            return;
        };
        let mut rest = paragraphs.split_off(start);
        let mut cells: Vec<Vec<Paragraph>> = Vec::with_capacity(row.cells.len());
        for cell in row.cells.iter().rev() {
            cells.push(rest.split_off(cell.saturating_sub(start).min(rest.len())));
        }
        cells.reverse();
        let texts: Vec<String> = cells.iter().map(|cell| text_of(cell)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        match self.grid.add_row(&texts, row.is_heading) {
            Some(spoken) => say(paragraphs, cells, &texts, spoken),
            None => join(paragraphs, cells, &texts),
        }
    }
}

/// Returns the lines of a cell that are not empty.
fn text_of(cell: &[Paragraph]) -> String {
    let lines: Vec<&str> =
        cell.iter().map(|paragraph| paragraph.text.trim()).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// Adds a row as the words of a speaker, after a label.
fn say(paragraphs: &mut Vec<Paragraph>, mut cells: Vec<Vec<Paragraph>>, texts: &[&str], row: SpokenRow) {
    let mut words = cells.swap_remove(row.words);
    words.retain(|paragraph| !paragraph.text.trim().is_empty());
    if let (Some(first), Some(name)) = (words.first_mut(), row.name) {
        let time = row.time.map(|time| format!("{} ", texts[time])).unwrap_or_default();
        first.text = format!("{time}{}: {}", record::without_colon(texts[name]), first.text.trim_start());
    }
    paragraphs.append(&mut words);
}

/// Adds a row on one line if each cell has one at most, otherwise the lines of its cells.
fn join(paragraphs: &mut Vec<Paragraph>, cells: Vec<Vec<Paragraph>>, texts: &[&str]) {
    let mut cells: Vec<Paragraph> = cells.into_iter().flatten().collect();
    let is_short = texts.len() > 1 && texts.iter().all(|text| !text.contains('\n'));
    if let Some(first) = cells.first_mut().filter(|_| is_short) {
        let texts: Vec<&str> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
        first.text = texts.join(" | ");
        first.is_heading = false;
        cells.truncate(1);
    }
    paragraphs.append(&mut cells);
}
