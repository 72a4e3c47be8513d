//! The folder of an experiment: creation, loading, removal and data.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use antiphon_fs::{Links, WalkOptions};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::definition::Definition;
use crate::config::GenerationConfig;
use crate::error::Error;
use antiphon_engine::ErrorKind;
use antiphon_engine::read_toml;

/// The file that makes a folder an experiment.
const DEFINITION: &str = "experiment.toml";

/// A study in a folder: `experiment.toml`, `data/` with the documents, `outputs/` with every run, and a `README.md` with an
/// overview of the runs.
///
/// ```text
/// bakers/
///   experiment.toml    the definition: name, description and defaults
///   README.md          an overview of the runs; text below its marker line is kept
///   data/p1.txt        the documents, copied or linked
///   outputs/<id>/      personas.json, run.json and other files of one run
/// ```
///
/// The value has the definition as it was when it was created or loaded; data and runs are read from the folder by each
/// call, so that they include what other processes wrote.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_pipeline::Error> {
/// use antiphon_pipeline::experiment::{Experiment, AddMode};
/// # let folder = antiphon_fs::temp_dir().map_err(antiphon_pipeline::Error::files)?;
/// # let base = folder.path();
/// # antiphon_fs::write(base.join("p1.txt"), "P1: I want to sleep.").await.map_err(antiphon_pipeline::Error::files)?;
/// let experiment = Experiment::create(base, "bakers", "What bakers need at night").await?;
/// experiment.add_data(base.join("p1.txt"), AddMode::Copy).await?;
/// assert_eq!(experiment.data().await?, [std::path::PathBuf::from("p1.txt")]);
/// assert_eq!(Experiment::list(base).await?.len(), 1);
/// experiment.delete("bakers").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Experiment {
    root: PathBuf,
    definition: Definition,
}

/// The way in which data is added to an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddMode {
    /// Copies the files: later changes of the originals do not affect the experiment.
    Copy,
    /// Creates a symbolic link: later runs see changes of the originals.
    Link,
}

impl Experiment {
    /// Creates an experiment in a new folder below `base`.
    ///
    /// # Errors
    /// `Config` for a name that is invalid, taken by another experiment, or of a folder with other files; `Files` if the folder
    /// cannot be created.
    ///
    /// # Cancel safety
    /// A dropped call may leave a folder without an experiment; the same call can then be made again.
    pub async fn create(base: impl AsRef<Path>, name: &str, description: &str) -> Result<Self, Error> {
        Self::create_as(base, Definition::new(name, description)).await
    }

    /// Creates an experiment from a definition, in a new folder below `base` with the definition's name.
    ///
    /// # Errors
    /// The errors of [`create`](Self::create).
    ///
    /// # Cancel safety
    /// The same as for [`create`](Self::create).
    pub async fn create_as(base: impl AsRef<Path>, definition: Definition) -> Result<Self, Error> {
        let name = &definition.name;
        check_name(name)?;
        let (base, root) = (base.as_ref(), base.as_ref().join(name));
        check_free(&root, name).await?;
        let text = toml::to_string(&definition)
            .map_err(|err| Error::new(ErrorKind::Config, format!("experiment {name}: {err}")))?;
        for folder in ["data", "outputs"] {
            antiphon_fs::create_dir_below(base, Path::new(name).join(folder)).await.map_err(Error::files)?;
        }
        let experiment = Self { root, definition };
        experiment.write_readme().await?;
        // Written last: only this file makes the folder an experiment.
        antiphon_fs::write_below(&experiment.root, DEFINITION, text).await.map_err(Error::files)?;
        Ok(experiment)
    }

