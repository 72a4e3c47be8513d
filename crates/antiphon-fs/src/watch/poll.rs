use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use ignore::WalkBuilder;

use super::{Change, Sender};
use crate::error::Error;

/// Looks at every file again and again, on a thread of its own that ends when this is dropped.
///
/// The notify crate's own compares times in whole seconds, and so misses the second write within one.
pub(super) struct Poller {
    _stop: SyncSender<()>,
}

/// Every path, and what tells that it was written to; `None` for folders, whose times say only that a name has changed.
type Seen = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

impl Poller {
    /// Changes since this call are told.
    pub(super) fn start(
        root: PathBuf,
        recursive: bool,
        interval: Duration,
        sender: Sender,
    ) -> Result<Self, Error> {
        let (stop, stopped) = sync_channel(0);
        let (mut before, path) = (scan(&root, recursive), root.clone());
        let poll = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let now = scan(&root, recursive);
                // A receiver that is gone has lost interest.
                if changes(&before, &now).into_iter().any(|change| sender.blocking_send(Ok(change)).is_err())
                {
                    return;
                }
                before = now;
            }
        };
        let spawned = thread::Builder::new().name("antiphon-fs poll".to_owned()).spawn(poll);
        spawned.map_err(|err| Error::from_io(err, "watch", path))?;
        Ok(Self { _stop: stop })
    }
}

fn changes(before: &Seen, now: &Seen) -> Vec<Change> {
    let removed =
        before.keys().filter(|path| !now.contains_key(*path)).map(|path| Change::Removed(path.clone()));
    let others = now.iter().filter_map(|(path, stamp)| match before.get(path) {
        None => Some(Change::Created(path.clone())),
        Some(old) if old != stamp => Some(Change::Changed(path.clone())),
        Some(_) => None,
    });
    removed.chain(others).collect()
}

fn scan(root: &Path, recursive: bool) -> Seen {
    let depth = if recursive { None } else { Some(1) };
    let walk = WalkBuilder::new(root).standard_filters(false).max_depth(depth).build();
    // What vanishes while it is looked at is as good as gone, and what cannot be seen cannot change visibly.
    let seen = walk.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        let stamp =
            metadata.modified().ok().map(|time| (time, metadata.len())).filter(|_| !metadata.is_dir());
        Some((entry.into_path(), stamp))
    });
    seen.collect()
}
