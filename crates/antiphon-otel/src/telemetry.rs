//! The exporter: providers of OpenTelemetry for spans and metrics, a bridge from the `metrics` facade, and the HTTP
//! client.
//!
//! The SDK exports from threads of its own, which have no async runtime. The HTTP client spawns each request on the
//! caller's runtime, and its span collection is switched off there, since each export would cause another one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use antiphon_http::Client;
use antiphon_llm::genai;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, describe_histogram,
};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, metrics as otel};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// An exporter of spans and metrics to an OpenTelemetry collector, by OTLP over HTTP.
///
/// `OTEL_EXPORTER_OTLP_ENDPOINT` sets the address of the collector; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`
/// set the name and the attributes of this process. Metrics are those of the `metrics` facade, which these crates write
/// to.
///
/// | variable | default |
/// |---|---|
/// | `OTEL_EXPORTER_OTLP_ENDPOINT` | `http://localhost:4318`, to which `/v1/traces` and `/v1/metrics` are added |
/// | `OTEL_EXPORTER_OTLP_HEADERS` | none; a key of the collector, for example |
/// | `OTEL_METRIC_EXPORT_INTERVAL` | 60,000 ms |
///
/// Finished spans are kept in a bounded queue and sent in batches. When the queue is full, spans are dropped; the traced
/// code never waits. Only [`shutdown`](Self::shutdown) sends the rest reliably, and reports an error.
pub struct Telemetry {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// The error for spans and metrics that cannot be exported. The message has the cause as OpenTelemetry reports it.
#[derive(Debug)]
pub struct TelemetryError(String);

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spans and metrics cannot be sent to a collector: {}", self.0)
    }
}

impl std::error::Error for TelemetryError {}

impl Telemetry {
    /// Starts to collect, and installs itself as the metrics recorder of the process. Requests to the collector run on
    /// the runtime of `handle`, which has to run until [`shutdown`](Self::shutdown) returns.
    ///
    /// # Errors
    /// If a setting in the environment is invalid, or the process already has a metrics recorder.
    pub fn start(handle: Handle) -> Result<Self, TelemetryError> {
        let failed = |err: &dyn fmt::Display| TelemetryError(err.to_string());
        let http: Arc<dyn HttpClient> = Arc::new(HttpExporter { client: Client::builder().build(), handle });
        let resource = Resource::builder().build();
        let spans = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let spans = spans.with_shared_http_client(http.clone()).build().map_err(|err| failed(&err))?;
        let metrics = MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let metrics = metrics.with_shared_http_client(http).build().map_err(|err| failed(&err))?;
        let spans =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build();
        let reader = PeriodicReader::builder(metrics).build();
        let metrics = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        let bridge = MetricsRecorder { meter: metrics.meter("antiphon"), instruments: Mutex::default() };
        metrics::set_global_recorder(bridge).map_err(|err| failed(&err))?;
        describe_calls();
        Ok(Self { spans, metrics })
    }

