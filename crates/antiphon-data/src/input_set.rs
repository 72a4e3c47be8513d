//! Loading of several files and folders as one set of documents.
//!
//! The set does not depend on the order of its paths, nor on the way in which they are written: a file that two of them
//! reach is loaded once, and documents are sorted by name. Names are those of each path alone, as long as no two are
//! equal; else all of them begin at the folder that the paths have in common, in which they are unique.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_fs::ReadBelow;

use crate::error::{Error, Failure, FailureKind};
use crate::listing::Listing;
use crate::loader::{Loaded, Loader, Naming, Skipped, name_of, nothing_loaded};

impl Loader {
    /// Loads the documents of several files and folders as one set. One path is loaded as by
    /// [`load_path`](Self::load_path).
    ///
    /// The order of `paths` does not matter: documents are sorted by name, and a file that is reached by two paths is
    /// loaded once. A name is relative to its own path; if two files would have the same name, all names are relative to
    /// the folder that the paths have in common. A folder without a document is a [`Failure`].
    ///
    /// # Errors
    /// The errors of [`load_path`](Self::load_path): `NotFound` if any of the paths does not exist, `Empty` and
    /// `NothingReadable` if none of them has a document.
    ///
    /// # Cancel safety
    /// The same as for [`load_path`](Self::load_path).
    ///
    /// ```
    /// use antiphon_data::Loader;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), antiphon_data::Error> {
    /// # let folder = antiphon_fs::temp_dir().unwrap();
    /// # let at = |name: &str| folder.path().join(name);
    /// # antiphon_fs::create_dir(at("may")).await.unwrap();
    /// # antiphon_fs::write(at("may/p1.txt"), "P1: I bake.\n").await.unwrap();
    /// # antiphon_fs::write(at("p2.txt"), "P2: I sell.\n").await.unwrap();
    /// let loaded = Loader::new().load_paths(&[at("p2.txt"), at("may")]).await?;
    /// let names: Vec<_> = loaded.documents.iter().map(|document| document.name.as_str()).collect();
    /// assert_eq!(names, ["p1.txt", "p2.txt"]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn load_paths(&self, paths: &[PathBuf]) -> Result<Loaded, Error> {
        if let [path] = paths {
            return self.load_path(path).await;
        }
        let mut set = InputSet::default();
        for path in paths {
            self.add_path(&mut set, path).await?;
        }
        let names = set.names();
        let (files, mut loaded) = set.into_loaded(&names);
        self.read(Naming::Table(Arc::new(names.of_paths)), files, &mut loaded).await?;
        loaded.documents.sort_by(|one, other| one.name.cmp(&other.name));
        if loaded.documents.is_empty() { Err(nothing_loaded(&shown(paths), loaded)) } else { Ok(loaded) }
    }

    /// Adds a file, or the files of a folder, to a set.
    async fn add_path(&self, set: &mut InputSet, path: &Path) -> Result<(), Error> {
        let found = antiphon_fs::metadata(path).await.map_err(Error::from_fs)?;
        let (root, mut listing) = if found.is_dir {
            (path, self.list(path).await?)
        } else {
            let folder = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
            (folder, Listing::of_file(path))
        };
        if listing.files.is_empty() && listing.failures.is_empty() {
            let place = path.display().to_string();
            set.empty.push(Failure::new(&place, FailureKind::Empty, "no document in this folder"));
        }
        let place = antiphon_fs::canonical(root).await.map_err(Error::from_fs)?;
        if found.is_dir {
            set.add(root, place, listing);
            return Ok(());
        }
        let file = antiphon_fs::canonical(path).await.map_err(Error::from_fs)?;
        listing.targets.insert(path.to_owned(), file);
        set.add(path.parent().unwrap_or(path), place, listing);
        Ok(())
    }
}

/// The files of several paths, by their places: the same file has the same place, by whichever path it was found.
#[derive(Default)]
struct InputSet {
    /// The folders of the paths, with links resolved.
    roots: Vec<PathBuf>,
    /// The files by their paths with all links resolved.
    files: BTreeMap<PathBuf, Found>,
    failures: BTreeMap<PathBuf, Failure>,
    /// The names of files of other types.
    skipped: BTreeMap<PathBuf, String>,
    /// The folders without a document.
    empty: Vec<Failure>,
}

/// A file of a set.
struct Found {
    /// The path by which it is read, and the folder that it has to be in.
    from: ReadBelow,
    /// The same path, with the links of its root resolved.
    place: PathBuf,
    /// The name relative to the path of the set by which it was found.
    name: String,
}

/// The names of a set's files.
struct Names {
    /// The folder to which names are relative; `None` if each is relative to its own path.
    common: Option<PathBuf>,
    of_paths: HashMap<PathBuf, String>,
}

impl InputSet {
    /// Adds the files below a root, whose place is the same folder with links resolved.
    fn add(&mut self, root: &Path, place: PathBuf, listing: Listing) {
        for from in listing.files {
            let name = name_of(root, &from.path);
            let at = place.join(&name);
            let target = listing.targets.get(&from.path).map(|target| match target.strip_prefix(root) {
                Ok(below) if from.root.is_some() => place.join(below),
                _ => target.clone(),
            });
            let file = target.unwrap_or_else(|| at.clone());
            self.files.entry(file).or_insert(Found { from, place: at, name });
        }
        for failure in listing.failures {
            self.failures.entry(place.join(&failure.document)).or_insert(failure);
        }
        for Skipped { file } in listing.skipped {
            self.skipped.entry(place.join(&file)).or_insert(file);
        }
        self.roots.push(place);
    }

