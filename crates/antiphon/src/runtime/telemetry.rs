use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_http::Client;
use antiphon_llm::genai;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
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

/// Sends spans and metrics to an OpenTelemetry collector, by OTLP over HTTP.
///
/// Where the collector is, `OTEL_EXPORTER_OTLP_ENDPOINT` says to the exporter itself; `OTEL_SERVICE_NAME` and
/// `OTEL_RESOURCE_ATTRIBUTES` say who sends. Metrics are those of the `metrics` facade, which these crates write to.
pub struct Telemetry {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// Why nothing can be sent to a collector.
#[derive(Debug)]
pub struct TelemetryError(String);

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spans and metrics cannot be sent to a collector: {}", self.0)
    }
}

impl std::error::Error for TelemetryError {}

impl Telemetry {
    /// Begins to collect; the requests to the collector are made in the runtime of `handle`, which must go on until
    /// [`shutdown`](Self::shutdown) is done. From then on the metrics of this process are its own.
    ///
    /// # Errors
    /// If the settings in the environment are none, or the process has another recorder of metrics already.
    pub fn start(handle: Handle) -> Result<Self, TelemetryError> {
        let failed = |err: &dyn fmt::Display| TelemetryError(err.to_string());
        let http: Arc<dyn HttpClient> = Arc::new(Hop { client: Client::builder().build(), handle });
        let resource = Resource::builder().build();
        let spans = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let spans = spans.with_shared_http_client(http.clone()).build().map_err(|err| failed(&err))?;
        let metrics = MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
        let metrics = metrics.with_shared_http_client(http).build().map_err(|err| failed(&err))?;
        let spans =
            SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build();
        let reader = PeriodicReader::builder(metrics).build();
        let metrics = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        let bridge = Bridge { meter: metrics.meter("antiphon"), instruments: Mutex::default() };
        metrics::set_global_recorder(bridge).map_err(|err| failed(&err))?;
        Ok(Self { spans, metrics })
    }

    /// Takes the spans of `tracing`: for a subscriber of the caller's.
    pub fn layer<S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync>(&self) -> impl Layer<S> + Send + Sync {
        tracing_opentelemetry::layer()
            .with_tracer(self.spans.tracer("antiphon"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what is left, and ends. It blocks: call it outside of async code, while the runtime still runs.
    ///
    /// # Errors
    /// What the collector did not take.
    pub fn shutdown(self) -> Result<(), TelemetryError> {
        let spans = self.spans.shutdown_with_timeout(PATIENCE);
        let metrics = self.metrics.shutdown_with_timeout(PATIENCE);
        spans.and(metrics).map_err(|err| TelemetryError(err.to_string()))
    }
}

/// A collector that does not answer must not keep a program from ending.
const PATIENCE: Duration = Duration::from_secs(5);

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// The exporter's threads have no runtime: requests hop into one.
#[derive(Debug)]
struct Hop {
    client: Client,
    handle: Handle,
}

#[async_trait]
impl HttpClient for Hop {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let (head, body) = request.into_parts();
        let mut asked = antiphon_http::Request::post(&head.uri.to_string()).body(body);
        for (name, value) in &head.headers {
            asked = asked.header(name.as_str(), value.to_str()?);
        }
        // Its own requests are not for the collector: each export would cause the next.
        let exchange = async move { exchange(&client, asked).await }.with_subscriber(NoSubscriber::new());
        // Owned by this call: it is awaited here, and ends with its runtime.
        self.handle.spawn(exchange).await?
    }
}

async fn exchange(client: &Client, asked: antiphon_http::Request) -> Result<Response<Bytes>, HttpError> {
    let answer = tokio::time::timeout(PATIENCE, async {
        let answer = client.send(asked).await?;
        let status = answer.status();
        Ok::<_, antiphon_http::Error>((status, answer.bytes().await?))
    });
    let (status, body) = answer.await??;
    Ok(Response::builder().status(status).body(body)?)
}

/// From the `metrics` facade to OpenTelemetry's instruments.
struct Bridge {
    meter: Meter,
    instruments: Mutex<Instruments>,
}

/// One instrument for each name; what the facade says of it comes before it is first used, or not at all.
#[derive(Default)]
struct Instruments {
    told: HashMap<String, (Option<Unit>, SharedString)>,
    counters: HashMap<String, otel::Counter<u64>>,
    gauges: HashMap<String, otel::Gauge<f64>>,
    histograms: HashMap<String, otel::Histogram<f64>>,
}

/// An instrument with the labels of one series.
struct Series<I> {
    instrument: I,
    labels: Vec<KeyValue>,
}

/// The bounds that the conventions advise, in seconds and in tokens
/// (<https://github.com/open-telemetry/semantic-conventions/blob/v1.41.1/docs/gen-ai/gen-ai-metrics.md>).
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

impl Bridge {
    fn with<R>(&self, use_it: impl FnOnce(&Meter, &mut Instruments) -> R) -> R {
        use_it(&self.meter, &mut self.instruments.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.with(|_, instruments| instruments.told.insert(name.as_str().to_owned(), (unit, description)));
    }
}

fn labels(key: &Key) -> Vec<KeyValue> {
    key.labels().map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned())).collect()
}

impl Recorder for Bridge {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.tell(name, unit, description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.tell(name, unit, description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.tell(name, unit, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let instrument = self.with(|meter, instruments| {
            let name = key.name().to_owned();
            instruments
                .counters
                .entry(name.clone())
                .or_insert_with(|| meter.u64_counter(name).build())
                .clone()
        });
        Counter::from_arc(Arc::new(Series { instrument, labels: labels(key) }))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let instrument = self.with(|meter, instruments| {
            let name = key.name().to_owned();
            instruments.gauges.entry(name.clone()).or_insert_with(|| meter.f64_gauge(name).build()).clone()
        });
        Gauge::from_arc(Arc::new(Series { instrument, labels: labels(key) }))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let instrument = self.with(|meter, instruments| {
            let name = key.name().to_owned();
            let (unit, bounds) = match name.as_str() {
                genai::METRIC_TOKENS => ("{token}", &TOKENS),
                _ => ("s", &SECONDS),
            };
            let told = instruments.told.get(&name).cloned();
            let build = || {
                let (unit, description) = match told {
                    Some((told, description)) => {
                        (told.map_or(unit, |unit| unit.as_canonical_label()), description.into_owned())
                    }
                    None => (unit, String::new()),
                };
                let builder = meter.f64_histogram(name.clone()).with_unit(unit).with_description(description);
                builder.with_boundaries(bounds.to_vec()).build()
            };
            instruments.histograms.entry(name.clone()).or_insert_with(build).clone()
        });
        Histogram::from_arc(Arc::new(Series { instrument, labels: labels(key) }))
    }
}

impl CounterFn for Series<otel::Counter<u64>> {
    fn increment(&self, value: u64) {
        self.instrument.add(value, &self.labels);
    }

    /// OpenTelemetry's counters only grow by what is added; a value that is set elsewhere has no place here.
    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Series<otel::Gauge<f64>> {
    // Its gauges are set; what the facade adds and takes away is not followed.
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
