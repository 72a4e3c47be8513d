//! Files that are no rows, recognised by their first bytes and refused by name, before anything is paid for.

use crate::document::Format;
use crate::error::{FailureKind, Malformed};
#[cfg(feature = "csv")]
use crate::formats::table::{self, Shape};

/// First bytes of files, what they are, and what a user can do.
const SIGNATURES: [(&[u8], &str, Advice); 17] = [
    (b"%PDF-", "a PDF document", Advice::Export),
    (b"PK\x03\x04", "a zip archive", Advice::Export),
    (b"\xd0\xcf\x11\xe0", "an old Office document", Advice::Export),
    (b"SQLite format 3", "a SQLite database", Advice::Export),
    (b"PAR1", "a Parquet file", Advice::Export),
    (b"{\\rtf", "an RTF document", Advice::Export),
    (b"\x1f\x8b", "a gzip archive", Advice::Unpack),
    (b"7z\xbc\xaf", "a 7z archive", Advice::Unpack),
    (b"\x89PNG", "an image", Advice::Export),
    (b"\xff\xd8\xff", "an image", Advice::Export),
    (b"GIF8", "an image", Advice::Export),
    (b"II*\0", "an image", Advice::Export),
    (b"MM\0*", "an image", Advice::Export),
    (b"RIFF", "an image or a recording", Advice::Export),
    (b"ID3", "a recording", Advice::Transcribe),
    (b"OggS", "a recording", Advice::Transcribe),
    (b"fLaC", "a recording", Advice::Transcribe),
];

/// The advice for a user whose file is no table.
#[derive(Debug, Clone, Copy)]
enum Advice {
    Export,
    Unpack,
    Transcribe,
    /// For documents: each file of a folder is a row.
    Folder,
}

impl Advice {
    /// Returns the advice as a sentence.
    fn text(self) -> &'static str {
        match self {
            Self::Export => "Export its rows as CSV, JSON Lines or JSON",
            Self::Unpack => "Unpack it first",
            Self::Transcribe => "Transcribe it first, and export the rows as CSV, JSON Lines or JSON",
            Self::Folder => {
                "Save its rows as CSV, JSON Lines or JSON, or name the folder of the file: each document of a folder is a row"
            }
        }
    }
}

/// Returns the failure of a file that is this instead of rows.
fn refused(what: &str, advice: Advice) -> Malformed {
    let reason = format!("this is {what}, and has no rows. {}", advice.text());
    Malformed::whole(reason).of_kind(FailureKind::UnsupportedFormat)
}

/// Rejects a file whose first bytes are those of another kind of file, whatever its name.
///
/// # Errors
/// The failure, which says what the file is.
pub(super) fn check_bytes(beginning: &[u8], name: &str) -> Result<(), Malformed> {
    let signature = SIGNATURES.iter().find(|(bytes, ..)| beginning.starts_with(bytes));
    if let Some((bytes, what, advice)) = signature {
        let what = if *bytes == b"PK\x03\x04" { archive(name).unwrap_or(*what) } else { *what };
        return Err(refused(what, *advice));
    }
    if beginning.get(4..8) == Some(b"ftyp") {
        return Err(refused("a video, a recording or an image", Advice::Export));
    }
    let start = beginning.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let start = beginning[start..].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&beginning[start..]);
    let begins =
        |text: &str| start.get(..text.len()).is_some_and(|found| found.eq_ignore_ascii_case(text.as_bytes()));
    if begins("<!doctype html") || begins("<html") {
        return Err(refused("a web page", Advice::Export));
    }
    if begins("<?xml") || begins("<svg") {
        return Err(refused("an XML document", Advice::Export));
    }
    Ok(())
}

/// Returns what a zip archive is by its name; `None` for any other name.
fn archive(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "xlsx" | "xlsm" | "ods" | "numbers" => "a spreadsheet, not the text of a table",
        "docx" | "odt" | "pages" => "a text document",
        "pptx" | "odp" | "key" => "a presentation",
        "epub" => "a book",
        _ => return None,
    })
}

/// Rejects a file that is a document by its name, or prose by its content, for a caller who named no format. `sample` is
/// the decoded beginning of the file.
///
/// # Errors
/// The failure, which says what the file is.
pub(super) fn check_table(sample: &str, name: &str) -> Result<(), Malformed> {
    let what = match Format::from_name(name) {
        Some(Format::Vtt | Format::Srt) => "a transcript in captions",
        Some(Format::Docx) => "a text document",
        Some(Format::Yaml) => "a YAML file",
        Some(Format::Html) => "a web page",
        Some(Format::Org | Format::Markdown) => "a text document",
        _ if is_prose(sample) => "prose",
        _ => return Ok(()),
    };
    Err(refused(what, Advice::Folder))
}

/// The most words in the name of a column, and in a cell of a table with one column.
#[cfg(feature = "csv")]
const MOST_WORDS: usize = 12;

/// Returns whether a text is prose or a dialogue instead of a table: its first line has sentences, or its lines do not
/// have the same columns.
#[cfg(feature = "csv")]
fn is_prose(sample: &str) -> bool {
    let Some(first) = sample.lines().find(|line| !line.trim().is_empty()) else { return false };
    if table::named_separator(first).is_some() {
        return false;
    }
    let separator = table::separator(sample);
    let shape = Shape::of(sample, separator);
    let names: Vec<&str> = first.split(char::from(separator)).map(str::trim).collect();
    let is_sentence = |name: &&str| {
        let words = name.split_whitespace().count();
        let ends = name.ends_with(['.', '!', ':', ',', '…']) && words > 1;
        ends || words > MOST_WORDS || name.contains(". ") || name.contains(": ") || name.contains("? ")
    };
    let fits = shape.fitting * 2 >= shape.records;
    if shape.columns > 1 {
        return !fits || names.iter().any(|name| is_sentence(&name.trim_matches('"')));
    }
    sample.lines().take(MOST_WORDS).any(|line| {
        let words = line.split_whitespace().count();
        words > MOST_WORDS / 2 || is_sentence(&line.trim()) || (words > 1 && line.trim_end().ends_with('?'))
    })
}

/// Accepts any text: a table is rejected later, with the name of the feature.
#[cfg(not(feature = "csv"))]
fn is_prose(_: &str) -> bool {
    false
}
