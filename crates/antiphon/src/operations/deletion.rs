//! Deletion of stored runs, with their folders.
//!
//! | deleted | kept |
//! |---|---|
//! | the run in the store: request, rows, results, notes, and the answers that it added to the cache | other runs, and the results that they took from those answers |
//! | its folder below the workspace's, with reports, results and personas | files that the request placed elsewhere: results, a site |
//! | the originals of its anonymised names and numbers | the salt of the codes |
//! | distillations of its documents that no other persona run uses | distillations that one uses |
//!
//! A run is deleted from the store first, in one transaction that fails while a worker is at work on it, and then its
//! folder: a process that dies in between leaves a folder without a run, and never a run without its results.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use antiphon_engine::{CurrentStatus, RunInfo};
use antiphon_pipeline::runs::{RunId, remove_replaced};
use antiphon_store::{ErrorKind as StoreErrorKind, Run, RunFilter, RunRecord, Store};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{OperationError, OperationErrorKind};
use super::request::RunRequest;
use super::workspace::Workspace;

/// The kind of persona runs.
const PERSONAS: &str = "personas";
/// The kind of the distillations that persona runs over the same documents share.
const DISTILLATION: &str = "personas/distil";

/// A run that was deleted, with what was deleted with it and what was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeletedRun {
    /// The run's id.
    pub run_id: String,
    /// The ids of its parts that were deleted with it, since no other run uses them: distillations of its documents.
    pub parts: Vec<String>,
    /// The run's folder, which was deleted; `None` if the run had none.
    pub folder: Option<PathBuf>,
    /// The outputs of the run outside its folder, such as a file for results. They are never deleted.
    pub kept: Vec<PathBuf>,
}

/// A run that was to be deleted and was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeptRun {
    /// The run's id.
    pub run_id: String,
    /// The reason, such as a worker that has begun to resume the run.
    pub reason: String,
}

/// The runs that [`Workspace::prune`] deleted, and those that it could not delete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pruned {
    /// The deleted runs, the newest first.
    pub deleted: Vec<DeletedRun>,
    /// The runs that could not be deleted.
    pub kept: Vec<KeptRun>,
}

/// A selection of old runs. Runs at work and parts of other runs are never selected.
///
/// ```
/// use std::time::Duration;
///
/// use antiphon::operations::{CurrentStatus, PruneFilter};
///
/// let month = Duration::from_secs(30 * 24 * 60 * 60);
/// let filter = PruneFilter::new(month).status(CurrentStatus::Finished).keep(10);
/// assert_eq!(serde_json::from_str::<PruneFilter>(&serde_json::to_string(&filter)?)?, filter);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PruneFilter {
    /// The minimum time since the run last ended, or, for a run that never ended, since it began. In JSON: seconds.
    #[serde(rename = "older_than_seconds", with = "seconds")]
    pub older_than: Duration,
    /// The only kind to select: `map`, `personas` or `content`. Default: all kinds.
    #[serde(default)]
    pub kind: Option<String>,
    /// The only status to select. Default: all but `running`.
    #[serde(default)]
    pub status: Option<CurrentStatus>,
    /// The number of the newest runs of this kind and status that are kept, however old they are. Default: 0.
    #[serde(default)]
    pub keep: usize,
}

impl PruneFilter {
    /// Creates a selection of all runs that ended at least this long ago.
    #[must_use]
    pub fn new(older_than: Duration) -> Self {
        Self { older_than, kind: None, status: None, keep: 0 }
    }

    /// Sets the only status to select. Default: all but `running`.
    #[must_use]
    pub fn status(mut self, status: impl Into<Option<CurrentStatus>>) -> Self {
        self.status = status.into();
        self
    }

    /// Sets the number of the newest runs that are kept, however old they are. Default: 0.
    #[must_use]
    pub fn keep(mut self, keep: usize) -> Self {
        self.keep = keep;
        self
    }

