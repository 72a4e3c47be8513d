//! A reader of documents and rows from files: text, turns of speakers, and the source line of each byte.
//!
//! The crate reads plain text, Markdown, Org, HTML, CSV, JSON, JSON Lines (NDJSON), YAML, WebVTT, SubRip and DOCX.
//! [`Anonymiser`] removes personal data (PII) from documents. No language model is involved. CSV, HTML, YAML, DOCX and the
//! anonymiser each have a feature, which is on by default; [`Format`] says how a file of a format that is not built fails.
//!
//! | you have | use |
//! |---|---|
//! | bytes in memory | [`Document::parse`] |
//! | a file, or a folder and everything below it | [`Loader`]: one [`Failure`] for each file that cannot be used |
//! | a table of any size, to process record by record | [`Rows`]: batches of JSON texts |
//! | names, addresses and numbers that must not leave the machine | [`Anonymiser`] |
//!
//! A document is made of turns: uninterrupted contributions of a speaker, who is an interviewer or a participant
//! ([`SpeakerRole`]). Positions are byte offsets of [`Document::text`], and [`Document::line_at`] returns their lines
//! in the source. Files are decoded as UTF-8, UTF-16 (by its byte order mark), windows-1252, or in an encoding that the
//! caller or the file names.
//!
//! Inputs are not trusted. A file that is read as a whole has at most 256 MiB, a row at most 16 MiB, a tree at most 64
//! levels, and the text of a DOCX at most 64 MiB; [`Format`] lists what else each format rejects.
//!
//! # Examples
//! ```
//! use antiphon_data::{Document, SpeakerRole};
//! let document = Document::parse("p1.txt", b"Interviewer: How are you?\nP1: Busy.\n")?;
//! let turn = &document.turns[1];
//! assert_eq!((&*turn.speaker, turn.role, document.words(turn)), ("P1", SpeakerRole::Participant, "Busy."));
//! assert_eq!(document.line_at(turn.span.start), 2);
//! # Ok::<(), antiphon_data::Failure>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "anonymise")]
mod anonymise;
mod builder;
mod decode;
mod document;
mod error;
mod formats;
mod input_set;
mod listing;
mod loader;
mod options;
mod rows;
mod speakers;
mod turn_time;

#[cfg(feature = "anonymise")]
pub use anonymise::{
    Anonymisation, Anonymiser, PossibleMiss, Replacement, RowAnonymiser, RowNames, Strategy,
};
pub use antiphon_fs::{Encoding, Links};
pub use document::{Document, Format, SpeakerRole, Turn};
pub use error::{Error, ErrorKind, Failure, FailureKind};
pub use loader::{Loaded, Loader, Skipped};
pub use options::ParseOptions;
pub use rows::{RawRow, Row, RowFormat, RowOptions, Rows, check_keys};
pub use speakers::Speaker;

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
