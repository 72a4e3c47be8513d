//! The rows of a run's report: those of the table that is markup, and all of them in compressed blocks.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;

use super::charts::seconds;
use super::page::RunRow;
use crate::error::{RenderError, RenderErrorKind};

/// Maximum characters to show of a row and of a result.
const MAX_SHOWN: usize = 400;
/// Number of rows of a block: a compromise between compression and the time to unpack one.
pub(super) const BLOCK: usize = 512;

/// The level of compression: half the time of zlib's default level, 6, for a page that is a seventh larger.
const LEVEL: u32 = 3;

/// A row in the form that the page shows: a map for the template, a list in a block.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    index: u64,
    state: &'a str,
    row: String,
    result: String,
    time: Option<String>,
}

impl<'a> Shown<'a> {
    /// Shortens the texts of a row, and formats its time.
    pub(super) fn new(row: &'a RunRow) -> Self {
        Self {
            index: row.index,
            state: &row.state,
            row: cut(&spaced(&row.row)),
            result: cut(&spaced(&row.result)),
            time: row.millis.map(seconds),
        }
    }
}

/// Returns a text of at most [`MAX_SHOWN`] characters; a longer one ends with an ellipsis.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// Returns compact JSON with a space after each comma and colon between values, where lines may break; another text as
/// it is.
fn spaced(text: &str) -> Cow<'_, str> {
    if !text.starts_with(['{', '[']) {
        return Cow::Borrowed(text);
    }
    let (mut spaced, mut is_quoted, mut is_escaped) = (String::with_capacity(text.len() + 16), false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        spaced.push(c);
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        if !is_quoted && matches!(c, ',' | ':') && chars.peek().is_some_and(|next| !next.is_whitespace()) {
            spaced.push(' ');
        }
    }
    Cow::Owned(spaced)
}

/// Returns rows as a line of the page's data: a letter for the state of each, a colon, and their JSON as zlib (RFC 1950)
/// in base64, which browsers unpack by themselves. Empty for no rows.
///
/// # Errors
/// `Internal` if the rows cannot be compressed, which is a defect.
pub(super) fn block(rows: &[RunRow]) -> Result<String, RenderError> {
    if rows.is_empty() {
        return Ok(String::new());
    }
    let packed = pack(rows).map_err(|err| {
        RenderError::new(RenderErrorKind::Internal, format!("cannot compress the rows of a report: {err}"))
    })?;
    let states: String = rows.iter().map(|row| letter(&row.state)).collect();
    Ok(format!("{states}:{packed}\n"))
}

/// Returns the letter of a state, by which rows are found without unpacking them.
fn letter(state: &str) -> char {
    match state {
        "done" => 'd',
        "failed" => 'f',
        "left" => 'l',
        _ => '-',
    }
}

/// Returns the JSON of rows, compressed and in base64.
fn pack(rows: &[RunRow]) -> io::Result<String> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
    for (index, row) in rows.iter().enumerate() {
        zlib.write_all(if index == 0 { b"[" } else { b"," })?;
        let Shown { index, state, row, result, time } = Shown::new(row);
        serde_json::to_writer(&mut zlib, &(index, state, row, result, time))?;
    }
    zlib.write_all(b"]")?;
    Ok(BASE64_STANDARD.encode(zlib.finish()?))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::{Value, json};

    use super::{RunRow, block, spaced};

    /// Returns the rows of a block, as the page's script unpacks them.
    fn unpack(packed: &str) -> Value {
        let bytes = BASE64_STANDARD.decode(packed).unwrap();
        let mut json = String::new();
        flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut json).unwrap();
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn lines_may_break_between_the_values_of_json_and_not_in_them() {
        let json = r#"{"a":1,"b":["x:y,z","q\",\\"],"c":{}}"#;
        assert_eq!(spaced(json), r#"{"a": 1, "b": ["x:y,z", "q\",\\"], "c": {}}"#);
        for text in [r#"{"a": 1, "b": 2}"#, "one,two:three", "", "[]"] {
            assert_eq!(spaced(text), text);
        }
    }

    #[test]
    fn blocks_have_states_and_all_rows() {
        let row = |index, state: &str, text: &str| RunRow {
            index,
            state: state.to_owned(),
            row: text.to_owned(),
            result: "</script><!--".to_owned(),
            millis: (index > 0).then_some(1_250),
        };
        let line = block(&[row(0, "done", "é\n"), row(1, "left", &"x".repeat(500)), row(2, "", "")]).unwrap();
        let (states, packed) = line.trim_end_matches('\n').split_once(':').unwrap();
        assert_eq!((states, line.matches('\n').count(), line.contains('<')), ("dl-", 1, false));
        let rows = unpack(packed);
        assert_eq!(rows[0], json!([0, "done", "é\n", "</script><!--", null]));
        assert_eq!(rows[1][2], json!("x".repeat(400) + "…"));
        assert_eq!((rows[2][4].as_str(), rows.as_array().map(Vec::len)), (Some("1.2 s"), Some(3)));
        assert_eq!(block(&[]).unwrap(), "");
    }
}
