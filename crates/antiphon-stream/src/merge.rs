use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::slots::Slots;

/// Merges `streams` into one stream that yields each item as soon as it is ready.
///
/// The merge is fair: a stream that is always ready does not starve the others, since ready streams take turns. A stream is
/// polled only after it was woken, so idle streams cost nothing. An error is an ordinary item. The merged stream ends when all
/// `streams` have ended.
///
/// The streams need the same type: box streams of different types. For two streams, `select` of the futures crate is enough;
/// this function is efficient for hundreds.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use antiphon_stream::merge;
/// use futures_util::{StreamExt, stream};
///
/// let merged = merge([stream::iter([1, 2, 3]), stream::iter([10, 20, 30])]);
/// assert_eq!(merged.collect::<Vec<_>>().await, [1, 10, 2, 20, 3, 30]);
/// # }
/// ```
///
/// # Cancel safety
/// Dropping the merged stream drops all `streams`. No item is lost: each item is yielded as soon as it is taken.
pub fn merge<I>(streams: I) -> Merge<I::Item>
where
    I: IntoIterator<Item: Stream>,
{
    let mut slots = Slots::new();
    let ready: VecDeque<_> = streams.into_iter().map(|stream| slots.insert(stream)).collect();
    Merge { slots, is_ready: vec![true; ready.len()], ready, woken: VecDeque::new(), turns: 0 }
}

/// The stream returned by [`merge`].
#[must_use = "streams do nothing unless polled"]
pub struct Merge<S> {
    slots: Slots<S>,
    /// Streams that may have an item; the front is polled next.
    ready: VecDeque<usize>,
    /// Whether a stream is in `ready`: a stream that had an item may have been woken as well.
    is_ready: Vec<bool>,
    woken: VecDeque<usize>,
    /// Polls left before the woken streams are looked up again, which takes a lock.
    turns: usize,
}

impl<S: Stream> Stream for Merge<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = &mut *self;
        let mut rounds = 0;
        loop {
            if this.turns == 0 {
                this.slots.take_woken(&mut this.woken, cx);
                for key in this.woken.drain(..) {
                    if !std::mem::replace(&mut this.is_ready[key], true) {
                        this.ready.push_back(key);
                    }
                }
                this.turns = this.ready.len();
                rounds += 1;
                // A stream that wakes itself while it is polled must not keep other tasks from the thread.
                if rounds > 2 && this.turns > 0 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            let Some(key) = this.ready.pop_front() else { break };
            this.turns -= 1;
            this.is_ready[key] = false;
            let Some((stream, mut cx)) = this.slots.get(key) else { continue };
            match stream.poll_next(&mut cx) {
                Poll::Ready(Some(item)) => {
                    this.ready.push_back(key);
                    this.is_ready[key] = true;
                    return Poll::Ready(Some(item));
                }
                Poll::Ready(None) => this.slots.remove(key),
                Poll::Pending => {}
            }
        }
        if this.slots.len() == 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<S> Unpin for Merge<S> {}

impl<S> fmt::Debug for Merge<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("streams", &self.slots.len()).finish_non_exhaustive()
    }
}