    /// Loads the experiment in the folder `root`.
    ///
    /// # Errors
    /// `Config` if the folder has no `experiment.toml`, or an invalid one; `Files` if it cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn load(root: impl AsRef<Path>) -> Result<Self, Error> {
        let root = root.as_ref();
        let path = root.join(DEFINITION);
        let text = match antiphon_fs::read_to_string(&path).await {
            Ok(text) => text.text,
            Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => {
                let message = format!("no experiment in {}: {DEFINITION} is missing", root.display());
                return Err(Error::new(ErrorKind::Config, message));
            }
            Err(err) => return Err(Error::files(err)),
        };
        let definition = read_toml(&path.display().to_string(), &text)?;
        Ok(Self { root: root.to_owned(), definition })
    }

    /// Returns all experiments in the folders directly below `base`, sorted by path, each as the experiment or the error of
    /// loading it. The list is empty if `base` does not exist.
    ///
    /// # Errors
    /// `Files` if `base` cannot be listed.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn list(base: impl AsRef<Path>) -> Result<Vec<Result<Self, Error>>, Error> {
        let base = base.as_ref();
        if !antiphon_fs::exists(base).await.map_err(Error::files)? {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let options = WalkOptions::default().max_depth(2);
        // Only definitions are read, of a folder that is the user's own.
        for path in files(base, options.links(Links::All)).await? {
            if path.file_name().is_some_and(|name| name == DEFINITION) && path != base.join(DEFINITION) {
                found.push(Self::load(path.parent().unwrap_or(base)).await);
            }
        }
        Ok(found)
    }

    /// Removes the experiment with all its data and outputs. Symbolic links are removed, their targets are not. `confirmation`
    /// must be the experiment's name, so that nothing is removed by mistake.
    ///
    /// # Errors
    /// `Config` if `confirmation` is not the name, `Files` if the folder cannot be removed.
    ///
    /// # Cancel safety
    /// A dropped call does not stop the removal.
    pub async fn delete(self, confirmation: &str) -> Result<(), Error> {
        if confirmation != self.definition.name {
            let name = &self.definition.name;
            let message = format!("cannot remove experiment {name:?}: the confirmation was {confirmation:?}");
            return Err(Error::new(ErrorKind::Config, message));
        }
        antiphon_fs::remove_dir(&self.root).await.map_err(Error::files)
    }

    /// Adds a file, or a folder with all its files, to the data under its own name. Files that were added before are skipped.
    ///
    /// # Errors
    /// `Config` if other data has this name, or `path` is part of the experiment or contains it; `Files` if something cannot
    /// be read or written.
    ///
    /// # Cancel safety
    /// A dropped call may leave a part of a folder; the same call adds the rest.
    pub async fn add_data(&self, path: impl AsRef<Path>, mode: AddMode) -> Result<(), Error> {
        let path = antiphon_fs::canonical(path.as_ref()).await.map_err(Error::files)?;
        let wrong =
            |why: &str| Error::new(ErrorKind::Config, format!("cannot add {}: {why}", path.display()));
        let root = antiphon_fs::canonical(&self.root).await.map_err(Error::files)?;
        if root.starts_with(&path) || path.starts_with(&root) {
            return Err(wrong("it is part of the experiment, or contains it"));
        }
        let name = path.file_name().ok_or_else(|| wrong("no file name"))?;
        let data = Path::new("data");
        antiphon_fs::create_dir_below(&self.root, data).await.map_err(Error::files)?;
        let to = self.data_path().join(name);
        if mode == AddMode::Link {
            link(&path, &to).await?;
            return self.record_link(name).await;
        }
        if antiphon_fs::metadata(&path).await.map_err(Error::files)?.is_dir {
            return copy_folder(&path, &self.root, &data.join(name)).await;
        }
        if antiphon_fs::canonical(&to).await.is_ok_and(|there| there == path) {
            // A link that was added before.
            return Ok(());
        }
        copy(&path, &to).await
    }

    /// Returns the files of the data by their paths below `data/`, sorted; links that [`add_data`](Self::add_data) created are
    /// followed.
    ///
    /// # Errors
    /// `Files` if `data/` cannot be listed.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn data(&self) -> Result<Vec<PathBuf>, Error> {
        let data = self.data_path();
        if !antiphon_fs::exists(&data).await.map_err(Error::files)? {
            return Ok(Vec::new());
        }
        let options = WalkOptions::default().links(self.links().await?);
        let mut found = files(&data, options).await?;
        for path in &mut found {
            if let Ok(below) = path.strip_prefix(&data) {
                *path = below.to_owned();
            }
        }
        Ok(found)
    }

    /// Returns the configuration for [`Pipeline::generate`](crate::Pipeline::generate), made from the experiment's data and
    /// defaults.
    ///
    /// # Errors
    /// `Config` for a recipe that does not exist or is invalid.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn config(&self, model: &str) -> Result<GenerationConfig, Error> {
        let recipe = self.definition.personas.recipe(&self.root).await?;
        Ok(GenerationConfig::new(self.data_path(), model).recipe(recipe).links(self.links().await?))
    }

    /// Returns the folder of the experiment.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the content of its `experiment.toml`.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Returns the folder of its data.
    #[must_use]
    pub fn data_path(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Returns the folder of its runs.
    #[must_use]
    pub fn outputs_path(&self) -> PathBuf {
        self.root.join("outputs")
    }
}

/// Refuses an invalid name.
fn check_name(name: &str) -> Result<(), Error> {
    if is_plain(name) {
        return Ok(());
    }
    let message = format!(
        "invalid experiment name {name:?}: use letters, digits, -, _ and . only, up to 64 bytes, no - or . at \
         the start and no . at the end"
    );
    Err(Error::new(ErrorKind::Config, message))
}

