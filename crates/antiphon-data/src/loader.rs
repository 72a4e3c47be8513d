use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_fs::{FileRead, ReadOptions, WalkOptions};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::document::{Document, Format};
use crate::error::{Error, ErrorKind, Failure};

/// A loader of documents from a file, or from a folder and all its subfolders.
///
/// Use [`Document::parse`] for bytes in memory, and [`Rows`](crate::Rows) for records that are processed one by one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let missing = antiphon_data::Loader::new().load_path("no-such-folder").await;
/// assert_eq!(missing.unwrap_err().kind(), antiphon_data::ErrorKind::NotFound);
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Loader {
    cancel: CancellationToken,
    progress: Option<Arc<dyn Fn(usize, usize) + Send + Sync>>,
}

/// The result of [`Loader::load_path`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Loaded {
    /// The documents, sorted by name within each folder.
    pub documents: Vec<Document>,
    /// Files of a supported type that could not be read or parsed.
    pub failures: Vec<Failure>,
    /// Files that were skipped because their type is not supported.
    pub skipped: Vec<Skipped>,
}

/// A file that was skipped because its type is not supported.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// The file's path relative to the input's root, with `/` as the separator on every system.
    pub file: String,
}

impl Loader {
    /// Creates a loader without a progress callback.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the token that cancels loading, which then returns `Cancelled`. Default: a token that is never cancelled.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets a progress callback. Its arguments are the number of files that are done and the number of all files. The callback
    /// is called after each batch of at most 64 files and must not block.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Loads one file, or all files of a folder and its subfolders.
    ///
    /// Hidden files and the output folders of earlier runs are left out. Files are read concurrently.
    ///
    /// A file that cannot be used is a [`Failure`] in the result and does not affect the other files. Only if no file could be
    /// used, the call returns an error.
    ///
    /// # Errors
    /// `NotFound`; `Empty` for a folder without a file of a supported type; `NothingReadable` if all files failed; `Cancelled`;
    /// or `Io` for a folder that cannot be listed.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost; a read in progress finishes on its blocking thread.
    pub async fn load_path(&self, path: impl AsRef<Path> + Send) -> Result<Loaded, Error> {
        let path = path.as_ref();
        let found = antiphon_fs::metadata(path).await.map_err(Error::from_fs)?;
        let (root, listing) = if found.is_dir {
            (path, self.list(path).await?)
        } else {
            (path.parent().unwrap_or(path), Listing { paths: vec![path.to_owned()], ..Listing::default() })
        };
        let mut loaded = Loaded { failures: listing.failures, skipped: listing.skipped, ..Loaded::default() };
        self.read(root, listing.paths, &mut loaded).await?;
        if !loaded.documents.is_empty() {
            return Ok(loaded);
        }
        let place = path.display();
        Err(match loaded.failures.len() {
            0 => {
                let others = match loaded.skipped.len() {
                    0 => "the folder is empty".to_owned(),
                    1 => "its only file is of an unsupported type".to_owned(),
                    n => format!("none of its {n} files has a supported type"),
                };
                let endings = Format::endings();
                Error::new(
                    ErrorKind::Empty,
                    format!("no document in {place}: {others} (supported: {endings})"),
                )
            }
            n => Error::nothing_readable(
                format!("no document could be read in {place}: {n} failed"),
                loaded.failures,
            ),
        })
    }

    pub(crate) async fn list(&self, root: &Path) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let mut walk = antiphon_fs::walk(root, WalkOptions::default(), self.cancel.clone());
        while let Some(batch) = walk.next().await {
            for entry in batch {
                match entry {
                    Ok(entry) if Format::from_name(&name_of(root, &entry.path)).is_some() => {
                        listing.paths.push(entry.path);
                    }
                    Ok(entry) => listing.skipped.push(Skipped { file: name_of(root, &entry.path) }),
                    Err(err) if err.kind() == antiphon_fs::ErrorKind::Cancelled || err.path() == root => {
                        return Err(Error::from_fs(err));
                    }
                    Err(err) => {
                        listing.failures.push(Failure::new(&name_of(root, err.path()), reason_of(&err)))
                    }
                }
            }
        }
        listing.leave_out_runs(root);
        Ok(listing)
    }

    pub(crate) async fn read(
        &self,
        root: &Path,
        paths: Vec<PathBuf>,
        loaded: &mut Loaded,
    ) -> Result<(), Error> {
        const FILES_PER_TRIP: usize = 64;
        let total = paths.len();
        let root: Arc<Path> = Arc::from(root);
        let reads = antiphon_fs::read_many(paths, ReadOptions::default(), self.cancel.clone());
        // Reading waits for the disk and parsing for the CPU: both run concurrently, on the blocking threads.
        let mut parsed = reads
            .ready_chunks(FILES_PER_TRIP)
            .map(|files| {
                let root = root.clone();
                tokio::task::spawn_blocking(move || {
                    files.into_iter().map(|file| parse(&root, file)).collect()
                })
            })
            .buffered(2);
        let mut done = 0;
        while let Some(batch) = parsed.next().await {
            let batch: Vec<Result<Document, Failure>> = match batch {
                Ok(batch) => batch,
                Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
                Err(_) => return Err(cancelled()),
            };
            done += batch.len();
            for result in batch {
                match result {
                    Ok(document) => loaded.documents.push(document),
                    Err(failure) => loaded.failures.push(failure),
                }
            }
            if let Some(progress) = &self.progress {
                progress(done, total);
            }
        }
        if self.cancel.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) skipped: Vec<Skipped>,
}

/// Names of a run's files that have a supported type.
const RUN_FILES: [&str; 3] = ["run.json", "personas.json", "partial.txt"];

