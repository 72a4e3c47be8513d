//! API keys never leak into logs, debug output, recordings or caches.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use antiphon_llm::{Cached, CallContext, MemoryCache, Observed, ProviderExt, Recorded};
use antiphon_sim::{Scenario, Server};
use antiphon_tests::conformance::{FORMATS, Target};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const KEY: &str = "sk-planted-0123456789";

/// A layer that records the fields of all spans and events, of every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{field}: {value:?}").unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        attributes.record(&mut self.clone());
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

/// Makes a call in each format with the planted key, and returns everything that was printed, logged and recorded.
async fn all_that_shows(server: &Server) -> String {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(log.clone()));
    let folder = antiphon::fs::temp_dir().unwrap();
    let (mut seen, mut recorded) = (String::new(), String::new());
    for (index, format) in FORMATS.into_iter().enumerate() {
        let cassette = folder.path().join(format!("{index}.jsonl"));
        let target = Target { key: KEY.to_owned(), ..Target::new(format, &server.url(), "sim-1") };
        let cache = Arc::new(MemoryCache::new(10));
        let provider = Observed::new(Recorded::new(target.provider(), &cassette)).with_content();
        let provider = Cached::new(provider, cache.clone());
        let answer = provider.complete(&target.prompt(), &CallContext::default()).await;
        let shown = answer.as_ref().map_or_else(ToString::to_string, |answer| answer.text.clone());
        writeln!(seen, "{provider:?}\n{cache:?}\n{answer:?}\n{shown}").unwrap();
        recorded += &std::fs::read_to_string(&cassette).unwrap_or_default();
    }
    assert_eq!(recorded.contains("sim-1"), server.stats().answered > 0, "{recorded}");
    let logged = log.0.lock().unwrap().clone();
    assert!(logged.contains("sim-1") && seen.len() > 1_000, "nothing was logged: {logged}");
    seen + &recorded + &logged
}

#[tokio::test]
async fn a_right_key_leaks_nowhere() {
    let server = Server::start(Scenario::default().key(KEY), 0).await.unwrap();
    let seen = all_that_shows(&server).await;
    assert_eq!(server.stats().answered, FORMATS.len() as u64, "{seen}");
    assert!(!seen.contains("planted"), "{seen}");
}

#[tokio::test]
async fn a_wrong_key_leaks_nowhere() {
    let server = Server::start(Scenario::default().key("another"), 0).await.unwrap();
    let seen = all_that_shows(&server).await;
    assert_eq!(server.stats().answered, 0);
    assert!(!seen.contains("planted"), "{seen}");
}
