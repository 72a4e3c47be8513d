use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use tempfile::TempDir;

use crate::blocking::hop;
use crate::error::Error;

/// Writes a whole file so that a reader, a crash or a full disk never sees half of it.
///
/// The bytes go to a temporary file in the same folder, are flushed to the disk, and take the name at once; the folder
/// is flushed too, so that the name survives a power cut. The folder must exist.
///
/// # Errors
/// `NotFound` for a missing folder, `PermissionDenied`, `StorageFull`, or `Io`. An older file is then still whole.
///
/// # Cancel safety
/// A dropped call either writes the whole file or leaves the older one; no temporary file stays behind.
pub async fn write_atomic<B>(path: impl AsRef<Path>, bytes: B) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    let path = path.as_ref().to_owned();
    hop("write", &path.clone(), move || {
        write_and_rename(&path, bytes.as_ref()).map_err(|err| Error::from_io(err, "write", path))
    })
    .await
}

/// An empty folder that is removed when it is dropped: for scratch space and tests.
///
/// # Errors
/// What the system answered.
pub fn temp_dir() -> Result<TempDir, Error> {
    tempfile::tempdir().map_err(|err| Error::from_io(err, "create folder in", std::env::temp_dir()))
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn write_and_rename(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temp = builder().tempfile_in(folder)?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|err| err.error)?;
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn builder() -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    // The process's umask narrows this, as for any other file: tempfile's own default hides it from everybody else.
    builder.prefix(".antiphon-").permissions(std::fs::Permissions::from_mode(0o666));
    builder
}

#[cfg(not(unix))]
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".antiphon-");
    builder
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at their files with std")]
mod tests {
    use super::{temp_dir, write_atomic};
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("out.json");
        write_atomic(&path, "old").await.unwrap();
        write_atomic(&path, "new").await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let folder = temp_dir().unwrap();
        let err = write_atomic(folder.path().join("no/out.json"), "x").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotFound);
        assert!(err.to_string().ends_with("no/out.json: no such file or folder"), "{err}");
    }
}
