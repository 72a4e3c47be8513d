//! Loading of documents from disk: a walk over a folder, batched reads, and parsing on the blocking threads.
//!
//! Loading is a pipeline of three stages, each of which is bounded (backpressure): the walk lists all files first, so
//! that progress has a total; then at most two batches of files are read, and one batch for each CPU is parsed, concurrently.
//! Reading waits for the disk and parsing for the CPU, so that the two overlap. Results keep the order of the walk.
//!
//! A file that cannot be used never ends the load: it becomes a [`Failure`] beside the documents. The folders of this
//! program's own runs are left out, since their personas are output and not interviews.

use std::collections::HashMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_fs::{FileRead, Links, ReadBelow, ReadOptions, WalkOptions};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::document::{Document, Format};
use crate::error::{Error, ErrorKind, Failure, Malformed};
use crate::listing::{Listing, is_other_link};
use crate::options::ParseOptions;

/// A loader of documents from a file, or from a folder and all its subfolders.
///
/// Use [`Document::parse`] for bytes in memory, and [`Rows`](crate::Rows) for records that are processed one by one. A
/// loader keeps all documents in memory; it has no state of its own, so that one can be shared and used for several
/// loads.
///
/// # Examples
/// ```
/// use antiphon_data::Loader;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_data::Error> {
/// # let folder = antiphon_fs::temp_dir().unwrap();
/// # antiphon_fs::write(folder.path().join("p1.txt"), "P1: I bake.\n").await.unwrap();
/// # antiphon_fs::write(folder.path().join("p2.json"), "{").await.unwrap();
/// # antiphon_fs::write(folder.path().join("photo.png"), "x").await.unwrap();
/// let loaded = Loader::new().load_path(folder.path()).await?;
/// assert_eq!(loaded.documents[0].name, "p1.txt");
/// assert_eq!(loaded.failures[0].to_string(), "p2.json:1: not valid JSON: EOF while parsing an object");
/// assert_eq!(loaded.skipped[0].file, "photo.png");
/// # Ok(())
/// # }
/// ```
///
/// A path that does not exist is an error:
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
    options: ParseOptions,
    links: Links,
}

