//! Documents: the parsed form of one file, the same for all formats.
//!
//! A document is one text with two indexes over it: the turns of the speakers, as byte ranges, and the offsets at which
//! another line of the source begins. Citations (grounding) are found as byte ranges of the text, and their source
//! lines are looked up at the end, so that no other crate has to know the formats.
//!
//! The readers of the formats return a `Body`; this module adds the digest, the size and the encoding of the file, and
//! rejects files in which no participant speaks.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use antiphon_fs::Encoding;
use sha2::{Digest, Sha256};

use crate::builder::Body;
use crate::error::{Failure, FailureKind, Malformed};
use crate::options::ParseOptions;
use crate::speakers::Speaker;
use crate::{decode, formats, speakers};

/// The text of one file, with the turns of its speakers and the source line of each byte.
///
/// A document has at least one turn of a participant, and its turns are in ascending order and do not overlap. The text
/// is shared ([`Arc`]), so a clone copies the turns and the lines, but not the text.
///
/// Documents are serialised with all their fields, so that another process can use them without the file:
///
/// ```text
/// { "name": "a/p1.txt", "format": "text", "sha256": "…", "bytes": 41, "encoding": "UTF-8", "text": "…",
///   "turns": [{ "speaker": "P1", "role": "participant", "span": { "start": 30, "end": 35 } }],
///   "lines": [{ "offset": 0, "line": 1 }, …] }
/// ```
///
/// # Examples
/// For a table, the text has a line for each turn, after the label of its speaker; the line of the source is kept:
///
/// ```
/// use antiphon_data::Document;
/// let table = b"speaker,text\nInterviewer,Why?\nP1,\"It is cold,\nand dark\"\n";
/// let document = Document::parse("talk.csv", table)?;
/// assert_eq!(&*document.text, "Interviewer: Why?\nP1: It is cold,\nand dark\n");
/// assert_eq!(document.words(&document.turns[1]), "It is cold,\nand dark");
/// let dark = document.text.find("dark").unwrap_or_default();
/// assert_eq!(document.line_at(dark), 4);
/// # Ok::<(), antiphon_data::Failure>(())
/// ```
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Document {
    /// The file's path relative to the input's root, with `/` as the separator on every system. For
    /// [`Document::parse`], the name that was passed.
    pub name: String,
    /// The format in which the file was read.
    pub format: Format,
    /// The SHA-256 of the file's bytes as they are on disk, before decoding: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The size of the file in bytes, before decoding.
    pub bytes: u64,
    /// The encoding of the file, by its WHATWG name: `UTF-8`, `UTF-16LE`, `UTF-16BE`, `windows-1252`, or one that the
    /// caller or the file itself names. UTF-16 is detected only by its byte order mark; `windows-1252` is a guess for
    /// bytes that are not valid UTF-8. A DOCX always has `UTF-8`.
    pub encoding: Cow<'static, str>,
    /// The text, with `\n` as the line ending. For plain text, Markdown, Org, HTML and DOCX it is the text of the file;
    /// for the other formats it is the turns in order, each after the label of its speaker.
    pub text: Arc<str>,
    /// The turns of the speakers, in the order of the text. If a file names no speakers, each paragraph is a turn of
    /// one participant, who is named after the file.
    pub turns: Vec<Turn>,
    /// The starts of source lines, in ascending order of their offsets. Several may have the same offset: the last one
    /// counts.
    pub(crate) lines: Vec<LineStart>,
}

/// A byte offset of the text at which another line of the source begins.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct LineStart {
    /// The byte offset in the text.
    pub(crate) offset: usize,
    /// The line of the source, from 1; for a DOCX the paragraph.
    pub(crate) line: u32,
}

