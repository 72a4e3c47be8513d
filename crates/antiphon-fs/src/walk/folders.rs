use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::path::{Path, PathBuf};

use ignore::overrides::Override;

use super::{Entry, WalkOptions};
use crate::error::Error;

/// Every file below a root, folder after folder, each sorted by name; links are followed.
pub(super) struct Folders<'a> {
    options: &'a WalkOptions,
    globs: Override,
    stop: &'a dyn Fn() -> bool,
    /// Entries looked at.
    turns: u32,
    /// Where it begins, until it has.
    root: Option<PathBuf>,
    /// From the root down to the folder at hand.
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

    /// What a path leads to: itself if it is a file, and for a folder what is in it.
    fn enter(&mut self, path: PathBuf, is_folder: bool) -> Option<Result<Entry, Error>> {
        // The root was asked for, whatever the globs say of what is below it.
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
            // What a loop leads to has been walked by its own path already.
            Ok(found) if found.is_dir() && self.is_open(&path, &found) => None,
            Ok(found) => self.enter(path, found.is_dir()),
            Err(err) => Some(Err(Error::from_io(err, "walk", path))),
        }
    }

    /// Whether this very folder is one of those that the walk is in.
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
            // Now and then, and for the first: whether to stop takes a lock to know.
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
