//! Files without blocking the executor: reads in hops of many files, atomic writes, and walks that come in batches.
//!
//! Every blocking system call of Antiphon is made here, on tokio's blocking threads, and many of them in one trip:
//! a trip to another thread costs more than reading a small file.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), antiphon_fs::Error> {
//! let folder = antiphon_fs::temp_dir()?;
//! let path = folder.path().join("note.txt");
//! antiphon_fs::write_atomic(&path, "whole or not at all").await?;
//! assert_eq!(antiphon_fs::read(&path).await?, b"whole or not at all");
//! # Ok(())
//! # }
//! ```

mod blocking;
mod error;
mod metadata;
mod read;
mod walk;
mod write;

pub use error::{Error, ErrorKind};
pub use metadata::{Metadata, create_dir, exists, metadata};
pub use read::{FileRead, ReadMany, ReadOptions, read, read_many};
pub use tempfile::TempDir;
pub use walk::{Entry, Walk, WalkOptions, walk};
pub use write::{temp_dir, write_atomic};
