use std::path::{Path, PathBuf};

use antiphon_data::Replacement;
use serde_json::json;
use uuid::Uuid;

use crate::error::Error;
use crate::pipeline::Prepared;
use crate::runs::RunId;

/// The folder of the salt and the replacements. Its name begins with a dot, so that a later run does not read it as an interview.
const FOLDER: &str = ".anonymised";

/// Returns the salt for hashing PII in the runs below `out`: a person is replaced by the same code in each of them. The first
/// call creates it, as a random UUID in a file that only its owner can read.
///
/// # Errors
/// `Files` if the salt cannot be read, or cannot be written.
///
/// # Cancel safety
/// A dropped call may still write the salt.
pub async fn salt(out: &Path) -> Result<String, Error> {
    if let Some(salt) = stored_salt(out).await? {
        return Ok(salt);
    }
    antiphon_fs::create_dir_below(out, FOLDER).await.map_err(Error::files)?;
    let salt = random_salt();
    antiphon_fs::write_private_below(out, salt_path(Path::new("")), salt.clone())
        .await
        .map_err(Error::files)?;
    Ok(salt)
}

/// Returns the salt of the runs below `out` as [`salt`] does, and where none is stored a random one, which is not stored: for an
/// estimate, which creates no files.
///
/// # Errors
/// `Files` if the salt cannot be read.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn salt_or_random(out: &Path) -> Result<String, Error> {
    Ok(stored_salt(out).await?.unwrap_or_else(random_salt))
}

/// Reads the salt of the runs below `out`; `None` if there is none.
async fn stored_salt(out: &Path) -> Result<Option<String>, Error> {
    match antiphon_fs::read_to_string(salt_path(out)).await {
        Ok(salt) => Ok(Some(salt.text.into_owned())),
        Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(Error::files(err)),
    }
}

/// Returns the file with the salt of the runs below `out`.
fn salt_path(out: &Path) -> PathBuf {
    out.join(FOLDER).join("salt")
}

/// Creates a salt.
fn random_salt() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Writes the PII that was removed from the documents of a persona run: see [`keep_replacements`].
///
/// # Errors
/// `Files` if the file cannot be written.
///
/// # Cancel safety
/// The file is written atomically: after a dropped call it is complete or absent.
pub async fn keep_replaced(out: &Path, prepared: &Prepared) -> Result<(), Error> {
    keep_replacements(out, &prepared.run_id.to_string(), &prepared.replaced).await
}

/// Writes the PII that was removed from the input of a run, with its replacements, to a file that only its owner can read, outside
/// the run's folder. Writes nothing if everything was redacted, since a redaction cannot be reversed.
///
/// # Errors
/// `Files` if the file cannot be written.
///
/// # Cancel safety
/// The file is written atomically: after a dropped call it is complete or absent.
pub async fn keep_replacements(out: &Path, run: &str, replaced: &[Replacement]) -> Result<(), Error> {
    let redacted = |replaced: &Replacement| replaced.substitute.starts_with('[');
    if replaced.iter().all(redacted) {
        return Ok(());
    }
    antiphon_fs::create_dir_below(out, FOLDER).await.map_err(Error::files)?;
    let document = json!({ "schema": "antiphon.replaced/1", "run_id": run, "replaced": replaced });
    let written =
        antiphon_fs::write_private_below(out, replaced_path(Path::new(""), run), format!("{document:#}\n"));
    written.await.map_err(Error::files)
}

/// Removes the file that [`keep_replaced`] wrote for the run with this id; a missing file is no error.
///
/// # Errors
/// `Files` if the file cannot be removed.
///
/// # Cancel safety
/// A dropped call may still remove the file.
pub async fn remove_replaced(out: &Path, run: RunId) -> Result<(), Error> {
    antiphon_fs::remove(replaced_path(out, &run.to_string())).await.map_err(Error::files)
}

/// Returns the file with the replacements of a run.
fn replaced_path(out: &Path, run: &str) -> PathBuf {
    out.join(FOLDER).join(format!("{run}.json"))
}