impl Listing {
    /// Leaves out the folders of earlier runs, also of incomplete ones: a folder that is named by a UUID and has one of a run's
    /// files was written by this program, and its personas are not interviews.
    fn leave_out_runs(&mut self, root: &Path) {
        let is_uuid = |name: &str| name.len() == 36 && name.split('-').count() == 5;
        let runs: Vec<PathBuf> = self
            .paths
            .iter()
            .filter(|path| RUN_FILES.iter().any(|file| path.file_name().is_some_and(|name| name == *file)))
            .filter_map(|path| path.parent())
            .filter(|folder| folder.file_name().and_then(|name| name.to_str()).is_some_and(is_uuid))
            .map(Path::to_owned)
            .collect();
        if runs.is_empty() {
            return;
        }
        let of_run = |path: &Path| path.ancestors().any(|folder| runs.iter().any(|run| run == folder));
        self.paths.retain(|path| !of_run(path));
        self.skipped.retain(|skipped| !of_run(&root.join(&skipped.file)));
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "loading was cancelled")
}

fn parse(root: &Path, file: FileRead) -> Result<Document, Failure> {
    let name = name_of(root, &file.path);
    let bytes = file.bytes.map_err(|err| Failure::new(&name, reason_of(&err)))?;
    Document::parse(&name, &bytes)
}

/// Returns the reason without the path, which a [`Failure`] names already.
fn reason_of(err: &antiphon_fs::Error) -> String {
    let cause = std::error::Error::source(err).map(|source| format!(": {source}")).unwrap_or_default();
    match err.kind() {
        antiphon_fs::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        antiphon_fs::ErrorKind::TooLarge { limit } => format!("larger than {} MiB", limit >> 20),
        antiphon_fs::ErrorKind::NotAFile => "not a regular file".to_owned(),
        antiphon_fs::ErrorKind::NotFound => "the file no longer exists".to_owned(),
        _ => format!("cannot read the file{cause}"),
    }
}

/// Returns a path relative to the root, with `/` between its parts on every system.
pub(crate) fn name_of(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{CancellationToken, ErrorKind, Loader, Skipped};

    async fn folder(files: &[(&str, &str)]) -> antiphon_fs::TempDir {
        let folder = antiphon_fs::temp_dir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            antiphon_fs::create_dir(path.parent().unwrap()).await.unwrap();
            antiphon_fs::write(path, (*text).to_owned()).await.unwrap();
        }
        folder
    }

    #[tokio::test]
    async fn a_folder_yields_documents_failures_and_skipped_files() {
        let folder = folder(&[("b.txt", "x"), ("a/c.md", "y"), ("bad.json", "{"), ("pic.png", "z")]).await;
        let loaded = Loader::new().load_path(folder.path()).await.unwrap();
        let names: Vec<_> = loaded.documents.iter().map(|document| document.name.as_str()).collect();
        assert_eq!(names, ["a/c.md", "b.txt"]);
        assert_eq!(loaded.failures[0].to_string(), "bad.json:1: not valid JSON: EOF while parsing an object");
        assert_eq!(loaded.skipped, [Skipped { file: "pic.png".to_owned() }]);
    }

    #[tokio::test]
    async fn folders_of_earlier_runs_are_left_out() {
        let run = "out/01a1fd70-b461-755a-a40e-e2046a8e01e1";
        let (report, personas) = (format!("{run}/run.json"), format!("{run}/personas/01.md"));
        let page = format!("{run}/personas.html");
        let folder =
            folder(&[("b.txt", "x"), (&report, "{\"a b\":\"c d\"}"), (&personas, "y"), (&page, "z")]).await;
        let loaded = Loader::new().load_path(folder.path()).await.unwrap();
        assert_eq!((loaded.documents.len(), loaded.skipped.len()), (1, 0));
    }

    #[tokio::test]
    async fn an_input_without_documents_is_an_error_with_its_reason() {
        let err = Loader::new().load_path(folder(&[]).await.path()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Empty);
        let err = Loader::new().load_path(folder(&[("a.png", "x")]).await.path()).await.unwrap_err();
        assert!(err.to_string().contains("its only file is of an unsupported type"), "{err}");
        let err = Loader::new().load_path(folder(&[("a.json", "{")]).await.path()).await.unwrap_err();
        assert_eq!((err.kind(), err.failures().len()), (ErrorKind::NothingReadable, 1));
    }

    #[cfg(unix)]
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test may wait for a program")]
    async fn pipes_and_dangling_links_do_not_block() {
        use std::os::unix::fs::symlink;
        let folder = folder(&[("b.txt", "x")]).await;
        let at = |name: &str| folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe.txt")).status().unwrap().success());
        symlink(folder.path(), at("again")).unwrap();
        symlink(at("loop.txt"), at("loop.txt")).unwrap();
        let loaded = Loader::new().load_path(folder.path()).await.unwrap();
        assert_eq!((loaded.documents.len(), loaded.documents[0].name.as_str()), (1, "b.txt"));
        let failed: Vec<_> = loaded.failures.iter().map(|failure| failure.document.as_str()).collect();
        assert!(failed.contains(&"loop.txt"), "{:?} {:?}", loaded.failures, loaded.skipped);
    }

    #[tokio::test]
    async fn one_file_is_its_own_root() {
        let folder = folder(&[("b.txt", "x")]).await;
        let loaded = Loader::new().load_path(folder.path().join("b.txt")).await.unwrap();
        assert_eq!(loaded.documents[0].name, "b.txt");
    }

    #[tokio::test]
    async fn a_cancelled_load_is_an_error_and_no_partial_result() {
        let folder = folder(&[("b.txt", "x")]).await;
        let cancel = CancellationToken::new();
        cancel.cancel();
        let err = Loader::new().cancel(cancel).load_path(folder.path()).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Cancelled);
    }
}
