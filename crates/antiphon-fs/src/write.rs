use std::io::{self, Write};
use std::path::Path;

use crate::blocking::hop;
use crate::error::Error;
use crate::temp::{beside, persist};

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
pub async fn write<B>(path: impl AsRef<Path>, bytes: B) -> Result<(), Error>
where
    B: AsRef<[u8]> + Send + 'static,
{
    let path = path.as_ref().to_owned();
    hop("write", &path.clone(), move || {
        write_and_rename(&path, bytes.as_ref()).map_err(|err| Error::from_io(err, "write", path))
    })
    .await
}

fn write_and_rename(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temp = beside(path)?;
    temp.write_all(bytes)?;
    persist(temp, path)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at their files with std")]
mod tests {
    use super::write;
    use crate::error::ErrorKind;
    use crate::temp::temp_dir;

    #[tokio::test]
    async fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = temp_dir().unwrap();
        let path = folder.path().join("out.json");
        write(&path, "old").await.unwrap();
        write(&path, "new").await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let folder = temp_dir().unwrap();
        let err = write(folder.path().join("no/out.json"), "x").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotFound);
        assert!(err.to_string().ends_with("no/out.json: no such file or folder"), "{err}");
    }
}
