//! A reader of documents and rows from files: text, turns of speakers, and the source line of each byte.
//!
//! The crate reads plain text, Markdown, Org, HTML, CSV, JSON, JSON Lines (NDJSON), YAML, WebVTT, SubRip and DOCX.
//! [`Anonymiser`] removes personal data (PII) from documents. No language model is involved.
//!
//! Use [`Document::parse`] for bytes in memory, [`Loader`] for files and folders, and [`Rows`] for a table of any size, record
//! by record.
//!
//! ```
//! use antiphon_data::{Document, SpeakerRole};
//! let document = Document::parse("p1.txt", b"Interviewer: How are you?\nP1: Busy.\n")?;
//! let turn = &document.turns[1];
//! assert_eq!((&*turn.speaker, turn.role, document.words(turn)), ("P1", SpeakerRole::Participant, "Busy."));
//! assert_eq!(document.line_at(turn.span.start), 2);
//! # Ok::<(), antiphon_data::Failure>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod anonymise;
mod builder;
mod decode;
mod document;
mod error;
mod formats;
mod loader;
mod rows;
mod speakers;

pub use anonymise::{Anonymiser, Replacement, Strategy};
pub use document::{Document, Format, SpeakerRole, Turn};
pub use error::{Error, ErrorKind, Failure};
pub use loader::{Loaded, Loader, Skipped};
pub use rows::{RawRow, Row, RowFormat, Rows};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
