use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_http::{Client, Request, RetryPolicy, SecretString};
use antiphon_tests::{Reply, Server};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// A layer that records every span with its fields, in the order of their creation.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

#[derive(Clone, Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S> Layer<S> for Spans
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if !attributes.metadata().name().starts_with("http.client") {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        fields.0.insert("name".to_owned(), attributes.metadata().name().to_owned());
        let mut spans = self.0.lock().unwrap();
        context.span(id).unwrap().extensions_mut().insert(spans.len());
        spans.push(fields);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let at = context.span(id).unwrap().extensions().get::<usize>().copied();
        if let Some(at) = at {
            values.record(&mut self.0.lock().unwrap()[at]);
        }
    }
}

#[tokio::test]
async fn a_request_and_each_attempt_have_spans_without_a_secret() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let server = Server::start([
        Reply::new(503, "text/plain", "topsecret"),
        Reply::new(200, "text/plain", "topsecret"),
    ]);
    let policy = RetryPolicy::default().base(Duration::ZERO, Duration::ZERO);
    let request = Request::post(&server.url("/topsecret?key=topsecret"));
    let request = request.bearer(&SecretString::from("topsecret")).json("topsecret");
    Client::builder().retry(policy).build().send(request).await.unwrap().text().await.unwrap();
    let spans = spans.0.lock().unwrap().clone();
    let field = |at: usize, name: &str| spans[at].0.get(name).cloned().unwrap_or_default();
    let names: Vec<_> = (0..spans.len()).map(|at| field(at, "name")).collect();
    assert_eq!(names, ["http.client.request", "http.client.attempt", "http.client.attempt"]);
    let row = |name| [0, 1, 2].map(|at| field(at, name));
    assert_eq!(row("http.request.method"), ["POST"; 3]);
    assert_eq!(row("server.address"), ["127.0.0.1"; 3]);
    assert_eq!(row("http.response.status_code"), ["200", "503", "200"]);
    assert_eq!(row("http.request.resend_count"), ["", "0", "1"]);
    assert_eq!(row("error.type"), ["", "503", ""]);
    assert_eq!(row("network.protocol.version"), ["", "1.1", "1.1"]);
    assert_eq!(field(0, "url.scheme"), "http");
    assert!(spans.iter().all(|span| span.0.values().all(|value| !value.contains("topsecret"))));
}
