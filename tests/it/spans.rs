use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::{Debug, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon::fs::{self, ReadOptions, WalkOptions, Writer, copy, read_many, walk};
use antiphon::resilience::CircuitBreaker;
use antiphon::runtime::{Pool, Runner, background};
use antiphon::stream::BackpressureExt as _;
use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A layer that records each span with its fields, `parent > name field=value …`, and each event, once they have ended.
#[derive(Clone, Default)]
struct Ended(Arc<Mutex<Vec<String>>>);

/// The fields of a span, as text.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Ended {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(format!("event{}", fields.0));
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let parent = span.parent().map(|parent| format!("{} > ", parent.name())).unwrap_or_default();
        let fields = span.extensions_mut().remove::<Fields>().unwrap().0;
        self.0.lock().unwrap().push(format!("{parent}{}{fields}", span.name()));
    }
}

impl Ended {
    /// Collects the spans of this thread until the guard is dropped.
    fn start() -> (Self, DefaultGuard) {
        let ended = Self::default();
        let subscriber = tracing_subscriber::registry().with(ended.clone());
        (ended, tracing::subscriber::set_default(subscriber))
    }

    /// Returns the spans and events in the order of their ends, without the folder of the test.
    fn of(&self, folder: &Path) -> Vec<String> {
        let folder = format!("{}/", folder.display());
        self.0.lock().unwrap().iter().map(|span| span.replace(&folder, "")).collect()
    }
}

#[tokio::test]
async fn tasks_waits_and_bulk_work_have_spans() {
    let folder = fs::temp_dir().unwrap();
    std::fs::write(folder.path().join("a"), "x").unwrap();
    let (ended, guard) = Ended::start();
    assert_eq!(walk(folder.path(), WalkOptions::default(), Default::default()).count().await, 1);
    Runner::new(1).submit(async {}).await.await.unwrap();
    background(async {}).await.unwrap();
    let pool = Pool::from_fns(1, || async { Ok::<_, Infallible>(()) }, |()| async {});
    let held = pool.acquire().await.unwrap();
    let (waited, ()) = tokio::join!(pool.acquire(), async { drop(held) });
    waited.unwrap();
    drop(guard);
    let spans = ended.of(folder.path());
    let names: BTreeSet<_> = spans.iter().map(|span| span.split(" priority").next().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["background", "pool wait", "task", "walk"]));
}

#[tokio::test]
async fn a_file_operation_is_one_span_with_its_path_and_size() {
    let folder = fs::temp_dir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (ended, guard) = Ended::start();
    fs::write(at("a"), "four").await.unwrap();
    fs::read(at("a")).await.unwrap();
    fs::read_to_string(at("a")).await.unwrap();
    copy(at("a"), at("b")).await.unwrap();
    fs::read(at("missing")).await.unwrap_err();
    let mut writer = Writer::atomic(at("c")).await.unwrap();
    for _ in 0..3 {
        // Each is a block, which is written in the background.
        writer.write(vec![b'\n'; 256 << 10]).await.unwrap();
    }
    writer.finish().await.unwrap();
    let lines = fs::Reader::open(at("a")).await.unwrap().lines();
    assert_eq!(lines.try_collect::<Vec<_>>().await.unwrap(), ["four"]);
    drop(guard);
    let expected = [
        "file otel.name=write operation=write file.path=a file.size=4",
        "file otel.name=read operation=read file.path=a file.size=4",
        "file otel.name=read operation=read file.path=a file.size=4",
        "file otel.name=copy operation=copy file.path=a file.size=4",
        "file otel.name=read operation=read file.path=missing error.type=not_found",
        "file otel.name=write operation=write file.path=c file.size=786432",
        "file otel.name=read operation=read file.path=a file.size=4",
    ];
    assert_eq!(ended.of(folder.path()), expected);
}

#[tokio::test]
async fn files_in_bulk_are_spans_below_one() {
    let folder = fs::temp_dir().unwrap();
    std::fs::write(folder.path().join("a"), "x").unwrap();
    let paths = ["a", "missing"].map(|name| folder.path().join(name));
    let (ended, guard) = Ended::start();
    assert_eq!(read_many(paths, ReadOptions::default(), Default::default()).count().await, 2);
    drop(guard);
    let mut spans = ended.of(folder.path());
    spans.sort();
    let expected = [
        "read_many",
        "read_many > file otel.name=read operation=read file.path=a file.size=1",
        "read_many > file otel.name=read operation=read file.path=missing error.type=not_found",
    ];
    assert_eq!(spans, expected);
}

#[tokio::test]
async fn a_stage_of_a_stream_is_one_span_over_the_spans_of_its_calls() {
    let (ended, guard) = Ended::start();
    let call = |n: u32| {
        let span = tracing::info_span!("call", n);
        async move { drop(span) }
    };
    assert_eq!(stream::iter([1, 2]).map_async(2, call).count().await, 2);
    assert_eq!(stream::iter([3]).map_async_unordered(1, call).count().await, 1);
    assert_eq!(stream::iter([4]).filter_async(1, |n| std::future::ready(*n > 4)).count().await, 0);
    drop(guard);
    let expected = [
        "map_async > call n=1",
        "map_async > call n=2",
        "map_async limit=2",
        "map_async_unordered > call n=3",
        "map_async_unordered limit=1",
        "filter_async limit=1",
    ];
    assert_eq!(ended.of(Path::new("none")), expected);
}

#[tokio::test]
async fn a_call_through_a_breaker_is_one_span_with_its_outcome() {
    let (ended, guard) = Ended::start();
    let breaker = CircuitBreaker::simple(1, Duration::from_secs(60)).named("search");
    let call = async {
        tracing::info!("within");
        Ok::<_, &str>(())
    };
    breaker.call(call).await.unwrap();
    drop(breaker.permit().unwrap());
    breaker.call(async { Err::<(), _>("down") }).await.unwrap_err();
    breaker.permit().unwrap_err();
    drop(guard);
    let expected = [
        "event message=within",
        "circuit_breaker name=search outcome=success",
        "circuit_breaker name=search outcome=released",
        "event message=a circuit breaker has changed its state name=search before=Closed after=Open",
        "circuit_breaker name=search outcome=failure",
        "circuit_breaker name=search outcome=rejected",
    ];
    assert_eq!(ended.of(Path::new("none")), expected);
}
