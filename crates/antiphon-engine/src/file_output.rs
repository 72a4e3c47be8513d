use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};

use antiphon_fs::Writer;

use crate::error::{Error, ErrorKind};
use crate::results::Unwritten;

/// The treatment of a file that already has the name of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Kept,
    Replaced,
}

/// A file, a device or a pipe for output. A file has a random name in the same folder until it is finished, so that two
/// writers of one name do not mix.
#[derive(Debug)]
pub(super) struct FileOutput {
    writer: Writer,
    path: PathBuf,
    existing: Existing,
    is_direct: bool,
}

impl FileOutput {
    /// Opens the output, and creates the folder of a file if it does not exist.
    ///
    /// # Errors
    /// `Place` where it cannot be written.
    pub(super) async fn open(path: &Path, existing: Existing) -> Result<Self, Error> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            antiphon_fs::create_dir(folder).await.map_err(Error::place)?;
        }
        let writer = Writer::output(path).await.map_err(Error::place)?;
        let is_direct = writer.is_direct();
        Ok(Self { writer, path: path.to_owned(), existing, is_direct })
    }

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

    /// Adds whole lines. A device or a pipe is flushed at once, so that its reader sees them.
    pub(super) async fn write(&mut self, block: String) -> Result<(), Unwritten> {
        self.writer.write(block).await.map_err(unwritten)?;
        if self.is_direct { self.writer.flush().await.map_err(unwritten) } else { Ok(()) }
    }

    /// Renames the file to its final name. If another file that must not be replaced took that name meanwhile, the output gets a
    /// similar name, which is returned.
    pub(super) async fn finish(self) -> Result<Option<PathBuf>, Unwritten> {
        let Self { writer, path, existing, .. } = self;
        match existing {
            Existing::Replaced => writer.finish().await.map(|()| None).map_err(unwritten),
            Existing::Kept => {
                let finished = writer.finish_beside().await.map_err(unwritten)?;
                Ok(Some(finished).filter(|finished| *finished != path))
            }
        }
    }
}

/// Returns the message about an output that was written under another name, since its own was taken.
pub(super) fn is_beside(path: &Path, beside: &Path) -> String {
    let (path, beside) = (path.display(), beside.display());
    format!("{path}: another file took this name meanwhile; the results are in {beside}")
}

fn unwritten(err: antiphon_fs::Error) -> Unwritten {
    let source = err.source().and_then(|source| source.downcast_ref::<io::Error>());
    match source {
        Some(source) if source.kind() == io::ErrorKind::BrokenPipe => Unwritten::Unread,
        Some(source) => Unwritten::Failed(format!("{err}: {source}")),
        None => Unwritten::Failed(err.to_string()),
    }
}
