use std::path::Path;

use crate::blocking::hop;
use crate::error::Error;
use crate::temp::{folder_of, sync_folder};

/// Gives a file another name on the same disk, in place of whatever file has it, and flushes that to the disk: a reader
/// or a crash finds the one or the other.
///
/// # Errors
/// `NotFound` if there is no such file or folder, else what the system answered.
///
/// # Cancel safety
/// A dropped call may or may not have renamed it.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), Error> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    hop("rename", &from.clone(), move || {
        rename_and_sync(&from, &to).map_err(|err| Error::from_io(err, "rename", from))
    })
    .await
}

/// Removes a file; that there is none is no error.
///
/// # Errors
/// What the system answered.
///
/// # Cancel safety
/// A dropped call may or may not have removed it.
pub async fn remove(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref().to_owned();
    hop("remove", &path.clone(), move || match remove_file(&path) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(Error::from_io(err, "remove", path)),
        _ => Ok(()),
    })
    .await
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn rename_and_sync(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    sync_folder(folder_of(to))
}

#[expect(clippy::disallowed_methods, reason = "runs on a blocking thread")]
fn remove_file(path: &Path) -> std::io::Result<()> {
    std::fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::{remove, rename};
    use crate::{ErrorKind, exists, read, temp_dir, write};

    #[tokio::test]
    async fn a_name_changes_hands_and_goes() {
        let folder = temp_dir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        write(&one, "1").await.unwrap();
        write(&other, "2").await.unwrap();
        rename(&one, &other).await.unwrap();
        assert_eq!(read(&other).await.unwrap(), b"1");
        assert_eq!(rename(&one, &other).await.unwrap_err().kind(), ErrorKind::NotFound);
        remove(&other).await.unwrap();
        remove(&other).await.unwrap();
        assert!(!exists(&other).await.unwrap());
        let err = remove(folder.path()).await.unwrap_err();
        assert!(err.to_string().starts_with("remove "), "a folder is no file: {err}");
    }
}
