//! Changes below a path, as the system tells them or by looking again and again.

mod poll;

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use notify::event::{MetadataKind, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{
    DebounceEventResult, DebouncedEvent, Debouncer, RecommendedCache, new_debouncer_opt,
};
use tokio::sync::mpsc;

use crate::blocking::hop;
use crate::error::{Error, ErrorKind};
use poll::Poller;

/// What happened to a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Created(PathBuf),
    /// It was written to.
    Changed(PathBuf),
    /// It is gone.
    Removed(PathBuf),
    /// It has another name. Where the system does not tell, this comes as removed and created.
    Renamed {
        /// The name before.
        from: PathBuf,
        /// The name now.
        to: PathBuf,
    },
}

/// How a [`Watcher`] watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchOptions {
    /// How long a path must be quiet before its changes are told, several as one. Default 200 ms.
    pub debounce: Duration,
    /// Whether folders below are watched, too. Default yes.
    pub recursive: bool,
    /// Looks at every file so often instead of being told by the system: for network disks, which tell nothing.
    /// Default: only where the system cannot watch, then every second.
    pub poll_interval: Option<Duration>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { debounce: Duration::from_millis(200), recursive: true, poll_interval: None }
    }
}

impl WatchOptions {
    /// Sets how long a path must be quiet before its changes are told.
    #[must_use]
    pub fn debounce(mut self, time: Duration) -> Self {
        self.debounce = time;
        self
    }

    /// Sets whether folders below are watched, too.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Looks at every file so often instead of being told by the system.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = Some(interval);
        self
    }
}

/// A stream of changes below a path, from its making until it is dropped.
///
/// What was there before is not told, nor is a file that was only read.
///
/// ```
/// use antiphon_fs::{Change, Watcher};
/// use futures_util::StreamExt;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// let folder = antiphon_fs::temp_dir()?;
/// let mut watcher = Watcher::new(folder.path(), Default::default()).await?;
/// let path = folder.path().join("new.txt");
/// antiphon_fs::Writer::create(&path).await?.finish().await?;
/// assert_eq!(watcher.next().await.expect("never ends")?, Change::Created(path));
/// # Ok(())
/// # }
/// ```
#[must_use = "streams do nothing unless polled, and dropping one stops it"]
pub struct Watcher {
    changes: mpsc::Receiver<Result<Change, Error>>,
    /// Stops when it is dropped.
    backend: Backend,
}

enum Backend {
    Told(#[expect(dead_code, reason = "held for its drop")] Debouncer<RecommendedWatcher, RecommendedCache>),
    Polling(#[expect(dead_code, reason = "held for its drop")] Poller),
}

/// Changes that wait for a slow reader; then the watcher's thread waits, too.
const MAX_WAITING: usize = 1024;

impl Watcher {
    /// Watches a file or folder; changes from now on are told.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, or `Io` where neither watching nor polling is possible.
    ///
    /// # Cancel safety
    /// A dropped call watches nothing.
    pub async fn new(path: impl AsRef<Path>, options: WatchOptions) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        hop("watch", &path.clone(), move || {
            crate::metadata::stat(&path)?;
            let (sender, changes) = mpsc::channel(MAX_WAITING);
            let backend = match options.poll_interval {
                Some(interval) => Backend::Polling(Poller::start(path, options.recursive, interval, sender)?),
                None => match told(&path, options, sender.clone()) {
                    Ok(backend) => backend,
                    Err(_) => Backend::Polling(Poller::start(
                        path,
                        options.recursive,
                        Duration::from_secs(1),
                        sender,
                    )?),
                },
            };
            Ok(Self { changes, backend })
        })
        .await
    }

    /// Whether it polls, since it was told to or the system cannot watch here.
    #[must_use]
    pub fn is_polling(&self) -> bool {
        matches!(self.backend, Backend::Polling(_))
    }
}

impl Stream for Watcher {
    type Item = Result<Change, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.changes.poll_recv(cx)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("is_polling", &self.is_polling()).finish_non_exhaustive()
    }
}

type Sender = mpsc::Sender<Result<Change, Error>>;

fn told(path: &Path, options: WatchOptions, sender: Sender) -> notify::Result<Backend> {
    let handler = handler(path, sender);
    let config = notify::Config::default();
    let mut watcher = new_debouncer_opt(options.debounce, None, handler, RecommendedCache::new(), config)?;
    watcher.watch(path, mode(options))?;
    Ok(Backend::Told(watcher))
}

fn mode(options: WatchOptions) -> RecursiveMode {
    if options.recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive }
}

fn handler(root: &Path, sender: Sender) -> impl FnMut(DebounceEventResult) + Send + 'static {
    let root = root.to_owned();
    move |result| {
        let changes: Vec<_> = match result {
            Ok(events) => events.iter().filter_map(change).map(Ok).collect(),
            Err(errors) => errors.into_iter().map(|err| Err(from_notify(err, &root))).collect(),
        };
        for change in changes {
            // A receiver that is gone has lost interest.
            if sender.blocking_send(change).is_err() {
                return;
            }
        }
    }
}

fn change(event: &DebouncedEvent) -> Option<Change> {
    let path = event.paths.first()?.clone();
    match event.kind {
        EventKind::Create(_) => Some(Change::Created(path)),
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
            Some(Change::Renamed { from: path, to: event.paths.get(1)?.clone() })
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
            Some(Change::Removed(path))
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(Change::Created(path)),
        EventKind::Modify(
            ModifyKind::Data(_)
            | ModifyKind::Any
            | ModifyKind::Metadata(MetadataKind::WriteTime | MetadataKind::Any),
        ) => Some(Change::Changed(path)),
        _ => None,
    }
}

fn from_notify(err: notify::Error, path: &Path) -> Error {
    let path = err.paths.first().cloned().unwrap_or_else(|| path.to_owned());
    match err.kind {
        notify::ErrorKind::Io(io) => Error::from_io(io, "watch", path),
        notify::ErrorKind::PathNotFound => Error::new(ErrorKind::NotFound, "watch", path),
        _ => Error::new(ErrorKind::Io, "watch", path),
    }
}
