//! Configuration and providers from [`antiphon_connect`], and the task runner and pools of [`antiphon_runtime`].

pub use antiphon_connect::{
    Cassette, ConfigError, ConfigFile, ConnectError, ConnectErrorKind, Environment, FallbackSettings,
    FewConnections, Flags, Kind, Origin, ProviderSettings, Session, Settings, Sourced, connect, http_client,
    known_providers, resolve,
};
#[cfg(feature = "otel")]
pub use antiphon_otel::{Telemetry, TelemetryError};
#[cfg(feature = "metrics")]
pub use antiphon_runtime::describe_metrics;
pub use antiphon_runtime::{
    AcquireError, BatchProcessor, BlockOnError, CancellationToken, FromFns, Manage, Pool, PoolOptions,
    PoolStatus, Pooled, Priority, Progress, Runner, RunnerMetrics, Shutdown, Snapshot, SubmitErrorKind,
    Subscription, Task, TaskError, TimedOut, TrySubmitError, background, block_on, gather, timeout,
};
