use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::Failure;
use crate::{decode, formats};

/// The text of one file, with its turns and the way back to the file's lines.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Document {
    /// The path from the input's root, with `/` between its parts.
    pub name: String,
    /// The format in which the file was read.
    pub format: Format,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The encoding of the file by its WHATWG name: `UTF-8` for nearly all files.
    pub encoding: Cow<'static, str>,
    /// The text. For plain text, Markdown, Org, HTML and DOCX the words themselves with `\n` as line end; for the other
    /// formats the turns one after another, each after its speaker's label.
    pub text: Arc<str>,
    /// The turns in the order of the text. The paragraphs of a file without speakers are turns of one participant, named
    /// after the file.
    pub turns: Vec<Turn>,
    pub(crate) lines: Vec<LineStart>,
}

/// A byte offset of the text at which another line of the source begins.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct LineStart {
    pub(crate) offset: usize,
    pub(crate) line: u32,
}

/// One stretch of speech.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Turn {
    /// The speaker: the code or name in the file, or the file's name without its extension.
    pub speaker: Arc<str>,
    /// The speaker's side of the interview.
    pub role: SpeakerRole,
    /// The words, without the speaker's label, as a byte range of [`Document::text`].
    pub span: Range<usize>,
}

/// The sides of an interview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeakerRole {
    /// The side that answers. Only participants can be quoted as evidence.
    Participant,
    /// The side that asks.
    Interviewer,
}

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Plain text: `.txt`, `.text`.
    Text,
    /// Markdown: `.md`, `.markdown`.
    Markdown,
    /// Comma-separated values with a header row: `.csv`.
    Csv,
    /// One JSON value: `.json`.
    Json,
    /// One JSON value on each line (NDJSON): `.jsonl`, `.ndjson`.
    Jsonl,
    /// WebVTT captions: `.vtt`.
    Vtt,
    /// SubRip captions: `.srt`.
    Srt,
    /// Word's Office Open XML: `.docx`.
    Docx,
    /// YAML 1.2: `.yaml`, `.yml`.
    Yaml,
    /// A web page: `.html`, `.htm`.
    Html,
    /// An Org file: `.org`.
    Org,
}

impl Format {
    /// Returns the format for a file name's extension, ignoring case; `None` for an unsupported one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        Some(match ending.to_ascii_lowercase().as_str() {
            "txt" | "text" => Self::Text,
            "md" | "markdown" => Self::Markdown,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            "vtt" => Self::Vtt,
            "srt" => Self::Srt,
            "docx" => Self::Docx,
            "yaml" | "yml" => Self::Yaml,
            "html" | "htm" => Self::Html,
            "org" => Self::Org,
            _ => return None,
        })
    }

    /// Returns the file extension for a media type, as in a `Content-Type` header. Unknown `text/` types are plain text; a type
    /// that cannot be read has none.
    ///
    /// ```
    /// use antiphon_data::Format;
    /// assert_eq!(Format::ending_of("text/html; charset=utf-8"), Some("html"));
    /// assert_eq!(Format::ending_of("application/pdf"), None);
    /// ```
    #[must_use]
    pub fn ending_of(media_type: &str) -> Option<&'static str> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "text/html" | "application/xhtml+xml" => "html",
            "text/markdown" => "md",
            "text/csv" => "csv",
            "text/vtt" => "vtt",
            "application/json" => "json",
            "application/x-ndjson" | "application/jsonl" => "jsonl",
            "application/yaml" | "text/yaml" | "application/x-yaml" => "yaml",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
            text if text.is_empty() || text.starts_with("text/") => "txt",
            _ => return None,
        })
    }

    /// Returns the extensions of all formats, for messages.
    #[must_use]
    pub fn endings() -> &'static str {
        "txt, md, org, html, csv, json, jsonl, yaml, vtt, srt, docx"
    }
}

impl Document {
    /// Parses a file's bytes in the format that its name's extension selects. Use [`Loader`](crate::Loader) for files on disk.
    ///
    /// # Errors
    /// A [`Failure`] that names the file, and the line where one is known: an unsupported extension, bytes that are not text,
    /// malformed content, no text, or no turn of a participant.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let fail = |reason: String| Failure::new(name, reason);
        let format = Format::from_name(name)
            .ok_or_else(|| fail(format!("unsupported file type; supported: {}", Format::endings())))?;
        let (body, encoding) = match format {
            Format::Docx => (formats::docx(bytes, person(name)), "UTF-8"),
            _ => {
                let decoded = decode::decode(bytes).map_err(|err| err.of(name))?;
                (formats::text(format, &decoded.text, person(name)), decoded.encoding)
            }
        };
        let body = body.map_err(|err| err.of(name))?;
        if body.turns.is_empty() {
            return Err(fail("the file has no text".to_owned()));
        }
        if body.turns.iter().all(|turn| turn.role == SpeakerRole::Interviewer) {
            return Err(fail("no participant speaks: every turn is an interviewer's".to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            format,
            sha256: hex(&Sha256::digest(bytes)),
            bytes: bytes.len() as u64,
            encoding: Cow::Borrowed(encoding),
            text: body.text.into(),
            turns: body.turns,
            lines: body.lines,
        })
    }

    /// Returns the line of the source, from 1, that a byte of [`Document::text`] came from; for a DOCX the paragraph.
    #[must_use]
    pub fn line_at(&self, offset: usize) -> u32 {
        let after = self.lines.partition_point(|start| start.offset <= offset);
        after.checked_sub(1).map_or(1, |index| self.lines[index].line)
    }

    /// Returns the words of one of this document's turns; an empty string for another document's turn out of range.
    #[must_use]
    pub fn words(&self, turn: &Turn) -> &str {
        self.text.get(turn.span.clone()).unwrap_or_default()
    }
}

/// Returns the speaker of a file that names no one: its path without the extension, so that files of one name in two folders
/// are two people.
fn person(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(person, _)| person)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
