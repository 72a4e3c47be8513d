//! File watching, by notifications of the system or by polling.

mod poll;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use ignore::WalkBuilder;
use notify::event::{MetadataKind, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{
    DebounceEventResult, DebouncedEvent, Debouncer, RecommendedCache, new_debouncer_opt,
};
use tokio::sync::mpsc;

use crate::blocking::run_blocking;
use crate::error::{Error, ErrorKind};
use crate::temp::folder_of;
use poll::Poller;

/// A change to a file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileChange {
    /// Created, or moved here from a folder that is not watched.
    Created(PathBuf),
    /// Written to, or replaced by another file of the same name.
    Changed(PathBuf),
    /// Removed, or moved to a folder that is not watched.
    Removed(PathBuf),
    /// Renamed within the watched folder. When polling, and on systems that do not report renames, reported as
    /// [`Removed`](Self::Removed) and [`Created`](Self::Created) instead.
    Renamed {
        /// The old path.
        from: PathBuf,
        /// The new path.
        to: PathBuf,
    },
}

/// Options of a [`Watcher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchOptions {
    /// The debounce time: changes of a path within it are combined into one. At least 1 ms; default 200 ms. A file that is being
    /// written for longer is reported several times. Not used when polling.
    pub debounce: Duration,
    /// Whether subfolders are watched as well. Default true.
    pub recursive: bool,
    /// The interval at which all files are scanned, instead of waiting for notifications of the system. Set it for a network file
    /// system, which sends none. At least 1 ms. Default `None`: notifications, or a scan every second if the system cannot watch
    /// the path.
    pub poll_interval: Option<Duration>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { debounce: Duration::from_millis(200), recursive: true, poll_interval: None }
    }
}

impl WatchOptions {
    /// Sets the debounce time, within which changes of a path are combined. Default 200 ms, minimum 1 ms.
    #[must_use]
    pub fn debounce(mut self, time: Duration) -> Self {
        self.debounce = time;
        self
    }

    /// Sets whether subfolders are watched as well. Default true.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Sets the interval at which all files are scanned, which replaces notifications of the system. Minimum 1 ms.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = Some(interval);
        self
    }
}

/// A stream of changes to a file, or to the files below a folder, from its creation until it is dropped.
///
/// Files that already exist are not reported, and neither are reads. The stream does not end by itself, and an error does not end
/// it. After an error of kind [`Missed`](ErrorKind::Missed) the system has lost changes: scan the folder with
/// [`walk`](crate::walk()). For a slow reader, up to 1,024 changes are queued.
///
/// ```
/// use antiphon_fs::{FileChange, Watcher};
/// use futures_util::StreamExt;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// let folder = antiphon_fs::temp_dir()?;
/// let mut watcher = Watcher::new(folder.path(), Default::default()).await?;
/// let path = folder.path().join("new.txt");
/// antiphon_fs::Writer::create(&path).await?.finish().await?;
/// assert_eq!(watcher.next().await.expect("never ends")?, FileChange::Created(path));
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled, and dropping one stops it"]
pub struct Watcher {
    changes: mpsc::Receiver<Result<FileChange, Error>>,
    /// The source of changes, which stops when it is dropped.
    backend: Backend,
}

enum Backend {
    Native(
        #[expect(dead_code, reason = "held for its drop")] Debouncer<RecommendedWatcher, RecommendedCache>,
    ),
    Polling(#[expect(dead_code, reason = "held for its drop")] Poller),
}

/// The capacity of the queue for a slow reader; when it is full, the watcher's thread waits (backpressure).
const MAX_WAITING: usize = 1024;

impl Watcher {
    /// Starts to watch a file or folder, and returns the stream of the changes after this call.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, or `Io` if the path can be neither watched nor polled.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing is watched.
    pub async fn new(path: impl AsRef<Path>, options: WatchOptions) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        run_blocking("watch", &path.clone(), move || {
            let options = WatchOptions {
                debounce: options.debounce.max(MIN_DEBOUNCE),
                poll_interval: options.poll_interval.map(|interval| interval.max(MIN_DEBOUNCE)),
                ..options
            };
            let target = WatchTarget { is_folder: crate::metadata::stat(&path)?.is_dir, path };
            let (sender, changes) = mpsc::channel(MAX_WAITING);
            let poll = |interval, sender| {
                Poller::start(target.path.clone(), options.recursive, interval, sender).map(Backend::Polling)
            };
            let backend = match options.poll_interval {
                Some(interval) => poll(interval, sender)?,
                None => match watch_native(&target, options, sender.clone()) {
                    Ok(backend) => backend,
                    Err(err) => {
                        let path = target.path.display();
                        tracing::warn!(%path, %err, "cannot watch the path by system notifications: polling it every second");
                        poll(Duration::from_secs(1), sender)?
                    }
                },
            };
            Ok(Self { changes, backend })
        })
        .await
    }

    /// Returns whether the watcher polls: because a `poll_interval` is set, or because the system cannot watch the path.
    #[must_use]
    pub fn is_polling(&self) -> bool {
        matches!(self.backend, Backend::Polling(_))
    }
}

