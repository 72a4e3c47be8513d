use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::path::{Path, PathBuf};

use ignore::overrides::Override;

use super::{Entry, WalkOptions};
use crate::error::Error;

/// An iterator over all files below a root, folder by folder, sorted by name; symbolic links are followed.
pub(super) struct Folders<'a> {
    options: &'a WalkOptions,
    globs: Override,
    stop: &'a dyn Fn() -> bool,
    /// The number of entries visited.
    turns: u32,
    /// The root, until the walk has started.
    root: Option<PathBuf>,
    /// The folders from the root down to the current one.
    open: Vec<Folder>,
}

struct Folder {
    path: PathBuf,
    entries: std::vec::IntoIter<(OsString, FileType)>,
}

impl<'a> Folders<'a> {
    pub(super) fn new(
        root: &Path,
        options: &'a WalkOptions,
        globs: Override,
        stop: &'a dyn Fn() -> bool,
    ) -> Self {
        Self { options, globs, stop, turns: 0, root: Some(root.to_owned()), open: Vec::new() }
    }

    /// Visits a path: returns a file, and opens a folder for the next entries.
    fn enter(&mut self, path: PathBuf, is_folder: bool) -> Option<Result<Entry, Error>> {
        // The root is always included: globs apply only below it.
        if !self.open.is_empty() && self.globs.matched(&path, is_folder).is_ignore() {
            return None;
        }
        if !is_folder {
            return Some(Ok(Entry { path }));
        }
        if self.options.max_depth.is_some_and(|most| self.open.len() >= most) {
            return None;
        }
        match entries(&path, self.options.hidden) {
            Ok(entries) => {
                self.open.push(Folder { path, entries });
                None
            }
            Err(err) => Some(Err(Error::from_io(err, "walk", path))),
        }
    }

    fn follow(&mut self, path: PathBuf) -> Option<Result<Entry, Error>> {
        match metadata(&path) {
            // The target of a loop has been walked by its own path already.
            Ok(found) if found.is_dir() && self.is_open(&path, &found) => None,
            Ok(found) => self.enter(path, found.is_dir()),
            Err(err) => Some(Err(Error::from_io(err, "walk", path))),
        }
    }

    /// Returns whether the folder is one of the open ones, which would be a loop.
    fn is_open(&self, path: &Path, found: &Metadata) -> bool {
        self.open.iter().any(|folder| is_same(&folder.path, path, found))
    }
}

impl Iterator for Folders<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take()
            && let Some(only) = self.follow(root)
        {
            return Some(only);
        }
        loop {
            // For the first entry and every 64th, since the check takes a lock.
            if self.turns.is_multiple_of(64) && (self.stop)() {
                return None;
            }
            self.turns = self.turns.wrapping_add(1);
            let folder = self.open.last_mut()?;
            let Some((name, kind)) = folder.entries.next() else {
                self.open.pop();
                continue;
            };
            let path = folder.path.join(name);
            let found = if kind.is_symlink() { self.follow(path) } else { self.enter(path, kind.is_dir()) };
            if found.is_some() {
                return found;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn entries(folder: &Path, hidden: bool) -> std::io::Result<std::vec::IntoIter<(OsString, FileType)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if hidden || !name.as_encoded_bytes().starts_with(b".") {
            entries.push((name, entry.file_type()?));
        }
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries.into_iter())
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn metadata(path: &Path) -> std::io::Result<Metadata> {
    std::fs::metadata(path)
}

#[cfg(unix)]
fn is_same(open: &Path, _: &Path, found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata(open).is_ok_and(|open| (open.dev(), open.ino()) == (found.dev(), found.ino()))
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn is_same(open: &Path, path: &Path, _: &Metadata) -> bool {
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    whole(open).is_some_and(|open| whole(path) == Some(open))
}
