use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use ignore::WalkBuilder;

use super::{FileChange, Sender};
use crate::error::{Error, ErrorKind};

/// A poller that scans all files at an interval, on a dedicated thread that ends when the poller is dropped.
///
/// The poll watcher of the notify crate compares times in whole seconds and so misses a second write within one second.
pub(super) struct Poller {
    _stop: SyncSender<()>,
}

/// All paths with modification time and length, to detect writes; `None` for folders, whose times only reflect their entries.
type Seen = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

impl Poller {
    /// Starts the thread; changes after this call are reported.
    pub(super) fn start(
        root: PathBuf,
        recursive: bool,
        interval: Duration,
        sender: Sender,
    ) -> Result<Self, Error> {
        let (stop, stopped) = sync_channel(0);
        let (mut before, path) = (scan(&root, recursive).0, root.clone());
        let poll = move || {
            let mut unseen = BTreeSet::new();
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let (mut now, errors) = scan(&root, recursive);
                // Unreadable paths do not count as removed; each is reported once.
                let hidden: BTreeSet<_> = errors.iter().map(|err| err.path().to_owned()).collect();
                let is_hidden = |path: &Path| hidden.iter().any(|top| path.starts_with(top));
                let kept = before.iter().filter(|(path, _)| is_hidden(path));
                now.extend(kept.map(|(path, stamp)| (path.clone(), *stamp)));
                let news = changes(&before, &now).into_iter().map(Ok);
                let errors = errors.into_iter().filter(|err| !unseen.contains(err.path())).map(Err);
                // If the receiver is dropped, no one needs the changes.
                if news.chain(errors).any(|change| sender.blocking_send(change).is_err()) {
                    return;
                }
                (before, unseen) = (now, hidden);
            }
        };
        let spawned = thread::Builder::new().name("antiphon-fs poll".to_owned()).spawn(poll);
        spawned.map_err(|err| Error::from_io(err, "watch", path))?;
        Ok(Self { _stop: stop })
    }
}

fn changes(before: &Seen, now: &Seen) -> Vec<FileChange> {
    let removed =
        before.keys().filter(|path| !now.contains_key(*path)).map(|path| FileChange::Removed(path.clone()));
    let others = now.iter().filter_map(|(path, stamp)| match before.get(path) {
        None => Some(FileChange::Created(path.clone())),
        Some(old) if old != stamp => Some(FileChange::Changed(path.clone())),
        Some(_) => None,
    });
    removed.chain(others).collect()
}

/// Returns the existing paths, and an error per path that could not be read; a path removed meanwhile is not an error.
fn scan(root: &Path, recursive: bool) -> (Seen, Vec<Error>) {
    let depth = if recursive { None } else { Some(1) };
    let walk = WalkBuilder::new(root).standard_filters(false).max_depth(depth).build();
    let (mut seen, mut errors) = (Seen::new(), Vec::new());
    for entry in walk {
        let looked = entry.and_then(|entry| Ok((entry.metadata()?, entry.into_path())));
        match looked {
            Ok((metadata, path)) => {
                let stamp = metadata.modified().ok().map(|time| (time, metadata.len()));
                seen.insert(path, stamp.filter(|_| !metadata.is_dir()));
            }
            Err(err) => errors.extend(from_ignore(err, "watch", root)),
        }
    }
    errors.retain(|err| err.kind() != ErrorKind::NotFound);
    (seen, errors)
}

/// Converts an error of a walk; `None` for a loop, since its target has been walked by its own path already.
fn from_ignore(err: ignore::Error, operation: &'static str, root: &Path) -> Option<Error> {
    if is_loop(&err) {
        return None;
    }
    let path = error_path(&err).unwrap_or(root).to_owned();
    Some(match err.into_io_error() {
        Some(io) => Error::from_io(io, operation, path),
        None => Error::new(ErrorKind::Io, operation, path),
    })
}

fn is_loop(err: &ignore::Error) -> bool {
    match err {
        ignore::Error::Loop { .. } => true,
        ignore::Error::WithPath { err, .. } | ignore::Error::WithDepth { err, .. } => is_loop(err),
        _ => false,
    }
}

fn error_path(err: &ignore::Error) -> Option<&Path> {
    match err {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } => error_path(err),
        _ => None,
    }
}
