//! The rules of ignore files, `.gitignore` and `.ignore`.
//!
//! They are read here and not by the `ignore` crate, which opens any path: a link to another folder, or to a device without end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::WalkOptions;
use crate::below::ReadBelow;
use crate::error::{Error, ErrorKind};
use crate::links::Links;
use crate::rename::canonicalize;

/// The most bytes of an ignore file.
const MOST_BYTES: u64 = 256 << 10;

/// The rules of the ignore files of one folder.
#[derive(Default)]
pub(super) struct Rules {
    ignore: Option<Gitignore>,
    git: Option<Gitignore>,
}

/// The ignore files of a walk: those above its root are read once, those below with their folders.
pub(super) struct IgnoreFiles {
    /// The root as it was passed, and without links.
    root: Arc<Path>,
    real_root: PathBuf,
    /// The rules of the folders above the root, from the root up.
    above: Vec<Rules>,
}

impl IgnoreFiles {
    pub(super) fn new(root: &Path) -> Self {
        let real_root = canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let above = real_root.ancestors().skip(1).map(above).collect();
        Self { root: Arc::from(root), real_root, above }
    }

    /// Reads the ignore files of a folder of the walk, with the error of each that is not read.
    pub(super) fn read(&self, folder: &Path, options: &WalkOptions) -> (Rules, Vec<Error>) {
        let mut errors = Vec::new();
        let mut read = |name: &str| {
            let (root, links, hidden) = (Some(self.root.clone()), options.links.clone(), options.hidden);
            let from = ReadBelow { path: folder.join(name), root, links, hidden };
            rules(&from, folder).unwrap_or_else(|err| {
                // A walk of hidden files reports a link that is not followed itself.
                if !(hidden && err.kind() == ErrorKind::LinkNotFollowed) {
                    errors.push(err);
                }
                None
            })
        };
        (Rules { ignore: read(".ignore"), git: read(".gitignore") }, errors)
    }

    /// Returns whether rules exclude a path. The nearest folder with a rule for it decides, and `.ignore` before `.gitignore`.
    /// `folders` are the rules from the root down to the path.
    pub(super) fn exclude<'r>(
        &'r self,
        folders: impl DoubleEndedIterator<Item = &'r Rules> + Clone,
        path: &Path,
        is_folder: bool,
    ) -> bool {
        let Ok(below) = path.strip_prefix(&self.root) else { return false };
        let real_path = self.real_root.join(below);
        let decide = |file: fn(&Rules) -> Option<&Gitignore>| {
            let below = folders.clone().rev().filter_map(file).map(|rules| (rules, path));
            let above = self.above.iter().filter_map(file).map(|rules| (rules, &*real_path));
            let found = below.chain(above).map(|(rules, path)| rules.matched(path, is_folder));
            found.into_iter().find(|found| !found.is_none()).unwrap_or(Match::None)
        };
        decide(|rules| rules.ignore.as_ref()).or(decide(|rules| rules.git.as_ref())).is_ignore()
    }
}

/// Returns the rules of a folder above the root. An ignore file that cannot be read has none.
fn above(folder: &Path) -> Rules {
    let read = |name: &str| {
        let (path, root) = (folder.join(name), Some(Arc::from(folder)));
        let from = ReadBelow { path, root, links: Links::Inside, hidden: false };
        rules(&from, folder).ok().flatten()
    };
    Rules { ignore: read(".ignore"), git: read(".gitignore") }
}

/// Reads the rules of an ignore file; `None` without a file. A line that is no valid rule is skipped, as git does.
fn rules(from: &ReadBelow, folder: &Path) -> Result<Option<Gitignore>, Error> {
    let bytes = match from.read_small(MOST_BYTES) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut builder = GitignoreBuilder::new(folder);
    for line in text.trim_start_matches('\u{feff}').lines() {
        let _ = builder.add_line(None, line);
    }
    let invalid =
        |err| Error::new(ErrorKind::InvalidGlob, "walk", &from.path).caused_by(std::io::Error::other(err));
    builder.build().map(Some).map_err(invalid)
}