/// A turn: one uninterrupted contribution of a speaker.
///
/// The source of a turn depends on the format:
///
/// | format | a turn is |
/// |---|---|
/// | plain text, Markdown, Org, HTML, DOCX | the text from one speaker's label to the next label or heading |
/// | CSV, JSON, JSON Lines, YAML | a row with a field for the text; otherwise each answer of the row |
/// | WebVTT, SubRip | consecutive captions of one speaker |
/// | text without labels, JSON and YAML without such rows | a paragraph |
///
/// Two adjacent turns may have the same speaker. A turn is never empty.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Turn {
    /// The speaker's code or name in the file; the file's name without its extension if the file names no speaker. A
    /// label that identifies no person, such as `Participant`, counts as no name, so that the participants of two files
    /// are two people; `Speaker 2` becomes the file's name and the label.
    pub speaker: Arc<str>,
    /// The speaker's side of the interview, from the label, from a role in the row, or from the header of the file.
    pub role: SpeakerRole,
    /// The time at which the turn begins, if the source has one: `12:41` or `1:02:41` from the beginning of a recording,
    /// with hours only from the first hour on and without fractions; for a chat the date and time as it writes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Arc<str>>,
    /// The byte range of the words in [`Document::text`], without the speaker's label and without surrounding white
    /// space. Both ends are at character boundaries; see [`Document::words`].
    pub span: Range<usize>,
}

/// The sides of an interview. Serialised as `participant`, `interviewer` and `unclear`.
///
/// Labels such as `Interviewer`, `Moderator (Sam)`, `Host` or `Q1` are an interviewer's, ignoring case; every other
/// label is a participant's, unless the file or [`ParseOptions`] names its speaker as the interviewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeakerRole {
    /// The side that answers. Only a participant's words can be quoted as evidence (grounding).
    Participant,
    /// The side that asks.
    Interviewer,
    /// A side that is not known: the words may be a question or an answer. Strict grounding does not quote them.
    Unclear,
}

/// A format of documents. The extension of a file's name selects it; see [`Format::from_name`]. The content is not
/// examined.
///
/// Formats are serialised by the lower-case names of the variants, such as `jsonl`. For tables that are processed
/// record by record, see [`RowFormat`](crate::RowFormat).
///
/// | format | limits, and reasons for a [`Failure`] |
/// |---|---|
/// | CSV | a row with more or fewer fields than the header; a quoted field that is never closed |
/// | JSON, JSON Lines, YAML | a syntax error; nesting of more than 64 levels |
/// | YAML | aliases that repeat more than 1 MiB; a key that is a list or a mapping |
/// | WebVTT, SubRip | a cue with malformed times, or without any; for WebVTT, a file with neither a cue nor `WEBVTT` |
/// | DOCX | a file that is not a zip archive; a text with notes of more than 64 MiB, unpacked |
/// | HTML | an element, a comment or a tag that hides the rest of the page since it is never closed |
///
/// Files of all formats fail if they have no text or no turn of a participant; all but DOCX also if they are not text.
/// CSV, DOCX, HTML and YAML each have a feature of this crate, by their lower-case names, which are on by default; in a build
/// without it, files of the format fail with the name of the feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Plain text: `.txt`, `.text`. Labels at the start of lines, such as `P1:`, name the speakers. A text that begins
    /// with the times of a caption is read as captions.
    Text,
    /// Markdown: `.md`, `.markdown`. Read as plain text; labels may be bold or italic, and headings belong to no turn.
    Markdown,
    /// Comma-separated values: `.csv`, `.tsv`. The first row has the headings, unless it is a row of a dialogue: a name that
    /// occurs again, or a time, beside words. Semicolons or tabs separate fields if the records then
    /// have the same number of them, or if the first line is `sep=;`. A row is a turn if it has a column such as `text` or `answer`; in other tables, such as a survey's, each
    /// cell of two or more words is a turn that answers its column's heading.
    Csv,
    /// One JSON value: `.json`. Every object with a text, or with scalars only, is a row as in a table, at any depth.
    Json,
    /// One JSON value on each line (NDJSON): `.jsonl`, `.ndjson`. Empty lines are skipped.
    Jsonl,
    /// WebVTT captions: `.vtt`. Speakers are named by voice tags, such as `<v Anna>`, by labels such as `P05:` or
    /// `[Anna]`, and by `>> ANNA:`. Lines that captions of video sites repeat are read once. Words whose speaker is not
    /// named, in a file that names or marks others, belong to an unnamed speaker whose side is unclear.
    Vtt,
    /// SubRip captions: `.srt`. Read as WebVTT is.
    Srt,
    /// Word's Office Open XML: `.docx`. Each paragraph counts as one line of the source, and line breaks in it are kept.
    /// A row of a table is a line, with a label if a cell has the name of a speaker. Footnotes and endnotes follow the
    /// text below headings, and are turns only if they have labels. Headers, footers, comments and deleted text are not
    /// read.
    Docx,
    /// YAML 1.2: `.yaml`, `.yml`. One document or several, read as JSON is; merge keys (`<<`) and aliases are resolved.
    Yaml,
    /// A web page: `.html`, `.htm`. Read as a browser shows it: without scripts, styles and comments. A name in a table or
    /// in a definition list is the label of the words beside it, and so is the sender of a message in Telegram's export.
    Html,
    /// An Org file: `.org`. Keywords, comments, drawers, planning and clocks are left out; `#+TITLE:` and `*` lines are
    /// headings, and `- Anna :: …` is a line of that speaker.
    Org,
}