    /// Returns whether a run ended, or else began, long enough ago.
    fn is_due(&self, run: &RunRecord, now: Timestamp) -> bool {
        let age = now.as_millisecond().saturating_sub(run.ended_at.unwrap_or(run.created_at));
        u128::try_from(age).is_ok_and(|age| age >= self.older_than.as_millis())
    }
}

impl Workspace {
    /// Deletes a run, named by its id, a prefix of it, or `latest`, from the store, with its folder.
    ///
    /// Rows, results, the answers that the run added to the cache and, for personas, the originals of anonymised names are
    /// deleted with it, and so are distillations of its documents that no other persona run uses. Files that the request
    /// placed outside the run's folder are kept. A deleted run cannot be restored, and an equal request pays for its answers
    /// again.
    ///
    /// # Errors
    /// The errors of [`status`](Self::status); `Conflict` for a run on which a worker is at work, in any process, of which
    /// nothing is deleted; `Failed` if the run was deleted from the store, but its folder could not be removed.
    ///
    /// # Cancel safety
    /// A dropped call may still delete the run. It may leave the folder, which can be removed by hand.
    ///
    /// ```
    /// use antiphon::operations::{OperationErrorKind, RunRequest, Watch, Workspace};
    /// use antiphon::pipeline::PersonaRecipe;
    /// use antiphon::runtime::Environment;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = antiphon::fs::temp_dir()?;
    /// # let (input, out) = (folder.path().join("p1.txt"), folder.path().join("out"));
    /// # antiphon::fs::write(&input, "P1: I want to sleep through the night for once. I hate the noise in this street.\n").await?;
    /// let workspace = Workspace::new(Environment::default(), Vec::new(), out);
    /// let request = RunRequest::personas(input, &PersonaRecipe::parse("recipe.toml", "count = 1")?)?.provider("offline");
    /// let outcome = workspace.start(&request, Watch::default()).await?;
    ///
    /// let deleted = workspace.delete(&outcome.run_id).await?;
    /// assert_eq!(deleted.folder, Some(outcome.folder));
    /// let gone = workspace.status(&outcome.run_id).await.unwrap_err();
    /// assert_eq!(gone.kind(), OperationErrorKind::NotFound);
    /// # workspace.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete(&self, run: &str) -> Result<DeletedRun, OperationError> {
        let store = self.existing().await?;
        let record = store.read_run(run).await?.record().clone();
        let kept = self.outputs_elsewhere(&record).await;
        store.delete(&record.id).await.map_err(|err| self.unwritable(err))?;
        // From here on the run cannot be named again: each step is done, whether or not another one fails.
        let folder = self.delete_files(&record.id).await;
        let parts = unused_parts(store, &record).await;
        let failed = |what: &str, err: OperationError| {
            let message =
                format!("cannot delete {what} of run {}, which is deleted itself: {err}", record.id);
            OperationError::new(OperationErrorKind::Failed, message)
        };
        let folder = folder.map_err(|err| failed("all files", err))?;
        let parts = parts.map_err(|err| failed("all distillations", err))?;
        Ok(DeletedRun { run_id: record.id, parts, folder, kept })
    }

    /// Selects the runs that [`prune`](Self::prune) would delete, the newest first, and deletes nothing.
    ///
    /// # Errors
    /// `NotFound` if the folder has no store.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn prunable(&self, filter: &PruneFilter) -> Result<Vec<RunInfo>, OperationError> {
        let (mut wanted, now) = (RunFilter::default(), Timestamp::now());
        wanted.kind.clone_from(&filter.kind);
        let (mut newest, mut due) = (0, Vec::new());
        for run in self.existing().await?.runs_page(wanted, None, usize::MAX).await? {
            let Some(status) = status_of(&run).await? else { continue };
            if filter.status.is_some_and(|wanted| wanted != status) {
                continue;
            }
            newest += 1;
            let is_idle = status != CurrentStatus::Running;
            if newest > filter.keep && is_idle && filter.is_due(run.record(), now) {
                due.push(RunInfo::of(&run).await?);
            }
        }
        Ok(due)
    }

    /// Deletes old runs as [`delete`](Self::delete) does, the newest first. A run that cannot be deleted is reported in the
    /// result, and does not affect the others.
    ///
    /// # Errors
    /// The errors of [`prunable`](Self::prunable). In each case nothing was deleted.
    ///
    /// # Cancel safety
    /// A dropped call may have deleted some of the runs; the same call again deletes the others.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use antiphon::operations::{OperationError, PruneFilter, Workspace};
    ///
    /// async fn keep_a_week(workspace: &Workspace) -> Result<usize, OperationError> {
    ///     let week = Duration::from_secs(7 * 24 * 60 * 60);
    ///     Ok(workspace.prune(&PruneFilter::new(week)).await?.deleted.len())
    /// }
    /// ```
    pub async fn prune(&self, filter: &PruneFilter) -> Result<Pruned, OperationError> {
        let mut pruned = Pruned::default();
        for RunInfo { run_id, .. } in self.prunable(filter).await? {
            match self.delete(&run_id).await {
                Ok(deleted) => pruned.deleted.push(deleted),
                // Another process has deleted it.
                Err(err) if err.kind() == OperationErrorKind::NotFound => {}
                Err(err) => pruned.kept.push(KeptRun { run_id, reason: err.to_string() }),
            }
        }
        Ok(pruned)
    }

    /// Returns the outputs of a run that exist outside its folder.
    async fn outputs_elsewhere(&self, record: &RunRecord) -> Vec<PathBuf> {
        let Ok(request) = RunRequest::read(&record.request) else { return Vec::new() };
        let own = std::path::absolute(self.folder().join(&record.id)).ok();
        let is_own = |path: &Path| {
            std::path::absolute(path).ok().zip(own.as_ref()).is_some_and(|(path, own)| path.starts_with(own))
        };
        let mut kept = Vec::new();
        for path in request.output.results.iter().chain(&request.output.site) {
            let path = request.place_output(path, self.folder()).await;
            if !is_own(&path) && antiphon_fs::exists(&path).await.is_ok_and(|there| there) {
                kept.push(path);
            }
        }
        kept
    }

    /// Deletes the folder of a run and the originals of its anonymised names. Returns the folder if there was one.
    async fn delete_files(&self, run_id: &str) -> Result<Option<PathBuf>, OperationError> {
        // An id is the name of a folder, and may not lead out of the workspace.
        let Ok(id) = run_id.parse::<RunId>() else { return Ok(None) };
        let folder = self.folder().join(id.to_string());
        // The originals first: they are what must not stay.
        let originals = remove_replaced(self.folder(), id).await;
        let has_folder = antiphon_fs::exists(&folder).await?;
        antiphon_fs::remove_dir(&folder).await?;
        originals?;
        Ok(has_folder.then_some(folder))
    }
}

