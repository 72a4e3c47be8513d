//! Directory walks.

mod folders;
mod rules;
mod targets;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use ignore::overrides::{Override, OverrideBuilder};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind};
use crate::links::Links;
use folders::Folders;

/// Options of [`walk`]: filters and batch size.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalkOptions {
    /// Whether files and folders whose names begin with a dot are included. Default false.
    pub hidden: bool,
    /// Whether `.gitignore` and `.ignore` files are honoured. Default false, since input data is often excluded from git: a walk
    /// that honours these files would then find nothing.
    ///
    /// Those of the folder of a file decide before those of the folders above it, also above the root, and `.ignore` before
    /// `.gitignore`. No rule includes a hidden file. An ignore file is read as any other: one that is a link which
    /// [`links`](Self::links) do not allow, no regular file, or larger than 256 KiB is not read, and an error in its batch. Above
    /// the root, no link out of the folder of an ignore file is read, and nothing there is an error.
    pub ignore_files: bool,
    /// The maximum depth: 1 for the files in the root folder only, 2 for those in its subfolders as well. Default `None`: no
    /// limit.
    pub max_depth: Option<usize>,
    /// Globs on paths below the root, such as `**/*.md`. Default none: all files are included.
    ///
    /// A glob includes the files that match it; a glob with a leading `!` excludes them. If several globs match a file, the last
    /// one decides. A file that matches none is excluded, unless all globs begin with `!`.
    pub globs: Vec<String>,
    /// The maximum number of entries in a batch; 0 counts as 1. Default 256.
    pub batch: usize,
    /// The symbolic links that are followed. Default [`Links::Inside`]: those that lead to what the folder has.
    pub links: Links,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            hidden: false,
            ignore_files: false,
            max_depth: None,
            globs: Vec::new(),
            batch: 256,
            links: Links::Inside,
        }
    }
}

impl WalkOptions {
    /// Adds a glob that includes files, or excludes them if it begins with `!`; see [`globs`](Self::globs) for the rule.
    #[must_use]
    pub fn glob(mut self, glob: impl Into<String>) -> Self {
        self.globs.push(glob.into());
        self
    }

    /// Sets whether files and folders whose names begin with a dot are included. Default false.
    #[must_use]
    pub fn hidden(mut self, hidden: bool) -> Self {
        self.hidden = hidden;
        self
    }

    /// Sets whether `.gitignore` and `.ignore` files are honoured. Default false.
    #[must_use]
    pub fn ignore_files(mut self, ignore_files: bool) -> Self {
        self.ignore_files = ignore_files;
        self
    }

    /// Sets the maximum number of entries in a batch; 0 counts as 1. Default 256.
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// Sets the symbolic links that are followed. Default [`Links::Inside`].
    #[must_use]
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// Sets the maximum depth, where the files in the root folder have depth 1. Default: no limit.
    #[must_use]
    pub fn max_depth(mut self, levels: usize) -> Self {
        self.max_depth = Some(levels);
        self
    }
}

/// A file found by [`walk`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The path of the file, which begins with the root as it was passed to [`walk`].
    pub path: PathBuf,
    /// The file itself, if `path` is a link or leads through one: below the root as it was passed to [`walk`], else without links.
    /// A caller that reads each file once keeps one entry of each target.
    pub target: Option<PathBuf>,
}

/// Walks a folder and yields the files in it and its subfolders, in batches.
///
/// The entries of each folder are sorted by name; folders themselves are not yielded. The root may be a symbolic link; of links below
/// it, those are followed that [`links`](WalkOptions::links) allow, and each other one yields a `LinkNotFollowed` error. A folder is
/// entered once, by its own path or by the first link to it, so that the walk ends. To read what was found, use
/// [`read_many_below`](crate::read_many_below), since a name may have become a link since.
///
/// A file or folder that cannot be read yields an error in its batch, and the walk continues. Pipes, sockets and devices are yielded
/// like files: reading them is an error. An invalid glob yields a single `InvalidGlob` error. The walk runs ahead of its reader by at
/// most four batches (backpressure).
///
/// # Panics
/// Outside a tokio runtime.
///
/// # Cancel safety
/// The walk stops within 64 entries after `cancel` is cancelled or the stream is dropped. After `cancel`, the last item is a
/// `Cancelled` error, so that a partial result is not mistaken for a complete one. Dropping the future of a single `next` call
/// loses no batch.
///
/// ```
/// use futures_util::StreamExt;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_fs::Error> {
/// let folder = antiphon_fs::temp_dir()?;
/// antiphon_fs::write(folder.path().join("a.txt"), "a").await?;
/// let batches: Vec<_> = antiphon_fs::walk(folder.path(), Default::default(), Default::default()).collect().await;
/// assert_eq!(batches.concat_len(), 1);
/// # Ok(())
/// # }
/// # trait ConcatLen { fn concat_len(&self) -> usize; }
/// # impl<T> ConcatLen for Vec<Vec<T>> { fn concat_len(&self) -> usize { self.iter().map(Vec::len).sum() } }
/// ```
pub fn walk(root: impl AsRef<Path>, options: WalkOptions, cancel: CancellationToken) -> Walk {
    let (sender, batches) = mpsc::channel(4);
    let root = root.as_ref().to_owned();
    // The thread owns the walk and ends when the receiver is dropped.
    let span = tracing::debug_span!("walk");
    drop(tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        walk_into(&root, &options, &cancel, &sender);
    }));
    Walk { batches }
}

