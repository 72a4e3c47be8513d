//! The records of a table, one by one, from the lines of a file.
//!
//! The `csv` crate reads fields, but not the boundaries of records: it would read a file with an unclosed quote to its
//! end into memory, and would not keep the source text of a bad record. So this module joins lines until no quoted
//! field is open, and the crate then splits the joined text into fields.
//!
//! | record | result |
//! |---|---|
//! | as many fields as the header has | an object of strings |
//! | more or fewer fields, or a lone `\r` outside quotes | a failure; the next record begins on the next line |
//! | a line that is not UTF-8 | a failure of that line's record |
//! | longer than 16 MiB | a failure with the first 4 KiB; the rest is skipped |
//! | a quoted field that is open at the end of the file | a failure with all lines from its beginning |

use std::fmt;

use csv::{ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use super::bad::{RawRow, bad_line, too_long};
use super::look::Lines;
use super::{Batch, Row, unreadable};
use crate::error::{Error, Failure, FailureKind, Malformed};
use crate::formats::table::{self, is_open_behind};

/// The longest row: only the beginning of a longer one, such as one with an unclosed quote, is kept.
const MAX_BYTES: usize = 16 << 20;

/// The records of a table; only the lines of one record are in memory.
pub(super) struct Records {
    lines: Lines,
    /// The names of the columns, which are the keys of each row; empty until the header is read.
    header: Vec<String>,
    /// The separator of fields, by the file's extension, its first line or its first records.
    separator: u8,
    /// Lines read so far.
    line: u32,
}

/// A record's text with the line on which it begins.
struct Record {
    /// The text so far: all lines, or only the first 4 KiB of a record over the limit.
    raw: RawRow,
    /// The line on which the record begins, from 1; 0 before its first line.
    line: u32,
    /// Whether a quoted field is open at the end of the text, so that the next line belongs to the record.
    is_open: bool,
    /// The line and the reason for rejecting the record.
    bad: Option<Malformed>,
}

impl Record {
    /// Creates a record without lines.
    fn new() -> Self {
        Self { raw: RawRow::whole(String::new()), line: 0, is_open: false, bad: None }
    }

    /// Adds a line, which has this number in the file. Once the record was cut, further lines are not kept.
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
            self.bad.get_or_insert(Malformed { line: Some(self.line), ..too_long(MAX_BYTES) });
        }
    }

    /// Notes why a line makes the record bad, and returns the line's text. The first reason counts.
    ///
    /// # Errors
    /// The error of the file, if the line could not be read at all.
    fn reject(&mut self, err: antiphon_fs::Error, number: u32) -> Result<RawRow, Error> {
        let (reason, raw) = bad_line(err)?;
        self.bad.get_or_insert(Malformed { line: Some(number), ..reason });
        Ok(raw)
    }

    /// Returns the record, or the failure if one of its lines is bad.
    fn whole(mut self, name: &str) -> Result<Self, Failure> {
        match self.bad.take() {
            None => Ok(self),
            Some(bad) if self.is_open && self.raw.is_cut => {
                let reason = "a quoted field of this row is longer than 16 MiB, or never closed".to_owned();
                Err(Malformed { reason, ..bad }.of(name).with_raw(self.raw))
            }
            Some(bad) => Err(bad.of(name).with_raw(self.raw)),
        }
    }
}

impl Records {
    /// Reads the header. `sample` is the decoded beginning of the file, by which the separator is found.
    ///
    /// # Errors
    /// `NothingReadable` if the file is empty, or if the header is a bad record or is never closed; `Io`.
    pub(super) async fn begin(lines: Lines, sample: &str, name: &str) -> Result<Self, Error> {
        let sample = sample.trim_start_matches('\u{feff}');
        let (first, rest) = sample.split_once('\n').unwrap_or((sample, ""));
        let named = table::named_separator(first);
        let found = || table::separator(if named.is_some() { rest } else { sample });
        let separator = named.or_else(|| separator_by_name(name)).unwrap_or_else(found);
        let mut records = Self { lines, header: Vec::new(), separator, line: 0 };
        if named.is_some() {
            records.lines.next().await.transpose().map_err(Error::from_fs)?;
            records.line += 1;
        }
        let header = match records.record(name).await? {
            Some(Ok(record)) if record.is_open => {
                let reason = "a quoted field of the header is never closed";
                return Err(unreadable(name, Malformed::at(record.line, reason)));
            }
            Some(Ok(record)) => record,
            Some(Err(Failure { line, kind, reason, .. })) => {
                return Err(unreadable(name, Malformed { line, ..Malformed::whole(reason).of_kind(kind) }));
            }
            None => {
                return Err(unreadable(
                    name,
                    Malformed::whole("the file is empty").of_kind(FailureKind::NoText),
                ));
            }
        };
        let fields = records.fields(&header.raw.text).unwrap_or_default();
        records.header = table::column_names(fields.iter());
        Ok(records)
    }

