use std::path::Path;

use antiphon_data::Replacement;
use serde_json::json;
use uuid::Uuid;

use crate::error::Error;
use crate::pipeline::Prepared;

/// Hidden, so that a later run does not take it for an interview.
const FOLDER: &str = ".anonymised";

/// Returns what codes of runs below `out` are made with: made once, so that the same person has the same code in each run.
///
/// # Errors
/// `Files` where it can neither be read nor written.
///
/// # Cancel safety
/// A dropped call may still write it.
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

/// Keeps what was taken out of the documents where its owner alone can read it, apart from the run; nothing where it
/// cannot be told back.
///
/// # Errors
/// `Files` where it cannot be written.
///
/// # Cancel safety
/// The file is whole or not there.
pub async fn keep_replaced(out: &Path, prepared: &Prepared) -> Result<(), Error> {
    let redacted = |replaced: &Replacement| replaced.substitute.starts_with('[');
    if prepared.replaced.iter().all(redacted) {
        return Ok(());
    }
    let folder = out.join(FOLDER);
    antiphon_fs::create_dir(&folder).await.map_err(Error::files)?;
    let (run, replaced) = (prepared.run_id.to_string(), &prepared.replaced);
    let document = json!({ "schema": "antiphon.replaced/1", "run_id": run, "replaced": replaced });
    let written = antiphon_fs::write_private(folder.join(format!("{run}.json")), format!("{document:#}\n"));
    written.await.map_err(Error::files)
}
