//! The examination of one provider, step by step, as far as is possible without a model call.
//!
//! The steps are in the order in which a call depends on them, so the first one that fails is the cause, and those after it are
//! skipped. Each has a time limit of its own.

use std::time::Duration;

use antiphon_http::{Client, ErrorKind as HttpKind, Request};
use antiphon_llm::{CallContext, Error as LlmError, ErrorKind, Model, Price, Provider, TimeoutPhase};
use antiphon_providers::SecretString;
use antiphon_providers::registry::Built;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use tokio::time::timeout;
use url::{Host, Url};

use crate::build::{build, check_headers, check_key, located};
use crate::connect::ConnectError;
use crate::environment::Environment;
use crate::provider::ProviderSettings;
use crate::settings::Settings;
use crate::survey::similar_models;
use crate::target::PriceOf;

/// The time limit of each step that needs the network.
const PATIENCE: Duration = Duration::from_secs(5);

/// The steps, in their order, by their names in reports.
const STEPS: [&str; 7] =
    ["configuration", "key", "name resolution", "connection", "model list", "model", "price"];

/// The result of [`examine`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Examination {
    /// The provider's name.
    pub name: String,
    /// The address; `None` for a provider without a server, or if the configuration is wrong.
    pub base_url: Option<String>,
    /// The steps, in their order.
    pub steps: Vec<ExaminedStep>,
}

/// A step of an examination.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExaminedStep {
    /// The name: `configuration`, `key`, `name resolution`, `connection`, `model list`, `model` or `price`.
    pub name: &'static str,
    /// The state.
    pub state: StepState,
    /// The finding, in words.
    pub message: String,
    /// The advice on what to do next; `None` if nothing has to be done.
    pub advice: Option<String>,
}

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepState {
    /// The step succeeded.
    Ok,
    /// Runs work, with the restriction that the message names.
    Restricted,
    /// The step failed, for a reason of this kind: no run works.
    Failed(ErrorKind),
    /// The step was not made, since it does not apply or an earlier one failed.
    Skipped,
}

impl StepState {
    /// Returns the state in one word: `ok`, `restricted`, `failed` or `skipped`.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Restricted => "restricted",
            Self::Failed(_) => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl ExaminedStep {
    /// Creates a step without advice.
    fn new(name: &'static str, state: StepState, message: impl Into<String>) -> Self {
        Self { name, state, message: message.into(), advice: None }
    }

    /// Creates a step that succeeded.
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self::new(name, StepState::Ok, message)
    }

    /// Creates a step that failed, with advice.
    fn failed(
        name: &'static str,
        kind: ErrorKind,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(name, StepState::Failed(kind), message) }
    }

    /// Returns whether the steps after this one cannot be made.
    fn is_failed(&self) -> bool {
        matches!(self.state, StepState::Failed(_))
    }
}

impl Serialize for ExaminedStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ExaminedStep", 4)?;
        fields.serialize_field("step", self.name)?;
        fields.serialize_field("status", self.state.status())?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("advice", &self.advice)?;
        fields.end()
    }
}

/// Examines one provider: its configuration and key, name resolution, connection with TLS, whether it accepts the key and has the
/// model, and whether the price of the model is known. Lists the models, but calls none, so that nothing is billed.
///
/// The steps end with the first one that fails; the later ones are then `Skipped`. For all providers at once, in less detail, use
/// [`doctor`](crate::doctor). `environment` shows whether a proxy resolves names.
///
/// # Cancel safety
/// A dropped call changes nothing.
pub async fn examine(
    settings: &Settings,
    named: &ProviderSettings,
    environment: &Environment,
) -> Examination {
    let named = located(settings, named).await;
    let subject = Subject { settings, named: &named, environment };
    let mut examination = Examination { name: named.name.clone(), base_url: None, steps: Vec::new() };
    subject.fill(&mut examination).await;
    let missing = STEPS.iter().skip(examination.steps.len());
    let skipped: Vec<_> =
        missing.map(|name| ExaminedStep::new(name, StepState::Skipped, "not checked")).collect();
    examination.steps.extend(skipped);
    examination
}

/// The provider that is examined.
struct Subject<'a> {
    settings: &'a Settings,
    named: &'a ProviderSettings,
    environment: &'a Environment,
}