    /// Returns a layer that collects the spans of `tracing`, for the caller's subscriber. Source locations, threads and
    /// targets are left out, since they differ between builds and say nothing about a call.
    pub fn layer<S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync>(&self) -> impl Layer<S> + Send + Sync {
        tracing_opentelemetry::layer()
            .with_tracer(self.spans.tracer("antiphon"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    }

    /// Sends the remaining spans and metrics, and stops. Blocks for up to 5 s for spans and 5 s for metrics: call it
    /// outside of async code, while the runtime still runs.
    ///
    /// # Errors
    /// If spans or metrics could not be sent.
    pub fn shutdown(self) -> Result<(), TelemetryError> {
        let spans = self.spans.shutdown_with_timeout(EXPORT_TIMEOUT);
        let metrics = self.metrics.shutdown_with_timeout(EXPORT_TIMEOUT);
        spans.and(metrics).map_err(|err| TelemetryError(err.to_string()))
    }
}

/// The timeout of a request and of the shutdown, so that a collector that does not answer cannot block the end of a
/// program.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// An HTTP client for the exporter, whose threads have no runtime: requests run on the runtime of `handle`.
#[derive(Debug)]
struct HttpExporter {
    client: Client,
    handle: Handle,
}

#[async_trait]
impl HttpClient for HttpExporter {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let (head, body) = request.into_parts();
        let mut outgoing = antiphon_http::Request::post(&head.uri.to_string()).body(body);
        for (name, value) in &head.headers {
            outgoing = outgoing.header(name.as_str(), value.to_str()?);
        }
        // Spans of the export itself are not collected: each export would cause the next.
        let exchange = async move { exchange(&client, outgoing).await }.with_subscriber(NoSubscriber::new());
        // This call owns the task: it is awaited here, and ends with its runtime.
        self.handle.spawn(exchange).await?
    }
}

/// Sends a request and reads the whole response, within the timeout. Any status is a response: the exporter judges it.
///
/// # Cancel safety
/// Dropping the future abandons the request; the collector may have received the batch.
async fn exchange(client: &Client, outgoing: antiphon_http::Request) -> Result<Response<Bytes>, HttpError> {
    let answer = tokio::time::timeout(EXPORT_TIMEOUT, async {
        let answer = client.send(outgoing).await?;
        let status = answer.status();
        Ok::<_, antiphon_http::Error>((status, answer.bytes().await?))
    });
    let (status, body) = answer.await??;
    Ok(Response::builder().status(status).body(body)?)
}

/// A recorder that forwards the `metrics` facade to OpenTelemetry instruments.
///
/// Counters are `u64`, gauges and histograms are `f64`. Each has the unit and the description that the facade was given for
/// its name.
struct MetricsRecorder {
    meter: Meter,
    instruments: Mutex<Instruments>,
}

/// One instrument for each name. Its unit and description, if any, arrive before its first use.
#[derive(Default)]
struct Instruments {
    /// The unit and the description of each name that was described.
    descriptions: HashMap<String, Described>,
    counters: HashMap<String, otel::Counter<u64>>,
    gauges: HashMap<String, otel::Gauge<f64>>,
    histograms: HashMap<String, otel::Histogram<f64>>,
}

/// The unit, as OpenTelemetry writes it, and the description of a metric.
#[derive(Default, Clone)]
struct Described {
    unit: Option<String>,
    text: String,
}

impl Described {
    fn new(name: &str, unit: Option<Unit>, text: &str) -> Self {
        Self { unit: unit.map(|unit| unit_name(unit, name)), text: text.to_owned() }
    }
}

/// Returns the name of a unit in UCUM, as the conventions require
/// (<https://opentelemetry.io/docs/specs/semconv/general/metrics/#units>).
///
/// The unit of a count is what is counted, in braces. For a metric of these crates, that is the word before the last one of
/// its name: `{task}` for `antiphon.task.ended`. Others count in `1`.
fn unit_name(unit: Unit, name: &str) -> String {
    let unit = match unit {
        Unit::Count => {
            let counted = name.strip_prefix("antiphon.").and_then(|name| name.rsplit('.').nth(1));
            return counted.map_or_else(|| "1".to_owned(), |counted| format!("{{{counted}}}"));
        }
        Unit::Microseconds => "us",
        Unit::Bytes => "By",
        Unit::Kibibytes => "KiBy",
        Unit::Mebibytes => "MiBy",
        Unit::Gibibytes => "GiBy",
        Unit::Tebibytes => "TiBy",
        Unit::BitsPerSecond => "bit/s",
        Unit::KilobitsPerSecond => "kbit/s",
        Unit::MegabitsPerSecond => "Mbit/s",
        Unit::GigabitsPerSecond => "Gbit/s",
        Unit::TerabitsPerSecond => "Tbit/s",
        Unit::CountPerSecond => "1/s",
        Unit::Percent | Unit::Seconds | Unit::Milliseconds | Unit::Nanoseconds => unit.as_canonical_label(),
    };
    unit.to_owned()
}

/// An instrument with the labels of one series.
struct Series<I> {
    instrument: I,
    labels: Vec<KeyValue>,
}

/// Describes the metrics of calls of models, in the words of the semantic conventions.
fn describe_calls() {
    let seconds = [
        (genai::METRIC_DURATION, "GenAI operation duration."),
        (genai::METRIC_FIRST_CHUNK, "Time to receive the first chunk of a streamed answer."),
    ];
    for (name, description) in seconds {
        describe_histogram!(name, Unit::Seconds, description);
    }
    // The facade has no unit for tokens: the recorder knows the name.
    describe_histogram!(genai::METRIC_TOKENS, "Number of input and output tokens used.");
}

/// Returns the 14 histogram bounds that the semantic conventions advise, from `first` on: a factor of 2 for seconds,
/// and of 4 for tokens
/// (<https://github.com/open-telemetry/semantic-conventions/blob/v1.41.1/docs/gen-ai/gen-ai-metrics.md>).
fn bounds(first: f64, factor: f64) -> Vec<f64> {
    std::iter::successors(Some(first), |bound| Some(bound * factor)).take(14).collect()
}

impl MetricsRecorder {
    /// Locks the instruments. A poisoned lock is used all the same: telemetry must not stop the program.
    fn instruments(&self) -> MutexGuard<'_, Instruments> {
        self.instruments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a unit and a description for the first use of the name.
    fn describe(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        let described = Described::new(name.as_str(), unit, &description);
        self.instruments().descriptions.insert(name.as_str().to_owned(), described);
    }

