use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The symbolic links that a [`walk`](crate::walk()) or a read below a root follows.
///
/// A folder of inputs may come from someone else, and a link in it may lead to a private key. So by default no link opens what the
/// folder does not have. Hard links are files like any other, and mount points folders like any other: both are
/// read.
///
/// ```
/// use antiphon_fs::{Links, WalkOptions};
/// assert_eq!(WalkOptions::default().links, Links::Inside);
/// let all = WalkOptions::default().links(Links::All);
/// # assert_eq!(all.links, Links::All);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Links {
    /// Links to files and folders below the root that are not hidden. Any other link is a `LinkNotFollowed` error.
    #[default]
    Inside,
    /// Also links to these files and folders, and to anything below them. The paths are absolute and without links, as returned by
    /// [`canonical`](crate::canonical).
    To(Arc<[PathBuf]>),
    /// All links but those to a folder that contains the root.
    All,
}

impl Links {
    /// Returns the part of a link's target below the folder that allows it, with that folder; `None` if the link is not followed.
    /// Both paths are without links.
    pub(crate) fn allow<'p>(
        &'p self,
        root: &'p Path,
        target: &'p Path,
        hidden: bool,
    ) -> Option<(&'p Path, &'p Path)> {
        if root.starts_with(target) && root != target {
            return None;
        }
        if let Ok(below) = target.strip_prefix(root)
            && (hidden || *self == Self::All || !has_hidden(below))
        {
            return Some((root, below));
        }
        match self {
            Self::Inside => None,
            Self::To(places) => {
                places.iter().find_map(|place| Some((place.as_path(), target.strip_prefix(place).ok()?)))
            }
            Self::All => Some((target, Path::new(""))),
        }
    }
}

/// Returns whether a file or folder on the way is hidden: its name begins with a dot.
pub(crate) fn has_hidden(below: &Path) -> bool {
    below.components().any(|part| is_hidden(part.as_os_str()))
}

/// Returns whether a name begins with a dot.
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Returns the names on the way from a folder down to a file; `None` for a path that leaves the folder, or is empty.
pub(crate) fn names(below: &Path) -> Option<Vec<&OsStr>> {
    let name = |part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    below.components().map(name).collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Links, names};

    #[track_caller]
    fn check(links: &Links, target: &str, expected: Option<(&str, &str)>) {
        let allowed = links.allow(Path::new("/in"), Path::new(target), false);
        assert_eq!(allowed, expected.map(|(base, below)| (Path::new(base), Path::new(below))), "{target}");
    }

    #[test]
    fn links_lead_only_where_they_may() {
        let to = Links::To([PathBuf::from("/data"), PathBuf::from("/x/a.txt")].into());
        for (target, inside, listed, all) in [
            ("/in/a", Some(("/in", "a")), Some(("/in", "a")), Some(("/in", "a"))),
            ("/in", Some(("/in", "")), Some(("/in", "")), Some(("/in", ""))),
            ("/in/.env", None, None, Some(("/in", ".env"))),
            ("/in/.git/a", None, None, Some(("/in", ".git/a"))),
            ("/inside", None, None, Some(("/inside", ""))),
            ("/data/b", None, Some(("/data", "b")), Some(("/data/b", ""))),
            ("/x/a.txt", None, Some(("/x/a.txt", "")), Some(("/x/a.txt", ""))),
            ("/x/b.txt", None, None, Some(("/x/b.txt", ""))),
            ("/", None, None, None),
        ] {
            check(&Links::Inside, target, inside);
            check(&to, target, listed);
            check(&Links::All, target, all);
        }
    }

    #[test]
    fn only_plain_names_lead_down() {
        assert_eq!(names(Path::new("a/b")).map(|names| names.len()), Some(2));
        for path in ["", "..", "a/../b", "/a"] {
            assert_eq!(names(Path::new(path)), None, "{path}");
        }
    }
}
