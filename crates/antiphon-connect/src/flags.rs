//! The explicit wishes of a user or a caller, which override the configuration.
//!
//! Each field has the name of a flag of the command line. A program sets the same fields with the setters of [`Flags`].

use std::path::PathBuf;

use crate::cassette::Cassette;

/// The options of the command line, or of a program that calls this crate. They override environment and files.
///
/// ```
/// use antiphon_connect::{Environment, Flags, Origin, resolve};
///
/// let flags = Flags::default().provider("ollama").model("tiny").max_concurrency(2_usize).max_cost(0.5_f64);
/// let settings = resolve(&flags, &Environment::default(), &[])?;
/// assert_eq!(settings.max_cost.map(|cost| cost.value), Some(500_000), "millionths of a US dollar");
/// assert_eq!(settings.model.map(|model| model.origin), Some(Origin::Flag("--model")));
/// # Ok::<(), antiphon_connect::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Flags {
    /// The provider's name. Default: the configuration's.
    pub provider: Option<String>,
    /// The model's name. Default: the configuration's, else the provider's.
    pub model: Option<String>,
    /// The server's address. Default: the provider's usual one.
    pub base_url: Option<String>,
    /// The fallbacks, each as `provider/model`. Default: those of the configuration.
    /// An empty list turns the configured ones off.
    pub fallback: Option<Vec<String>>,
    /// Whether answers are recorded or replayed. Default: neither.
    pub cassette: Option<Cassette>,
    /// Whether drafts are made offline by text statistics, without any network. Default: false.
    /// Takes precedence over `provider`, and turns off all fallbacks.
    pub offline: bool,
    /// The maximum number of concurrent runs, and of each run's calls (`--max-concurrency`). Default: the configuration's.
    pub max_concurrency: Option<usize>,
    /// The folder for results. Default: the configuration's.
    pub out: Option<PathBuf>,
    /// The most that a run may cost, in US dollars. Default: the configuration's.
    /// From 0 to less than a billion; anything else is an error of [`resolve`](crate::resolve).
    pub max_cost: Option<f64>,
}

impl Flags {
    /// Selects offline drafts, which need no network.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// Sets the provider.
    #[must_use]
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// Sets the model.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// Sets the server's address.
    /// Needs a provider: without one, [`resolve`](crate::resolve) returns an error.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets the fallbacks, each as `provider/model`.
    /// `None` leaves the choice to the configuration; an empty list means no fallback.
    #[must_use]
    pub fn fallback(mut self, fallback: impl Into<Option<Vec<String>>>) -> Self {
        self.fallback = fallback.into();
        self
    }

    /// Sets whether answers are recorded or replayed.
    #[must_use]
    pub fn cassette(mut self, cassette: impl Into<Option<Cassette>>) -> Self {
        self.cassette = cassette.into();
        self
    }

    /// Sets the maximum number of concurrent runs, and of each run's calls.
    #[must_use]
    pub fn max_concurrency(mut self, max_concurrency: impl Into<Option<usize>>) -> Self {
        self.max_concurrency = max_concurrency.into();
        self
    }

    /// Sets the folder for results.
    #[must_use]
    pub fn out(mut self, out: impl Into<Option<PathBuf>>) -> Self {
        self.out = out.into();
        self
    }

    /// Sets the most that a run may cost, in US dollars.
    #[must_use]
    pub fn max_cost(mut self, dollars: impl Into<Option<f64>>) -> Self {
        self.max_cost = dollars.into();
        self
    }
}
