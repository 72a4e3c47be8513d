use serde::{Deserialize, Serialize};

use crate::record::{RunRecord, RunStatus};

/// A filter of runs for [`Store::runs_page`](crate::Store::runs_page).
///
/// The default selects every run that is not a part of another run. A filter can be serialised, for example as the query of an
/// HTTP request.
///
/// ```
/// use antiphon_store::{RunFilter, RunStatus};
/// let stopped_maps = RunFilter::default().kind("map").status(RunStatus::Stopped);
/// assert_eq!(stopped_maps.kind.as_deref(), Some("map"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunFilter {
    /// The kind of the selected runs. Default: every kind. If a kind is set, its runs are selected even if they are parts of
    /// other runs.
    pub kind: Option<String>,
    /// The status of the selected runs. Default: every status.
    pub status: Option<RunStatus>,
    /// Whether runs that are parts of other runs are selected, too. Their kind has a `/`. Default: no.
    pub with_parts: bool,
}

impl RunFilter {
    /// Sets the kind of the selected runs. Default: every kind.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets the status of the selected runs. Default: every status.
    #[must_use]
    pub fn status(mut self, status: RunStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets whether runs that are parts of other runs are selected, too. Default: no.
    #[must_use]
    pub fn with_parts(mut self, with_parts: bool) -> Self {
        self.with_parts = with_parts;
        self
    }

    pub(crate) fn selects(&self, run: &RunRecord) -> bool {
        let kind =
            self.kind.as_ref().map_or(self.with_parts || !run.kind.contains('/'), |kind| *kind == run.kind);
        kind && self.status.is_none_or(|status| status == run.status)
    }
}
