//! Logs on stderr, and with the feature `otel` spans and metrics to a collector.
//!
//! Logs are for the operator of the program; what a user must know is printed by `Talk` and does not depend on the
//! level.
//!
//! | flags | level |
//! |---|---|
//! | `--quiet` | error |
//! | none | warn |
//! | `-v`, `-vv`, `-vvv` | info, debug, trace |
//!
//! A collector is used if `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set and
//! `OTEL_SDK_DISABLED` is not `true`, the variables of the OpenTelemetry specification. Without them nothing is sent.

use std::io;

use tokio::runtime::Handle;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
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
    /// environment names one. `handle` is the runtime on which they are sent.
    ///
    /// # Errors
    /// A configuration error if the telemetry cannot be started, such as for an invalid setting in the environment.
    pub(super) fn start(verbose: u8, talk: Talk, handle: &Handle) -> Result<Self, CommandError> {
        let stderr = tracing_subscriber::fmt::layer()
            .with_writer(LogLines(talk))
            .with_ansi(false)
            .with_target(verbose > 1)
            .with_level(!talk.sends_events())
            .without_time()
            .with_filter(level(verbose, talk.is_quiet()));
        let registry = tracing_subscriber::registry().with(stderr);
        // An existing subscriber stays: it belongs to the host in whose process this program is embedded.
        #[cfg(feature = "otel")]
        {
            let telemetry = telemetry(handle)?;
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

    /// Flushes spans and metrics to the collector. A failure is a warning only: the command itself has succeeded.
    /// Blocks the thread for at most 10 s, so it is called outside async code, while the runtime still runs.
    pub(super) fn end(self, talk: Talk) {
        #[cfg(feature = "otel")]
        if let Some(Err(err)) = self.telemetry.map(Telemetry::shutdown) {
            talk.warning(&err.to_string());
        }
        #[cfg(not(feature = "otel"))]
        let _ = talk;
    }
}

/// The log on stderr, in the form of the messages there. Each line is printed by [`Talk`], so that it does not get in
/// between the parts of another one or into the live line.
struct LogLines(Talk);

/// A line of the log, which is printed when it is dropped.
struct LogLine {
    talk: Talk,
    level: &'static str,
    text: Vec<u8>,
}

impl MakeWriter<'_> for LogLines {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine { talk: self.0, level: "info", text: Vec::new() }
    }

    fn make_writer_for(&self, meta: &tracing::Metadata<'_>) -> LogLine {
        let level = match *meta.level() {
            tracing::Level::ERROR => "error",
            tracing::Level::WARN => "warn",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG => "debug",
            tracing::Level::TRACE => "trace",
        };
        let mut line = self.make_writer();
        line.level = level;
        line
    }
}

impl io::Write for LogLine {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        if !text.trim().is_empty() {
            self.talk.log(self.level, text.trim_end());
        }
    }
}

/// Returns the most verbose level that is logged; clap rejects `--quiet` with `-v`.
fn level(verbose: u8, quiet: bool) -> LevelFilter {
    match (quiet, verbose) {
        (true, _) => LevelFilter::ERROR,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        (_, 2) => LevelFilter::DEBUG,
        (_, _) => LevelFilter::TRACE,
    }
}

/// Starts sending spans and metrics; `None` if the environment names no collector or disables the SDK.
#[cfg(feature = "otel")]
fn telemetry(handle: &Handle) -> Result<Option<Telemetry>, CommandError> {
    let env = Environment::read();
    let endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    let wanted =
        endpoints.iter().any(|name| env.get(name).is_some()) && env.get("OTEL_SDK_DISABLED") != Some("true");
    let telemetry = wanted.then(|| Telemetry::start(handle.clone())).transpose();
    telemetry.map_err(|err| CommandError::new(super::error::CONFIG, err.to_string()))
}