impl Stream for Watcher {
    type Item = Result<FileChange, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.changes.poll_recv(cx)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("is_polling", &self.is_polling()).finish_non_exhaustive()
    }
}

type Sender = mpsc::Sender<Result<FileChange, Error>>;

/// The minimum debounce time and polling interval; shorter ones would keep a CPU busy.
const MIN_DEBOUNCE: Duration = Duration::from_millis(1);

/// The watched path.
#[derive(Debug, Clone)]
struct WatchTarget {
    path: PathBuf,
    is_folder: bool,
}

fn watch_native(target: &WatchTarget, options: WatchOptions, sender: Sender) -> notify::Result<Backend> {
    let handler = handler(target.clone(), options.recursive, sender);
    let config = notify::Config::default();
    let mut watcher = new_debouncer_opt(options.debounce, None, handler, RecommendedCache::new(), config)?;
    match (target.is_folder, options.recursive) {
        (true, true) => watcher.watch(&target.path, RecursiveMode::Recursive)?,
        (true, false) => watcher.watch(&target.path, RecursiveMode::NonRecursive)?,
        // A replaced file is a new file under the same name: only a watch on its folder reports it.
        (false, _) => watcher.watch(folder_of(&target.path), RecursiveMode::NonRecursive)?,
    }
    Ok(Backend::Native(watcher))
}

fn handler(
    target: WatchTarget,
    recursive: bool,
    sender: Sender,
) -> impl FnMut(DebounceEventResult) + Send + 'static {
    move |result| {
        let changes = match result {
            Ok(events) => native_changes(&events, &target, recursive),
            Err(errors) => errors.into_iter().map(|err| Err(from_notify(err, &target.path))).collect(),
        };
        for change in changes {
            // If the receiver is dropped, the rest is not needed.
            if sender.blocking_send(change).is_err() {
                return;
            }
        }
    }
}

fn native_changes(
    events: &[DebouncedEvent],
    target: &WatchTarget,
    recursive: bool,
) -> Vec<Result<FileChange, Error>> {
    let (mut changes, mut reported) = (Vec::new(), HashSet::new());
    for event in events {
        if event.need_rescan() {
            changes.push(Err(Error::new(ErrorKind::Missed, "watch", &target.path)));
            continue;
        }
        let change = change(event);
        let change =
            if target.is_folder { change } else { change.and_then(|change| for_file(change, target)) };
        let change = match change {
            // A replaced file is reported as removed although its path exists.
            Some(FileChange::Removed(path)) if crate::metadata::stat(&path).is_ok() => {
                FileChange::Changed(path)
            }
            Some(change) => change,
            None => continue,
        };
        // The content of a new folder existed before the system watched the folder.
        let within = match &change {
            FileChange::Created(path) if target.is_folder && recursive => below(path),
            _ => Vec::new(),
        };
        for change in std::iter::once(change).chain(within.into_iter().map(FileChange::Created)) {
            if reported.insert(change.clone()) {
                changes.push(Ok(change));
            }
        }
    }
    changes
}

/// Returns a change in the folder of a watched file if it concerns that file.
fn for_file(change: FileChange, target: &WatchTarget) -> Option<FileChange> {
    let is_it = |path: &Path| path.file_name() == target.path.file_name();
    let path = target.path.clone();
    match change {
        FileChange::Created(other) if is_it(&other) => Some(FileChange::Created(path)),
        FileChange::Changed(other) if is_it(&other) => Some(FileChange::Changed(path)),
        FileChange::Removed(other) if is_it(&other) => Some(FileChange::Removed(path)),
        FileChange::Renamed { to, .. } if is_it(&to) => Some(FileChange::Changed(path)),
        FileChange::Renamed { from, .. } if is_it(&from) => Some(FileChange::Removed(path)),
        _ => None,
    }
}

/// Returns all paths below a folder; empty for a file.
fn below(path: &Path) -> Vec<PathBuf> {
    let walk = WalkBuilder::new(path).standard_filters(false).build();
    walk.flatten().filter(|entry| entry.depth() > 0).map(ignore::DirEntry::into_path).collect()
}

fn change(event: &DebouncedEvent) -> Option<FileChange> {
    let path = event.paths.first()?.clone();
    match event.kind {
        EventKind::Create(_) => Some(FileChange::Created(path)),
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
            Some(FileChange::Renamed { from: path, to: event.paths.get(1)?.clone() })
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
            Some(FileChange::Removed(path))
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(FileChange::Created(path)),
        EventKind::Modify(
            ModifyKind::Data(_)
            | ModifyKind::Any
            | ModifyKind::Metadata(MetadataKind::WriteTime | MetadataKind::Any),
        ) => Some(FileChange::Changed(path)),
        _ => None,
    }
}

fn from_notify(err: notify::Error, path: &Path) -> Error {
    let path = err.paths.first().cloned().unwrap_or_else(|| path.to_owned());
    match err.kind {
        notify::ErrorKind::Io(io) => Error::from_io(io, "watch", path),
        notify::ErrorKind::PathNotFound => Error::new(ErrorKind::NotFound, "watch", path),
        kind => Error::new(ErrorKind::Io, "watch", path)
            .caused_by(std::io::Error::other(notify::Error::new(kind))),
    }
}
