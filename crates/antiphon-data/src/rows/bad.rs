//! Bad rows: their source text, the reasons, and the note of an earlier run.
//!
//! A run writes the note of a bad row under the key `_antiphon` into the file of failed rows, so that a user can
//! correct the text beside it and use the file as input:
//!
//! ```json
//! { "_antiphon": { "error": "bad_row", "line": 7, "text": "{\"a\": ", "cut": true } }
//! ```
//!
//! | object | result |
//! |---|---|
//! | no key `_antiphon` | a row, as it is written |
//! | the key and other keys | a row without the key |
//! | the key alone, with the text of a bad row | a failure with that text: no one has corrected it |
//! | the key alone, with another note | an empty row |

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Row;
use super::keys::check_keys;
use crate::error::{Error, Failure, FailureKind, Malformed};

/// The source text of a row that could not be read, unchanged, so that a user can correct it. A part of [`Failure`].
///
/// Serialised with the keys `text`, `lossy` and `cut`; the last two are left out if they are false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRow {
    /// The line of the file; for CSV, all lines of the record.
    pub text: String,
    /// Whether the row has bytes that are not valid UTF-8; `text` has U+FFFD in their place.
    #[serde(default, rename = "lossy", skip_serializing_if = "std::ops::Not::not")]
    pub is_lossy: bool,
    /// Whether the row is longer than 16 MiB, so that `text` has only its first 4 KiB.
    #[serde(default, rename = "cut", skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

impl RawRow {
    /// Creates the text of a whole row.
    pub(super) fn whole(text: String) -> Self {
        Self { text, is_lossy: false, is_cut: false }
    }

    /// Keeps only the first 4 KiB, up to a character boundary, and frees the rest.
    #[cfg(feature = "csv")]
    pub(super) fn cut(&mut self) {
        self.text.truncate(self.text.floor_char_boundary(EXCERPT));
        self.text.shrink_to_fit();
        self.is_cut = true;
    }
}

/// The bytes that are kept of a row that is longer than the limit.
#[cfg(feature = "csv")]
const EXCERPT: usize = 4 << 10;

/// The key under which a run stores the note of a failed row.
const NOTE: &str = "_antiphon";
/// The key in a note of a failure that was read before, in another form of the same rows.
const UNREAD: &str = "unread";

/// Returns the line of JSON that is read as this failure again, without its source text.
#[cfg(feature = "anonymise")]
pub(crate) fn line_of_failure(failure: &Failure) -> String {
    let failure = Failure { raw: None, ..failure.clone() };
    serde_json::json!({ NOTE: { UNREAD: failure } }).to_string()
}

/// Returns the reason why a line is not a row, with its text: not UTF-8, or longer than the limit.
///
/// # Errors
/// `Io`, `NotFound` or `Cancelled` for a failure that ends the file.
pub(super) fn bad_line(err: antiphon_fs::Error) -> Result<(Malformed, RawRow), Error> {
    let (reason, is_cut) = match err.kind() {
        antiphon_fs::ErrorKind::NotText { .. } => {
            (Malformed::whole("this row is not valid UTF-8").of_kind(FailureKind::Encoding), false)
        }
        antiphon_fs::ErrorKind::LineTooLong { limit, .. } => (too_long(limit), true),
        _ => return Err(Error::from_fs(err)),
    };
    let text = String::from_utf8_lossy(err.excerpt());
    let is_lossy = matches!(text, Cow::Owned(_));
    Ok((reason, RawRow { text: text.into_owned(), is_lossy, is_cut }))
}

/// Returns the reason for rejecting a row over the limit.
pub(super) fn too_long(limit: usize) -> Malformed {
    Malformed::whole(format!("this row is longer than {} MiB", limit >> 20)).of_kind(FailureKind::TooLarge)
}

/// Reads a row from a line of JSON. An object without a note is returned as it is written, without another
/// serialisation.
pub(super) fn row_of_line(line: String, name: &str, number: u32) -> Row {
    if let Err(err) = check_keys(&line) {
        return Err(bad_json(&err, name, number, line));
    }
    // Without an escape, the key of a note is in the line as it is. Most lines need not be read again.
    if line.starts_with('{') && !line.contains(NOTE) && !line.contains("\\u") {
        return Ok(line);
    }
    match serde_json::from_str::<Value>(&line) {
        Err(err) => Err(bad_json(&err, name, number, line)),
        Ok(Value::Object(row)) if !row.contains_key(NOTE) => Ok(line),
        Ok(value) => row_of(value, name, Some(number)),
    }
}

/// Reads a row from an element of a JSON array, which may have several lines and becomes one.
pub(super) fn row_of_element(element: &str, name: &str, number: u32) -> Row {
    match check_keys(element).and_then(|()| serde_json::from_str(element)) {
        Ok(value) => row_of(value, name, Some(number)),
        Err(err) => Err(bad_json(&err, name, number, element.to_owned())),
    }
}

/// Returns the failure of a row that is not valid JSON, or has a key twice. The position within the row is left out.
fn bad_json(err: &serde_json::Error, name: &str, number: u32, row: String) -> Failure {
    let reason = if err.is_data() { err.to_string() } else { format!("not valid JSON: {err}") };
    let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
    Malformed::at(number, reason).of(name).with_raw(RawRow::whole(row))
}

/// Makes a row of a JSON value, without the note of an earlier run. The note of a bad line alone is not a row. A value
/// that is not an object becomes `{"value": …}`.
pub(super) fn row_of(value: Value, name: &str, line: Option<u32>) -> Row {
    let Value::Object(mut row) = value else {
        return Ok(Value::Object(Map::from_iter([("value".to_owned(), value)])).to_string());
    };
    let note = row.shift_remove(NOTE).filter(|_| row.is_empty());
    if let Some(failure) = note.as_ref().and_then(|note| serde_json::from_value(note[UNREAD].clone()).ok()) {
        return Err(failure);
    }
    match note.and_then(|note| serde_json::from_value(note).ok()) {
        None => Ok(Value::Object(row).to_string()),
        Some(raw) => {
            let reason = format!(
                "this row has only the note of a bad line: put the corrected fields in the place of {NOTE}"
            );
            Err(Malformed { line, ..Malformed::whole(reason) }.of(name).with_raw(raw))
        }
    }
}