impl Subject<'_> {
    /// Makes the steps until one fails.
    async fn fill(&self, examination: &mut Examination) {
        let steps = &mut examination.steps;
        let built = match self.configured() {
            Ok(built) => built,
            Err(step) => return steps.push(step),
        };
        steps.push(ExaminedStep::ok(STEPS[0], self.described()));
        examination.base_url = built.provider.scope().base_url;
        if is_last(steps, self.key()) {
            return;
        }
        let url = examination.base_url.as_deref().and_then(|url| Url::parse(url).ok());
        let Some(url) = url else { return };
        if is_last(steps, self.resolved(&url).await) || is_last(steps, self.connected(&url).await) {
            return;
        }
        match self.models(&built).await {
            Ok((step, models)) => {
                steps.push(step);
                self.fill_model(steps, &built, &models);
            }
            Err(step) => steps.push(step),
        }
    }

    /// Adds the steps about the model and its price.
    fn fill_model(&self, steps: &mut Vec<ExaminedStep>, built: &Built, models: &[Model]) {
        let named = self.settings.model.as_ref().map(|model| model.value.as_str());
        let first = models.iter().find(|model| built.lists_what_it_has && model.answers && !model.is_remote);
        let model = named.or(built.default_model.as_deref()).or(first.map(|model| model.id.as_str()));
        let Some(model) = model else {
            let advice =
                "name a model with --model, or set model in antiphon.toml; antiphon models lists them";
            let message = "no model is set, and the provider has no default";
            return steps.push(ExaminedStep {
                advice: Some(advice.to_owned()),
                ..ExaminedStep::new(STEPS[5], StepState::Restricted, message)
            });
        };
        if !is_last(steps, model_step(model, models)) {
            steps.push(self.price_step(built, model, models));
        }
    }

    /// Builds the provider, with a placeholder for a key that is missing: that is another step.
    fn configured(&self) -> Result<Built, ExaminedStep> {
        let mut named = self.named.clone();
        if check_key(&named).is_err() || !named.key_env.is_empty() {
            let placeholder = || SecretString::from("no-key");
            named.key = named.key.filter(|_| check_key(self.named).is_ok()).or_else(|| Some(placeholder()));
        }
        for value in named.secret_headers.values_mut() {
            value.get_or_insert_with(|| SecretString::from("no-key"));
        }
        build(self.settings, &named).map_err(|err| {
            let advice = match &err {
                ConnectError::NotBuilt(_) => "use a build that has this provider",
                _ => "correct it in antiphon.toml, or in the environment; antiphon config show names the origin",
            };
            ExaminedStep::failed(STEPS[0], ErrorKind::InvalidRequest, err.to_string(), advice)
        })
    }

    /// Describes the origin of the configuration.
    fn described(&self) -> String {
        let origin = if self.named.is_entered { "an entry in antiphon.toml" } else { "built in" };
        format!("kind {}, {origin}", self.named.kind)
    }

    /// Examines the key: whether there is one, and whether it can be sent.
    fn key(&self) -> ExaminedStep {
        if let Err(err) = check_key(self.named) {
            return ExaminedStep::failed(
                STEPS[1],
                ErrorKind::Auth,
                err.to_string(),
                "set the variable again",
            );
        }
        if let Err(ConnectError::MissingKey(variables)) = check_headers(self.named) {
            let variable = variables.join(" or ");
            let (message, advice) = (format!("no value in {variable}"), format!("export {variable}=…"));
            return ExaminedStep::failed(STEPS[1], ErrorKind::Auth, message, advice);
        }
        match (&self.named.key_variable, &self.named.key_env[..]) {
            (Some(variable), _) => ExaminedStep::ok(STEPS[1], format!("in {variable}")),
            (None, _) if !self.named.secret_headers.is_empty() => {
                let headers: Vec<&str> = self.named.secret_headers.keys().map(String::as_str).collect();
                ExaminedStep::ok(STEPS[1], format!("in the headers {}", headers.join(", ")))
            }
            (None, []) => ExaminedStep::ok(STEPS[1], "none is needed"),
            (None, [first, ..]) => {
                let message = format!("no key in {}", self.named.key_env.join(" or "));
                ExaminedStep::failed(STEPS[1], ErrorKind::Auth, message, format!("export {first}=…"))
            }
        }
    }

    /// Resolves the name of the host, unless it is an address or a proxy does it.
    async fn resolved(&self, url: &Url) -> ExaminedStep {
        let skipped = |why: String| ExaminedStep::new(STEPS[2], StepState::Skipped, why);
        let Some(Host::Domain(host)) = url.host() else {
            return skipped("the host is an address".to_owned());
        };
        if let Some(proxy) = self.proxy(url) {
            return skipped(format!("left to the proxy of {proxy}"));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let advice = "check the network connection, and the host in the base URL";
        let failed = |why: String| {
            let message = format!("cannot resolve the host {host}: {why}");
            ExaminedStep::failed(STEPS[2], ErrorKind::Connect, message, advice)
        };
        match timeout(PATIENCE, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(found)) => {
                let addresses: Vec<String> = found.take(2).map(|address| address.ip().to_string()).collect();
                ExaminedStep::ok(STEPS[2], format!("{host} is {}", addresses.join(", ")))
            }
            Ok(Err(err)) => failed(err.to_string()),
            Err(_) => failed("no answer in time".to_owned()),
        }
    }

    /// Returns the variable whose proxy is used for an address; `None` if there is none.
    fn proxy(&self, url: &Url) -> Option<&'static str> {
        let of_scheme = if url.scheme() == "https" {
            ["HTTPS_PROXY", "https_proxy"]
        } else {
            ["HTTP_PROXY", "http_proxy"]
        };
        let mut names = of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]);
        names.find(|name| self.environment.get(name).is_some())
    }

    /// Opens a connection, with TLS for an https address, by a request without a key. Any answer will do.
    async fn connected(&self, url: &Url) -> ExaminedStep {
        let client = Client::builder().connect_timeout(PATIENCE).first_byte_timeout(PATIENCE).build();
        let sent = client.send(Request::get(url.as_str())).await;
        match sent {
            Ok(answer) => {
                let tls = if url.scheme() == "https" { ", TLS" } else { "" };
                ExaminedStep::ok(STEPS[3], format!("open, {}{tls}", answer.version()))
            }
            Err(err) => {
                let (kind, advice) = self.advice_on_connection(err.kind());
                ExaminedStep::failed(STEPS[3], kind, err.to_string(), advice)
            }
        }
    }

    /// Returns the kind of a failed connection for exit codes, and advice.
    fn advice_on_connection(&self, kind: HttpKind) -> (ErrorKind, String) {
        let server = self.named.kind.server(&self.named.name);
        match (kind, server) {
            (HttpKind::Tls, _) => {
                let advice = "check that the port speaks https, the server's certificate, and the clock of this machine";
                (ErrorKind::Connect, advice.to_owned())
            }
            (HttpKind::Connect, Some(server)) => (ErrorKind::Connect, format!("start it: {}", server.start)),
            (HttpKind::Connect, None) => {
                let advice = "check that the server runs, its port in the base URL, and HTTPS_PROXY if the network needs a proxy";
                (ErrorKind::Connect, advice.to_owned())
            }
            (HttpKind::Exhausted, _) => {
                (ErrorKind::Exhausted, "raise the limit of open files (ulimit -n)".to_owned())
            }
            _ => (
                ErrorKind::Unavailable,
                "try again in a moment; check the base URL if it fails again".to_owned(),
            ),
        }
    }

    /// Lists the models, with the key.
    async fn models(&self, built: &Built) -> Result<(ExaminedStep, Vec<Model>), ExaminedStep> {
        let listed = timeout(PATIENCE, built.provider.models(&CallContext::default())).await;
        let late =
            || LlmError::new(ErrorKind::Timeout { phase: TimeoutPhase::Total }, "no list of models in time");
        let models = listed.unwrap_or_else(|_| Err(late())).map_err(|err| {
            ExaminedStep::failed(STEPS[4], err.kind(), err.to_string(), self.advice_on_list(&err))
        })?;
        let accepted = if self.named.key.is_some() { ", the key is accepted" } else { "" };
        let noun = if models.len() == 1 { "model" } else { "models" };
        let step = ExaminedStep::ok(STEPS[4], format!("{} {noun}{accepted}", models.len()));
        Ok((step, models))
    }

    /// Returns the advice for a list of models that was refused.
    fn advice_on_list(&self, err: &LlmError) -> String {
        match (err.kind(), &self.named.key_variable) {
            (ErrorKind::Auth, Some(variable)) => format!("check the key in {variable}, and its permissions"),
            (ErrorKind::Auth, None) => {
                format!(
                    "name the variable of its key: antiphon config set providers.{}.key_env NAME",
                    self.named.name
                )
            }
            (ErrorKind::Quota, _) => "check the billing page of the account; a quota of a day or a month ends when it resets, or with a higher limit".to_owned(),
            (ErrorKind::InvalidResponse | ErrorKind::Unsupported, _) => {
                "check that the base URL is that of this provider's API".to_owned()
            }
            _ => "try again in a moment".to_owned(),
        }
    }

    /// Returns the step about the price of a model.
    fn price_step(&self, built: &Built, model: &str, models: &[Model]) -> ExaminedStep {
        let is_remote = models.iter().any(|listed| listed.id == model && listed.is_remote);
        match PriceOf::live(self.settings, built, is_remote).of(model, 0) {
            Some(price) if price == Price::FREE => ExaminedStep::ok(
                STEPS[6],
                if built.is_local { "no cost: it runs on this machine" } else { "no cost" },
            ),
            Some(price) => {
                // Millionths of a dollar are converted as millionths of a second are.
                let dollars = |micros: u64| Duration::from_micros(micros).as_secs_f64();
                let (input, output) = (dollars(price.input), dollars(price.output));
                ExaminedStep::ok(STEPS[6], format!("${input} in, ${output} out per million tokens"))
            }
            None => {
                let key = crate::SettingKey::of(&["prices", &self.named.name, model]);
                let advice =
                    format!("add [{key}] with input and output to antiphon.toml, for --max-cost and reports");
                let message = "not known: the cost of a run is unknown";
                let step = ExaminedStep::new(STEPS[6], StepState::Restricted, message);
                ExaminedStep { advice: Some(advice), ..step }
            }
        }
    }
}

