use std::path::{Path, PathBuf};

use antiphon_fs::WalkOptions;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::definition::Definition;
use crate::config::GenerationConfig;
use crate::error::Error;
use antiphon_engine::ErrorKind;
use antiphon_engine::read_toml;

const DEFINITION: &str = "experiment.toml";

/// A study that one comes back to: `experiment.toml`, `data/` with what was collected, `outputs/` with every run, and a
/// `README.md` that tells of them.
///
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

/// How data comes into an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddMode {
    /// As a copy: the experiment stays as it is, whatever becomes of the original.
    Copy,
    /// As a symbolic link: a later run sees what has changed.
    Link,
}

impl Experiment {
    /// Makes the folder of an experiment below `base`.
    ///
    /// # Errors
    /// `Config` for a name that is no folder's, or that another one has; `Files` where it cannot be made.
    ///
    /// # Cancel safety
    /// A dropped call may leave an empty folder, which the same call takes.
    pub async fn create(base: impl AsRef<Path>, name: &str, description: &str) -> Result<Self, Error> {
        Self::create_as(base, Definition::new(name, description)).await
    }

    /// Makes the folder of an experiment that is defined already.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    ///
    /// # Cancel safety
    /// As [`create`](Self::create).
    pub async fn create_as(base: impl AsRef<Path>, definition: Definition) -> Result<Self, Error> {
        let wrong = |message: String| Error::new(ErrorKind::Config, message);
        let name = &definition.name;
        if !is_plain(name) {
            return Err(wrong(format!(
                "{name:?} cannot be an experiment's name: letters, digits, -, _ and . may stand in it, up to 64 bytes"
            )));
        }
        let root = base.as_ref().join(name);
        if antiphon_fs::exists(root.join(DEFINITION)).await.map_err(Error::files)? {
            return Err(wrong(format!("there is an experiment {name} already, in {}", root.display())));
        }
        if antiphon_fs::exists(&root).await.map_err(Error::files)?
            && !files(&root, WalkOptions::default().hidden(true)).await?.is_empty()
        {
            let message = format!("{} is there already, and has files of others in it", root.display());
            return Err(wrong(message));
        }
        let text = toml::to_string(&definition).map_err(|err| wrong(format!("experiment {name}: {err}")))?;
        for folder in ["data", "outputs"] {
            antiphon_fs::create_dir(root.join(folder)).await.map_err(Error::files)?;
        }
        let experiment = Self { root, definition };
        experiment.write_readme().await?;
        // With it the experiment is one.
        antiphon_fs::write(experiment.root.join(DEFINITION), text).await.map_err(Error::files)?;
        Ok(experiment)
    }

