//! The identity of a run over rows: what decides whether a mapping resumes an earlier run or begins another.
//!
//! An identity is a JSON object, and its BLAKE3 digest the run's fingerprint, by which the store finds the run:
//!
//! ```json
//! {"kind": "map/1", "recipe": {"prompt": "…"}, "model": "some-model", "provider": "openai", "base_url": "https://…",
//!   "variant": null, "input": "9f86d081…", "format": null, "limit": null}
//! ```
//!
//! Whatever can change a result is a part of it; limits, order and destination are not, except for `max_rows`, which
//! decides which rows there are. The store keeps the object as a note, `identity/<run>`, so that a later mapping that
//! is not equal can be compared part by part; `input/<run>` has the digest of the input, to resume a run from the store
//! alone.

use antiphon_llm::Scope;
use antiphon_store::{ErrorKind as StoreErrorKind, NewRun, Run, RunStatus, Store};
use serde_json::{Value, json};

use crate::differs::Before;
use crate::error::{Error, ErrorKind};
use crate::input::InputIdentity;
use crate::mapping::{Mapping, Opened};

/// The identity of a run, part by part: a JSON object whose digest is the run's fingerprint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Identity(pub(super) Value);

impl Identity {
    /// Returns the fingerprint, which is the same for the same recipe over the same rows at the same provider. The text
    /// of the object is hashed, so the order of its keys must never change: runs of earlier versions would not be
    /// found.
    pub(super) fn fingerprint(&self) -> String {
        blake3::hash(self.0.to_string().as_bytes()).to_hex().to_string()
    }
}

impl Mapping {
    /// Returns the identity of this mapping over an input at a provider.
    fn identity(&self, scope: &Scope, input: &InputIdentity) -> Identity {
        let (digest, format) = (&input.digest, &input.format);
        // Settings of the provider that change answers. As a digest, since a header may be among them.
        let variant =
            scope.variant.as_deref().map(|variant| blake3::hash(variant.as_bytes()).to_hex().to_string());
        Identity(json!({
            "kind": "map/1", "recipe": self.recipe, "model": self.model, "provider": scope.vendor,
            "base_url": scope.base_url, "variant": variant, "input": digest, "format": format,
            "limit": self.options.limits.max_rows,
        }))
    }

    /// Returns the identity of an opened mapping; `None` where an earlier version did not store the input's digest.
    pub(super) async fn identity_of(
        &self,
        opened: &Opened,
        store: &Store,
    ) -> Result<Option<Identity>, Error> {
        let input = match (&opened.input, &self.resume) {
            (Some(input), _) => Some(input.clone()),
            (None, Some(id)) => {
                // The note has the whole id, and the run may be named by a prefix of it.
                let run = store.read_run(id).await.map_err(Error::store)?;
                let note = store.note(input_name(&run.record().id)).await.map_err(Error::store)?;
                note.map(|note| InputIdentity::of_note(&note))
            }
            (None, None) => None,
        };
        Ok(input.map(|input| self.identity(&opened.scope, &input)))
    }

    /// Returns the run that would be resumed, without joining it: the one that is named, or the newest with the same
    /// identity. `None` for a mapping that starts fresh, and for a run that was cancelled.
    pub(super) async fn earlier(
        &self,
        store: &Store,
        identity: Option<&Identity>,
    ) -> Result<Option<Run>, Error> {
        let earlier = match (&self.resume, identity) {
            (Some(id), _) => store.read_run(id).await.map(Some),
            (None, Some(identity)) if !self.fresh => store.newest(&identity.fingerprint()).await,
            _ => Ok(None),
        };
        let earlier = earlier.map_err(Error::store)?;
        Ok(earlier.filter(|run| run.record().status != RunStatus::Cancelled))
    }

