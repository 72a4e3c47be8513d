use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::Failure;
use crate::{decode, formats};

/// The text of one file, with the turns of its speakers and the source line of each byte.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Document {
    /// The file's path relative to the input's root, with `/` as the separator on every system.
    pub name: String,
    /// The format in which the file was read.
    pub format: Format,
    /// The SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The encoding of the file, by its WHATWG name, such as `UTF-8` or `windows-1252`.
    pub encoding: Cow<'static, str>,
    /// The text, with `\n` as the line ending. For plain text, Markdown, Org, HTML and DOCX it is the text of the file; for the
    /// other formats it is the turns in order, each after the label of its speaker.
    pub text: Arc<str>,
    /// The turns of the speakers, in the order of the text. If a file names no speakers, each paragraph is a turn of one
    /// participant, who is named after the file.
    pub turns: Vec<Turn>,
    pub(crate) lines: Vec<LineStart>,
}

/// A byte offset of the text at which another line of the source begins.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct LineStart {
    pub(crate) offset: usize,
    pub(crate) line: u32,
}

/// A turn: one uninterrupted contribution of a speaker.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Turn {
    /// The speaker's code or name in the file; the file's name without its extension if the file names no speaker.
    pub speaker: Arc<str>,
    /// The speaker's side of the interview.
    pub role: SpeakerRole,
    /// The byte range of the words in [`Document::text`], without the speaker's label.
    pub span: Range<usize>,
}

/// The sides of an interview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeakerRole {
    /// The side that answers. Only a participant's words can be quoted as evidence (grounding).
    Participant,
    /// The side that asks.
    Interviewer,
}

/// A format of documents. The extension of a file's name selects it; see [`Format::from_name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Plain text: `.txt`, `.text`. Labels at the start of lines, such as `P1:`, name the speakers.
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

    /// Returns the file extension for a media type, as in a `Content-Type` header; `None` for a type that cannot be read.
    /// Unknown `text/` types and an empty type count as plain text (`txt`).
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

    /// Returns the file extensions of the formats, separated by commas, for messages to users.
    #[must_use]
    pub fn endings() -> &'static str {
        "txt, md, org, html, csv, json, jsonl, yaml, vtt, srt, docx"
    }
}

impl Document {
    /// Parses the bytes of a file. The extension of `name` selects the format. Use [`Loader`](crate::Loader) for files on disk,
    /// and [`Rows`](crate::Rows) for records that are processed one by one.
    ///
    /// # Errors
    /// A [`Failure`] with the file, the line if it is known, and one of these reasons: an unsupported extension, bytes that are
    /// not text, malformed content, no text, or no turn of a participant.
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

    /// Returns the source line, from 1, of the byte at `offset` of [`Document::text`]; for a DOCX the paragraph. An offset
    /// beyond the end returns the last line.
    #[must_use]
    pub fn line_at(&self, offset: usize) -> u32 {
        let after = self.lines.partition_point(|start| start.offset <= offset);
        after.checked_sub(1).map_or(1, |index| self.lines[index].line)
    }

    /// Returns the words of one of this document's turns, without the speaker's label; an empty string if the turn's range is
    /// not in this document's text.
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