    /// Returns the names of all files: relative to their own paths if no two are equal, else to the common folder.
    fn names(&self) -> Names {
        let mut seen = HashSet::new();
        let are_unique = self.files.values().all(|found| seen.insert(&found.name));
        let common = (!are_unique).then(|| common(&self.roots));
        let name = |found: &Found| {
            let name =
                common.as_ref().map_or_else(|| found.name.clone(), |common| name_of(common, &found.place));
            (found.from.path.clone(), name)
        };
        Names { of_paths: self.files.values().map(name).collect(), common }
    }

    /// Returns the paths to read, and the result with the failures and the skipped files so far.
    fn into_loaded(self, names: &Names) -> (Vec<ReadBelow>, Loaded) {
        let name = |place: &Path, short: String| {
            names.common.as_ref().map_or(short, |common| name_of(common, place))
        };
        let failures = self.failures.into_iter().map(|(place, failure)| {
            let document = name(&place, failure.document.clone());
            Failure { document, ..failure }
        });
        let skipped = self.skipped.into_iter().map(|(place, file)| Skipped { file: name(&place, file) });
        let loaded = Loaded {
            failures: self.empty.into_iter().chain(failures).collect(),
            skipped: skipped.collect(),
            ..Loaded::default()
        };
        (self.files.into_values().map(|found| found.from).collect(), loaded)
    }
}

/// Returns the deepest folder that contains all of these.
fn common(folders: &[PathBuf]) -> PathBuf {
    let first = folders.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
    let has_all = |folder: &&Path| folders.iter().all(|other| other.starts_with(folder));
    first.ancestors().find(has_all).unwrap_or(Path::new("")).to_owned()
}

/// Returns the paths for a message.
fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Loaded, Loader};
    use crate::error::ErrorKind;

    struct Lab(antiphon_fs::TempDir);

    impl Lab {
        async fn new(files: &[&str]) -> Self {
            let lab = Self(antiphon_fs::temp_dir().unwrap());
            for name in files {
                let path = lab.0.path().join(name);
                antiphon_fs::create_dir(path.parent().unwrap()).await.unwrap();
                antiphon_fs::write(path, format!("P1: I said {name}.\n")).await.unwrap();
            }
            lab
        }

        fn paths(&self, names: &[&str]) -> Vec<PathBuf> {
            names.iter().map(|name| self.0.path().join(name)).collect()
        }

        async fn load(&self, names: &[&str]) -> Loaded {
            Loader::new().load_paths(&self.paths(names)).await.unwrap()
        }
    }

    #[track_caller]
    fn check(loaded: &Loaded, expected: &[&str]) {
        let names: Vec<_> = loaded.documents.iter().map(|document| document.name.as_str()).collect();
        assert_eq!(names, expected);
    }

    #[tokio::test]
    async fn the_order_of_the_paths_does_not_matter_and_no_file_is_loaded_twice() {
        let lab = Lab::new(&["a.txt", "b.md", "more/c.txt", "more/sub/d.txt"]).await;
        for names in [
            &["a.txt", "b.md", "more"][..],
            &["more", "b.md", "a.txt"],
            &["more/sub", "a.txt", "more", "b.md", "more/../a.txt"],
        ] {
            let loaded = lab.load(names).await;
            assert_eq!((loaded.documents.len(), loaded.failures.len()), (4, 0), "{names:?}");
        }
        check(&lab.load(&["more", "b.md", "a.txt"]).await, &["a.txt", "b.md", "c.txt", "sub/d.txt"]);
    }

    #[tokio::test]
    async fn equal_names_begin_at_the_common_folder() {
        let lab = Lab::new(&["may/p1.txt", "may/p2.txt", "june/p1.txt", "june/odd.bin"]).await;
        let loaded = lab.load(&["may", "june"]).await;
        check(&loaded, &["june/p1.txt", "may/p1.txt", "may/p2.txt"]);
        assert_eq!(loaded.skipped[0].file, "june/odd.bin");
        check(&lab.load(&["june/p1.txt", "may/p1.txt"]).await, &["june/p1.txt", "may/p1.txt"]);
        check(&lab.load(&["june/p1.txt", "may/p2.txt"]).await, &["p1.txt", "p2.txt"]);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_named_and_a_path_that_is_missing_is_an_error() {
        let lab = Lab::new(&["a.txt", "bad.json"]).await;
        antiphon_fs::create_dir(lab.0.path().join("empty")).await.unwrap();
        let loaded = lab.load(&["bad.json", "a.txt", "empty"]).await;
        check(&loaded, &["a.txt"]);
        let failed: Vec<_> = loaded.failures.iter().map(ToString::to_string).collect();
        assert!(failed[0].ends_with("empty: no document in this folder"), "{failed:?}");
        assert!(failed[1].starts_with("bad.json:1: not valid JSON"), "{failed:?}");
        let missing = Loader::new().load_paths(&lab.paths(&["a.txt", "none"])).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let nothing = Loader::new().load_paths(&lab.paths(&["bad.json", "empty"])).await.unwrap_err();
        assert_eq!((nothing.kind(), nothing.failures().len()), (ErrorKind::NothingReadable, 2));
    }
}