/// The extensions of the formats that are built.
static ENDINGS: LazyLock<String> = LazyLock::new(|| {
    let all = [
        ("txt", true),
        ("md", true),
        ("org", true),
        ("html", cfg!(feature = "html")),
        ("csv", cfg!(feature = "csv")),
        ("json", true),
        ("jsonl", true),
        ("yaml", cfg!(feature = "yaml")),
        ("vtt", true),
        ("srt", true),
        ("docx", cfg!(feature = "docx")),
    ];
    let built: Vec<&str> = all.iter().filter_map(|(ending, is_built)| is_built.then_some(*ending)).collect();
    built.join(", ")
});

impl Format {
    /// Returns the format for a file name's extension, ignoring case; `None` for an unsupported one.
    ///
    /// ```
    /// use antiphon_data::Format;
    /// assert_eq!(Format::from_name("talks/P1.TXT"), Some(Format::Text));
    /// assert_eq!(Format::from_name("README"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        Some(match ending.to_ascii_lowercase().as_str() {
            "txt" | "text" => Self::Text,
            "md" | "markdown" => Self::Markdown,
            "csv" | "tsv" => Self::Csv,
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

    /// Returns the file extension for a media type, as in a `Content-Type` header; `None` for a type that cannot be
    /// read. Unknown `text/` types and an empty type count as plain text (`txt`). Case and parameters such as `charset`
    /// are ignored.
    ///
    /// Use it to name content that was downloaded or uploaded without a file name, before [`Document::parse`].
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

    /// Returns the file extensions of the formats that this build can read, separated by commas, for messages to users.
    #[must_use]
    pub fn endings() -> &'static str {
        &ENDINGS
    }
}

impl Document {
    /// Parses the bytes of a file. The extension of `name` selects the format. Use [`Loader`](crate::Loader) for files
    /// on disk, and [`Rows`](crate::Rows) for records that are processed one by one.
    ///
    /// The same name and bytes always return the same document. This function does no I/O and is CPU-bound: in async
    /// code, call it on a blocking thread for files of more than a few megabytes, as the loader does.
    ///
    /// # Errors
    /// A [`Failure`] with the file, the line if it is known, and one of these reasons: an unsupported extension, bytes
    /// that are not text, malformed content, no text, or no turn of a participant. The size of `bytes` is not limited.
    ///
    /// ```
    /// use antiphon_data::Document;
    /// let failure = Document::parse("a.csv", b"speaker,text\nP1,yes,no\n").unwrap_err();
    /// assert_eq!(failure.to_string(), "a.csv:2: this row has 3 fields and the header has 2");
    /// ```
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Failure> {
        Self::parse_with(name, bytes, &ParseOptions::default())
    }

