use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::path::{Path, PathBuf};

use ignore::overrides::Override;

use super::rules::{IgnoreFiles, Rules};
use super::targets::{Target, Targets};
use super::{Entry, WalkOptions};
use crate::error::Error;
use crate::links::is_hidden;

/// An iterator over all files below a root, folder by folder, sorted by name.
pub(super) struct Folders<'a> {
    options: &'a WalkOptions,
    targets: Targets<'a>,
    stop: &'a dyn Fn() -> bool,
    /// The number of entries visited.
    turns: u32,
    /// The root, until the walk has started.
    root: Option<PathBuf>,
    /// The folders from the root down to the current one.
    open: Vec<Folder>,
    /// The ignore files; `None` if they are not honoured.
    ignore_files: Option<IgnoreFiles>,
    /// The errors of ignore files that are reported next.
    unread: VecDeque<Error>,
}

struct Folder {
    path: PathBuf,
    /// The same folder without links; `None` if none was followed on the way from the root.
    target: Option<PathBuf>,
    rules: Rules,
    entries: std::vec::IntoIter<(OsString, FileType)>,
}

impl<'a> Folders<'a> {
    pub(super) fn new(
        root: &Path,
        options: &'a WalkOptions,
        globs: Override,
        stop: &'a dyn Fn() -> bool,
    ) -> Self {
        let targets = Targets::new(root, options, globs);
        let ignore_files = options.ignore_files.then(|| IgnoreFiles::new(root));
        let (root, open, unread) = (Some(root.to_owned()), Vec::new(), VecDeque::new());
        Self { options, targets, stop, turns: 0, root, open, ignore_files, unread }
    }

    /// Visits the root, which is always included and may be a link.
    fn begin(&mut self, root: PathBuf) -> Option<Result<Entry, Error>> {
        match metadata(&root) {
            Ok(found) if found.is_dir() => self.open(root, None),
            Ok(_) => Some(Ok(Entry { path: root, target: None })),
            Err(err) => Some(Err(Error::from_io(err, "walk", root))),
        }
    }

    /// Visits a file, or opens a folder for the next entries. `target` is its path without links, if one was followed on the way.
    fn enter(
        &mut self,
        path: PathBuf,
        is_folder: bool,
        target: Option<PathBuf>,
    ) -> Option<Result<Entry, Error>> {
        if self.is_excluded(&path, is_folder) {
            return None;
        }
        if !is_folder {
            let target = target.map(|target| self.targets.shown(target));
            return Some(Ok(Entry { path, target }));
        }
        let is_deep = self.options.max_depth.is_some_and(|most| self.open.len() >= most);
        // A folder behind a link may be found by another link as well.
        if is_deep || target.as_deref().is_some_and(|target| !self.targets.is_first(target)) {
            return None;
        }
        self.open(path, target)
    }

    fn open(&mut self, path: PathBuf, target: Option<PathBuf>) -> Option<Result<Entry, Error>> {
        match entries(&path, self.options.hidden) {
            Ok(entries) => {
                let rules = self.rules_of(&path);
                self.open.push(Folder { path, target, rules, entries });
                None
            }
            Err(err) => Some(Err(Error::from_io(err, "walk", path))),
        }
    }

    /// Reads the ignore files of a folder, if they are honoured.
    fn rules_of(&mut self, folder: &Path) -> Rules {
        let Some(ignore_files) = &self.ignore_files else { return Rules::default() };
        let (rules, errors) = ignore_files.read(folder, self.options);
        self.unread.extend(errors);
        rules
    }

    /// Returns whether globs or ignore files exclude a path.
    fn is_excluded(&self, path: &Path, is_folder: bool) -> bool {
        let folders = self.open.iter().map(|folder| &folder.rules);
        self.targets.is_excluded(path, is_folder)
            || self.ignore_files.as_ref().is_some_and(|files| files.exclude(folders, path, is_folder))
    }

    /// Visits the target of a link. A link that is excluded is no failure, wherever it leads.
    fn follow(&mut self, path: PathBuf) -> Option<Result<Entry, Error>> {
        let is_folder = metadata(&path).is_ok_and(|found| found.is_dir());
        if self.is_excluded(&path, is_folder) {
            return None;
        }
        match self.targets.of(&path) {
            Ok(Target::File(target)) => self.enter(path, false, Some(target)),
            Ok(Target::Folder(target)) => self.enter(path, true, Some(target)),
            Ok(Target::Walked) => None,
            Err(err) => Some(Err(err)),
        }
    }
}

impl Iterator for Folders<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take()
            && let Some(only) = self.begin(root)
        {
            return Some(only);
        }
        loop {
            if let Some(err) = self.unread.pop_front() {
                return Some(Err(err));
            }
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
            let path = folder.path.join(&name);
            let found = if kind.is_symlink() {
                self.follow(path)
            } else {
                let target = folder.target.as_ref().map(|target| target.join(name));
                self.enter(path, kind.is_dir(), target)
            };
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
        if hidden || !is_hidden(&name) {
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