/// The result of [`Loader::load_path`] or [`Loader::load_paths`].
///
/// Each file that was found is in exactly one of the lists; hidden files and the files of earlier runs are in none.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Loaded {
    /// The documents, sorted by name within each folder.
    pub documents: Vec<Document>,
    /// Files of a supported type that could not be read or parsed, and folders that could not be listed.
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
    ///
    /// There is no partial result after cancellation; files that are being read are finished first.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets a progress callback. Its arguments are the number of files that are done and the number of all files. The
    /// callback is called after each batch of at most 64 files and must not block. Failed files count as done. Default:
    /// none.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Sets the options of reading, such as the names of interviewers or an encoding. Default: none.
    #[must_use]
    pub fn options(mut self, options: ParseOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the symbolic links below a folder that are followed. Default [`Links::Inside`]: a link that leads out of the
    /// folder, or to a hidden file, is a [`Failure`] of the kind [`Link`](crate::FailureKind::Link), so that nothing is read
    /// that the folder does not have. A path that is loaded itself may be a link.
    #[must_use]
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// Loads one file, or all files of a folder and its subfolders.
    ///
    /// Hidden files and the output folders of earlier runs are left out. Files are read concurrently, and each once, also
    /// if [links](Self::links) lead to it. A file of more than 256 MiB is a [`Failure`].
    ///
    /// A file that cannot be used is a [`Failure`] in the result and does not affect the other files. Only if no file
    /// could be used, the call returns an error.
    ///
    /// # Errors
    /// `NotFound`; `Empty` for a folder without a file of a supported type; `NothingReadable` if all files failed;
    /// `Cancelled`; or `Io` for a folder that cannot be listed.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing; a read in progress finishes on its blocking thread.
    pub async fn load_path(&self, path: impl AsRef<Path> + Send) -> Result<Loaded, Error> {
        let path = path.as_ref();
        let found = antiphon_fs::metadata(path).await.map_err(Error::from_fs)?;
        let (root, listing) = if found.is_dir {
            (path, self.list(path).await?)
        } else {
            (path.parent().unwrap_or(path), Listing::of_file(path))
        };
        let mut loaded = Loaded { failures: listing.failures, skipped: listing.skipped, ..Loaded::default() };
        self.read(Naming::Below(Arc::from(root)), listing.files, &mut loaded).await?;
        let place = path.display().to_string();
        if loaded.documents.is_empty() { Err(nothing_loaded(&place, loaded)) } else { Ok(loaded) }
    }

    /// Lists the files of a folder and its subfolders without reading them; see [`Listing`].
    ///
    /// # Errors
    /// `Cancelled`, or the error of the root folder itself. A subfolder that cannot be listed is a failure in the
    /// listing.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing; the walk stops soon after.
    pub(crate) async fn list(&self, root: &Path) -> Result<Listing, Error> {
        let (mut listing, shared) = (Listing::default(), Arc::from(root));
        let options = WalkOptions::default().links(self.links.clone());
        let mut walk = antiphon_fs::walk(root, options, self.cancel.clone());
        while let Some(batch) = walk.next().await {
            for entry in batch {
                match entry {
                    Err(err) if err.path() != root && is_other_link(&err).await => {
                        listing.skipped.push(Skipped { file: name_of(root, err.path()) });
                    }
                    entry => listing.add(&shared, &self.links, entry)?,
                }
            }
        }
        listing.keep_one_of_each_file();
        listing.leave_out_runs(root);
        Ok(listing)
    }

    /// Reads and parses files, and adds their documents and failures to `loaded` in the order of `files`.
    ///
    /// # Errors
    /// `Cancelled`. The results up to then are in `loaded`.
    ///
    /// # Cancel safety
    /// The results of the batches in progress are lost; earlier ones are in `loaded`.
    pub(crate) async fn read(
        &self,
        naming: Naming,
        files: Vec<ReadBelow>,
        loaded: &mut Loaded,
    ) -> Result<(), Error> {
        let (mut done, total) = (0, files.len());
        let mut parsed = self.parse_all(naming, files);
        while let Some(batch) = parsed.try_next().await? {
            done += batch.len();
            loaded.add(batch);
            if let Some(progress) = &self.progress {
                progress(done, total);
            }
        }
        if self.cancel.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }

    /// Returns a stream that reads files and parses them in batches, in the order of `files`.
    ///
    /// Reading waits for the disk and parsing for the CPU: both run concurrently, on the blocking threads.
    fn parse_all(&self, naming: Naming, files: Vec<ReadBelow>) -> impl Stream<Item = Result<Parsed, Error>> {
        let options = self.options.clone();
        antiphon_fs::read_many_below(files, ReadOptions::default(), self.cancel.clone())
            .ready_chunks(FILES_PER_TRIP)
            .flat_map(|files| stream::iter(trips(files)))
            .map(move |files| {
                let (naming, options) = (naming.clone(), options.clone());
                tokio::task::spawn_blocking(move || {
                    let parse = |file| parse(&naming, file, &options);
                    files.into_iter().map(parse).collect::<Parsed>()
                })
            })
            .buffered(std::thread::available_parallelism().map_or(2, NonZero::get))
            .map(joined)
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// The names of files in documents and failures.
#[derive(Debug, Clone)]
pub(crate) enum Naming {
    /// The path relative to a root.
    Below(Arc<Path>),
    /// The name that a table has for the path.
    Table(Arc<HashMap<PathBuf, String>>),
}

impl Naming {
    /// Returns the name of a file; a path that the table does not have is its own name.
    fn name(&self, path: &Path) -> String {
        match self {
            Self::Below(root) => name_of(root, path),
            Self::Table(names) => names.get(path).cloned().unwrap_or_else(|| name_of(Path::new(""), path)),
        }
    }
}

/// The most files that one blocking task parses: a switch of threads costs more than a small file.
const FILES_PER_TRIP: usize = 64;

/// The bytes after which a blocking task parses no further file, so that large files are parsed on all CPUs.
const BYTES_PER_TRIP: usize = 1 << 20;

/// Splits files into the batches that one blocking task each parses.
fn trips(files: Vec<FileRead>) -> Vec<Vec<FileRead>> {
    let (mut trips, mut bytes) = (vec![Vec::new()], 0);
    for file in files {
        if bytes >= BYTES_PER_TRIP {
            trips.push(Vec::new());
            bytes = 0;
        }
        bytes += file.bytes.as_ref().map_or(0, Vec::len);
        if let Some(trip) = trips.last_mut() {
            trip.push(file);
        }
    }
    trips
}

/// The results of a batch of files, in the order of their paths.
type Parsed = Vec<Result<Document, Failure>>;

/// Returns the results of a parsing task. A panic of the task continues in the caller.
///
/// # Errors
/// `Cancelled` if the runtime shuts down before the task begins.
fn joined(batch: Result<Parsed, JoinError>) -> Result<Parsed, Error> {
    match batch {
        Ok(batch) => Ok(batch),
        Err(join) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        Err(_) => Err(cancelled()),
    }
}

impl Loaded {
    /// Adds the results of a batch to the documents and the failures.
    fn add(&mut self, batch: Parsed) {
        for result in batch {
            match result {
                Ok(document) => self.documents.push(document),
                Err(failure) => self.failures.push(failure),
            }
        }
    }
}

/// Returns the error of a load without a document: `NothingReadable` if files failed, otherwise `Empty`.
pub(crate) fn nothing_loaded(place: &str, loaded: Loaded) -> Error {
    let failed = loaded.failures.len();
    if failed > 0 {
        let message = format!("no document could be read in {place}: {failed} failed");
        return Error::nothing_readable(message, loaded.failures);
    }
    let others = match loaded.skipped.len() {
        0 => "the folder is empty".to_owned(),
        1 => "its only file is of an unsupported type".to_owned(),
        n => format!("none of its {n} files has a supported type"),
    };
    let endings = Format::endings();
    Error::new(ErrorKind::Empty, format!("no document in {place}: {others} (supported: {endings})"))
}

/// Returns the error of a load that its token, or the shutdown of the runtime, ended.
fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "loading was cancelled")
}

