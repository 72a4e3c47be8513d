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
    /// What the file was read as.
    pub format: Format,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The encoding it was read in, by its WHATWG name: `UTF-8` for nearly all.
    pub encoding: Cow<'static, str>,
    /// What there is to read. For text, Markdown, Org, HTML and DOCX the words themselves with plain line ends; for
    /// the other formats the turns one after another, each led by its speaker.
    pub text: Arc<str>,
    /// What was said and by whom, in the order of the text. A file without speakers counts as said by one
    /// participant, named after the file.
    pub turns: Vec<Turn>,
    pub(crate) lines: Vec<LineStart>,
}

/// A place of the text at which another line of the source begins.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct LineStart {
    pub(crate) offset: usize,
    pub(crate) line: u32,
}

/// One stretch of speech.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Turn {
    /// Who speaks: the code or name in the file, or the file's stem.
    pub speaker: Arc<str>,
    /// On which side of the interview the speaker is.
    pub role: SpeakerRole,
    /// The words, without the speaker's label: bytes of [`Document::text`].
    pub span: Range<usize>,
}

/// The sides of an interview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeakerRole {
    /// Whoever answers. Only what participants said can be quoted.
    Participant,
    /// Whoever asks.
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
    /// One JSON value a line: `.jsonl`, `.ndjson`.
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
    /// The format that a file name's ending stands for, whatever its case.
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

    /// Returns the ending of a file of this media type, as in a `Content-Type`; text of an unknown kind is plain text, and
    /// of what no reader takes there is none.
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

    /// The endings of all formats, for messages.
    #[must_use]
    pub fn endings() -> &'static str {
        "txt, md, org, html, csv, json, jsonl, yaml, vtt, srt, docx"
    }
}

impl Document {
    /// Reads a file's bytes as what its name says they are.
    ///
    /// # Errors
    /// A [`Failure`] that names the file, and the line where there is one: an unknown ending, bytes that are no text,
    /// a broken structure, or nothing in it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let fail = |reason: String| Failure::new(name, reason);
        let format = Format::from_name(name)
            .ok_or_else(|| fail(format!("unknown kind of file; known are {}", Format::endings())))?;
        let (body, encoding) = match format {
            Format::Docx => (formats::docx(bytes, person(name)), "UTF-8"),
            _ => {
                let decoded = decode::decode(bytes).map_err(|err| err.of(name))?;
                (formats::text(format, &decoded.text, person(name)), decoded.encoding)
            }
        };
        let body = body.map_err(|err| err.of(name))?;
        if body.turns.is_empty() {
            return Err(fail("there is no text in it".to_owned()));
        }
        if body.turns.iter().all(|turn| turn.role == SpeakerRole::Interviewer) {
            return Err(fail("nobody answers in it: all that is said is by interviewers".to_owned()));
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

    /// The line of the source, from 1, that a byte of [`Document::text`] came from; for a DOCX the paragraph.
    #[must_use]
    pub fn line_at(&self, offset: usize) -> u32 {
        let after = self.lines.partition_point(|start| start.offset <= offset);
        after.checked_sub(1).map_or(1, |index| self.lines[index].line)
    }

    /// The words of one of this document's turns.
    #[must_use]
    pub fn words(&self, turn: &Turn) -> &str {
        self.text.get(turn.span.clone()).unwrap_or_default()
    }
}

/// Whom a file speaks of that names nobody: its name without the ending, so that files of one name in two folders
/// speak of two people.
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
