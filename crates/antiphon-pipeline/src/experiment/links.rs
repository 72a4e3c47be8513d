//! The links in an experiment's data: those that this program created on demand are followed, others are not.
//!
//! An experiment may be a folder that someone else made, with a link to a private file in its data. So each link that
//! [`Experiment::add_data`] creates is recorded with its file number and time, which no copy of the folder has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use antiphon_fs::Links;

use super::folder::Experiment;
use crate::error::Error;

/// The file with the recorded links: the identity of each by its name.
const RECORD: &str = ".links.json";

impl Experiment {
    /// Returns the links of the data that are followed: those inside of it, and those that were added as links.
    ///
    /// # Errors
    /// `Files` if the record of links cannot be read.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn links(&self) -> Result<Links, Error> {
        let mut targets = Vec::new();
        for (name, identity) in self.recorded_links().await? {
            let path = self.data_path().join(name);
            // A link that leads nowhere is reported when the data is loaded.
            if antiphon_fs::link_identity(&path).await.is_ok_and(|found| found.as_ref() == Some(&identity))
                && let Ok(target) = antiphon_fs::canonical(&path).await
            {
                targets.push(target);
            }
        }
        Ok(if targets.is_empty() { Links::Inside } else { Links::To(targets.into()) })
    }

    /// Records the link of this name, which was just created.
    pub(super) async fn record_link(&self, name: &std::ffi::OsStr) -> Result<(), Error> {
        let identity = antiphon_fs::link_identity(self.data_path().join(name)).await.map_err(Error::files)?;
        let mut links = self.recorded_links().await?;
        let (Some(identity), Some(name)) = (identity, name.to_str()) else { return Ok(()) };
        links.insert(PathBuf::from(name), identity);
        let text = serde_json::to_string_pretty(&links).map_err(|err| Error::internal(err.to_string()))?;
        antiphon_fs::write_below(self.root(), RECORD, text + "\n").await.map_err(Error::files)
    }

    /// Reads the recorded links; none from a file that is not valid.
    async fn recorded_links(&self) -> Result<BTreeMap<PathBuf, String>, Error> {
        match antiphon_fs::read_to_string(self.root().join(RECORD)).await {
            Ok(text) => Ok(serde_json::from_str(&text.text).unwrap_or_default()),
            Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(err) => Err(Error::files(err)),
        }
    }
}
