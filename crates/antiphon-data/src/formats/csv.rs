//! Tables as documents: CSV with a header row (RFC 4180), also with semicolons or tabs; see `table`. A dialogue may do
//! without the header row; see `headings`.
//!
//! The whole table is in memory as text, so that errors have lines; for a table that is larger than memory, and for
//! rows that are processed one by one, see [`Rows`](crate::Rows). In contrast to it, one bad row rejects the file,
//! since turns are a conversation, in which no answer may be missing.

use std::borrow::Cow;

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use crate::builder::Body;
use crate::error::Malformed;
use crate::formats::clock::Unit;
use crate::formats::headings;
use crate::formats::people::People;
use crate::formats::record::{self, Field, Row};
use crate::formats::table;

/// Reads a table; each row must have as many fields as the header.
///
/// # Errors
/// The first row with another number of fields, or with a quoted field that is never closed.
pub(crate) fn read(text: &str, person: &str) -> Result<Body, Malformed> {
    let named = table::named_separator(text.split('\n').next().unwrap_or_default());
    let skipped = named.map_or(0, |_| text.find('\n').map_or(text.len(), |end| end + 1));
    let table = Table { text: &text[skipped..], first_line: if named.is_some() { 2 } else { 1 } };
    let separator = named.unwrap_or_else(|| table::separator(table.text));
    table.read(separator, person)
}

/// The text of a table, and the line of the file on which it begins.
struct Table<'t> {
    text: &'t str,
    first_line: u32,
}

impl Table<'_> {
    /// Reads the records.
    fn read(&self, separator: u8, person: &str) -> Result<Body, Malformed> {
        let columns = self.columns_without_headings(separator);
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .has_headers(columns.is_none())
            .from_reader(self.text.as_bytes());
        let names = match columns {
            Some(columns) => columns,
            None => table::column_names(reader.headers().map_err(|err| self.malformed(&err))?.iter()),
        };
        let (mut body, people) = (Body::default(), People::new(person));
        // At the end of the file the reader closes an open quoted field, which may contain all rows behind its quote.
        let is_open = self.text.matches('"').count() % 2 == 1;
        let trimmed = self.text.trim_end();
        for row in reader.records() {
            let row = row.map_err(|err| self.malformed(&err))?;
            let line = row.position().map_or(1, |position| self.line_of(position));
            if is_open && swallows_rest(&row, trimmed) {
                return Err(Malformed::at(line, "a quoted field of this row is never closed"));
            }
            if row.len() != names.len() {
                if row.len() == 1 && row.iter().all(|field| field.trim().is_empty()) {
                    continue;
                }
                let (has, wanted) = (row.len(), names.len());
                return Err(Malformed::at(
                    line,
                    format!("this row has {has} fields and the header has {wanted}"),
                ));
            }
            let row = Row::new(fields(&names, &row, line), Unit::Seconds, &people);
            record::add(&mut body, &row, &people);
        }
        Ok(body)
    }

    /// Returns the names of the columns of a dialogue whose first row is said, too; `None` for a table with headings.
    fn columns_without_headings(&self, separator: u8) -> Option<Vec<String>> {
        let reader = ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .has_headers(false)
            .from_reader(self.text.as_bytes());
        let rows: Vec<StringRecord> =
            reader.into_records().take(headings::SAMPLE).collect::<Result<_, _>>().ok()?;
        headings::missing(&rows.iter().map(|row| row.iter().collect()).collect::<Vec<_>>())
    }

    /// Converts an error of the reader to a reason for users, at the line of its row.
    fn malformed(&self, err: &csv::Error) -> Malformed {
        let line = err.position().map(|position| self.line_of(position));
        let reason = match err.kind() {
            ErrorKind::Utf8 { .. } => "this row is not valid UTF-8",
            _ => "not valid CSV",
        };
        Malformed { line, ..Malformed::whole(reason) }
    }

    /// Returns the line of a row. The reader's position is before the empty lines that it skips.
    fn line_of(&self, position: &csv::Position) -> u32 {
        let at = usize::try_from(position.byte()).ok();
        let rest = at.and_then(|at| self.text.get(at..)).unwrap_or_default();
        let empty = rest.bytes().take_while(|byte| *byte == b'\n').count();
        number(position.line()).saturating_add(number(empty as u64)).saturating_add(self.first_line - 1)
    }
}

/// Returns whether the last field of a row has several lines and reaches to the end of the file, without white space.
fn swallows_rest(row: &StringRecord, file: &str) -> bool {
    let last = row.iter().next_back();
    last.is_some_and(|last| last.contains('\n') && file.ends_with(last.trim_end()))
}

/// Returns the fields of a row that begins on this line. A field begins behind the line ends of those before it.
fn fields<'a>(names: &'a [String], row: &'a StringRecord, mut line: u32) -> Vec<Field<'a>> {
    let mut fields = Vec::with_capacity(row.len());
    for (name, value) in names.iter().zip(row) {
        let is_text = value.trim().parse::<f64>().is_err();
        let text = Cow::Borrowed(value);
        fields.push(Field { key: name, text, line, lines_count: true, is_text });
        line = line.saturating_add(number(value.matches('\n').count() as u64));
    }
    fields
}

/// Converts a count of lines; one that does not fit becomes the largest number.
fn number(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
