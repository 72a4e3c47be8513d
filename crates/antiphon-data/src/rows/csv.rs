use antiphon_fs::Lines;
use csv::{ReaderBuilder, StringRecord};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::{Row, of_line};
use crate::error::{Error, ErrorKind, Failure};
use crate::formats::delimiter;

/// The longest row, so that a quote that is never closed does not swallow a file whole.
const MOST_BYTES: usize = 16 << 20;

/// The records of a table, of which only the lines of one are in memory.
pub(super) struct Records {
    lines: Lines,
    header: Vec<String>,
    delimiter: u8,
    /// Lines that were read.
    line: u32,
}

/// A record's text with the line that it begins in.
struct Record {
    text: String,
    line: u32,
    is_open: bool,
}

impl Records {
    /// Reads the header.
    pub(super) async fn begin(lines: Lines, name: &str) -> Result<Self, Error> {
        let mut records = Self { lines, header: Vec::new(), delimiter: b',', line: 0 };
        let failed = |line: Option<u32>, reason: String| {
            let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
            Error::new(ErrorKind::NothingReadable, format!("no rows can be read from {place}: {reason}"))
        };
        let header = match records.record(name).await? {
            Some(Ok(record)) if !record.is_open => record,
            Some(Ok(record)) => {
                return Err(failed(
                    Some(record.line),
                    "a quoted field of the header is never closed".to_owned(),
                ));
            }
            Some(Err(failure)) => return Err(failed(failure.line, failure.reason)),
            None => return Err(failed(None, "it is empty".to_owned())),
        };
        records.delimiter = delimiter(&header.text);
        let fields = records.fields(&header.text).unwrap_or_default();
        for (number, field) in (1..).zip(&fields) {
            let field = field.trim();
            let key = if field.is_empty() { format!("column_{number}") } else { field.to_owned() };
            if records.header.contains(&key) {
                return Err(failed(Some(header.line), format!("two columns are called {key}")));
            }
            records.header.push(key);
        }
        Ok(records)
    }

    pub(super) async fn next(&mut self, name: &str, most: usize) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        while rows.len() < most {
            match self.record(name).await? {
                Some(Ok(record)) => rows.push(self.row(&record, name)),
                Some(Err(failure)) => rows.push(Err(failure)),
                None => break,
            }
        }
        Ok(rows)
    }

    fn row(&self, record: &Record, name: &str) -> Row {
        let failed = |reason: String| Failure { document: name.to_owned(), line: Some(record.line), reason };
        if record.is_open {
            return Err(failed("a quoted field of this row is never closed".to_owned()));
        }
        let fields = self.fields(&record.text).ok_or_else(|| failed("not valid CSV".to_owned()))?;
        if fields.len() != self.header.len() {
            let (has, wanted) = (fields.len(), self.header.len());
            return Err(failed(format!("this row has {has} fields and the header has {wanted}")));
        }
        let entries = self.header.iter().zip(&fields);
        let row: Map<String, Value> =
            entries.map(|(key, field)| (key.clone(), Value::String(field.to_owned()))).collect();
        Ok(Value::Object(row).to_string())
    }

    /// The fields of one record; nothing for what is more than one.
    fn fields(&self, text: &str) -> Option<StringRecord> {
        let mut reader = ReaderBuilder::new();
        // Of a row, and not of the 8 KiB that a file would be worth.
        reader.delimiter(self.delimiter).has_headers(false).buffer_capacity(text.len().max(64));
        let mut reader = reader.from_reader(text.as_bytes());
        let mut records = reader.records();
        let first = records.next()?.ok();
        first.filter(|_| records.next().is_none())
    }

    /// A record ends with the line in which no quoted field is open.
    async fn record(&mut self, name: &str) -> Result<Option<Result<Record, Failure>>, Error> {
        let mut record = Record { text: String::new(), line: 0, is_open: false };
        let mut unreadable = None;
        while let Some(line) = self.lines.next().await {
            self.line += 1;
            let line = match line {
                Ok(line) => line,
                Err(err) => {
                    unreadable = Some(of_line(err, name, self.line)?);
                    if record.is_open {
                        // The field goes on behind it.
                        continue;
                    }
                    return Ok(unreadable.map(Err));
                }
            };
            if !record.is_open && line.trim().is_empty() {
                continue;
            }
            match record.is_open {
                true => record.text.push('\n'),
                false => record.line = self.line,
            }
            let delimiter = if self.header.is_empty() { delimiter(&line) } else { self.delimiter };
            record.is_open = is_open_behind(&line, delimiter, record.is_open);
            record.text.push_str(&line);
            if !record.is_open {
                return Ok(Some(unreadable.map_or(Ok(record), Err)));
            }
            if record.text.len() > MOST_BYTES {
                let place = format!("{name}:{}", record.line);
                let message =
                    format!("{place}: a quoted field of this row is longer than 16 MiB, or never closed");
                return Err(Error::new(ErrorKind::Io, message));
            }
        }
        Ok(record.is_open.then_some(unreadable.map_or(Ok(record), Err)))
    }
}

/// Whether a quoted field is open at the end of a line. A quote opens one only where a field begins; elsewhere it stands
/// for itself (RFC 4180 does not allow that, spreadsheets write it all the same).
fn is_open_behind(line: &str, delimiter: u8, is_open: bool) -> bool {
    let (mut is_open, mut at_start) = (is_open, !is_open);
    let mut bytes = line.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if is_open && bytes.peek() == Some(&b'"') => drop(bytes.next()),
            b'"' if is_open => is_open = false,
            b'"' if at_start => is_open = true,
            _ => {}
        }
        at_start = !is_open && byte == delimiter;
    }
    is_open
}
