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
    let folder = out.join(FOLDER);
    let path = folder.join("salt");
    match antiphon_fs::read_to_string(&path).await {
        Ok(salt) => Ok(salt.text.into_owned()),
        Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => {
            antiphon_fs::create_dir(&folder).await.map_err(Error::files)?;
            let salt = Uuid::new_v4().simple().to_string();
            antiphon_fs::write_private(&path, salt.clone()).await.map_err(Error::files)?;
            Ok(salt)
        }
        Err(err) => Err(Error::files(err)),
    }
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
    antiphon_fs::create_dir(out.join(FOLDER)).await.map_err(Error::files)?;
    let document = json!({ "schema": "antiphon.replaced/1", "run_id": run, "replaced": replaced });
    let written = antiphon_fs::write_private(replaced_path(out, run), format!("{document:#}\n"));
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
