use std::path::PathBuf;
use std::time::Duration;

use antiphon_llm::Parameters;
use tokio_util::sync::CancellationToken;

/// What to make personas of, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GenerationConfig {
    /// A document, or a folder of documents.
    pub data_path: PathBuf,
    /// The provider's name of the model to ask.
    pub model: String,
    /// How many personas, from 1 to 50. Default 3.
    pub count: usize,
    /// How much is said of each persona. Default: standard.
    pub detail: Detail,
    /// How answers are drawn. Default: the provider's own choice.
    pub parameters: Parameters,
    /// The time for everything, from the start of loading. Default: none.
    pub deadline: Option<Duration>,
    /// Gives this one up when cancelled. Default: a token that nobody cancels.
    pub cancel: CancellationToken,
}

/// How much is said of each persona.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Detail {
    /// Up to two claims of each kind, in a few words: for small models, and for a first look.
    Brief,
    /// Up to six claims of each kind.
    #[default]
    Standard,
}

impl GenerationConfig {
    /// Three personas from what stands under `data_path`.
    #[must_use]
    pub fn new(data_path: impl Into<PathBuf>, model: impl Into<String>) -> Self {
        Self {
            data_path: data_path.into(),
            model: model.into(),
            count: 3,
            detail: Detail::Standard,
            parameters: Parameters::default(),
            deadline: None,
            cancel: CancellationToken::new(),
        }
    }

    /// Sets how many personas are made.
    #[must_use]
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Sets how much is said of each persona.
    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// Sets how answers are drawn.
    #[must_use]
    pub fn parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Sets the time for everything.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets what gives it up.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }
}