    /// Opens the run, and stores its identity so that it can be resumed.
    ///
    /// # Errors
    /// `Changed` for a run with another identity: the error names what differs. `Place` if the store's folder cannot be
    /// written, `Input` if rows cannot be read for the comparison, otherwise `Store`.
    pub(super) async fn open_run(
        &self,
        store: &Store,
        identity: Option<&Identity>,
        opened: &mut Opened,
    ) -> Result<Run, Error> {
        let run = match &self.resume {
            None => self.open_same(store, identity).await?,
            Some(id) => self.open_by_id(store, id, identity, opened).await?,
        };
        if let Some(input) = &opened.input {
            store.set_note(input_name(&run.record().id), input.note()).await.map_err(Error::store)?;
        }
        if let Some(Identity(parts)) = identity {
            store.set_note(identity_name(&run.record().id), parts.to_string()).await.map_err(Error::store)?;
        }
        Ok(run)
    }

    /// Joins the run with this id, whose identity has to be the same, and queues its failed rows again if that is
    /// requested.
    async fn open_by_id(
        &self,
        store: &Store,
        id: &str,
        identity: Option<&Identity>,
        opened: &mut Opened,
    ) -> Result<Run, Error> {
        let run = store.join_run(id).await.map_err(Error::opening)?;
        if let Some(identity) = identity
            && identity.fingerprint() != run.record().fingerprint
        {
            return Err(self.differs(store, &run, identity, opened).await?);
        }
        if self.retry_failed {
            queue_failed(&run).await?;
        }
        Ok(run)
    }

    /// Opens the newest run of the same identity, or a new one. A run that has not finished gets this mapping's
    /// request.
    async fn open_same(&self, store: &Store, identity: Option<&Identity>) -> Result<Run, Error> {
        let identity = identity.ok_or_else(|| Error::internal("a new run needs an input"))?;
        let new = NewRun::new(identity.fingerprint()).request(&self.kind, &self.request).fresh(self.fresh);
        let run = store.open_run(new).await.map_err(Error::opening)?;
        let record = run.record();
        if record.status != RunStatus::Finished && record.request != self.request {
            // The limits and outputs of the newest start apply.
            run.set_request(self.request.clone()).await.map_err(Error::store)?;
        }
        Ok(run)
    }

    /// Returns an error that names what differs from a run that cannot be resumed. The rows of the input are compared
    /// only if its digest differs or is not known, and are then taken from `opened`.
    async fn differs(
        &self,
        store: &Store,
        run: &Run,
        identity: &Identity,
        opened: &mut Opened,
    ) -> Result<Error, Error> {
        let id = &run.record().id;
        let noted = store.note(identity_name(id)).await.map_err(Error::store)?;
        let input = store.note(input_name(id)).await.map_err(Error::store)?;
        let before = Before::new(&run.record().request, noted.as_deref(), input.as_deref());
        let mut found = before.differences(&identity.0, &self.request);
        if !before.has_input(&identity.0)
            && let Some(rows) = opened.rows.take()
        {
            let max_rows = self.options.limits.max_rows;
            found.extend(before.input_difference(run, rows, max_rows).await?);
        }
        if found.is_empty() {
            found.push(before.unknown());
        }
        let message = format!("cannot resume run {id}: {}", found.join(", "));
        Ok(Error::new(ErrorKind::Changed, message))
    }
}

/// Returns the name of the note with a run's input, which is needed to resume the run from the store alone.
fn input_name(run: &str) -> String {
    format!("input/{run}")
}

/// Returns the name of the note with a run's identity.
fn identity_name(run: &str) -> String {
    format!("identity/{run}")
}

/// Queues the failed rows of a run again, unless another process works on it.
async fn queue_failed(run: &Run) -> Result<(), Error> {
    refuse_beside_others(run).await?;
    run.retry_failed().await.map_err(Error::store)?;
    Ok(())
}

/// Returns an error if another process works on the run: it has written past the failed rows, and would leave out their new
/// results.
async fn refuse_beside_others(run: &Run) -> Result<(), Error> {
    let others = run.heartbeat().await.map_err(Error::store)?.others;
    if others == 0 {
        return Ok(());
    }
    let message =
        "cannot retry the failed rows: another process is working on the run. Try again when it has ended.";
    Err(Error::new(ErrorKind::Store(StoreErrorKind::Busy), message))
}