    /// Parses the bytes of a file as [`parse`](Self::parse) does, with options such as the names of interviewers.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse).
    ///
    /// ```
    /// use antiphon_data::{Document, ParseOptions, SpeakerRole};
    /// let options = ParseOptions::new().interviewer("Sam");
    /// let document = Document::parse_with("a.txt", b"Sam: Well.\nAna: I bake.\nSam: So.\nAna: Yes.\n", &options)?;
    /// assert_eq!(document.turns[0].role, SpeakerRole::Interviewer);
    /// # Ok::<(), antiphon_data::Failure>(())
    /// ```
    pub fn parse_with(name: &str, bytes: &[u8], options: &ParseOptions) -> Result<Self, Failure> {
        let format = Format::from_name(name).ok_or_else(|| {
            let reason = format!("unsupported file type; supported: {}", Format::endings());
            Failure::new(name, FailureKind::UnsupportedFormat, reason)
        })?;
        let person = person(name);
        let body = read_body(format, bytes, person, options.encoding);
        let (mut body, encoding) = body.map_err(|err| err.of(name))?;
        options.settle(&mut body.turns);
        speakers::settle(&mut body.turns, &body.text, person);
        check_turns(&body.turns).map_err(|err| err.of(name))?;
        // Documents stay in memory for a whole run.
        body.turns.shrink_to_fit();
        body.lines.shrink_to_fit();
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

    /// Returns the source line, from 1, of the byte at `offset` of [`Document::text`]; for a DOCX the paragraph. An
    /// offset beyond the end returns the last line.
    ///
    /// Takes time logarithmic in the number of lines (binary search). The line of a turn is that of its first word:
    /// `document.line_at(turn.span.start)`.
    #[must_use]
    pub fn line_at(&self, offset: usize) -> u32 {
        let after = self.lines.partition_point(|start| start.offset <= offset);
        after.checked_sub(1).map_or(1, |index| self.lines[index].line)
    }

    /// Returns the speakers in the order of their first turns, each with the side that was found and the number of
    /// questions; a speaker with turns of two sides is in the list twice.
    ///
    /// ```
    /// use antiphon_data::Document;
    /// let document = Document::parse("a.txt", b"Sam: How is it?\nP1: Cold.\nSam: And why?\nP1: It's night.\n")?;
    /// let speakers: Vec<String> = document.speakers().iter().map(ToString::to_string).collect();
    /// assert_eq!(speakers, ["Sam: interviewer, asks 2 of 2 questions", "P1: participant"]);
    /// # Ok::<(), antiphon_data::Failure>(())
    /// ```
    #[must_use]
    pub fn speakers(&self) -> Vec<Speaker> {
        Speaker::of(self)
    }

    /// Returns the words of one of this document's turns, without the speaker's label; an empty string if the turn's
    /// range is not in this document's text.
    ///
    /// The words may have line ends: those of the source, or for HTML those of the layout.
    #[must_use]
    pub fn words(&self, turn: &Turn) -> &str {
        self.text.get(turn.span.clone()).unwrap_or_default()
    }
}

/// Reads a file in its format, and returns its body with the name of the encoding. The text of a DOCX is XML in UTF-8.
fn read_body(
    format: Format,
    bytes: &[u8],
    person: &str,
    encoding: Option<Encoding>,
) -> Result<(Body, &'static str), Malformed> {
    if format == Format::Docx {
        return Ok((formats::docx(bytes, person)?, "UTF-8"));
    }
    let decoded = decode::decode(bytes, encoding, Some(format))?;
    Ok((formats::text(format, &decoded.text, person)?, decoded.encoding))
}

/// Rejects a file without a turn of a participant: later steps quote participants only.
fn check_turns(turns: &[Turn]) -> Result<(), Malformed> {
    if turns.is_empty() {
        return Err(Malformed::whole("the file has no text").of_kind(FailureKind::NoText));
    }
    if turns.iter().all(|turn| turn.role == SpeakerRole::Interviewer) {
        let malformed = Malformed::whole("no participant speaks: every turn is an interviewer's");
        return Err(malformed.of_kind(FailureKind::NoParticipant));
    }
    Ok(())
}

/// Returns the speaker of a file that names no one: its path without the extension, so that files of one name in two
/// folders are two people.
fn person(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(person, _)| person)
}

/// Returns bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
