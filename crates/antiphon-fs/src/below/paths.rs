//! The steps from a folder down by paths, where the system has no others: links are checked before, and not at the same time.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Access;
use crate::error::Error;
use crate::temp::Replacement;

/// A link in the way.
#[derive(Debug)]
struct Link;

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a link is in the way")
    }
}

impl std::error::Error for Link {}

/// Returns whether an error of a step means that a link is in the way.
pub(super) fn is_link(err: &io::Error) -> bool {
    err.get_ref().is_some_and(|err| err.is::<Link>())
}

pub(super) fn open(root: &Path, names: &[&OsStr]) -> io::Result<File> {
    let path = way(root, names)?;
    crate::read::open_regular(&path).map(|(file, _)| file).map_err(Error::into_io)
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
pub(super) fn create(root: &Path, names: &[&OsStr]) -> io::Result<()> {
    std::fs::create_dir_all(way(root, names)?)
}

pub(super) fn write(root: &Path, names: &[&OsStr], bytes: &[u8], access: Access) -> io::Result<()> {
    let Some((_, folders)) = names.split_last() else { return Err(io::ErrorKind::InvalidInput.into()) };
    create(root, folders)?;
    let path = way(root, names)?;
    let new = match access {
        Access::Usual => Replacement::in_place(&path),
        Access::Private => Replacement::private(&path),
    };
    let mut new = new.map_err(Error::into_io)?;
    new.file().write_all(bytes)?;
    new.sync()?;
    new.rename()
}

/// Returns the path of these names, none of which is a link.
#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn way(root: &Path, names: &[&OsStr]) -> io::Result<PathBuf> {
    let mut path = root.to_owned();
    for name in names {
        path.push(name);
        if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Err(io::Error::other(Link));
        }
    }
    Ok(path)
}

#[cfg(all(test, unix))]
#[expect(clippy::disallowed_methods, reason = "tests prepare their files with std")]
mod tests {
    use std::ffi::OsStr;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Access, create, is_link, open, write};
    use crate::error::{Error, ErrorKind};

    /// Returns the kind of the error that a caller gets.
    fn kind<T>(done: std::io::Result<T>) -> Result<(), ErrorKind> {
        done.map(drop).map_err(|err| Error::from_io(err, "read", Path::new("a")).kind())
    }

    #[test]
    fn files_are_written_and_read_and_errors_keep_their_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let (root, names) = (folder.path(), ["run", "a.txt"].map(OsStr::new));
        write(root, &names, b"old", Access::Private).unwrap();
        write(root, &names, b"new", Access::Usual).unwrap();
        let mut text = String::new();
        open(root, &names).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "new");
        assert_eq!(kind(open(root, &names[..1])), Err(ErrorKind::NotAFile));
        assert_eq!(kind(write(root, &names[..1], b"", Access::Usual)), Err(ErrorKind::NotAFile));
        assert_eq!(kind(open(root, &names[1..])), Err(ErrorKind::NotFound));
        let below_a_file = ["run", "a.txt", "b"].map(OsStr::new);
        for made in [create(root, &below_a_file), write(root, &below_a_file, b"", Access::Usual)] {
            assert!(!is_link(&made.unwrap_err()), "a file is no link");
        }
    }

    #[test]
    fn a_link_in_the_way_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let (root, names) = (folder.path(), ["run", "a.txt"].map(OsStr::new));
        std::fs::create_dir(root.join("home")).unwrap();
        symlink(root.join("home"), root.join("run")).unwrap();
        assert!(is_link(&create(root, &names[..1]).unwrap_err()));
        assert!(is_link(&write(root, &names, b"", Access::Usual).unwrap_err()));
        assert!(is_link(&open(root, &names).unwrap_err()));
        assert_eq!(std::fs::read_dir(root.join("home")).unwrap().count(), 0);
    }
}
