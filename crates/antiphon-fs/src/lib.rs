//! Asynchronous file I/O that does not block the executor: batched reads, atomic writes and batched directory walks.
//!
//! Asynchronous functions make their system calls on tokio's blocking threads. Reads of many files and walks make many calls in
//! one blocking task, since a switch of threads costs more than reading a small file. The few synchronous functions, such as
//! [`temp_dir`], block for a few system calls.
//!
//! | to | use |
//! |---|---|
//! | read a whole file | [`read()`], [`read_to_string`] |
//! | read many whole files | [`read_many`] |
//! | read a large file in chunks or lines (NDJSON) | [`Reader`] |
//! | replace a whole file atomically and durably (fsync) | [`write()`] |
//! | the same in a folder that others may write, without following links | [`write_below`] |
//! | write a file piece by piece | [`Writer`] |
//! | find files by globs | [`walk()`] |
//! | read the files of a folder, but nothing that a link in it leads to | [`read_many_below`] |
//! | admit one process at a time | [`FileLock`] |
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), antiphon_fs::Error> {
//! let folder = antiphon_fs::temp_dir()?;
//! let path = folder.path().join("note.txt");
//! antiphon_fs::write(&path, "whole or not at all").await?;
//! assert_eq!(antiphon_fs::read(&path).await?, b"whole or not at all");
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod below;
mod blocking;
mod copy;
mod descriptors;
mod error;
mod links;
mod lock;
mod metadata;
mod read;
mod reader;
mod rename;
mod span;
mod temp;
mod text;
mod walk;
#[cfg(feature = "watch")]
mod watch;
mod write;
mod writer;

pub use below::{ReadBelow, create_dir_below, write_below, write_private_below};
pub use copy::{copy, copy_with};
pub use descriptors::{address_space_limit, open_file_limit, raise_open_file_limit};
pub use error::{Error, ErrorKind};
pub use links::Links;
pub use lock::{FileLock, Locked};
pub use metadata::{Metadata, create_dir, exists, metadata};
pub use read::{FileRead, ReadMany, ReadOptions, read, read_many, read_many_below, read_to_string};
pub use reader::{FileChunks, FileLines, Reader};
pub use rename::{canonical, link, link_identity, remove, remove_dir, rename};
pub use temp::{check_writable, temp_dir, temp_file};
pub use tempfile::{NamedTempFile, TempDir};
pub use text::{Encoding, NotText, Text, decode, decode_as};
pub use walk::{Entry, Walk, WalkOptions, walk};
#[cfg(feature = "watch")]
pub use watch::{FileChange, WatchOptions, Watcher};
pub use write::{write, write_private};
pub use writer::Writer;

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