/// Reads the current status of a run; `None` for one that was deleted meanwhile.
async fn status_of(run: &Run) -> Result<Option<CurrentStatus>, OperationError> {
    match CurrentStatus::of(run).await {
        Ok(status) => Ok(Some(status)),
        Err(err) if err.kind() == StoreErrorKind::NotFound => Ok(None),
        Err(err) => Err(err.into()),
    }
}

/// Deletes the distillations of a deleted persona run's documents that no other persona run uses, and returns their ids.
async fn unused_parts(store: &Store, deleted: &RunRecord) -> Result<Vec<String>, OperationError> {
    let of_kind = async |kind: &str| store.runs_page(RunFilter::default().kind(kind), None, usize::MAX).await;
    let mut parts = Vec::new();
    if deleted.kind != PERSONAS {
        return Ok(parts);
    }
    let (others, candidates) = (of_kind(PERSONAS).await?, of_kind(DISTILLATION).await?);
    let others: Vec<_> = others.iter().map(|run| paths_of(run.record())).collect();
    let own = paths_of(deleted);
    for part in candidates {
        // Runs share a distillation of the same documents, in whatever order they named them.
        let paths = paths_of(part.record());
        let is_used = others.iter().any(|other| paths.is_subset(other));
        if paths.is_empty() || !paths.is_subset(&own) || is_used {
            continue;
        }
        match store.delete(&part.record().id).await {
            Ok(part) => parts.push(part.id),
            // A persona run that has just begun works on it, or another process has deleted it.
            Err(err) if matches!(err.kind(), StoreErrorKind::Conflict | StoreErrorKind::NotFound) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(parts)
}

/// Returns the paths of a stored request, as they were named and below their base, if the run was resumed in another folder.
/// The parts of a path with a comma and a space in it count as several, for all runs alike.
fn paths_of(record: &RunRecord) -> HashSet<PathBuf> {
    let request: Value = serde_json::from_str(&record.request).unwrap_or_default();
    let listed = request["inputs"].as_array().into_iter().flatten();
    let inputs = listed.chain([&request["input"]]).filter_map(Value::as_str);
    let inputs: Vec<&str> = inputs.flat_map(|input| input.split(", ")).collect();
    let base = request["base"].as_str().map(Path::new);
    let below = base.into_iter().flat_map(|base| inputs.iter().map(|input| base.join(input)));
    // Components leave out a slash at the end, and each `.` but the first.
    let normal = |path: PathBuf| path.components().filter(|part| *part != Component::CurDir).collect();
    below.chain(inputs.iter().map(PathBuf::from)).map(normal).collect()
}

/// A duration in JSON, as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the seconds.
    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    /// Reads a finite number of seconds, from 0.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_store::{NewRun, Store};

    use super::{paths_of, unused_parts};

    async fn add(store: &Store, kind: &str, request: &str) {
        let new = NewRun::new(format!("{kind} {request}")).request(kind, request);
        drop(store.open_run(new).await.unwrap());
    }

    /// The parts that the deletion of the newest persona run deletes.
    async fn check(others: &[&str], deleted: &str, part: &str, expected: usize) {
        let store = Store::in_memory();
        add(&store, "personas/distil", part).await;
        for other in others {
            add(&store, "personas", other).await;
        }
        add(&store, "personas", deleted).await;
        let record = store.delete("latest").await.unwrap();
        assert_eq!(
            unused_parts(&store, &record).await.unwrap().len(),
            expected,
            "{others:?} {deleted} {part}"
        );
        assert_eq!(store.runs().await.unwrap().len(), others.len() + 1 - expected);
    }

    #[tokio::test]
    async fn a_distillation_is_deleted_with_the_last_run_over_its_documents() {
        let both = r#"{"inputs": ["a.txt", "b.md"], "base": "/srv/ada"}"#;
        let one = r#"{"inputs": ["a.txt"], "base": "/srv/ada"}"#;
        check(&[], both, r#"{"input": "a.txt, b.md"}"#, 1).await;
        check(&[], both, r#"{"input": "/srv/ada/a.txt, /srv/ada/b.md"}"#, 1).await;
        check(&[one], both, r#"{"input": "a.txt, b.md"}"#, 1).await;
        check(&[one], both, r#"{"input": "a.txt"}"#, 0).await;
        check(&[both], r#"{"input": "a.txt, b.md"}"#, r#"{"input": "a.txt, b.md"}"#, 0).await;
        check(&[], r#"{"input": "in"}"#, r#"{"input": "in"}"#, 1).await;
        let reversed = r#"{"inputs": ["./b.md", "a.txt"], "base": "/srv/ada"}"#;
        check(&[reversed], both, r#"{"input": "a.txt, b.md"}"#, 0).await;
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_read_has_no_inputs_to_share() {
        let store = Store::in_memory();
        add(&store, "personas", "no JSON").await;
        assert!(paths_of(store.read_run("latest").await.unwrap().record()).is_empty());
    }
}
