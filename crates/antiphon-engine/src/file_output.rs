//! Output to a path that a user has named: a file, a device or a pipe.
//!
//! A file appears under its name only when it is complete: until then it has a random name in the same folder, so that
//! a crash leaves an older file as it was. Two cases need care. The name may be taken when the run begins, which is an
//! error before the first call; or another process may take it during the run, and then the paid results get a similar
//! name instead of being lost.

use std::error::Error as _;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use antiphon_fs::Writer;

use crate::error::{Error, ErrorKind};
use crate::results::Unwritten;

/// The treatment of a file that already has the name of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// The file is kept: it is an error, or another name is used if it appeared during the run.
    Kept,
    /// The file is replaced when the output is complete.
    Replaced,
    /// The same in a folder of this program, where a link is replaced itself.
    Own,
}

/// A file, a device or a pipe for output. A file has a random name in the same folder until it is finished, so that two
/// writers of one name do not mix.
#[derive(Debug)]
pub(super) struct FileOutput {
    writer: Writer,
    path: PathBuf,
    existing: Existing,
    /// Whether this is a device or a pipe, whose reader gets each block without delay.
    is_direct: bool,
}

impl FileOutput {
    /// Opens the output, and creates the folder of a file if it does not exist. For a pipe, this waits for its reader.
    ///
    /// # Errors
    /// `Place` where it cannot be written, and for a folder of this program that is a link.
    pub(super) async fn open(path: &Path, existing: Existing) -> Result<Self, Error> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = match existing {
                Existing::Own => create_run_folder(folder).await,
                Existing::Kept | Existing::Replaced => antiphon_fs::create_dir(folder).await,
            };
            made.map_err(Error::place)?;
        }
        let writer = match existing {
            Existing::Own => Writer::atomic(path).await,
            Existing::Kept | Existing::Replaced => Writer::output(path).await,
        };
        let writer = writer.map_err(Error::place)?;
        let is_direct = writer.is_direct();
        Ok(Self { writer, path: path.to_owned(), existing, is_direct })
    }

    /// Returns the path that the user has named, under which a file appears with [`finish`](Self::finish).
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether a file that must not be replaced already has the name.
    pub(super) fn is_taken(&self) -> bool {
        self.existing == Existing::Kept && self.writer.replaces()
    }

    /// Returns the error for a name that another file has.
    pub(super) fn taken(&self) -> Error {
        Error::new(ErrorKind::Exists, format!("{}: file exists already", self.path.display()))
    }

    /// Adds whole lines. A device or a pipe is flushed, so that its reader sees them without delay.
    ///
    /// # Errors
    /// `Unread` if the other end of a pipe was closed, `Failed` for any other error.
    pub(super) async fn write(&mut self, block: String) -> Result<(), Unwritten> {
        self.writer.write(block).await.map_err(unwritten)?;
        if self.is_direct { self.writer.flush().await.map_err(unwritten) } else { Ok(()) }
    }

    /// Renames the file to its final name. If another file that must not be replaced took that name meanwhile, the output gets a
    /// similar name, which is returned.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(super) async fn finish(self) -> Result<Option<PathBuf>, Unwritten> {
        let Self { writer, path, existing, .. } = self;
        match existing {
            Existing::Replaced | Existing::Own => writer.finish().await.map(|()| None).map_err(unwritten),
            Existing::Kept => {
                let finished = writer.finish_beside().await.map_err(unwritten)?;
                Ok(Some(finished).filter(|finished| *finished != path))
            }
        }
    }
}

/// Splits the folder of a run into the output folder and its name in it.
pub(super) fn in_output(folder: &Path) -> (&Path, &OsStr) {
    (folder.parent().unwrap_or(folder), folder.file_name().unwrap_or_default())
}

/// Creates the folder of a run if necessary.
///
/// # Errors
/// `LinkNotFollowed` for one that is a link, since its files would be elsewhere.
pub(super) async fn create_run_folder(folder: &Path) -> Result<(), antiphon_fs::Error> {
    let (out, name) = in_output(folder);
    antiphon_fs::create_dir_below(out, name).await
}

/// Returns the message about an output that was written under another name, since its own was taken.
pub(super) fn is_beside(path: &Path, beside: &Path) -> String {
    let (path, beside) = (path.display(), beside.display());
    format!("{path}: another file took this name meanwhile; the results are in {beside}")
}

/// Converts an error of a file: a broken pipe means that the reader has gone, which is no failure of the run.
fn unwritten(err: antiphon_fs::Error) -> Unwritten {
    let source = err.source().and_then(|source| source.downcast_ref::<io::Error>());
    match source {
        Some(source) if source.kind() == io::ErrorKind::BrokenPipe => Unwritten::Unread,
        Some(source) => Unwritten::Failed(format!("{err}: {source}")),
        None => Unwritten::Failed(err.to_string()),
    }
}
