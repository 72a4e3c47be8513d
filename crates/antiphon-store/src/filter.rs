use serde::{Deserialize, Serialize};

use crate::record::{RunRecord, RunStatus};

/// A selection of runs for [`Store::runs_page`](crate::Store::runs_page): serde data, so that a query can carry it. The
/// default selects every run except the parts of others.
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
    /// The one kind to select. Default: every kind. A kind that is named is selected even where it is a part of other runs.
    pub kind: Option<String>,
    /// The one status to select. Default: every status.
    pub status: Option<RunStatus>,
    /// Whether runs that are parts of other runs, with a `/` in their kind, are selected too. Default: no.
    pub with_parts: bool,
}

impl RunFilter {
    /// Sets the one kind to select.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets the one status to select.
    #[must_use]
    pub fn status(mut self, status: RunStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets whether parts of other runs are selected too.
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
