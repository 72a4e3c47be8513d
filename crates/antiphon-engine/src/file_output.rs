use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};

use antiphon_fs::Writer;

use crate::error::{Error, ErrorKind};
use crate::results::Unwritten;

/// What becomes of a file that has the name of an output already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Kept,
    Replaced,
}

/// A file, a device or a pipe that was named for output. A file has a random name in the same folder until it is finished, so
/// that two writers of one name do not mix.
#[derive(Debug)]
pub(super) struct FileOutput {
    writer: Writer,
    path: PathBuf,
    existing: Existing,
    is_direct: bool,
}

impl FileOutput {
    /// Opens the place, and tries whether it can be written.
    ///
    /// # Errors
    /// `Place`.
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

    /// Whether a file has the name that is not to be replaced.
    pub(super) fn is_taken(&self) -> bool {
        self.existing == Existing::Kept && self.writer.replaces()
    }

    /// The error of a name that is taken.
    pub(super) fn taken(&self) -> Error {
        Error::new(ErrorKind::Exists, format!("{}: file exists already", self.path.display()))
    }

    /// Adds whole lines; whoever reads a device or a pipe sees them at once.
    pub(super) async fn write(&mut self, block: String) -> Result<(), Unwritten> {
        self.writer.write(block).await.map_err(unwritten)?;
        if self.is_direct { self.writer.flush().await.map_err(unwritten) } else { Ok(()) }
    }

    /// Gives a file its name. Where another file took it meanwhile that is not to be replaced, it takes one beside it, which is
    /// returned.
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

/// The message about an output that is beside its name.
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