    /// Reads the next batch of rows; empty at the end of the file.
    ///
    /// # Cancel safety
    /// Not cancel safe: records that were read and not yet returned are lost.
    pub(super) async fn next(&mut self, name: &str) -> Result<Vec<Row>, Error> {
        let mut batch = Batch::default();
        while !batch.is_full() {
            match self.record(name).await? {
                Some(Ok(record)) => batch.push(record.raw.text.len(), self.row(record, name)),
                Some(Err(failure)) => {
                    let bytes = failure.raw.as_ref().map_or(0, |raw| raw.text.len());
                    batch.push(bytes, Err(failure));
                }
                None => break,
            }
        }
        Ok(batch.rows)
    }

    /// Makes a row of a record, or a failure with its text.
    fn row(&self, record: Record, name: &str) -> Row {
        let object = self.object(&record);
        object.map_err(|bad| Malformed::at(record.line, bad.to_string()).of(name).with_raw(record.raw))
    }

    /// Makes an object of a record.
    fn object(&self, record: &Record) -> Result<String, BadRecord> {
        if record.is_open {
            return Err(BadRecord::Open);
        }
        let fields = self.fields(&record.raw.text).ok_or(BadRecord::Invalid)?;
        if fields.len() != self.header.len() {
            return Err(BadRecord::Fields { has: fields.len(), wanted: self.header.len() });
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
        reader.delimiter(self.separator).has_headers(false).buffer_capacity(text.len().max(64));
        let mut reader = reader.from_reader(text.as_bytes());
        let mut records = reader.records();
        let first = records.next()?.ok();
        first.filter(|_| records.next().is_none())
    }

    /// Reads a record, which ends with the line after which no quoted field is open. Blank lines between records are
    /// skipped.
    async fn record(&mut self, name: &str) -> Result<Option<Result<Record, Failure>>, Error> {
        let mut record = Record::new();
        while let Some(line) = self.lines.next().await {
            self.line += 1;
            let line = match line {
                Ok(line) if !record.is_open && line.trim().is_empty() => continue,
                Ok(line) => RawRow::whole(line),
                Err(err) => record.reject(err, self.line)?,
            };
            record.is_open = self.is_open_after(&line, record.is_open);
            record.add(line, self.line);
            if !record.is_open {
                return Ok(Some(record.whole(name)));
            }
        }
        Ok(record.is_open.then(|| record.whole(name)))
    }

    /// Returns whether a quoted field is open after a line; `is_open` is whether one was open before it.
    fn is_open_after(&self, line: &RawRow, is_open: bool) -> bool {
        // The end of a truncated line is not known: a field that was open before it stays open.
        if line.is_cut {
            return is_open;
        }
        is_open_behind(&line.text, self.separator, is_open)
    }
}

/// The reason why a record whose lines were read is not a row.
enum BadRecord {
    /// A quoted field that is open at the end of the file.
    Open,
    /// Text that is no record, or several.
    Invalid,
    /// Another number of fields than the header has.
    Fields { has: usize, wanted: usize },
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("a quoted field of this row is never closed"),
            Self::Invalid => f.write_str("not valid CSV"),
            Self::Fields { has, wanted } => {
                write!(f, "this row has {has} fields and the header has {wanted}")
            }
        }
    }
}

/// Returns the separator that the extension of a file's name determines: a tab for `.tsv`, whose header may have commas.
fn separator_by_name(name: &str) -> Option<u8> {
    let (_, ending) = name.rsplit_once('.')?;
    ending.eq_ignore_ascii_case("tsv").then_some(b'\t')
}
