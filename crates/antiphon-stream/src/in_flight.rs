use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Poll};

use tracing::Span;

use crate::slots::Slots;

/// Futures in flight, and their results that were not yet taken, in the order in which the futures began or ended.
pub(crate) struct InFlight<F: Future> {
    running: Slots<F>,
    woken: VecDeque<usize>,
    /// For each slot, the position of its future's result.
    turns: Vec<u64>,
    results: VecDeque<Option<F::Output>>,
    first: u64,
    is_ordered: bool,
    /// The span of the stage, in which its source and its futures are polled.
    span: Span,
}

impl<F: Future> InFlight<F> {
    /// Creates a set that returns results in the order in which their futures began.
    pub(crate) fn ordered(span: Span) -> Self {
        Self {
            running: Slots::new(),
            woken: VecDeque::new(),
            turns: Vec::new(),
            results: VecDeque::new(),
            first: 0,
            is_ordered: true,
            span,
        }
    }

    /// Creates a set that returns results in the order in which their futures ended.
    pub(crate) fn unordered(span: Span) -> Self {
        Self { is_ordered: false, ..Self::ordered(span) }
    }

    /// Returns the number of futures in flight and of results not yet taken.
    pub(crate) fn len(&self) -> usize {
        if self.is_ordered { self.results.len() } else { self.running.len() + self.results.len() }
    }

    /// Returns the next result, and starts futures from `next` until `limit` is reached.
    ///
    /// The slot of a returned result is refilled at once, so that the limit stays in use while the caller works on the
    /// result: two stages of a pipeline then really overlap.
    pub(crate) fn poll_next(
        &mut self,
        limit: usize,
        cx: &mut Context<'_>,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<F>>,
    ) -> Poll<Option<F::Output>> {
        let _entered = self.span.clone().entered();
        self.poll_woken(cx);
        let early = self.result();
        let mut source_ended = false;
        while self.len() < limit {
            match next(cx) {
                Poll::Ready(Some(future)) => self.start(future),
                Poll::Ready(None) => {
                    source_ended = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        match early.or_else(|| self.result()) {
            None if self.len() == 0 && source_ended => Poll::Ready(None),
            None => Poll::Pending,
            some => Poll::Ready(some),
        }
    }

    /// Starts a future and polls it once.
    fn start(&mut self, future: F) {
        let turn = self.first + self.results.len() as u64;
        if self.is_ordered {
            self.results.push_back(None);
        }
        let key = self.running.insert(future);
        if key == self.turns.len() {
            self.turns.push(turn);
        } else {
            self.turns[key] = turn;
        }
        self.poll_one(key);
    }

    /// Polls the futures that were woken. Must run before a future is started in the same poll, since it registers the waker.
    fn poll_woken(&mut self, cx: &Context<'_>) {
        // A future that is woken meanwhile waits for the next poll, so that one that wakes itself does not delay the others.
        self.running.take_woken(&mut self.woken, cx);
        while let Some(key) = self.woken.pop_front() {
            self.poll_one(key);
        }
    }

    fn result(&mut self) -> Option<F::Output> {
        let result = self.results.front_mut()?.take()?;
        self.results.pop_front();
        self.first += 1;
        Some(result)
    }

    fn poll_one(&mut self, key: usize) {
        // A stale waker may wake a slot that is empty by now.
        let Some((future, mut cx)) = self.running.get(key) else { return };
        let Poll::Ready(output) = future.poll(&mut cx) else { return };
        self.running.remove(key);
        if !self.is_ordered {
            self.results.push_back(Some(output));
        } else if let Ok(at) = usize::try_from(self.turns[key] - self.first) {
            self.results[at] = Some(output);
        }
    }
}

impl<F: Future> fmt::Debug for InFlight<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("len", &self.len()).finish_non_exhaustive()
    }
}
