//! The program as its users meet it.
#![cfg(feature = "cli")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test crate: panics are failed tests, and blocking is free"
)]

mod addresses;
mod anonymised;
mod bad_rows;
mod bottleneck;
mod cancel;
mod config;
mod confirm;
mod content;
mod deletion;
mod descriptors;
mod doctor;
mod dry_run;
mod earlier;
mod echoes;
mod events;
mod experiment;
mod fallback;
mod faults;
mod fetch;
mod generate;
mod interrupt;
mod joined;
mod journalled;
mod limits;
#[cfg(unix)]
mod links;
mod local_engines;
mod log;
mod look;
mod map;
mod mistakes;
#[cfg(feature = "otel")]
mod otel;
mod program;
mod recorded;
mod registry;
mod report;
#[cfg(unix)]
mod results_file;
mod resume;
mod sampling;
mod schemas;
mod secrets;
mod shown;
#[cfg(target_os = "linux")]
mod small;
mod speakers;
mod terminal;
mod values;
#[cfg(all(feature = "offline", feature = "otel"))]
mod words;
mod workspace;
