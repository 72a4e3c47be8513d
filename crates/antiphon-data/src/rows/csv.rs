use antiphon_fs::FileLines;
use csv::{ReaderBuilder, StringRecord};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::bad::{RawRow, bad_line, too_long};
use super::{BATCH_BYTES, Row};
use crate::error::{Error, ErrorKind, Failure};
use crate::formats::delimiter;

/// The longest row: only the beginning of a longer one, such as one with an unclosed quote, is kept.
const MAX_BYTES: usize = 16 << 20;

/// The records of a table; only the lines of one record are in memory.
pub(super) struct Records {
    lines: FileLines,
    header: Vec<String>,
    delimiter: u8,
    /// Lines read so far.
    line: u32,
}

/// A record's text with the line on which it begins.
struct Record {
    raw: RawRow,
    line: u32,
    is_open: bool,
    /// The line and the reason for rejecting the record.
    bad: Option<(u32, String)>,
}

impl Record {
    fn add(&mut self, line: RawRow, number: u32) {
        if self.raw.is_cut {
            return;
        }
        if self.line == 0 {
            (self.raw, self.line) = (line, number);
            return;
        }
        self.raw.text.push('\n');
        self.raw.text.push_str(&line.text);
        self.raw.is_lossy |= line.is_lossy;
        self.raw.is_cut = line.is_cut;
        if self.raw.text.len() > MAX_BYTES {
            self.raw.cut();
            self.bad.get_or_insert((self.line, too_long(MAX_BYTES)));
        }
    }

    fn whole(mut self, name: &str) -> Result<Self, Failure> {
        match self.bad.take() {
            None => Ok(self),
            Some((line, _)) if self.is_open && self.raw.is_cut => {
                let reason = "a quoted field of this row is longer than 16 MiB, or never closed";
                Err(Failure::of_row(name, Some(line), reason, self.raw))
            }
            Some((line, reason)) => Err(Failure::of_row(name, Some(line), reason, self.raw)),
        }
    }
}

impl Records {
    /// Reads the header.
    pub(super) async fn begin(lines: FileLines, name: &str) -> Result<Self, Error> {
        let mut records = Self { lines, header: Vec::new(), delimiter: b',', line: 0 };
        let failed = |line: Option<u32>, reason: String| {
            let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
            Error::new(ErrorKind::NothingReadable, format!("cannot read rows from {place}: {reason}"))
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
            None => return Err(failed(None, "the file is empty".to_owned())),
        };
        records.delimiter = delimiter(&header.raw.text);
        let fields = records.fields(&header.raw.text).unwrap_or_default();
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
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < most && bytes < BATCH_BYTES {
            match self.record(name).await? {
                Some(Ok(record)) => {
                    bytes += record.raw.text.len();
                    rows.push(self.row(record, name));
                }
                Some(Err(failure)) => {
                    bytes += failure.raw.as_ref().map_or(0, |raw| raw.text.len());
                    rows.push(Err(failure));
                }
                None => break,
            }
        }
        Ok(rows)
    }

    fn row(&self, record: Record, name: &str) -> Row {
        let object = self.object(&record);
        object.map_err(|reason| Failure::of_row(name, Some(record.line), reason, record.raw))
    }

    /// Makes an object of a record.
    fn object(&self, record: &Record) -> Result<String, String> {
        if record.is_open {
            return Err("a quoted field of this row is never closed".to_owned());
        }
        let fields = self.fields(&record.raw.text).ok_or("not valid CSV")?;
        if fields.len() != self.header.len() {
            let (has, wanted) = (fields.len(), self.header.len());
            return Err(format!("this row has {has} fields and the header has {wanted}"));
        }
        let entries = self.header.iter().zip(&fields);
        let row: Map<String, Value> =
            entries.map(|(key, field)| (key.clone(), Value::String(field.to_owned()))).collect();
        Ok(Value::Object(row).to_string())
    }

    /// Returns the fields of one record; `None` for several records.
    fn fields(&self, text: &str) -> Option<StringRecord> {
        let mut reader = ReaderBuilder::new();
        // The reader's default buffer of 8 KiB is for files, not for one row.
        reader.delimiter(self.delimiter).has_headers(false).buffer_capacity(text.len().max(64));
        let mut reader = reader.from_reader(text.as_bytes());
        let mut records = reader.records();
        let first = records.next()?.ok();
        first.filter(|_| records.next().is_none())
    }

    /// Reads a record, which ends with the line after which no quoted field is open.
    async fn record(&mut self, name: &str) -> Result<Option<Result<Record, Failure>>, Error> {
        let mut record = Record { raw: RawRow::whole(String::new()), line: 0, is_open: false, bad: None };
        while let Some(line) = self.lines.next().await {
            self.line += 1;
            let line = match line {
                Ok(line) if !record.is_open && line.trim().is_empty() => continue,
                Ok(line) => RawRow::whole(line),
                Err(err) => {
                    let (reason, raw) = bad_line(err)?;
                    record.bad.get_or_insert((self.line, reason));
                    raw
                }
            };
            let delimiter = if self.header.is_empty() { delimiter(&line.text) } else { self.delimiter };
            // The end of a truncated line is not known: a field that was open before it stays open.
            if !line.is_cut {
                record.is_open = is_open_behind(&line.text, delimiter, record.is_open);
            }
            record.add(line, self.line);
            if !record.is_open {
                return Ok(Some(record.whole(name)));
            }
        }
        Ok(record.is_open.then(|| record.whole(name)))
    }
}

/// Returns whether a quoted field is open at the end of a line. A quote opens one only at the beginning of a field; elsewhere
/// it is a literal quote (RFC 4180 does not allow that, but spreadsheets write it).
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
