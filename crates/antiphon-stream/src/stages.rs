use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;

use crate::ext::BackpressureExt;

/// A reusable pipeline of adaptors: built once, and run on any number of sources.
///
/// `I` is the type of the source's items and `O` the type of the last stage's results; each stage takes the results of the stage
/// before it. For a single source, the adaptors of [`BackpressureExt`] do the same without boxing. Cloning is cheap.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use antiphon_stream::Stages;
/// use futures_util::{StreamExt, stream};
///
/// let double = Stages::new().map(4, |n: u32| async move { n * 2 });
/// let large = Stages::new().filter(4, |n: &u32| std::future::ready(*n > 5));
/// let stages = double.compose(large).batch(2);
/// let batches: Vec<_> = stages.run(stream::iter(1..=5)).collect().await;
/// assert_eq!(batches, [vec![6, 8], vec![10]]);
/// # }
/// ```
pub struct Stages<I, O> {
    build: Arc<Build<I, O>>,
}

type Build<I, O> = dyn Fn(Staged<I>) -> Staged<O> + Send + Sync;

impl<T: Send + 'static> Stages<T, T> {
    /// Creates a pipeline without stages, which yields the items of its source unchanged.
    #[must_use]
    pub fn new() -> Self {
        Self { build: Arc::new(|source| source) }
    }
}

impl<T: Send + 'static> Default for Stages<T, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Send + 'static, O: Send + 'static> Stages<I, O> {
    /// Adds a stage that calls `f` on each item, as [`map_async`](BackpressureExt::map_async) does: results are in order.
    ///
    /// Each run has at most `limit` calls of this stage in flight; concurrent runs do not share the limit.
    #[must_use]
    pub fn map<F, Fut>(self, limit: usize, f: F) -> Stages<I, Fut::Output>
    where
        F: Fn(O) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Send + 'static> + Send + 'static,
    {
        let f = Arc::new(f);
        self.stage(move |source| {
            let f = f.clone();
            source.map_async(limit, move |item| f(item))
        })
    }

    /// Adds a stage that keeps the items for which `f` resolves to `true`, as [`filter_async`](BackpressureExt::filter_async) does.
    ///
    /// Each run has at most `limit` calls of this stage in flight; concurrent runs do not share the limit.
    #[must_use]
    pub fn filter<F, Fut>(self, limit: usize, f: F) -> Self
    where
        F: Fn(&O) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        let f = Arc::new(f);
        self.stage(move |source| {
            let f = f.clone();
            source.filter_async(limit, move |item| f(item))
        })
    }

    /// Adds a stage that collects items into batches of `size`, as [`batch`](BackpressureExt::batch) does.
    #[must_use]
    pub fn batch(self, size: usize) -> Stages<I, Vec<O>> {
        self.stage(move |source| source.batch(size))
    }

    /// Adds a stage that yields windows of `size` items, each `step` items after the previous, as
    /// [`window`](BackpressureExt::window) does.
    #[must_use]
    pub fn window(self, size: usize, step: usize) -> Stages<I, Vec<O>>
    where
        O: Clone,
    {
        self.stage(move |source| source.window(size, step))
    }

    /// Adds a custom stage: a function that converts one stream into another, called once for each run.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use antiphon_stream::Stages;
    /// use futures_util::{StreamExt, stream};
    ///
    /// let first_two = Stages::new().map(4, |n: u32| async move { n * 2 }).stage(|doubled| doubled.take(2));
    /// assert_eq!(first_two.run(stream::iter(1..)).collect::<Vec<_>>().await, [2, 4]);
    /// # }
    /// ```
    #[must_use]
    pub fn stage<F, S>(self, f: F) -> Stages<I, S::Item>
    where
        F: Fn(Staged<O>) -> S + Send + Sync + 'static,
        S: Stream<Item: Send> + Send + 'static,
    {
        let before = self.build;
        Stages { build: Arc::new(move |source| Staged::new(f(before(source)))) }
    }

    /// Appends the stages of `after` to this pipeline.
    #[must_use]
    pub fn compose<P: Send + 'static>(self, after: Stages<O, P>) -> Stages<I, P> {
        Stages { build: Arc::new(move |source| (after.build)((self.build)(source))) }
    }

    /// Connects a source to the stages and returns the stream of results.
    ///
    /// Lazy, as all streams: nothing is read from the source until the returned stream is polled.
    pub fn run<S>(&self, source: S) -> Staged<O>
    where
        S: Stream<Item = I> + Send + 'static,
    {
        (self.build)(Staged::new(source))
    }
}

impl<I, O> Clone for Stages<I, O> {
    fn clone(&self) -> Self {
        Self { build: self.build.clone() }
    }
}

impl<I, O> fmt::Debug for Stages<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stages").finish_non_exhaustive()
    }
}

/// A boxed stream: the results of [`Stages::run`], and the input of a [custom stage](Stages::stage).
///
/// # Cancel safety
/// Dropping the stream drops the source and the calls in flight of all stages.
#[must_use = "streams do nothing unless polled"]
pub struct Staged<T> {
    stream: BoxStream<'static, T>,
}

impl<T> Staged<T> {
    fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self { stream: Box::pin(stream) }
    }
}

impl<T> Stream for Staged<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.stream.as_mut().poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<T> fmt::Debug for Staged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged").finish_non_exhaustive()
    }
}
