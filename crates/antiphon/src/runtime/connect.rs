use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use antiphon_llm::{
    CallContext, Calls, Error as LlmError, Gates, Model, Price, Provider, RetryBudget, Scope, Stack,
};
use antiphon_providers::prices::Prices;
use antiphon_providers::registry::{BuildError, Built};
use antiphon_resilience::{BreakerPolicy, Breakers, GatePolicy, RetryPolicy, Window};

use super::build::{build, located};
use super::config_file::ConfigFile;
use super::environment::Environment;
use super::provider::{ProviderSettings, known_names, named_provider};
use super::settings::{ConfigError, Origin, Settings};

/// A provider that is ready to be asked, with everything around it, and a model.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Session {
    /// The provider's name.
    pub name: String,
    /// The provider, with its retries, limits and spans.
    pub provider: Arc<dyn Provider>,
    /// The same without retries, for the engine, which journals each call and owns its retries.
    pub calls: Calls,
    /// How often the engine makes a failed call again.
    pub retry: RetryPolicy,
    /// The model to ask.
    pub model: String,
    /// Which provider it is and why, in a line for the user.
    pub why: String,
    /// Whether nobody chose it, so that other choices are worth a hint.
    pub chosen_by_default: bool,
    price: PriceOf,
}

/// What a provider's models cost.
#[derive(Debug, Clone)]
enum PriceOf {
    /// It runs on one's own machine.
    Nothing,
    /// What the table says of a vendor.
    Table(Arc<Prices>, String),
    /// Nobody knows.
    Unknown,
}

/// Why no provider is ready.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// A key is missing: the variables it is looked for in.
    MissingKey(Vec<String>),
    /// A setting is missing or wrong.
    Setting(String),
    /// The files say something that does not hold.
    Config(String),
    /// This build has no such provider: its feature.
    NotBuilt(&'static str),
    /// The server was asked for its models, and that failed.
    Provider(LlmError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey(variables) => {
                write!(f, "the environment variable {} is not set", variables.join(" or "))
            }
            Self::Setting(message) | Self::Config(message) => f.write_str(message),
            Self::NotBuilt(feature) => BuildError::NotBuilt { feature }.fmt(f),
            Self::Provider(err) => {
                write!(f, "no model was named, and the server's list cannot be had: {err}")
            }
        }
    }
}

impl std::error::Error for ConnectError {}

impl Session {
    /// Whether answers would come from plain statistics, which know a few recipes and no others.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.provider.scope().base_url.is_none()
    }

    /// What the model costs for a prompt of so many tokens; `None` if that is not known.
    #[must_use]
    pub fn price(&self, prompt_tokens: u64) -> Option<Price> {
        match &self.price {
            PriceOf::Nothing => Some(Price::FREE),
            PriceOf::Table(prices, vendor) => prices.price(vendor, &self.model, prompt_tokens),
            PriceOf::Unknown => None,
        }
    }
}

/// The limits of all providers of this process: what one run learns, the others need not learn again.
static GATES: LazyLock<Gates> = LazyLock::new(Gates::default);
/// Whether providers are well, by their address and account.
static BREAKERS: LazyLock<Breakers> = LazyLock::new(|| {
    // Of many calls at once a fifth may fail by chance without anything being down, so more of them are looked at; and a
    // trial may take as long as the slowest engine does to its first word.
    let policy = BreakerPolicy::default().window(Window::Count(100)).min_calls(20);
    Breakers::new(policy.max_half_open(Duration::from_secs(300)))
});

/// Gates of engines that say how many calls they work on at once: more would only wait there, with their clocks running.
static GATES_OF_SLOTS: LazyLock<Mutex<HashMap<(String, u32), Gates>>> = LazyLock::new(Mutex::default);

fn gates_of(scope: &Scope, slots: Option<u32>) -> Gates {
    let Some(slots) = slots else { return GATES.clone() };
    let mut known = GATES_OF_SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    let new = || Gates::new(GatePolicy::default().max_concurrency(slots as usize));
    known.entry((scope.to_string(), slots)).or_insert_with(new).clone()
}

/// Makes the provider that the settings name; without one a local engine that answers, else offline. Never a cloud
/// that nobody named.
///
/// # Errors
/// What is missing or wrong.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn connect(settings: &Settings) -> Result<Session, ConnectError> {
    match &settings.provider {
        Some(named) => {
            let built = build(settings, &located(settings, &named.value).await)?;
            let session =
                session(settings, built, settings.model.as_ref().map(|model| &*model.value)).await?;
            let why = match session.provider.scope().base_url {
                Some(_) => session.why,
                None => format!("{} (chosen by {})", session.why, named.origin),
            };
            Ok(Session { why, ..session })
        }
        None => by_default(settings).await,
    }
}

/// All providers that have a name here and could be asked: the built-in ones, and those of the files.
#[must_use]
pub fn known_providers(
    env: &Environment,
    files: &[ConfigFile],
) -> Vec<(String, Result<ProviderSettings, ConfigError>)> {
    known_names(files)
        .into_iter()
        .map(|name| {
            let settings = named_provider(&name, env, files);
            (name, settings)
        })
        .collect()
}