/// The stream returned by [`walk`]: batches of files, with an error for each file or folder that could not be read.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Walk {
    batches: mpsc::Receiver<Vec<Result<Entry, Error>>>,
}

impl Stream for Walk {
    type Item = Vec<Result<Entry, Error>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_recv(cx)
    }
}

type Batch = Vec<Result<Entry, Error>>;

fn walk_into(root: &Path, options: &WalkOptions, cancel: &CancellationToken, sender: &mpsc::Sender<Batch>) {
    let globs = match overrides(root, &options.globs) {
        Ok(globs) => globs,
        Err(err) => {
            let _ = sender.blocking_send(vec![Err(err)]);
            return;
        }
    };
    // Checked between entries, since a glob may exclude all of them.
    let stop = || cancel.is_cancelled() || sender.is_closed();
    let send = |found: &mut dyn Iterator<Item = Result<Entry, Error>>| {
        let size = options.batch.max(1);
        let mut batch = Vec::with_capacity(size);
        for found in found {
            batch.push(found);
            if batch.len() >= size && sender.blocking_send(std::mem::take(&mut batch)).is_err() {
                return;
            }
        }
        if cancel.is_cancelled() {
            batch.push(Err(Error::new(ErrorKind::Cancelled, "walk", root)));
        }
        if !batch.is_empty() {
            // If the receiver is dropped, the rest is not needed.
            let _ = sender.blocking_send(batch);
        }
    };
    send(&mut Folders::new(root, options, globs, &stop));
}

fn overrides(root: &Path, globs: &[String]) -> Result<Override, Error> {
    let invalid = |err: ignore::Error, glob: String| {
        Error::new(ErrorKind::InvalidGlob, "walk", glob).caused_by(std::io::Error::other(err))
    };
    let mut builder = OverrideBuilder::new(root);
    for glob in globs {
        builder.add(glob).map_err(|err| invalid(err, glob.clone()))?;
    }
    builder.build().map_err(|err| invalid(err, globs.join(", ")))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare their files with std")]
mod tests {
    use futures_util::StreamExt;

    use super::{CancellationToken, ErrorKind, WalkOptions, walk};

    async fn names(root: &std::path::Path, options: WalkOptions) -> Vec<String> {
        let batches: Vec<_> = walk(root, options, CancellationToken::new()).collect().await;
        let entries = batches.into_iter().flatten().map(|entry| entry.unwrap().path);
        entries.map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
    }

    #[tokio::test]
    async fn files_are_sorted_and_hidden_ones_included_only_if_enabled() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        for name in ["b.txt", "a.txt", "sub/c.txt", ".hidden"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(names(folder.path(), WalkOptions::default()).await, ["a.txt", "b.txt", "sub/c.txt"]);
        let all = WalkOptions { hidden: true, batch: 1, ..WalkOptions::default() };
        assert_eq!(names(folder.path(), all).await, [".hidden", "a.txt", "b.txt", "sub/c.txt"]);
    }

    #[tokio::test]
    async fn ignore_files_are_honoured_only_if_enabled() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".gitignore"), "*.txt").unwrap();
        std::fs::write(folder.path().join("a.txt"), "x").unwrap();
        assert_eq!(names(folder.path(), WalkOptions::default()).await, ["a.txt"]);
        let options = WalkOptions { ignore_files: true, ..WalkOptions::default() };
        assert!(names(folder.path(), options).await.is_empty());
    }

    #[tokio::test]
    async fn cancelled_walk_and_missing_root_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        cancel.cancel();
        let last = walk(folder.path(), WalkOptions::default(), cancel).next().await.unwrap().pop().unwrap();
        assert_eq!(last.unwrap_err().kind(), ErrorKind::Cancelled);
        let missing = folder.path().join("missing");
        let first =
            walk(missing, WalkOptions::default(), CancellationToken::new()).next().await.unwrap().pop();
        assert_eq!(first.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    }
}
