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
#[derive(Debug)]
pub struct RowSource {
    first: Vec<Row>,
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

    /// Returns the first row, if there is any.
    #[must_use]
    pub fn first(&self) -> Option<&Row> {
        self.first.first()
    }

    pub(crate) async fn next(&mut self) -> Result<Vec<Row>, antiphon_data::Error> {
        match (self.first.is_empty(), &mut self.rows) {
            (false, _) => Ok(std::mem::take(&mut self.first)),
            (true, Some(rows)) => rows.next().await,
            (true, None) => Ok(Vec::new()),
        }
    }
}

/// Adds the rows of an input to the run, behind those that it already has, and seals the run at the end of the input.
pub(super) async fn feed(shared: Arc<Shared>, mut rows: RowSource) -> Result<(), StopCause> {
    let input = |err: antiphon_data::Error| StopCause::Input(err.to_string());
    let counters = &shared.state.accounts.counters;
    let mut first = 0;
    let mut left =
        usize::try_from(shared.state.options.limits.max_rows.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    while left > 0 {
        let batch = rows.next().await.map_err(input)?;
        if batch.is_empty() {
            break;
        }
        let rows = batch.into_iter().take(left);
        let texts: Vec<String> = rows.map(|row| row.unwrap_or_else(|err| note_of(&err))).collect();
        left -= texts.len();
        let next = first + texts.len() as u64;
        // Another worker may enqueue the same input, and an earlier process may have enqueued a part of it.
        if next <= Counters::get(&counters.rows) {
            first = next;
            continue;
        }
        let rows = shared.run.enqueue_from(first, texts).await.map_err(StopCause::Store)?;
        first = next;
        let before = counters.rows.fetch_max(rows, Ordering::Relaxed);
        let count = usize::try_from(rows.saturating_sub(before)).unwrap_or(usize::MAX);
        let ahead = shared.queue.backlog.fetch_add(count, Ordering::Relaxed) + count;
        shared.queue.fed.notify_one();
        if ahead > MAX_AHEAD {
            shared.queue.taken.notified().await;
        }
    }
    shared.run.seal().await.map_err(StopCause::Store)?;
    counters.seal();
    shared.queue.fed.notify_one();
    Ok(())
}
