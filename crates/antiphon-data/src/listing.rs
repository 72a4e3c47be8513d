//! The files of a folder, before any of them is read: which are documents, and which are read by a link.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_fs::{Entry, Links, ReadBelow};

use crate::document::Format;
use crate::error::{Error, Failure, Malformed};
use crate::loader::{Skipped, name_of};

/// The files of a folder and its subfolders, before any of them is read.
#[derive(Default)]
pub(crate) struct Listing {
    /// The files of a supported type, sorted by name within each folder.
    pub(crate) files: Vec<ReadBelow>,
    /// The files to which paths lead that are links, or lead through one.
    pub(crate) targets: HashMap<PathBuf, PathBuf>,
    /// The files and folders that could not be listed.
    pub(crate) failures: Vec<Failure>,
    /// The files whose type is not supported.
    pub(crate) skipped: Vec<Skipped>,
}

/// Names of a run's files that have a supported type.
const RUN_FILES: [&str; 3] = ["run.json", "personas.json", "partial.txt"];

impl Listing {
    /// Adds an entry of the walk to the list for its type, or its error to the failures.
    ///
    /// # Errors
    /// `Cancelled`, or an error of the root itself: these end the walk.
    pub(crate) fn add(
        &mut self,
        root: &Arc<Path>,
        links: &Links,
        entry: Result<Entry, antiphon_fs::Error>,
    ) -> Result<(), Error> {
        match entry {
            Ok(Entry { path, target, .. }) => {
                let file = name_of(root, &path);
                if Format::from_name(&file).is_none() {
                    self.skipped.push(Skipped { file });
                    return Ok(());
                }
                if let Some(target) = target.filter(|target| *target != path) {
                    self.targets.insert(path.clone(), target);
                }
                self.files.push(ReadBelow {
                    path,
                    root: Some(root.clone()),
                    links: links.clone(),
                    hidden: false,
                });
            }
            Err(err) if err.kind() == antiphon_fs::ErrorKind::Cancelled || err.path() == &**root => {
                return Err(Error::from_fs(err));
            }
            Err(err) => self.failures.push(Malformed::of_file(&err).of(&name_of(root, err.path()))),
        }
        Ok(())
    }

    /// Creates the listing of a file that was named itself.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self { files: vec![ReadBelow::anywhere(path)], ..Self::default() }
    }

    /// Removes links to files that are listed themselves, and all but the first of several links to a file.
    pub(crate) fn keep_one_of_each_file(&mut self) {
        if self.targets.is_empty() {
            return;
        }
        let is_own = |file: &&ReadBelow| !self.targets.contains_key(&file.path);
        let mut seen: HashSet<PathBuf> =
            self.files.iter().filter(is_own).map(|file| file.path.clone()).collect();
        self.files.retain(|file| match self.targets.get(&file.path) {
            Some(target) => seen.insert(target.clone()),
            None => true,
        });
    }

    /// Leaves out the folders of earlier runs, also of incomplete ones: a folder that is named by a UUID and has one of
    /// a run's files was written by this program, and its personas are not interviews.
    pub(crate) fn leave_out_runs(&mut self, root: &Path) {
        let is_uuid = |name: &str| name.len() == 36 && name.split('-').count() == 5;
        let runs: Vec<PathBuf> = self
            .files
            .iter()
            .map(|file| &file.path)
            .filter(|path| RUN_FILES.iter().any(|file| path.file_name().is_some_and(|name| name == *file)))
            .filter_map(|path| path.parent())
            .filter(|folder| folder.file_name().and_then(|name| name.to_str()).is_some_and(is_uuid))
            .map(Path::to_owned)
            .collect();
        if runs.is_empty() {
            return;
        }
        let of_run = |path: &Path| path.ancestors().any(|folder| runs.iter().any(|run| run == folder));
        self.files.retain(|file| !of_run(&file.path));
        self.skipped.retain(|skipped| !of_run(&root.join(&skipped.file)));
    }
}

/// Returns whether an error of a walk is about a link to a file that is no document, which is skipped wherever it leads. A folder
/// may have documents, and so may one that is not there.
pub(crate) async fn is_other_link(err: &antiphon_fs::Error) -> bool {
    use antiphon_fs::ErrorKind::{LinkNotFollowed, NotFound};
    let path = err.path();
    if !matches!(err.kind(), LinkNotFollowed | NotFound)
        || Format::from_name(&path.to_string_lossy()).is_some()
    {
        return false;
    }
    match antiphon_fs::metadata(path).await {
        Ok(found) => !found.is_dir,
        Err(err) => err.kind() == NotFound && path.extension().is_some(),
    }
}