    /// The experiment in a folder.
    ///
    /// # Errors
    /// `Config` where there is none, or its `experiment.toml` cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn load(root: impl AsRef<Path>) -> Result<Self, Error> {
        let root = root.as_ref();
        let path = root.join(DEFINITION);
        let text = match antiphon_fs::read_to_string(&path).await {
            Ok(text) => text.text,
            Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => {
                let message = format!("there is no experiment in {}: it has no {DEFINITION}", root.display());
                return Err(Error::new(ErrorKind::Config, message));
            }
            Err(err) => return Err(Error::files(err)),
        };
        let definition = read_toml(&path.display().to_string(), &text)?;
        Ok(Self { root: root.to_owned(), definition })
    }

    /// All experiments below `base`, by folder, or why one cannot be read; none where there is no such folder.
    ///
    /// # Errors
    /// `Files` for a folder that cannot be listed.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn list(base: impl AsRef<Path>) -> Result<Vec<Result<Self, Error>>, Error> {
        let base = base.as_ref();
        if !antiphon_fs::exists(base).await.map_err(Error::files)? {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let options = WalkOptions::default().max_depth(2);
        for path in files(base, options).await? {
            if path.file_name().is_some_and(|name| name == DEFINITION) && path != base.join(DEFINITION) {
                found.push(Self::load(path.parent().unwrap_or(base)).await);
            }
        }
        Ok(found)
    }

    /// Removes it with all its data and outputs; what its links lead to stays. `confirmation` is its name once more, so
    /// that nothing is removed by mistake.
    ///
    /// # Errors
    /// `Config` for another name, `Files` where it cannot be removed.
    ///
    /// # Cancel safety
    /// A dropped call goes on.
    pub async fn delete(self, confirmation: &str) -> Result<(), Error> {
        if confirmation != self.definition.name {
            let message = format!("not removed: {confirmation:?} is not {:?}", self.definition.name);
            return Err(Error::new(ErrorKind::Config, message));
        }
        antiphon_fs::remove_dir(&self.root).await.map_err(Error::files)
    }

    /// Adds a file, or a folder with all in it, under its own name.
    ///
    /// # Errors
    /// `Config` where something else has its name, or it is the experiment itself; `Files` where it cannot be read or
    /// written.
    ///
    /// # Cancel safety
    /// A dropped call may leave a part of a folder; the same call brings the rest.
    pub async fn add_data(&self, path: impl AsRef<Path>, mode: AddMode) -> Result<(), Error> {
        let path = antiphon_fs::canonical(path.as_ref()).await.map_err(Error::files)?;
        let wrong = |message: String| Error::new(ErrorKind::Config, message);
        let root = antiphon_fs::canonical(&self.root).await.map_err(Error::files)?;
        if root.starts_with(&path) || path.starts_with(&root) {
            return Err(wrong(format!("{} is a part of the experiment, or it of that", path.display())));
        }
        let name = path.file_name().ok_or_else(|| wrong(format!("{} has no name", path.display())))?;
        let to = self.data_path().join(name);
        if mode == AddMode::Link {
            return match antiphon_fs::canonical(&to).await {
                Ok(there) if there == path => Ok(()),
                Ok(_) => Err(taken(&to)),
                Err(_) => antiphon_fs::link(&path, &to).await.map_err(Error::files),
            };
        }
        if !antiphon_fs::metadata(&path).await.map_err(Error::files)?.is_dir {
            return copy(&path, &to).await;
        }
        for file in files(&path, WalkOptions::default()).await? {
            let below = file.strip_prefix(&path).unwrap_or(&file);
            let to = to.join(below);
            if let Some(folder) = to.parent() {
                antiphon_fs::create_dir(folder).await.map_err(Error::files)?;
            }
            copy(&file, &to).await?;
        }
        Ok(())
    }

    /// The files of its data, by their paths below `data/`; those that links lead to are among them.
    ///
    /// # Errors
    /// `Files` where they cannot be listed.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn data(&self) -> Result<Vec<PathBuf>, Error> {
        let data = self.data_path();
        if !antiphon_fs::exists(&data).await.map_err(Error::files)? {
            return Ok(Vec::new());
        }
        let mut found = files(&data, WalkOptions::default()).await?;
        for path in &mut found {
            if let Ok(below) = path.strip_prefix(&data) {
                *path = below.to_owned();
            }
        }
        Ok(found)
    }

    /// What [`Pipeline::generate`](crate::Pipeline::generate) makes its personas of.
    ///
    /// # Errors
    /// `Config` for a recipe that is not there or cannot be used.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn config(&self, model: &str) -> Result<GenerationConfig, Error> {
        let recipe = self.definition.personas.recipe(&self.root).await?;
        Ok(GenerationConfig::new(self.data_path(), model).recipe(recipe))
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What stands in its `experiment.toml`.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Where its data is.
    #[must_use]
    pub fn data_path(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Where its runs are.
    #[must_use]
    pub fn outputs_path(&self) -> PathBuf {
        self.root.join("outputs")
    }
}

/// A name that leads nowhere else.
fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

fn taken(path: &Path) -> Error {
    let message = format!("{} is there already, and is another one", path.display());
    Error::new(ErrorKind::Config, message)
}

/// A copy, unless the same is there.
async fn copy(from: &Path, to: &Path) -> Result<(), Error> {
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

/// The files below a folder that can be seen, sorted.
pub(super) async fn files(folder: &Path, options: WalkOptions) -> Result<Vec<PathBuf>, Error> {
    let mut walk = antiphon_fs::walk(folder, options, CancellationToken::new());
    let mut found = Vec::new();
    while let Some(batch) = walk.next().await {
        for entry in batch {
            match entry {
                Ok(entry) => found.push(entry.path),
                // A link to what is gone, say: whoever loads the data names it.
                Err(err) if err.path() != folder => {}
                Err(err) => return Err(Error::files(err)),
            }
        }
    }
    found.sort();
    Ok(found)
}