/// A client for plain HTTP under the settings: it retries, follows redirects, and keeps to the time-out for the first byte
/// and between two pieces, so that a large file may take as long as it comes.
#[must_use]
pub fn http_client(settings: &Settings) -> antiphon_http::Client {
    let policy = RetryPolicy::default().max_retries(settings.max_retries.value);
    let client = antiphon_http::Client::builder().retry(policy).max_redirects(10);
    let client = client.max_connections(settings.pool_size.value);
    match settings.timeout_of_all() {
        Some(timeout) => client.first_byte_timeout(timeout).idle_timeout(timeout).build(),
        None => client.build(),
    }
}

async fn session(settings: &Settings, built: Built, model: Option<&str>) -> Result<Session, ConnectError> {
    let (model, is_remote) = match model {
        // Statistics have no models.
        Some(model) if built.has_models => (model.to_owned(), is_remote(&built, model).await),
        _ => (default_model(&built).await?, false),
    };
    let scope = built.provider.scope();
    let why = match &scope.base_url {
        Some(place) => format!("{} at {place}, model {model}", scope.vendor),
        None => "offline: drafts by text statistics, no language model".to_owned(),
    };
    let gates = match built.tells_slots {
        true => gates_of(&scope, built.provider.capabilities(&model, &CallContext::default()).await.parallel),
        false => GATES.clone(),
    };
    let price = match (&built.price_vendor, built.is_local && !is_remote) {
        (_, true) => PriceOf::Nothing,
        (Some(vendor), _) => PriceOf::Table(Arc::new(settings.prices.clone()), vendor.clone()),
        (None, _) => PriceOf::Unknown,
    };
    let breaker = BREAKERS.get(&format!("{scope} {}", scope.key_digest.as_deref().unwrap_or_default()));
    let retry = RetryPolicy::default().max_retries(settings.max_retries.value);
    let stack = || {
        let stack = Stack::new(built.provider.clone());
        let stack = match scope.base_url {
            Some(_) => stack.gates(gates.clone()).breaker(breaker.clone()),
            None => stack,
        };
        if settings.capture_content { stack.observe_content() } else { stack }
    };
    let provider = match scope.base_url {
        Some(_) => stack().retry(retry.clone()).retry_budget(RetryBudget::default()).build(),
        None => built.provider.clone(),
    };
    let calls = stack().calls();
    let name = scope.vendor.clone();
    Ok(Session { name, provider, calls, retry, model, why, chosen_by_default: false, price })
}

/// The provider's own choice, or the first model that it lists and that answers here: not one that a local engine hands on
/// to a cloud, which nobody named.
async fn default_model(built: &Built) -> Result<String, ConnectError> {
    if let Some(model) = &built.default_model {
        return Ok(model.clone());
    }
    if !built.lists_what_it_has {
        let message = "this provider has many models and no usual one: name one with --model";
        return Err(ConnectError::Setting(message.to_owned()));
    }
    let models = built.provider.models(&CallContext::default()).await.map_err(ConnectError::Provider)?;
    let first = models.into_iter().find(|model| model.answers && !model.is_remote);
    first.map(|model| model.id).ok_or_else(|| {
        ConnectError::Setting("the server lists no model: load one, or name one with --model".to_owned())
    })
}

/// Whether a local engine only hands a model on to a cloud.
async fn is_remote(built: &Built, model: &str) -> bool {
    if !built.is_local || !built.lists_what_it_has {
        return false;
    }
    let models = built.provider.models(&CallContext::default()).await.unwrap_or_default();
    models.iter().any(|known| known.id == model && known.is_remote)
        || model.ends_with("-cloud")
        || model.ends_with(":cloud")
}

async fn by_default(settings: &Settings) -> Result<Session, ConnectError> {
    let flagged = settings.model.as_ref().filter(|model| matches!(model.origin, Origin::Flag(_)));
    let mut passed_over = Vec::new();
    // Only what runs here: an engine on another machine is named by somebody who means it.
    let found = super::build::local(settings).await?.into_iter();
    for (named, built) in found.filter(|(_, built)| built.is_local) {
        let place = built.provider.scope().to_string();
        let of_file = named.entry.model.or(settings.model.as_ref().map(|model| model.value.clone()));
        let wanted = flagged.map(|model| model.value.clone()).or(of_file);
        // An engine without a model, or without the one that is wanted, cannot serve; the next one may.
        if let Some(wanted) = &wanted
            && !has_at_hand(&built, wanted).await
        {
            passed_over.push(format!("{place} has no model {wanted}"));
            continue;
        }
        match session(settings, built, wanted.as_deref()).await {
            Ok(session) => {
                let why = format!("{} (it answers on this machine)", session.why);
                return Ok(Session { why, chosen_by_default: true, ..session });
            }
            Err(err @ ConnectError::Config(_)) => return Err(err),
            Err(err) => passed_over.push(format!("{place}: {err}")),
        }
    }
    let why = match passed_over.is_empty() {
        true => "no local engine answers".to_owned(),
        false => passed_over.join("; "),
    };
    // Statistics in place of a model that somebody asked for would be no answer.
    if let Some(model) = flagged {
        let message = format!("no provider is named, and nothing here has the model {}: {why}", model.value);
        return Err(ConnectError::Setting(message));
    }
    let session = session(settings, super::build::offline()?, None).await?;
    let why = format!("{} (no provider named and {why})", session.why);
    Ok(Session { why, chosen_by_default: true, ..session })
}

async fn has_at_hand(built: &Built, wanted: &str) -> bool {
    let models = built.provider.models(&CallContext::default()).await.unwrap_or_default();
    let has_it = |model: &Model| model.id == wanted || model.id == format!("{wanted}:latest");
    models.iter().any(|model| has_it(model) && !model.is_remote)
}
