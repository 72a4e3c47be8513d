use std::io;

use tokio::runtime::Handle;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::error::CommandError;
use super::output::Talk;
#[cfg(feature = "otel")]
use crate::runtime::{Environment, Telemetry};

/// The destination of logs, spans and metrics.
pub(super) struct Log {
    #[cfg(feature = "otel")]
    telemetry: Option<Telemetry>,
}

impl Log {
    /// Starts sending logs to stderr, warnings and more with each `-v`, and spans and metrics to a collector if the
    /// environment names one.
    pub(super) fn start(verbose: u8, quiet: bool, handle: &Handle) -> Result<Self, CommandError> {
        let level = match (quiet, verbose) {
            (true, _) => LevelFilter::ERROR,
            (_, 0) => LevelFilter::WARN,
            (_, 1) => LevelFilter::INFO,
            (_, 2) => LevelFilter::DEBUG,
            (_, _) => LevelFilter::TRACE,
        };
        let stderr = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(false)
            .with_target(verbose > 1)
            .without_time()
            .with_filter(level);
        let registry = tracing_subscriber::registry().with(stderr);
        // An existing subscriber stays: it belongs to the host in whose process this program is embedded.
        #[cfg(feature = "otel")]
        {
            let env = Environment::read();
            let endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
            let wanted = endpoints.iter().any(|name| env.get(name).is_some())
                && env.get("OTEL_SDK_DISABLED") != Some("true");
            let telemetry = wanted.then(|| Telemetry::start(handle.clone())).transpose();
            let telemetry =
                telemetry.map_err(|err| CommandError::new(super::error::CONFIG, err.to_string()))?;
            let spans = telemetry.as_ref().map(|telemetry| telemetry.layer().with_filter(LevelFilter::INFO));
            let _ = registry.with(spans).try_init();
            Ok(Self { telemetry })
        }
        #[cfg(not(feature = "otel"))]
        {
            let _ = (handle, registry.try_init());
            Ok(Self {})
        }
    }

    /// Flushes spans and metrics to the collector.
    pub(super) fn end(self, talk: Talk) {
        #[cfg(feature = "otel")]
        if let Some(Err(err)) = self.telemetry.map(Telemetry::shutdown) {
            talk.warning(&err.to_string());
        }
        #[cfg(not(feature = "otel"))]
        let _ = talk;
    }
}
