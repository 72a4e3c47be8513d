//! The feed: reads the input of a run, and enqueues its rows ahead of the claims.
//!
//! An input may be larger than memory, and a run longer than a process. So rows go into the store in blocks as they are
//! read, at most `MAX_AHEAD` and a block ahead of the claims, and the run is sealed at the end of the input. A process that resumes the run
//! reads the input from its start and skips as many rows as the store has; the identity of the run ensures that they
//! are the same.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use antiphon_data::{Row, Rows};

use crate::failed_rows::note_of;
use crate::shared::Shared;
use crate::status::Counters;
use crate::stop::StopCause;

/// The maximum number of rows that are enqueued ahead of the claims: the backpressure on the input.
const MAX_AHEAD: usize = 32_768;

/// The rows of an open input, for [`Engine::work`](crate::Engine::work). The rows that were already read, to check the recipe
/// against the first, come first.
///
/// ```
/// use antiphon_engine::RowSource;
/// let rows = RowSource::of(vec![r#"{"name": "Ulm"}"#.to_owned()]);
/// assert!(matches!(rows.first(), Some(Ok(row)) if row.contains("Ulm")));
/// ```
#[derive(Debug)]
pub struct RowSource {
    /// The rows that were read and not returned yet.
    first: Vec<Row>,
    /// The rest of the input; `None` for rows in memory.
    rows: Option<Rows>,
}

impl RowSource {
    /// Creates a source from an open input, and reads its first block of rows.
    ///
    /// # Errors
    /// The errors of [`Rows::next`].
    ///
    /// # Cancel safety
    /// A dropped call drops `rows`; open the input again.
    pub async fn begin(mut rows: Rows) -> Result<Self, antiphon_data::Error> {
        let first = rows.next().await?;
        Ok(Self { first, rows: Some(rows) })
    }

    /// Creates a source from rows in memory: texts of JSON objects.
    #[must_use]
    pub fn of(rows: Vec<String>) -> Self {
        Self { first: rows.into_iter().map(Ok).collect(), rows: None }
    }

    /// Returns the encoding of the input, by its WHATWG name; `None` for rows in memory.
    pub(crate) fn encoding(&self) -> Option<&'static str> {
        self.rows.as_ref().map(Rows::encoding)
    }

    /// Returns the first row, if there is any and no row was taken yet. A row that could not be read is an error in its
    /// place.
    #[must_use]
    pub fn first(&self) -> Option<&Row> {
        self.first.first()
    }

    /// Returns the next block of rows; an empty one is the end. Not cancel safe: a dropped call may lose rows that were
    /// read.
    pub(crate) async fn next(&mut self) -> Result<Vec<Row>, antiphon_data::Error> {
        match (self.first.is_empty(), &mut self.rows) {
            (false, _) => Ok(std::mem::take(&mut self.first)),
            (true, Some(rows)) => rows.next().await,
            (true, None) => Ok(Vec::new()),
        }
    }
}

/// Adds the rows of an input to the run, behind those that it already has, and seals the run at the end of the input.
///
/// With `max_rows` the run is sealed there, as if the input had ended. A stop of the run ends the feed, which leaves the run
/// unsealed; a later process continues behind the rows that are in the store. Rows that are being read are dropped then, while
/// those that are being stored are waited for, so that a report after the feed has all of them.
pub(super) async fn feed(shared: Arc<Shared>, mut rows: RowSource) -> Result<(), StopCause> {
    let max_rows = shared.state.options.limits.max_rows.unwrap_or(u64::MAX);
    let (mut first, mut left) = (0, usize::try_from(max_rows).unwrap_or(usize::MAX));
    let halt = shared.state.stop.token().clone();
    while left > 0 {
        let Some(batch) = halt.run_until_cancelled(rows.next()).await else { return Ok(()) };
        let batch = batch.map_err(|err| StopCause::Input(err.to_string()))?;
        if batch.is_empty() {
            break;
        }
        let texts: Vec<String> = batch.into_iter().take(left).map(text_of).collect();
        left -= texts.len();
        first = enqueue(&shared, first, texts).await?;
    }
    shared.run.seal().await.map_err(StopCause::Store)?;
    shared.state.accounts.counters.seal();
    shared.queue.fed.notify_one();
    Ok(())
}

/// Returns the text of a row that is enqueued: a row that cannot be read is replaced by a note, and fails as a job of
/// its own.
fn text_of(row: Row) -> String {
    row.unwrap_or_else(|failure| note_of(&failure))
}

/// Enqueues rows of which the first has the index `first`, and then waits for claims if too many are ahead of them.
/// Returns the index of the next row.
async fn enqueue(shared: &Shared, first: u64, texts: Vec<String>) -> Result<u64, StopCause> {
    let counters = &shared.state.accounts.counters;
    let next = first + texts.len() as u64;
    // Another worker may enqueue the same input, and an earlier process may have enqueued a part of it.
    if next <= Counters::get(&counters.rows) {
        return Ok(next);
    }
    let rows = shared.run.enqueue_from(first, texts).await.map_err(StopCause::Store)?;
    let before = counters.rows.fetch_max(rows, Ordering::Relaxed);
    let count = usize::try_from(rows.saturating_sub(before)).unwrap_or(usize::MAX);
    let ahead = shared.queue.backlog.fetch_add(count, Ordering::Relaxed) + count;
    shared.queue.fed.notify_one();
    if ahead > MAX_AHEAD {
        shared.state.stop.token().run_until_cancelled(shared.queue.taken.notified()).await;
    }
    Ok(next)
}
