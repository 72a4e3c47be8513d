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
//! With `--log json`, each line is a JSON document with the run's id, for a log shipper.
//!
//! A collector is used if `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set and
//! `OTEL_SDK_DISABLED` is not `true`, the variables of the OpenTelemetry specification. Without them nothing is sent.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use super::cli::{Cli, LogFormat};
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
    pub(super) fn start(cli: &Cli, talk: Talk, handle: &Handle) -> Result<Self, CommandError> {
        let level = level(cli.verbose, cli.quiet);
        let registry = tracing_subscriber::registry().with(to_stderr(cli, talk).with_filter(level));
        // An existing subscriber stays: it belongs to the host in whose process this program is embedded.
        #[cfg(feature = "otel")]
        {
            let telemetry = telemetry(handle)?;
            // Spans of files, tasks and stages are many, and exported only with the log of the same level.
            let exported = level.max(LevelFilter::INFO);
            let spans = telemetry.as_ref().map(|telemetry| telemetry.layer().with_filter(exported));
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

/// The log on stderr, in the form of the messages there or as documents of its own. Each line is printed by [`Talk`], so that it does not get in
/// between the parts of another one or into the live line.
struct LogLines {
    talk: Talk,
    format: LogFormat,
}

/// A line of the log, which is printed when it is dropped.
struct LogLine {
    talk: Talk,
    format: LogFormat,
    level: &'static str,
    text: Vec<u8>,
}

impl MakeWriter<'_> for LogLines {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine { talk: self.talk, format: self.format, level: "info", text: Vec::new() }
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
        match self.format {
            _ if text.trim().is_empty() => {}
            LogFormat::Text => self.talk.log(self.level, text.trim_end()),
            LogFormat::Json => self.talk.document(text.trim_end()),
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
    if let Ok(Some(_)) = &telemetry {
        antiphon_runtime::describe_metrics();
    }
    // The exporter's error repeats the address, which may have a user name and a password.
    let values = endpoints.iter().filter_map(|name| env.get(name));
    telemetry.map_err(|err| {
        let message = values.fold(err.to_string(), |message, value| message.replace(value, "[value]"));
        CommandError::new(super::error::CONFIG, message)
    })
}

/// Returns the layer that writes the log to stderr.
fn to_stderr(cli: &Cli, talk: Talk) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = LogLines { talk, format: cli.log };
    let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(false);
    match cli.log {
        LogFormat::Text => {
            layer.with_target(cli.verbose > 1).with_level(!talk.sends_events()).without_time().boxed()
        }
        LogFormat::Json => layer.event_format(JsonLines::default()).fmt_fields(JsonFields::new()).boxed(),
    }
}

/// The runs that this process has started.
static RUNS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Adds a run, whose id is from now on in the lines of a JSON log.
pub(super) fn run_started(run_id: &str) {
    RUNS.lock().unwrap_or_else(PoisonError::into_inner).insert(run_id.to_owned());
}

/// Returns the id of the run, unless none was started or a line may belong to any of several.
fn run_id() -> Option<String> {
    let runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    runs.first().filter(|_| runs.len() == 1).cloned()
}

/// A format of events as JSON objects, one per line, with the run's id.
struct JsonLines(Format<Json>);

impl Default for JsonLines {
    fn default() -> Self {
        Self(Format::default().json().with_current_span(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let event = serde_json::from_str(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{}", document(event))
    }
}

/// Returns the document of an event, from the one that tracing-subscriber writes.
fn document(mut event: Map<String, Value>) -> Value {
    let mut fields = event.remove("fields").unwrap_or_default();
    let message = fields.as_object_mut().and_then(|fields| fields.shift_remove("message"));
    let spans = event.remove("spans").unwrap_or_else(|| json!([]));
    // The span of a run names it; outside of one, the line is of the only run, if there is one.
    let named = spans.as_array().into_iter().flatten().rev().find_map(|span| span["run_id"].as_str());
    let run_id = named.map(str::to_owned).or_else(run_id);
    json!({
        "schema": "antiphon.log/1",
        "timestamp": event.get("timestamp"),
        "level": event.get("level"),
        "target": event.get("target"),
        "message": message,
        "run_id": run_id,
        "fields": fields,
        "spans": spans,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{document, run_started};

    #[test]
    fn a_line_has_message_fields_and_spans_and_the_run_if_there_is_one() {
        let line = |run_id: Value| {
            let event = json!({
                "timestamp": "2026-11-30T10:59:27.423940Z", "level": "WARN", "target": "antiphon_engine::shared",
                "fields": { "attempt": 2, "message": "retrying" }, "spans": [{ "name": "chat" }],
            });
            let expected = json!({
                "schema": "antiphon.log/1", "timestamp": "2026-11-30T10:59:27.423940Z", "level": "WARN",
                "target": "antiphon_engine::shared", "message": "retrying", "run_id": run_id,
                "fields": { "attempt": 2 }, "spans": [{ "name": "chat" }],
            });
            assert_eq!(document(event.as_object().cloned().unwrap()).to_string(), expected.to_string());
        };
        line(Value::Null);
        run_started("r1");
        line("r1".into());
        run_started("r2");
        // The line may belong to either of them.
        line(Value::Null);
        let of_run =
            json!({ "fields": {}, "spans": [{ "name": "run", "run_id": "r2" }, { "name": "chat" }] });
        assert_eq!(document(of_run.as_object().cloned().unwrap())["run_id"], "r2");
    }
}
