//! The results of checkups, and their serialised form, in which the order of fields is fixed.

use antiphon_llm::{Error, ErrorKind, Health};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// The result of examining one provider, and advice. The serialised form is a flat object, in which unknown fields are `null`.
///
/// ```
/// use antiphon_llm::{Error, ErrorKind};
/// use antiphon_providers::checkup::{Checkup, CheckupResult};
///
/// let checkup = Checkup::new("lab", CheckupResult::Failed(Error::new(ErrorKind::Auth, "wrong key"))).advice("look at the key");
/// let document = serde_json::to_value(&checkup)?;
/// assert_eq!((&document["status"], &document["message"]), (&"failed".into(), &"wrong key".into()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Checkup {
    /// The provider's name.
    pub name: String,
    /// The provider's address, as far as it is known.
    pub base_url: Option<String>,
    /// The state of the provider, with its health or the reason why it does not answer.
    pub result: CheckupResult,
    /// The advice for the user; `None` if nothing has to be done.
    pub advice: Option<String>,
}

/// The state of a provider.
#[derive(Debug)]
#[non_exhaustive]
pub enum CheckupResult {
    /// The provider answers.
    Healthy(Health),
    /// The provider is not set up, or its engine does not run, for the given reason. This is not a failure.
    Absent(String),
    /// The provider is set up but does not work.
    Failed(Error),
}

impl Checkup {
    /// Creates a checkup without an address and without advice.
    #[must_use]
    pub fn new(name: impl Into<String>, result: CheckupResult) -> Self {
        Self { name: name.into(), base_url: None, result, advice: None }
    }

    /// Creates a checkup of a provider whose configuration is invalid.
    #[must_use]
    pub fn misconfigured(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, CheckupResult::Failed(Error::new(ErrorKind::InvalidRequest, message)))
    }

    /// Sets the advice.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl CheckupResult {
    /// Returns the state in one word: `ok`, `absent` or `failed`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Healthy(_) => "ok",
            Self::Absent(_) => "absent",
            Self::Failed(_) => "failed",
        }
    }

    /// Returns the health of a provider that answers.
    #[must_use]
    pub fn health(&self) -> Option<&Health> {
        match self {
            Self::Healthy(health) => Some(health),
            Self::Absent(_) | Self::Failed(_) => None,
        }
    }

    /// Returns the reason why a provider does not answer.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Healthy(_) => None,
            Self::Absent(why) => Some(why.clone()),
            Self::Failed(err) => Some(err.to_string()),
        }
    }

    /// Serialises status and message, then the fields of `between`, then health.
    fn serialize_into<S: SerializeStruct>(
        &self,
        fields: &mut S,
        between: impl FnOnce(&mut S) -> Result<(), S::Error>,
    ) -> Result<(), S::Error> {
        let health = self.health();
        fields.serialize_field("status", self.status())?;
        fields.serialize_field("message", &self.message())?;
        between(fields)?;
        fields.serialize_field("latency_ms", &health.map(latency_ms))?;
        fields.serialize_field("http_version", &health.and_then(|health| health.http_version))?;
        fields.serialize_field("models", &health.and_then(|health| health.models))?;
        fields.serialize_field("parallel", &health.and_then(|health| health.parallel))?;
        fields.serialize_field("version", &health.and_then(|health| health.version.as_deref()))
    }
}

/// Returns the latency in whole milliseconds.
pub(super) fn latency_ms(health: &Health) -> u64 {
    u64::try_from(health.latency.as_millis()).unwrap_or(u64::MAX)
}

impl Serialize for CheckupResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Finding", 7)?;
        self.serialize_into(&mut fields, |_| Ok(()))?;
        fields.end()
    }
}

impl Serialize for Checkup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Checkup", 10)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("base_url", &self.base_url)?;
        self.result.serialize_into(&mut fields, |fields| fields.serialize_field("advice", &self.advice))?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::{Error, ErrorKind, Health, Model, Price};
    use serde::Serialize;

    use super::{Checkup, CheckupResult};
    use crate::checkup::{LocalEngine, ModelInfo, ProviderModels};

    #[track_caller]
    fn check(value: &impl Serialize, expected: &str) {
        assert_eq!(serde_json::to_string(value).unwrap(), expected);
    }

    fn health() -> Health {
        let mut health = Health::default();
        (health.latency, health.models, health.version) =
            (Duration::from_millis(7), Some(1), Some("1.0".to_owned()));
        health
    }

    #[test]
    fn checkups_are_flat_documents() {
        check(
            &Checkup::new("lab", CheckupResult::Healthy(health())).advice("load one"),
            r#"{"name":"lab","base_url":null,"status":"ok","message":null,"advice":"load one","latency_ms":7,"http_version":null,"models":1,"parallel":null,"version":"1.0"}"#,
        );
        check(
            &Checkup::misconfigured("lab", "no kind"),
            r#"{"name":"lab","base_url":null,"status":"failed","message":"no kind","advice":null,"latency_ms":null,"http_version":null,"models":null,"parallel":null,"version":null}"#,
        );
        check(
            &CheckupResult::Absent("no key".to_owned()),
            r#"{"status":"absent","message":"no key","latency_ms":null,"http_version":null,"models":null,"parallel":null,"version":null}"#,
        );
    }

    #[test]
    fn models_and_engines_are_flat_documents() {
        let model = ModelInfo {
            id: "m".to_owned(),
            answers: true,
            context_window: Some(8),
            max_output: None,
            price: Some(Price::new(1, 1, 2)),
        };
        check(
            &[model.clone(), ModelInfo { price: None, ..model.clone() }],
            r#"[{"id":"m","answers":true,"context_window":8,"max_output":null,"input_usd_micros":1,"output_usd_micros":2},{"id":"m","answers":true,"context_window":8,"max_output":null,"input_usd_micros":null,"output_usd_micros":null}]"#,
        );
        let err = || Error::new(ErrorKind::Auth, "wrong key");
        check(
            &ProviderModels { provider: "lab".to_owned(), models: Err(err()) },
            r#"{"provider":"lab","error":"wrong key","models":[]}"#,
        );
        let (name, base_url) = ("lab".to_owned(), "http://h".to_owned());
        check(
            &LocalEngine { name, base_url, health: Ok(health()), models: Ok(vec![Model::new("m", None)]) },
            r#"{"name":"lab","base_url":"http://h","version":"1.0","parallel":null,"latency_ms":7,"models":["m"],"error":null}"#,
        );
    }
}
