//! The wiring of the crates to configuration and environment, and what [`antiphon_runtime`] offers.

mod build;
mod cassette;
mod config_file;
mod connect;
mod environment;
mod fallback;
mod provider;
mod replay;
mod session;
mod settings;
mod target;
#[cfg(feature = "otel")]
mod telemetry;

pub use antiphon_providers::registry::Kind;
pub use antiphon_runtime::{
    AcquireError, BatchProcessor, BlockOnError, CancellationToken, FromFns, Manage, Pool, PoolOptions,
    PoolStatus, Pooled, Priority, Progress, Refusal, Refused, Runner, RunnerMetrics, Shutdown, Snapshot,
    Subscription, Task, TaskError, TimedOut, background, block_on, gather, timeout,
};
pub use cassette::Cassette;
pub use config_file::ConfigFile;
pub use connect::{ConnectError, connect, http_client, known_providers};
pub use environment::Environment;
pub use fallback::FallbackSettings;
pub use provider::ProviderSettings;
pub use session::Session;
pub use settings::{ConfigError, Flags, Origin, Settings, Sourced, resolve};

#[cfg(feature = "otel")]
pub use telemetry::{Telemetry, TelemetryError};

pub(crate) use build::{build, local, located};