    /// Builds a histogram: of tokens for the metric of that name, and of seconds for all others, unless a unit was
    /// described.
    fn histogram(&self, name: String, described: Described) -> otel::Histogram<f64> {
        let (unit, bounds) = match name.as_str() {
            genai::METRIC_TOKENS => ("{token}", bounds(1.0, 4.0)),
            _ => ("s", bounds(0.01, 2.0)),
        };
        let unit = described.unit.unwrap_or_else(|| unit.to_owned());
        let builder = self.meter.f64_histogram(name).with_unit(unit);
        builder.with_description(described.text).with_boundaries(bounds).build()
    }
}

/// Returns a series of an instrument, which is built for the first series of its name.
fn series<I: Clone>(
    instruments: &mut HashMap<String, I>,
    key: &Key,
    build: impl FnOnce(String) -> I,
) -> Arc<Series<I>> {
    let name = key.name().to_owned();
    let instrument = instruments.entry(name.clone()).or_insert_with(|| build(name)).clone();
    Arc::new(Series { instrument, labels: labels(key) })
}

/// Returns the labels of a key as attributes.
fn labels(key: &Key) -> Vec<KeyValue> {
    key.labels().map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned())).collect()
}

impl Recorder for MetricsRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(name, unit, description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(name, unit, description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(name, unit, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let Instruments { descriptions, counters, .. } = &mut *self.instruments();
        let build = |name: String| {
            let Described { unit, text } = descriptions.get(&name).cloned().unwrap_or_default();
            self.meter.u64_counter(name).with_unit(unit.unwrap_or_default()).with_description(text).build()
        };
        Counter::from_arc(series(counters, key, build))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let Instruments { descriptions, gauges, .. } = &mut *self.instruments();
        let build = |name: String| {
            let Described { unit, text } = descriptions.get(&name).cloned().unwrap_or_default();
            self.meter.f64_gauge(name).with_unit(unit.unwrap_or_default()).with_description(text).build()
        };
        Gauge::from_arc(series(gauges, key, build))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let Instruments { descriptions, histograms, .. } = &mut *self.instruments();
        let build = |name: String| {
            let described = descriptions.get(&name).cloned().unwrap_or_default();
            self.histogram(name, described)
        };
        Histogram::from_arc(series(histograms, key, build))
    }
}

impl CounterFn for Series<otel::Counter<u64>> {
    fn increment(&self, value: u64) {
        self.instrument.add(value, &self.labels);
    }

    /// Ignored: OpenTelemetry's counters have increments only, and no absolute values.
    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Series<otel::Gauge<f64>> {
    // OpenTelemetry's gauges have no increments: only `set` is forwarded.
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.instrument.record(value, &self.labels);
    }
}

impl HistogramFn for Series<otel::Histogram<f64>> {
    fn record(&self, value: f64) {
        self.instrument.record(value, &self.labels);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::metrics::data::ResourceMetrics;
    use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
    use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

    use super::{Duration, MetricsRecorder, Mutex as Lock, Unit, describe_calls, genai, unit_name};

    /// An exporter that keeps the name, the unit and the description of each metric.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<[String; 3]>>>);

    impl PushMetricExporter for Kept {
        async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
            let all = metrics.scope_metrics().flat_map(|scope| scope.metrics());
            let told =
                all.map(|metric| [metric.name(), metric.unit(), metric.description()].map(str::to_owned));
            self.0.lock().unwrap().extend(told);
            Ok(())
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }

        fn temporality(&self) -> Temporality {
            Temporality::Cumulative
        }
    }

    /// The units of UCUM, which OpenTelemetry's conventions demand.
    #[test]
    fn units_have_the_names_of_ucum() {
        for (unit, name) in [
            (Unit::Seconds, "s"),
            (Unit::Milliseconds, "ms"),
            (Unit::Microseconds, "us"),
            (Unit::Bytes, "By"),
            (Unit::Kibibytes, "KiBy"),
            (Unit::Mebibytes, "MiBy"),
            (Unit::Gibibytes, "GiBy"),
            (Unit::Tebibytes, "TiBy"),
            (Unit::BitsPerSecond, "bit/s"),
            (Unit::KilobitsPerSecond, "kbit/s"),
            (Unit::MegabitsPerSecond, "Mbit/s"),
            (Unit::GigabitsPerSecond, "Gbit/s"),
            (Unit::TerabitsPerSecond, "Tbit/s"),
            (Unit::CountPerSecond, "1/s"),
            (Unit::Count, "{task}"),
        ] {
            assert_eq!(unit_name(unit, "antiphon.task.ended"), name, "{unit:?}");
        }
        assert_eq!(unit_name(Unit::Count, "requests"), "1");
    }

    #[test]
    fn each_metric_has_the_unit_and_the_description_that_it_was_given() {
        let kept = Kept::default();
        let provider =
            SdkMeterProvider::builder().with_reader(PeriodicReader::builder(kept.clone()).build()).build();
        let recorder = MetricsRecorder { meter: provider.meter("test"), instruments: Lock::default() };
        metrics::with_local_recorder(&recorder, || {
            describe_calls();
            describe_counter!("antiphon.task.ended", Unit::Count, "Tasks that have ended.");
            describe_counter!("requests", Unit::Count, "Requests.");
            describe_gauge!("memory", Unit::Bytes, "Memory in use.");
            describe_histogram!("wait", Unit::Milliseconds, "Wait.");
            counter!("antiphon.task.ended", "outcome" => "completed").increment(1);
            counter!("requests").increment(1);
            counter!("unknown").increment(1);
            gauge!("memory").set(1.0);
            for name in ["wait", genai::METRIC_DURATION, genai::METRIC_TOKENS] {
                histogram!(name).record(1.0);
            }
        });
        provider.shutdown().unwrap();
        let mut kept = kept.0.lock().unwrap().clone();
        kept.sort();
        let expected = [
            ["antiphon.task.ended", "{task}", "Tasks that have ended."],
            [genai::METRIC_DURATION, "s", "GenAI operation duration."],
            [genai::METRIC_TOKENS, "{token}", "Number of input and output tokens used."],
            ["memory", "By", "Memory in use."],
            ["requests", "1", "Requests."],
            ["unknown", "", ""],
            ["wait", "ms", "Wait."],
        ];
        assert_eq!(kept, expected);
    }
}
