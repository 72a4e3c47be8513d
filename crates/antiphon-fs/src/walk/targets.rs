use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ignore::overrides::Override;

use super::WalkOptions;
use crate::error::{Error, ErrorKind};
use crate::links::has_hidden;
use crate::metadata::stat;
use crate::rename::canonicalize;

/// The targets of the links of a walk: whether each is followed, and which folders were entered by links already.
pub(super) struct Targets<'a> {
    root: PathBuf,
    /// The root without links, once the first link was found.
    real_root: Option<PathBuf>,
    options: &'a WalkOptions,
    globs: Override,
    entered: HashSet<PathBuf>,
}

/// The target of a link that is followed; paths are without links.
pub(super) enum Target {
    File(PathBuf),
    Folder(PathBuf),
    /// A folder that the walk enters by its own path.
    Walked,
}

impl<'a> Targets<'a> {
    pub(super) fn new(root: &Path, options: &'a WalkOptions, globs: Override) -> Self {
        Self { root: root.to_owned(), real_root: None, options, globs, entered: HashSet::new() }
    }

    /// Returns whether the globs exclude a path.
    pub(super) fn is_excluded(&self, path: &Path, is_folder: bool) -> bool {
        self.globs.matched(path, is_folder).is_ignore()
    }

    /// Returns the target of the link at `path`.
    ///
    /// # Errors
    /// `LinkNotFollowed`, or the error of the system for a link that leads nowhere.
    pub(super) fn of(&mut self, path: &Path) -> Result<Target, Error> {
        let failed = |err| Error::from_io(err, "walk", path);
        let target = canonicalize(path).map_err(failed)?;
        let real_root = match &self.real_root {
            Some(real_root) => real_root.clone(),
            None => self.real_root.insert(canonicalize(&self.root).map_err(failed)?).clone(),
        };
        let refused = || Error::new(ErrorKind::LinkNotFollowed, "walk", path);
        self.options.links.allow(&real_root, &target, self.options.hidden).ok_or_else(refused)?;
        let found = stat(&target)?;
        Ok(match target.strip_prefix(&real_root) {
            Ok(below) if found.is_dir && self.is_walked(below) => Target::Walked,
            _ if found.is_dir => Target::Folder(target),
            _ => Target::File(target),
        })
    }

    /// Returns whether the walk enters a folder below the root by its own path.
    fn is_walked(&self, below: &Path) -> bool {
        let depth = below.components().count();
        let is_included = |folder: &&Path| !self.is_excluded(&self.root.join(folder), true);
        let folders = || below.ancestors().filter(|folder| *folder != Path::new(""));
        self.options.max_depth.is_none_or(|most| depth < most)
            && (self.options.hidden || !has_hidden(below))
            && folders().count() == folders().filter(is_included).count()
    }

    /// Returns whether a folder behind a link is entered for the first time.
    pub(super) fn is_first(&mut self, target: &Path) -> bool {
        self.entered.insert(target.to_owned())
    }

    /// Returns a target by the path that the walk has for it, if it is below the root.
    pub(super) fn shown(&self, target: PathBuf) -> PathBuf {
        let below = self.real_root.as_deref().and_then(|root| target.strip_prefix(root).ok());
        below.map_or_else(|| target.clone(), |below| self.root.join(below))
    }
}