/// Parses a file that was read. Both errors, of reading and of parsing, are failures of the file.
fn parse(naming: &Naming, file: FileRead, options: &ParseOptions) -> Result<Document, Failure> {
    let name = naming.name(&file.path);
    let bytes = file.bytes.map_err(|err| Malformed::of_file(&err).of(&name))?;
    Document::parse_with(&name, &bytes, options)
}

/// Returns a path relative to the root, with `/` between its parts on every system. Line breaks have their escapes: a name is one
/// line of a message.
pub(crate) fn name_of(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/").replace('\n', "\\n").replace('\r', "\\r")
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

    #[cfg(unix)]
    #[tokio::test]
    async fn a_line_break_in_a_name_begins_no_line_of_a_message() {
        let folder = folder(&[("a\nerror: b.txt", "x"), ("c\nd.json", "{"), ("e\rf.png", "z")]).await;
        let loaded = Loader::new().load_path(folder.path()).await.unwrap();
        assert_eq!(loaded.documents[0].name, "a\\nerror: b.txt");
        assert!(loaded.failures[0].to_string().starts_with("c\\nd.json:1: "), "{}", loaded.failures[0]);
        assert_eq!(loaded.skipped, [Skipped { file: "e\\rf.png".to_owned() }]);
    }

    #[tokio::test]
    async fn large_files_that_are_parsed_apart_keep_their_order() {
        let words = "x ".repeat(700 << 10);
        let names = ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"];
        let files = names.map(|name| (name, if name == "d.txt" { "x" } else { &*words }));
        let loaded = Loader::new().load_path(folder(&files).await.path()).await.unwrap();
        let found: Vec<_> = loaded.documents.iter().map(|document| document.name.as_str()).collect();
        assert_eq!(found, names);
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
    async fn links_to_files_that_are_no_documents_are_skipped() {
        use std::os::unix::fs::symlink;
        let (folder, other) =
            (folder(&[("b.txt", "x")]).await, folder(&[("pic.png", "z"), ("in/c.txt", "y")]).await);
        for (target, name) in [
            ("pic.png", "a.png"),
            ("pic.png", "README"),
            ("nowhere", "gone.png"),
            ("in", "folder.v1"),
            ("nowhere", "gone"),
            ("pic.png", "named.txt"),
        ] {
            symlink(other.path().join(target), folder.path().join(name)).unwrap();
        }
        symlink("/dev/zero", folder.path().join("zero.bin")).unwrap();
        let loaded = Loader::new().load_path(folder.path()).await.unwrap();
        let skipped: Vec<_> = loaded.skipped.iter().map(|skipped| skipped.file.as_str()).collect();
        assert_eq!(skipped, ["README", "a.png", "gone.png", "zero.bin"]);
        // A folder may have documents, and a name without an ending may be that of a folder.
        let failed: Vec<_> = loaded.failures.iter().map(|failure| failure.document.as_str()).collect();
        assert_eq!(failed, ["folder.v1", "gone", "named.txt"]);
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

    #[cfg(unix)]
    #[tokio::test]
    async fn links_out_of_the_folder_are_failures_unless_they_are_followed() {
        use std::os::unix::fs::symlink;
        let other = folder(&[("key.txt", "P1: secret"), ("deep/c.txt", "P1: deep")]).await;
        let folder = folder(&[("b.txt", "P1: x"), (".env", "KEY=1"), ("blob", "P1: y")]).await;
        let at = |name: &str| folder.path().join(name);
        symlink(other.path().join("key.txt"), at("a.txt")).unwrap();
        symlink(other.path(), at("other")).unwrap();
        for (target, name) in [(".env", "env.txt"), ("b.txt", "b2.txt"), ("blob", "c.txt"), ("blob", "d.txt")]
        {
            symlink(at(target), at(name)).unwrap();
        }
        let names = |loaded: &super::Loaded| {
            loaded.documents.iter().map(|document| document.name.clone()).collect::<Vec<_>>()
        };
        let loaded = Loader::new().load_path(folder.path()).await.unwrap();
        assert_eq!(names(&loaded), ["b.txt", "c.txt"]);
        let failed: Vec<_> =
            loaded.failures.iter().map(|failure| (&*failure.document, failure.kind)).collect();
        assert_eq!(failed, ["a.txt", "env.txt", "other"].map(|name| (name, crate::FailureKind::Link)));
        assert!(loaded.failures[0].reason.contains("link"), "{}", loaded.failures[0]);
        let loaded = Loader::new().links(super::Links::All).load_path(folder.path()).await.unwrap();
        assert_eq!(
            names(&loaded),
            ["a.txt", "b.txt", "c.txt", "env.txt", "other/deep/c.txt"],
            "each file is read once"
        );
        // A path that is named itself may be a link, to a file or to a folder.
        assert_eq!(names(&Loader::new().load_path(at("a.txt")).await.unwrap()), ["a.txt"]);
        assert_eq!(Loader::new().load_path(at("other")).await.unwrap().documents.len(), 2);
        let loaded = Loader::new().load_paths(&[at("b.txt"), at("b2.txt"), at("a.txt")]).await.unwrap();
        assert_eq!(names(&loaded), ["a.txt", "b.txt"]);
        let loaded = Loader::new().load_paths(&[at(""), at("other/deep")]).await.unwrap();
        assert_eq!((loaded.documents.len(), loaded.failures.len()), (3, 3), "{loaded:?}");
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
