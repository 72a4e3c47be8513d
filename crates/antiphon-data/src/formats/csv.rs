//! Tables as documents: CSV with a header row (RFC 4180), also with semicolons or tabs.
//!
//! The whole table is in memory as text, so that errors have lines; for a table that is larger than memory, and for
//! rows that are processed one by one, see [`Rows`](crate::Rows). In contrast to it, one bad row rejects the file,
//! since turns are a conversation, in which no answer may be missing.

use csv::{ErrorKind, ReaderBuilder, StringRecord};

use crate::builder::{Body, Words};
use crate::error::Malformed;
use crate::formats::record::{self, Field};

/// Reads a table with a header row; each row must have as many fields as the header.
///
/// # Errors
/// The first row with another number of fields, or with a quoted field that is never closed.
pub(crate) fn read(text: &str, person: &str) -> Result<Body, Malformed> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter(text)).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|err| malformed(&err, text))?.clone();
    let mut body = Body::default();
    // At the end of the file the reader closes an open quoted field, which may contain all rows behind its quote.
    let is_open = text.matches('"').count() % 2 == 1;
    for row in reader.records() {
        let row = row.map_err(|err| malformed(&err, text))?;
        let line = row.position().map_or(1, |position| line_of(position, text));
        if is_open && swallows_rest(&row, text) {
            return Err(Malformed::at(line, "a quoted field of this row is never closed"));
        }
        record::add(&mut body, &fields(&header, &row, line), person);
    }
    Ok(body)
}

/// Returns whether the last field of a row has several lines and reaches to the end of the file.
fn swallows_rest(row: &StringRecord, text: &str) -> bool {
    let last = row.iter().next_back();
    last.is_some_and(|last| last.contains('\n') && text.trim_end().ends_with(last.trim_end()))
}

/// Returns the fields of a row that begins on this line. A field begins behind the line ends of those before it.
fn fields<'a>(header: &'a StringRecord, row: &'a StringRecord, mut line: u32) -> Vec<Field<'a>> {
    let mut fields = Vec::with_capacity(row.len());
    for (key, value) in header.iter().zip(row) {
        let is_text = value.trim().parse::<f64>().is_err();
        fields.push(Field {
            key: key.trim(),
            value: Words { text: value, line, lines_count: true },
            is_text,
        });
        line = line.saturating_add(number(value.matches('\n').count() as u64));
    }
    fields
}

/// Returns the delimiter: a comma, or a semicolon or a tab, as spreadsheets write them in many countries, if the header
/// has no comma. Only the first line of `text` is examined; a semicolon is preferred to a tab.
pub(crate) fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    match [';', '\t'].into_iter().find(|other| !header.contains(',') && header.contains(*other)) {
        Some(';') => b';',
        Some(_) => b'\t',
        None => b',',
    }
}

/// Converts an error of the reader to a reason for users, at the line of its row.
fn malformed(err: &csv::Error, text: &str) -> Malformed {
    let line = err.position().map(|position| line_of(position, text));
    let reason = match err.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("this row has {len} fields and the header has {expected_len}")
        }
        ErrorKind::Utf8 { .. } => "this row is not valid UTF-8".to_owned(),
        _ => "not valid CSV".to_owned(),
    };
    Malformed { line, reason }
}

/// Returns the line of a row. The reader's position is before the empty lines that it skips.
fn line_of(position: &csv::Position, text: &str) -> u32 {
    let rest = usize::try_from(position.byte()).ok().and_then(|at| text.get(at..)).unwrap_or_default();
    let empty = rest.bytes().take_while(|byte| *byte == b'\n').count();
    number(position.line()).saturating_add(number(empty as u64))
}

/// Converts a count of lines; one that does not fit becomes the largest number.
fn number(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
