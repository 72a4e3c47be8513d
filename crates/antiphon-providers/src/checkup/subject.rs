//! The examination of one provider, and the advice for its user.

use std::time::Duration;

use antiphon_llm::{CallContext, Error, ErrorKind, Health, Provider, TimeoutPhase};
use tokio::time::timeout;

use super::result::{Checkup, CheckupResult};
use crate::registry::{BuildError, Built, Kind, SlotSetting};

/// The time limit of an examination.
const PATIENCE: Duration = Duration::from_secs(5);

/// A provider to be examined, and the caller's configuration of it.
///
/// The configuration decides how a failure is judged: a provider that no one configured is absent if it does not answer, while a
/// configured one has failed.
///
/// ```
/// use antiphon_providers::checkup::Subject;
/// use antiphon_providers::registry::{Kind, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let kind = Kind::find("anthropic").ok_or("unknown")?;
/// let checkup = Subject::new(kind.name, kind).examine(kind.build(&Options::new(kind.name))).await;
/// assert_eq!(checkup.result.status(), "absent", "a provider without a key is not expected to answer");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Subject<'s> {
    /// The provider's name.
    pub name: &'s str,
    /// The provider's kind.
    pub kind: &'static Kind,
    /// The environment variables in which its key is looked up. Default: none.
    pub key_env: &'s [String],
    /// Whether the user configured the provider. If so, a provider that does not answer counts as failed, and otherwise as
    /// absent. Default: `false`.
    pub is_configured: bool,
    /// Whether runs use this provider. If so, a missing key counts as a failure. Default: `false`.
    pub is_chosen: bool,
}

impl<'s> Subject<'s> {
    /// Creates a subject without any configuration.
    #[must_use]
    pub fn new(name: &'s str, kind: &'static Kind) -> Self {
        Self { name, kind, key_env: &[], is_configured: false, is_chosen: false }
    }

    /// Sets the environment variables in which its key is looked up.
    #[must_use]
    pub fn key_env(mut self, variables: &'s [String]) -> Self {
        self.key_env = variables;
        self
    }

    /// Sets whether the user configured the provider.
    #[must_use]
    pub fn configured(mut self, is_configured: bool) -> Self {
        self.is_configured = is_configured;
        self
    }

    /// Sets whether runs use this provider.
    #[must_use]
    pub fn chosen(mut self, is_chosen: bool) -> Self {
        self.is_chosen = is_chosen;
        self
    }