/// Refuses a folder that is an experiment, or has files of anything else. An empty one may be left over from a dropped
/// call.
async fn check_free(root: &Path, name: &str) -> Result<(), Error> {
    let wrong =
        |why: String| Error::new(ErrorKind::Config, format!("cannot create experiment {name}: {why}"));
    if antiphon_fs::exists(root.join(DEFINITION)).await.map_err(Error::files)? {
        return Err(wrong(format!("it already exists in {}", root.display())));
    }
    if !antiphon_fs::exists(root).await.map_err(Error::files)? {
        return Ok(());
    }
    let Found { files, links, unread } = find(root, WalkOptions::default().hidden(true)).await?;
    if !files.is_empty() || !links.is_empty() || !unread.is_empty() {
        return Err(wrong(format!("{} already has other files", root.display())));
    }
    Ok(())
}

/// Returns whether a name is valid for an experiment: a plain folder name, without path traversal.
fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

/// Creates the error for data of a name that other data has.
fn taken(path: &Path) -> Error {
    let message = format!("cannot add data: {} already exists and differs", path.display());
    Error::new(ErrorKind::Config, message)
}

/// Links `to` to a file or folder, unless it is a link to it already.
async fn link(path: &Path, to: &Path) -> Result<(), Error> {
    match antiphon_fs::canonical(to).await {
        Ok(there) if there == path => Ok(()),
        Ok(_) => Err(taken(to)),
        Err(_) => antiphon_fs::link(path, to).await.map_err(Error::files),
    }
}

/// Copies a folder with all its files to the folder `to` below `root`. Files that are there with the same content are skipped.
///
/// # Errors
/// `Config` for a folder with a link that leads out of it, and `Files` for one with anything that cannot be read, since a copy would
/// not say that something is missing. The same where a file or a folder of the copy exists as a link, since the copy would be
/// elsewhere.
async fn copy_folder(path: &Path, root: &Path, to: &Path) -> Result<(), Error> {
    let Found { files, links, unread } = find(path, WalkOptions::default()).await?;
    if let Some(link) = links.first() {
        let advice = "Add what it leads to by its own path, or remove it";
        let message = format!("cannot add {}: a link leads out of the folder. {advice}", link.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    if let Some(err) = unread.into_iter().next() {
        return Err(Error::files(err));
    }
    for file in files {
        let below = file.strip_prefix(path).unwrap_or(&file);
        let to = to.join(below);
        if let Some(folder) = to.parent() {
            antiphon_fs::create_dir_below(root, folder).await.map_err(Error::files)?;
        }
        copy(&file, &root.join(&to)).await?;
    }
    Ok(())
}

/// Copies a file, unless a file with the same content exists at `to`.
///
/// # Errors
/// `Config` for another file or a link at `to`.
async fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if antiphon_fs::link_identity(to).await.is_ok_and(|link| link.is_some()) {
        let message = format!("cannot add data: {} is a symbolic link. Remove it", to.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    if antiphon_fs::exists(to).await.map_err(Error::files)? {
        let (there, new) = (antiphon_fs::read(to).await, antiphon_fs::read(from).await);
        return if there.map_err(Error::files)? == new.map_err(Error::files)? {
            Ok(())
        } else {
            Err(taken(to))
        };
    }
    antiphon_fs::copy(from, to).await.map(|_| ()).map_err(Error::files)
}

/// Returns the files below a folder that `options` include, sorted by path. Links that are not followed and entries that cannot be
/// read are left out: loading the data reports them.
pub(super) async fn files(folder: &Path, options: WalkOptions) -> Result<Vec<PathBuf>, Error> {
    Ok(find(folder, options).await?.files)
}

/// The results of a walk, sorted by path.
#[derive(Default)]
struct Found {
    /// The files, each once.
    files: Vec<PathBuf>,
    /// The links that are not followed.
    links: Vec<PathBuf>,
    /// The errors of entries that cannot be read, such as links to nothing.
    unread: Vec<antiphon_fs::Error>,
}

/// Lists the files below a folder that `options` include.
async fn find(folder: &Path, options: WalkOptions) -> Result<Found, Error> {
    let mut walk = antiphon_fs::walk(folder, options, CancellationToken::new());
    let (mut found, mut linked) = (Found::default(), Vec::new());
    while let Some(batch) = walk.next().await {
        for entry in batch {
            match entry {
                Ok(entry) => match entry.target.filter(|target| *target != entry.path) {
                    Some(target) => linked.push((target, entry.path)),
                    None => found.files.push(entry.path),
                },
                Err(err) if err.kind() == antiphon_fs::ErrorKind::LinkNotFollowed => {
                    found.links.push(err.path().to_owned());
                }
                Err(err) if err.path() != folder => found.unread.push(err),
                Err(err) => return Err(Error::files(err)),
            }
        }
    }
    let own: HashSet<PathBuf> = found.files.iter().cloned().collect();
    found.files.extend(linked.into_iter().filter(|(target, _)| !own.contains(target)).map(|(_, path)| path));
    found.files.sort();
    Ok(found)
}