/// Adds a step, and returns whether the examination ends with it.
fn is_last(steps: &mut Vec<ExaminedStep>, step: ExaminedStep) -> bool {
    let is_failed = step.is_failed();
    steps.push(step);
    is_failed
}

/// Returns the step about whether the provider lists the model. A name without a tag means the tag `latest`, as in Ollama.
fn model_step(model: &str, models: &[Model]) -> ExaminedStep {
    let is_it = |listed: &Model| listed.id == model || listed.id == format!("{model}:latest");
    if models.iter().any(is_it) {
        return ExaminedStep::ok(STEPS[5], format!("{model} is listed"));
    }
    let near = similar_models(model, models);
    let advice = if near.is_empty() {
        "name another one with --model, or set model in antiphon.toml; antiphon models lists them".to_owned()
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    let message = format!("{model} is not among the models that the provider lists");
    ExaminedStep::failed(STEPS[5], ErrorKind::ModelNotFound, message, advice)
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{ErrorKind, Model};

    use super::{StepState, examine, model_step};
    use crate::config_file::ConfigFile;
    use crate::environment::Environment;
    use crate::flags::Flags;
    use crate::settings::resolve;

    /// Examines a provider, and returns the states of the steps, with the messages and the advice of the last one that was made.
    async fn examined(flags: Flags, env: &[(&str, &str)]) -> (Vec<&'static str>, String) {
        let env: Environment = env.iter().copied().collect();
        let lab = "[providers.lab]\nkind = \"compatible\"\nbase_url = \"https://no-such-host.invalid/v1\"\nkey_env = \"LAB_KEY\"\n";
        let files = [ConfigFile::parse("a.toml", lab).unwrap()];
        let settings = resolve(&flags, &env, &files).unwrap();
        let examination = examine(&settings, &settings.provider.as_ref().unwrap().value, &env).await;
        let states: Vec<_> = examination.steps.iter().map(|step| step.state.status()).collect();
        let last = examination.steps.iter().rev().find(|step| step.state != StepState::Skipped).unwrap();
        (states, format!("{}: {}. {}", last.name, last.message, last.advice.clone().unwrap_or_default()))
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_failed_step_is_the_cause_and_says_what_to_do() {
        let (states, last) = examined(Flags::default().provider("lab"), &[]).await;
        assert_eq!(states[..3], ["ok", "failed", "skipped"]);
        assert_eq!(last, "key: no key in LAB_KEY. export LAB_KEY=…");
        let (states, last) =
            examined(Flags::default().provider("lab"), &[("LAB_KEY", "a planted key")]).await;
        assert_eq!(states[1], "failed");
        assert!(last.contains("LAB_KEY") && last.contains("a space") && !last.contains("planted"), "{last}");
        let (states, _) = examined(Flags::default().offline(), &[]).await;
        assert_eq!(states[..3], ["ok", "ok", "skipped"]);
    }

    #[test]
    fn a_model_that_is_not_listed_has_similar_ones() {
        let models = [
            Model::new("gpt-4.1-mini", None),
            Model::new("whisper", None),
            Model::new("llama3:latest", None),
        ];
        let step = model_step("gpt-4.1-mni", &models);
        assert_eq!(step.state, StepState::Failed(ErrorKind::ModelNotFound));
        assert!(step.advice.unwrap().starts_with("did you mean gpt-4.1-mini"));
        assert_eq!(model_step("llama3", &models).state, StepState::Ok);
    }
}