    /// Examines the provider: its key, address, models and slots (the calls that a local server processes in parallel). `built`
    /// is the outcome of [`Kind::build`](crate::registry::Kind::build), whose error becomes part of the result. The time limit is
    /// 5 seconds. No model is called, so nothing is billed.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn examine(self, built: Result<Built, BuildError>) -> Checkup {
        let provider = match built {
            Ok(built) => built.provider,
            Err(err) => return self.build_failure(&err),
        };
        let health = timeout(PATIENCE, provider.health(&CallContext::default())).await;
        let health = health.unwrap_or_else(|_| {
            let kind = ErrorKind::Timeout { phase: TimeoutPhase::Total };
            Err(Error::new(kind, format!("no answer within {} s", PATIENCE.as_secs())))
        });
        let base_url = provider.scope().base_url;
        let (result, advice) = self.judge(health);
        Checkup { base_url, advice, ..Checkup::new(self.name, result) }
    }

    /// Returns the state of a provider with this health, and advice.
    fn judge(&self, health: Result<Health, Error>) -> (CheckupResult, Option<String>) {
        match health {
            Ok(health) => {
                let advice = self.advice_for(&health);
                (CheckupResult::Healthy(health), advice)
            }
            Err(err) if self.is_configured => {
                let advice = self.advice_against(&err);
                (CheckupResult::Failed(err), advice)
            }
            Err(err) => {
                let (why, advice) = self.absence(&err);
                (CheckupResult::Absent(why.to_owned()), advice)
            }
        }
    }

    /// Returns the checkup of a provider that could not be constructed.
    fn build_failure(&self, err: &BuildError) -> Checkup {
        match err {
            BuildError::MissingKey { variables } => self.missing_key(variables),
            BuildError::NotBuilt { .. } => Checkup::new(self.name, CheckupResult::Absent(err.to_string())),
            BuildError::UnusedOption { .. } | BuildError::Invalid(_) => {
                Checkup::misconfigured(self.name, err.to_string())
                    .advice("check antiphon.toml and the environment")
            }
        }
    }

    /// Returns the checkup of a provider without a key: a failure only where runs use it.
    fn missing_key(&self, variables: &[String]) -> Checkup {
        let result = if self.is_chosen {
            let message = "antiphon.toml names this provider, and it has no key";
            CheckupResult::Failed(Error::new(ErrorKind::Auth, message))
        } else {
            CheckupResult::Absent("no key".to_owned())
        };
        let variable = variables.first().map_or("", String::as_str);
        Checkup::new(self.name, result).advice(format!("export {variable}=…"))
    }

    /// Returns the reason why an unconfigured provider counts as absent (its engine does not run, or another program listens
    /// on its port), and advice.
    fn absence(&self, err: &Error) -> (&'static str, Option<String>) {
        match err.kind() {
            ErrorKind::Connect => ("no server answers", self.start()),
            ErrorKind::Auth => ("a server answers and asks for a key", self.advice_against(err)),
            ErrorKind::Tls => ("a server answers without a valid certificate", self.advice_against(err)),
            ErrorKind::Overloaded { .. } => ("it is not ready", self.advice_against(err)),
            ErrorKind::Timeout { .. } => ("a server answers too slowly", None),
            _ => ("another program answers", None),
        }
    }

    /// Returns the advice for an error; `None` where none is known.
    fn advice_against(&self, err: &Error) -> Option<String> {
        let advice = match err.kind() {
            ErrorKind::Auth if self.key_env.is_empty() => {
                "it asks for a key: name its variable with key_env in antiphon.toml"
            }
            ErrorKind::Auth => return Some(format!("check the key in {}", self.key_env.join(" or "))),
            ErrorKind::Quota => "check the account's billing page",
            ErrorKind::Connect if !self.kind.servers.is_empty() => {
                return self.start().or_else(|| Some("check that it runs at this address".to_owned()));
            }
            ErrorKind::Connect => "check the network, and set HTTPS_PROXY if it needs a proxy",
            ErrorKind::Tls => {
                "check the scheme of the address, the server's certificate and this machine's clock and certificates"
            }
            ErrorKind::InvalidResponse | ErrorKind::Unsupported => {
                "another program answers there: check the address"
            }
            ErrorKind::Overloaded { .. } => "it is starting, or busy: try again in a moment",
            _ => return None,
        };
        Some(advice.to_owned())
    }

    /// Returns the advice for a provider that answers: to load a model, or to raise its concurrency limit (slots).
    fn advice_for(&self, health: &Health) -> Option<String> {
        let slots = self.kind.server(self.name).and_then(|server| server.slots);
        match (&self.kind.pull, slots) {
            (Some(pull), _) if health.models == Some(0) => {
                Some(format!("it has no model: antiphon local pull {}", pull.example))
            }
            _ if health.models == Some(0) => Some("it lists no model: load one".to_owned()),
            (_, Some(SlotSetting::Flag(flag))) if health.parallel == Some(1) => {
                Some(format!("its concurrency limit is 1: start it with {flag} for more"))
            }
            (_, Some(SlotSetting::Variable(variable))) => Some(format!(
                "its concurrency limit is the value of {variable}, 1 by default: set it for more"
            )),
            _ => None,
        }
    }

    /// Returns the advice to start the engine, with its command.
    fn start(&self) -> Option<String> {
        let server = self.kind.server(self.name)?;
        Some(format!("start it: {}", server.start))
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Error, ErrorKind, Health};

    use super::Subject;
    use crate::registry::Kind;

    #[track_caller]
    fn subject(name: &str) -> Subject<'_> {
        let kind = if name == "lab" { "compatible" } else { name };
        Subject::new(name, Kind::find(kind).unwrap())
    }

    #[track_caller]
    fn check_error(subject: Subject<'_>, kind: ErrorKind, expected: Option<&str>) {
        assert_eq!(subject.advice_against(&Error::new(kind, "")).as_deref(), expected, "{subject:?}");
    }

    #[track_caller]
    fn check_health(name: &str, (models, parallel): (usize, Option<u32>), expected: &str) {
        let mut health = Health::default();
        (health.models, health.parallel) = (Some(models), parallel);
        let advice = subject(name).advice_for(&health).unwrap_or_default();
        assert!(advice.contains(expected) && advice.is_empty() == expected.is_empty(), "{name}: {advice}");
    }

    #[test]
    fn an_error_has_advice_that_fits_the_kind_of_provider() {
        let keys = ["MY_KEY".to_owned(), "OTHER_KEY".to_owned()];
        let billing = Some("check the account's billing page");
        let keyless = Some("it asks for a key: name its variable with key_env in antiphon.toml");
        let network = Some("check the network, and set HTTPS_PROXY if it needs a proxy");
        check_error(subject("lab"), ErrorKind::Auth, keyless);
        check_error(
            subject("openai").key_env(&keys),
            ErrorKind::Auth,
            Some("check the key in MY_KEY or OTHER_KEY"),
        );
        check_error(subject("openai"), ErrorKind::Quota, billing);
        check_error(subject("openai"), ErrorKind::Connect, network);
        check_error(subject("ollama"), ErrorKind::Connect, Some("start it: ollama serve"));
        check_error(subject("lab"), ErrorKind::Connect, Some("check that it runs at this address"));
        let certificate = "check the scheme of the address, the server's certificate and this machine's clock and certificates";
        check_error(subject("openai"), ErrorKind::Tls, Some(certificate));
        check_error(subject("openai"), ErrorKind::InvalidRequest, None);
    }

    #[test]
    fn an_unconfigured_provider_is_absent_and_not_failed() {
        let (why, advice) = subject("ollama").absence(&Error::new(ErrorKind::Connect, ""));
        assert_eq!((why, advice.as_deref()), ("no server answers", Some("start it: ollama serve")));
        let (why, advice) = subject("ollama").absence(&Error::new(ErrorKind::InvalidResponse, ""));
        assert_eq!((why, advice), ("another program answers", None));
    }

    #[test]
    fn an_engine_that_answers_has_advice_on_models_and_slots() {
        check_health("ollama", (0, None), "antiphon local pull ");
        check_health("llamacpp", (0, None), "it lists no model");
        check_health("llamacpp", (1, Some(1)), "its concurrency limit is 1: start it with ");
        check_health("llamacpp", (1, Some(4)), "");
        check_health("ollama", (1, None), "the value of OLLAMA_NUM_PARALLEL");
        check_health("openai", (1, None), "");
    }
}
