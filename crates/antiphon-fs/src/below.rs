//! Reading and writing below a folder without following links: what is opened is what was checked, since each step of the way is
//! opened relative to the folder before it, and never by a path that someone may change in between.

#[cfg(any(not(unix), test))]
mod paths;
#[cfg(unix)]
mod steps;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::blocking::run_sized;
use crate::error::{Error, ErrorKind};
use crate::links::{Links, names};
use crate::rename::canonicalize;
#[cfg(not(unix))]
use paths as steps;

/// A file to read, and the folder that it has to be in.
///
/// ```
/// use antiphon_fs::{Links, ReadBelow};
/// let root = Some(std::path::Path::new("in").into());
/// let from = ReadBelow { path: "in/a.txt".into(), root, links: Links::Inside, hidden: false };
/// assert_eq!(ReadBelow::anywhere("a.txt").root, None);
/// # assert!(from.root.is_some());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBelow {
    /// The path of the file, which begins with `root`.
    pub path: PathBuf,
    /// The folder that the file has to be in, as it was passed to [`walk`](crate::walk()); `None` for a file that was named itself,
    /// which may be anywhere and a link.
    pub root: Option<std::sync::Arc<Path>>,
    /// The links below the root that are followed.
    pub links: Links,
    /// Whether these links may lead to hidden files of the root, as [`hidden`](crate::WalkOptions::hidden) of the walk that found
    /// the file.
    pub hidden: bool,
}

impl ReadBelow {
    /// Creates the request for a file that may be anywhere, and that may be a link.
    #[must_use]
    pub fn anywhere(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), root: None, links: Links::All, hidden: true }
    }

    /// Opens the file, and returns it with its length.
    ///
    /// # Errors
    /// `LinkNotFollowed` if a link leads elsewhere, `NotAFile`, or the error of the system.
    pub(crate) fn open(&self) -> Result<(File, u64), Error> {
        match &self.root {
            Some(root) if self.links != Links::All => self.open_below(root),
            _ => crate::read::open_regular(&self.path),
        }
    }

    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and `TooLarge`.
    pub(crate) fn read_small(&self, limit: u64) -> Result<Vec<u8>, Error> {
        let (file, length) = self.open()?;
        let mut bytes = Vec::new();
        let read = file.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|err| Error::from_io(err, "read", &self.path))?;
        if length > limit || u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
            return Err(Error::new(ErrorKind::TooLarge { limit }, "read", &self.path));
        }
        Ok(bytes)
    }

    /// Opens a regular file below a root. A link on the way is followed only if its target is allowed, and then the target is opened by
    /// a way that has no link.
    fn open_below(&self, root: &Path) -> Result<(File, u64), Error> {
        let path = &*self.path;
        let failed = |err| Error::from_io(err, "read", path);
        let refused = || Error::new(ErrorKind::LinkNotFollowed, "read", path);
        let opened = match path.strip_prefix(root).ok().and_then(names) {
            Some(names) => steps::open(root, &names),
            None => return Err(refused()),
        };
        let file = match opened {
            Err(err) if steps::is_link(&err) => {
                let (root, target) =
                    (canonicalize(root).map_err(failed)?, canonicalize(path).map_err(failed)?);
                let (base, below) = self.links.allow(&root, &target, self.hidden).ok_or_else(refused)?;
                let (base, names) = match (names(below), base.file_name()) {
                    (Some(names), _) => (base, names),
                    (None, Some(name)) => (base.parent().unwrap_or(base), vec![name]),
                    (None, None) => return Err(refused()),
                };
                let again = |err| if steps::is_link(&err) { refused() } else { failed(err) };
                steps::open(base, &names).map_err(again)?
            }
            opened => opened.map_err(failed)?,
        };
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(Error::new(ErrorKind::NotAFile, "read", path));
        }
        Ok((file, found.len()))
    }
}

/// Writes a whole file below a folder, atomically and durably as [`write()`](crate::write()) does, without following a link on the
/// way: a link of the file's name is replaced by the file, and a link in the place of a folder is an error. Missing folders between
/// `root` and the file are created; `root` exists, and may be a link itself.
///
/// Use it for the folders of a program's output, which others may be able to write.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// let folder = antiphon_fs::temp_dir()?;
/// antiphon_fs::write_below(folder.path(), "run/notes/a.md", "# A\n").await?;
/// assert_eq!(antiphon_fs::read(folder.path().join("run/notes/a.md")).await?, b"# A\n");
/// assert!(antiphon_fs::write_below(folder.path(), "../a.md", "").await.is_err());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `LinkNotFollowed` if a folder on the way is a link or `below` leads out of the root, otherwise those of [`write()`](crate::write()).
///
/// # Cancel safety
/// If the future is dropped, either the whole file is written or the older one stays. No temporary file is left.
pub async fn write_below<B>(root: impl AsRef<Path>, below: impl AsRef<Path>, bytes: B) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    store(root.as_ref(), below.as_ref(), bytes, Access::Usual).await
}

/// Writes a file like [`write_below`], but readable only by its owner (mode 0600 on Unix): for secrets and personal data (PII).
///
/// # Errors
/// The errors of [`write_below`].
///
/// # Cancel safety
/// As for [`write_below`].
pub async fn write_private_below<B>(
    root: impl AsRef<Path>,
    below: impl AsRef<Path>,
    bytes: B,
) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    store(root.as_ref(), below.as_ref(), bytes, Access::Private).await
}

/// Creates a folder and its missing parents below `root`, without following a link on the way. An existing folder is not an error.
///
/// # Errors
/// `LinkNotFollowed` if a folder on the way is a link or `below` leads out of the root, otherwise those of
/// [`create_dir`](crate::create_dir).
///
/// # Cancel safety
/// Dropping the future may still create the folders; none is removed.
pub async fn create_dir_below(root: impl AsRef<Path>, below: impl AsRef<Path>) -> Result<(), Error> {
    let (root, below) = (root.as_ref().to_owned(), below.as_ref().to_owned());
    let path = root.join(&below);
    let made = move || {
        let path = root.join(&below);
        let names =
            names(&below).ok_or_else(|| Error::new(ErrorKind::LinkNotFollowed, "create folder", &path))?;
        crate::metadata::make_dir(root.clone())?;
        steps::create(&root, &names).map_err(|err| step_error(err, "create folder", &path))
    };
    crate::blocking::run_blocking("create folder", &path, made).await
}

/// The readers of a new file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everyone whom the umask of the process allows, or who could read the older file.
    Usual,
    /// The owner alone.
    Private,
}

async fn store<B>(root: &Path, below: &Path, bytes: B, access: Access) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    let (root, below) = (root.to_owned(), below.to_owned());
    let path = root.join(&below);
    let written = run_sized(
        "write",
        &path.clone(),
        |size| *size,
        move || {
            let names =
                names(&below).ok_or_else(|| Error::new(ErrorKind::LinkNotFollowed, "write", &path))?;
            let bytes = bytes.as_ref();
            steps::write(&root, &names, bytes, access).map_err(|err| step_error(err, "write", &path))?;
            Ok(bytes.len() as u64)
        },
    )
    .await;
    written.map(|_| ())
}

/// Converts the error of a step; a link on the way is named.
fn step_error(err: std::io::Error, operation: &'static str, path: &Path) -> Error {
    if steps::is_link(&err) {
        return Error::new(ErrorKind::LinkNotFollowed, operation, path);
    }
    Error::from_io(err, operation, path)
}
