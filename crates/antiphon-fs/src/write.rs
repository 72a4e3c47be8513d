use std::io::Write;
use std::path::Path;

use crate::blocking::run_sized;
use crate::error::Error;
use crate::temp::Replacement;

/// Writes a whole file atomically and durably: no reader sees a partial file, and no crash or full disk leaves one.
///
/// The bytes are written to a temporary file in the same folder, flushed to the disk (fsync) and renamed into place. Then the
/// folder is flushed, so that the new name survives a power failure. The folder must exist. A new file keeps the permissions of
/// the file that it replaces. If the path is a symbolic link, the link stays and its target is replaced.
///
/// To write the content piece by piece, use [`Writer::atomic`](crate::Writer::atomic); for secrets, use [`write_private`].
///
/// # Errors
/// `NotFound` for a missing folder, `NotAFile` if the path is a folder, pipe or device, `PermissionDenied`, `StorageFull`,
/// or `Io`. An older file is then intact, unless only the last step failed, the flush of the folder.
///
/// # Cancel safety
/// If the future is dropped, either the whole file is written or the older one stays. No temporary file is left.
pub async fn write<B>(path: impl AsRef<Path>, bytes: B) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    let path = path.as_ref().to_owned();
    let written = run_sized(
        "write",
        &path.clone(),
        |bytes| *bytes,
        move || write_as(Replacement::of(&path)?, &path, bytes.as_ref()),
    )
    .await;
    written.map(|_| ())
}

/// Writes a file like [`write()`], but readable only by its owner (mode 0600 on Unix): for secrets and personal data (PII).
///
/// The permissions of an older file are not kept.
///
/// # Errors
/// Those of [`write()`].
///
/// # Cancel safety
/// As for [`write()`].
pub async fn write_private<B>(path: impl AsRef<Path>, bytes: B) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    let path = path.as_ref().to_owned();
    let written = run_sized(
        "write",
        &path.clone(),
        |bytes| *bytes,
        move || write_as(Replacement::private(&path)?, &path, bytes.as_ref()),
    )
    .await;
    written.map(|_| ())
}

/// Writes the content into its file, and returns its length in bytes.
fn write_as(mut new: Replacement, path: &Path, bytes: &[u8]) -> Result<u64, Error> {
    let written = new.file().write_all(bytes).and_then(|()| new.sync()).and_then(|()| new.rename());
    written.map(|()| bytes.len() as u64).map_err(|err| Error::from_io(err, "write", path))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests inspect their files with std")]
mod tests {
    use super::write;
    use crate::error::ErrorKind;
    use crate::temp::temp_dir;

    #[cfg(unix)]
    #[tokio::test]
    async fn private_file_is_readable_only_by_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = temp_dir().unwrap();
        let path = folder.path().join("map.json");
        write(&path, "old").await.unwrap();
        super::write_private(&path, "new").await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn write_replaces_the_file_and_leaves_no_temporary_file() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("out.json");
        write(&path, "old").await.unwrap();
        write(&path, "new").await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn permissions_and_links_are_kept_and_devices_rejected() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = temp_dir().unwrap();
        let (path, link) = (folder.path().join("secret"), folder.path().join("link"));
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        write(&link, "new").await.unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write("/dev/null", "x").await.unwrap_err().kind(), ErrorKind::NotAFile);
        assert_eq!(write(folder.path().to_owned(), "x").await.unwrap_err().kind(), ErrorKind::NotAFile);
    }

    #[tokio::test]
    async fn missing_folder_is_in_the_error() {
        let folder = temp_dir().unwrap();
        let err = write(folder.path().join("no/out.json"), "x").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotFound);
        assert!(err.to_string().ends_with("no/out.json: no such file or folder"), "{err}");
    }
}
