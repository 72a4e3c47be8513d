//! Export of spans and metrics to an OpenTelemetry collector, by OTLP over HTTP.
//!
//! [`Telemetry`] has a layer for spans of `tracing`, and is the process's recorder for the `metrics` facade.
//!
//! Spans and metrics are collected in memory and sent in the background, so that no call waits for the collector. A
//! collector that does not answer costs the telemetry, never the work. Log lines are not exported.
//!
//! # Examples
//! ```
//! use antiphon_otel::Telemetry;
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The exporter sends from this runtime, which has to outlive the telemetry.
//! let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
//! let telemetry = Telemetry::start(runtime.handle().clone())?;
//! let subscriber = tracing_subscriber::registry().with(telemetry.layer());
//! // Spans are sent to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.
//! let span = tracing::subscriber::with_default(subscriber, || tracing::info_span!("work").entered().metadata());
//! assert_eq!(span.map(|span| span.name()), Some("work"));
//! if let Err(err) = telemetry.shutdown() {
//!     println!("{err}"); // no collector answers
//! }
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod telemetry;

pub use telemetry::{Telemetry, TelemetryError};

/// The README's code.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
