use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_engine::{Estimate, Mapped, Mapping};
use antiphon_pipeline::{Error, ErrorKind};
use antiphon_store::Store;

use crate::runtime::Session;

/// A recipe over rows, and where its runs are kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MapRequest {
    /// What to do.
    pub mapping: Mapping,
    /// The folder of the journal and of all runs.
    pub folder: PathBuf,
}

/// From this wall time on, in milliseconds, it is worth telling where the time of a run went.
pub const WORTH_TELLING: u64 = 5_000;

/// The journal's name in its folder.
pub(super) const JOURNAL: &str = "antiphon.db";

impl MapRequest {
    /// `mapping`, with its runs below `folder`.
    #[must_use]
    pub fn new(mapping: Mapping, folder: impl Into<PathBuf>) -> Self {
        Self { mapping, folder: folder.into() }
    }
}

/// Asks about each row and writes the results; the same request again goes on with what is left.
///
/// # Errors
/// `Config` for a recipe that cannot work, or a budget where the price is not known; `Input` for rows that cannot be
/// read; `Store` for a journal that cannot be used, or a run that another process works on.
///
/// # Cancel safety
/// Hangs up. What was accepted is kept, and calls under way count as possibly billed.
pub async fn map(session: &Session, request: &MapRequest) -> Result<Mapped, Error> {
    let mapping = ready(session, request)?;
    let store = Store::open(request.folder.join(JOURNAL)).await.map_err(Error::store)?;
    let mapped = mapping.run(session.calls.clone(), store.clone(), &request.folder).await;
    close(store).await;
    mapped.map_err(Error::from)
}

/// What a request would take: calls, tokens, money and time. Makes no call.
///
/// # Errors
/// As [`map`], for what can be seen without a call.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn estimate(session: &Session, request: &MapRequest) -> Result<Estimate, Error> {
    let mapping = ready(session, request)?;
    let mut journal = request.folder.join(JOURNAL);
    // Looking leaves nothing behind where there was nothing.
    let mut instead = None;
    if !antiphon_fs::exists(&journal).await.is_ok_and(|there| there) {
        let folder = antiphon_fs::temp_dir().map_err(|err| Error::new(ErrorKind::Files, err.to_string()))?;
        journal = instead.insert(folder).path().join(JOURNAL);
    }
    let store = Store::open(journal).await.map_err(Error::store)?;
    let estimate = mapping.estimate(&session.calls, &store).await;
    close(store).await;
    estimate.map_err(Error::from)
}

/// Waits until the journal is one file again, so that whoever copies it has all of it.
pub(super) async fn close(store: Store) {
    // A task that was given up may hold a handle for longer than anybody wants to wait.
    let _ = tokio::time::timeout(Duration::from_secs(1), store.close()).await;
}

/// The mapping with what the session knows.
fn ready(session: &Session, request: &MapRequest) -> Result<Mapping, Error> {
    let mut mapping = request.mapping.clone();
    may_keep_budget(session, mapping.options.max_cost)?;
    let priced = session.clone();
    mapping.options.pricing = Arc::new(move |tokens| priced.price(tokens));
    mapping.options.retry = session.retry.clone();
    Ok(mapping)
}

pub(super) fn may_keep_budget(session: &Session, max_cost: Option<u64>) -> Result<(), Error> {
    if max_cost.is_none() || session.price(0).is_some() {
        return Ok(());
    }
    let message = format!(
        "a budget cannot be kept, since the price of {} is not known: say it below [prices] in antiphon.toml, or leave \
         --max-cost out",
        session.model
    );
    Err(Error::new(ErrorKind::Config, message))
}
