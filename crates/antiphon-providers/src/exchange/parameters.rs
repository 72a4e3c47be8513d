//! The sampling parameters of a wire format, as a table: which there are, and where each is in a request's body.
//!
//! A vendor's folder has the table, with the source of its rules. Everything else is here: the check, by which a parameter that
//! the table does not have is an error before anything is sent, and the writing of those that it has.

use std::borrow::Cow;

use antiphon_llm::{InvalidParam, ReasoningEffort, SamplingParams};
use serde_json::{Map, Value, json};

/// The sampling parameters that a format has.
#[derive(Debug, Clone)]
pub(crate) struct ParamTable {
    /// The names of the parameters, each with the path of its field in the body, with dots between the fields.
    pub(crate) fields: Cow<'static, [(&'static str, Cow<'static, str>)]>,
    /// The form in which an effort is sent; `None` for one that the vendor does not have.
    pub(crate) effort: fn(ReasoningEffort) -> Option<SentEffort>,
    /// The maximum number of stop sequences.
    pub(crate) max_stops: Option<usize>,
    /// The service tiers; empty if any name is accepted.
    pub(crate) tiers: &'static [&'static str],
    /// The minimum of the reasoning budget, in tokens, and whether the budget must be below `max_tokens`.
    pub(crate) budget: Budget,
}

/// The rules for a reasoning budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// The minimum, in tokens.
    pub(crate) min: u64,
    /// Whether the budget must be below `max_tokens`.
    pub(crate) is_below_max_tokens: bool,
    /// A field that is sent beside the budget: its path, and its text.
    pub(crate) beside: Option<(&'static str, &'static str)>,
}

impl Budget {
    /// A budget of any size from this one.
    pub(crate) const fn at_least(min: u64) -> Self {
        Self { min, is_below_max_tokens: false, beside: None }
    }
}

/// Returns a row of a table: a parameter and its path.
pub(crate) const fn field(name: &'static str, path: &'static str) -> (&'static str, Cow<'static, str>) {
    (name, Cow::Borrowed(path))
}

/// The form in which an effort of reasoning is sent.
#[derive(Debug)]
pub(crate) struct SentEffort {
    /// The path of the field; `None`: that of `reasoning_effort` in the table.
    path: Option<&'static str>,
    value: Value,
}

impl SentEffort {
    /// Returns the effort under its own name, in the field of the table.
    pub(crate) fn named(effort: ReasoningEffort) -> Option<Self> {
        Some(Self { path: None, value: json!(effort.name()) })
    }
}

#[cfg(any(feature = "anthropic", feature = "gemini", feature = "llamacpp", feature = "ollama"))]
impl SentEffort {
    /// Returns the effort under its own name if it is one of `known`.
    pub(crate) fn one_of(effort: ReasoningEffort, known: &[ReasoningEffort]) -> Option<Self> {
        Self::named(effort).filter(|_| known.contains(&effort))
    }

    /// Returns a value in another field.
    pub(crate) fn at(path: &'static str, value: impl Into<Value>) -> Self {
        Self { path: Some(path), value: value.into() }
    }
}

impl ParamTable {
    /// Returns the path of a parameter; `None` if the format does not have it.
    fn path(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, path)| &**path)
    }

    /// Checks the parameters of a prompt, before anything is sent.
    ///
    /// # Errors
    /// The first parameter whose value is out of range, that the format does not have, or that breaks one of its rules; the
    /// message names the provider, the parameter, and what to do.
    pub(crate) fn check(&self, provider: &str, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        parameters.check()?;
        for (name, _) in parameters.set() {
            if self.path(name).is_none() {
                let message = format!(
                    "the provider {provider} has no {name}: leave it out, or name another provider. A field of its own goes \
                     into extra_body"
                );
                return Err(InvalidParam::new(name, message));
            }
        }
        self.check_effort(provider, parameters)?;
        self.check_budget(provider, parameters)?;
        let stops = parameters.stop.as_ref().map_or(0, Vec::len);
        if let Some(most) = self.max_stops.filter(|most| stops > *most) {
            let message =
                format!("the provider {provider} accepts {most} stop sequences, and stop has {stops}");
            return Err(InvalidParam::new("stop", message));
        }
        let unknown = parameters.service_tier.as_deref();
        match unknown.filter(|tier| !self.tiers.is_empty() && !self.tiers.contains(tier)) {
            Some(tier) => {
                let known = self.tiers.join(", ");
                let message =
                    format!("the provider {provider} has no service_tier {tier}: it is one of {known}");
                Err(InvalidParam::new("service_tier", message))
            }
            None => Ok(()),
        }
    }

    /// Checks the effort of reasoning.
    fn check_effort(&self, provider: &str, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        let Some(effort) = parameters.reasoning_effort.filter(|effort| (self.effort)(*effort).is_none())
        else {
            return Ok(());
        };
        let known = ReasoningEffort::ALL.into_iter().filter(|effort| (self.effort)(*effort).is_some());
        let known: Vec<&str> = known.map(ReasoningEffort::name).collect();
        let (effort, known) = (effort.name(), known.join(", "));
        let message =
            format!("the provider {provider} has no reasoning_effort {effort}: it is one of {known}");
        Err(InvalidParam::new("reasoning_effort", message))
    }

    /// Checks the budget of reasoning.
    fn check_budget(&self, provider: &str, parameters: &SamplingParams) -> Result<(), InvalidParam> {
        let Some(budget) = parameters.reasoning_budget else { return Ok(()) };
        let Budget { min, is_below_max_tokens, .. } = self.budget;
        let most = parameters.max_tokens.filter(|most| is_below_max_tokens && budget >= *most);
        let message = match most {
            _ if budget < min => format!(
                "reasoning_budget is {budget}, and the provider {provider} needs at least {min}. For no reasoning, set \
                 reasoning_effort to none"
            ),
            Some(most) => format!(
                "reasoning_budget is {budget}, and max_tokens {most}, which includes it at the provider {provider}: set a \
                 higher max_tokens"
            ),
            None => return Ok(()),
        };
        Err(InvalidParam::new("reasoning_budget", message))
    }

    /// Writes the parameters that are set into a body. One that the format does not have, which [`check`](Self::check) rejects,
    /// is left out.
    pub(crate) fn write(&self, parameters: &SamplingParams, body: &mut Map<String, Value>) {
        for (name, value) in parameters.set() {
            let Some(path) = self.path(name) else { continue };
            match parameters.reasoning_effort.filter(|_| name == "reasoning_effort") {
                None => put(body, path, value),
                Some(effort) => {
                    if let Some(SentEffort { path: own, value }) = (self.effort)(effort) {
                        put(body, own.unwrap_or(path), value);
                    }
                }
            }
            if let Some((path, text)) = self.budget.beside.filter(|_| name == "reasoning_budget") {
                put(body, path, json!(text));
            }
        }
    }
}

#[cfg(feature = "_chat")]
impl ParamTable {
    /// Sets the path of a parameter.
    pub(crate) fn with(mut self, name: &'static str, path: impl Into<Cow<'static, str>>) -> Self {
        self = self.without(name);
        self.fields.to_mut().push((name, path.into()));
        self
    }

    /// Removes a parameter.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.to_mut().retain(|(known, _)| *known != name);
        self
    }
}

/// Puts a value into a body, at a path with dots, and creates the objects on it.
fn put(body: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(body.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let within = body.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(within) = within {
                put(within, rest, value);
            }
        }
    }
}
