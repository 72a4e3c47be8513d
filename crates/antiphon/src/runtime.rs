//! Configuration and providers from [`antiphon_connect`], and the task runner and pools of [`antiphon_runtime`].
//!
//! | to | use |
//! |---|---|
//! | read the configuration | [`ConfigFile::load_all`], [`Environment::read`], [`Flags`], [`resolve`] |
//! | show and change it | [`list_settings`], [`ConfigEdit`] |
//! | connect to a provider | [`connect`](fn@connect), which returns a [`Session`] |
//! | record or replay answers | [`Cassette`] |
//! | run tasks with limits and priorities | [`Runner`], [`gather`] |
//! | share costly resources | [`Pool`] |
//! | stop a program gracefully | [`Shutdown`], [`CancellationToken`] |
//!
//! Nothing here reads the environment of the process but [`Environment::read`].

pub use antiphon_connect::{
    CONFIG_TEMPLATE, Cassette, ConfigEdit, ConfigError, ConfigFile, ConfigPlace, ConnectError,
    ConnectErrorKind, Environment, FallbackSettings, FewConnections, Flags, Kind, ListedSetting, Origin,
    ProviderSettings, Session, SettingKey, SettingVariable, Settings, Sourced, UnknownVariable, VARIABLES,
    connect, http_client, known_providers, list_settings, resolve,
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
