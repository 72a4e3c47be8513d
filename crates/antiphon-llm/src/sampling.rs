use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};

/// The sampling parameters of an answer. `None` leaves the choice to the provider.
///
/// The names are the same in Rust, in recipes, in the configuration and, with `-` for `_`, on the command line. No provider has
/// all of them: one that a provider does not have is an error of the call, which nothing is sent for, and never dropped.
///
/// ```
/// use antiphon_llm::{ReasoningEffort, SamplingParams};
///
/// let parameters = SamplingParams::default().top_p(0.9).stop(["\n\n"]).reasoning_effort(ReasoningEffort::Low);
/// assert!(parameters.check().is_ok());
/// let err = SamplingParams::default().top_p(3.0).check().unwrap_err();
/// assert_eq!(err.to_string(), "top_p is 3: it must be a number from 0 to 1");
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SamplingParams {
    /// The sampling temperature, from 0 (the most likely token) upwards. Some models accept only their default.
    pub temperature: Option<f64>,
    /// The maximum number of tokens of the answer, hidden reasoning included.
    pub max_tokens: Option<u64>,
    /// The seed for repeatable answers.
    pub seed: Option<u64>,
    // Omitted while they are not set: fingerprints and cassettes are digests of this struct as JSON.
    /// Nucleus sampling: only the likeliest tokens are sampled, whose probabilities add up to this share, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The number of the likeliest tokens that are sampled from. With 0, local engines sample from all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    /// The least probability of a sampled token, as a share of the likeliest token's, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// The stop sequences: texts at which the answer ends, and which are not a part of it. Vendors accept up to 4 or 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    /// The penalty on tokens that have occurred, however often, from -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// The penalty on tokens by how often they have occurred, from -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// The effort of hidden reasoning, for models that reason. Not together with `reasoning_budget`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The maximum number of tokens of hidden reasoning. Not together with `reasoning_effort`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_budget: Option<u64>,
    /// The vendor's service tier, such as `flex` or `priority`, which decides on price and latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
}

/// The efforts of hidden reasoning, from the lowest to the highest. Serialised by their [names](Self::name).
///
/// The names are OpenAI's (<https://developers.openai.com/api/docs/guides/reasoning>); each provider sends what its own API has
/// for them, and rejects those that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReasoningEffort {
    /// No reasoning.
    None,
    /// As little reasoning as possible.
    Minimal,
    /// Little reasoning.
    Low,
    /// The default of most models.
    Medium,
    /// Much reasoning.
    High,
    /// As much reasoning as possible.
    Xhigh,
}

/// A sampling parameter that cannot be used: its value is out of range, or the provider does not have it.
///
/// `Display` writes a message that names the parameter. The name is also that of the key in a file, by which its line is found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidParam {
    /// The name of the parameter, such as `top_p`.
    pub name: &'static str,
    /// The message, with the name.
    message: String,
}

impl InvalidParam {
    /// Creates the error of a parameter. The message has to name it.
    #[must_use]
    pub fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }
}

impl fmt::Display for InvalidParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for InvalidParam {}

impl From<InvalidParam> for Error {
    /// Nothing was sent, so the error is not billed.
    fn from(err: InvalidParam) -> Self {
        Self::new(ErrorKind::InvalidRequest, err.message)
    }
}

impl ReasoningEffort {
    /// All efforts, from the lowest to the highest.
    pub const ALL: [Self; 6] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh];

    /// Returns the effort's name: `none`, `minimal`, `low`, `medium`, `high` or `xhigh`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
        }
    }
}

impl FromStr for ReasoningEffort {
    type Err = InvalidParam;

    /// Parses a [name](Self::name).
    fn from_str(name: &str) -> Result<Self, InvalidParam> {
        let unknown = || {
            let known = Self::ALL.map(Self::name).join(", ");
            InvalidParam::new("reasoning_effort", format!("unknown reasoning_effort: it is one of {known}"))
        };
        Self::ALL.into_iter().find(|effort| effort.name() == name).ok_or_else(unknown)
    }
}

impl SamplingParams {
    /// The names of all parameters, in the order of [`set`](Self::set).
    pub const NAMES: [&str; 12] = [
        "temperature",
        "max_tokens",
        "seed",
        "top_p",
        "top_k",
        "min_p",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "reasoning_effort",
        "reasoning_budget",
        "service_tier",
    ];

    /// The parameters that are always serialised, and hashed in a way of their own.
    pub(crate) const FIRST: [&str; 3] = ["temperature", "max_tokens", "seed"];

    /// Sets the sampling temperature.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the maximum number of tokens of the answer, hidden reasoning included.
    #[must_use]
    pub fn max_tokens(mut self, max_tokens: u64) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }

    /// Sets the seed for repeatable answers.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the share of probability that is sampled from (nucleus sampling), from 0 to 1.
    #[must_use]
    pub fn top_p(mut self, top_p: f64) -> Self {
        self.top_p = Some(top_p);
        self
    }

    /// Sets the number of the likeliest tokens that are sampled from.
    #[must_use]
    pub fn top_k(mut self, top_k: u64) -> Self {
        self.top_k = Some(top_k);
        self
    }

    /// Sets the least probability of a sampled token, as a share of the likeliest token's, from 0 to 1.
    #[must_use]
    pub fn min_p(mut self, min_p: f64) -> Self {
        self.min_p = Some(min_p);
        self
    }

    /// Sets the stop sequences, at least one, none of which is empty.
    #[must_use]
    pub fn stop(mut self, stop: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.stop = Some(stop.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the penalty on tokens that have occurred, from -2 to 2.
    #[must_use]
    pub fn presence_penalty(mut self, presence_penalty: f64) -> Self {
        self.presence_penalty = Some(presence_penalty);
        self
    }

    /// Sets the penalty on tokens by how often they have occurred, from -2 to 2.
    #[must_use]
    pub fn frequency_penalty(mut self, frequency_penalty: f64) -> Self {
        self.frequency_penalty = Some(frequency_penalty);
        self
    }

    /// Sets the effort of hidden reasoning.
    #[must_use]
    pub fn reasoning_effort(mut self, reasoning_effort: ReasoningEffort) -> Self {
        self.reasoning_effort = Some(reasoning_effort);
        self
    }

    /// Sets the maximum number of tokens of hidden reasoning.
    #[must_use]
    pub fn reasoning_budget(mut self, reasoning_budget: u64) -> Self {
        self.reasoning_budget = Some(reasoning_budget);
        self
    }

    /// Sets the vendor's service tier.
    #[must_use]
    pub fn service_tier(mut self, service_tier: impl Into<String>) -> Self {
        self.service_tier = Some(service_tier.into());
        self
    }

    /// Returns these parameters, in which each `None` is replaced by the value of `other`.
    ///
    /// Effort and budget of reasoning exclude each other, so that one of them here replaces both of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let reasons = self.reasoning_effort.is_some() || self.reasoning_budget.is_some();
        let reasoning = if reasons { &self } else { &other };
        Self {
            reasoning_effort: reasoning.reasoning_effort,
            reasoning_budget: reasoning.reasoning_budget,
            temperature: self.temperature.or(other.temperature),
            max_tokens: self.max_tokens.or(other.max_tokens),
            seed: self.seed.or(other.seed),
            top_p: self.top_p.or(other.top_p),
            top_k: self.top_k.or(other.top_k),
            min_p: self.min_p.or(other.min_p),
            stop: self.stop.or(other.stop),
            presence_penalty: self.presence_penalty.or(other.presence_penalty),
            frequency_penalty: self.frequency_penalty.or(other.frequency_penalty),
            service_tier: self.service_tier.or(other.service_tier),
        }
    }

    /// Returns the names and values of the parameters that are set, always in the same order.
    ///
    /// ```
    /// let parameters = antiphon_llm::SamplingParams::default().seed(7).top_p(0.5);
    /// assert_eq!(parameters.set().map(|(name, _)| name).collect::<Vec<_>>(), ["seed", "top_p"]);
    /// ```
    pub fn set(&self) -> impl Iterator<Item = (&'static str, Value)> {
        // Destructured field by field: a new parameter must not be left out of keys, checks and requests.
        let Self {
            temperature,
            max_tokens,
            seed,
            top_p,
            top_k,
            min_p,
            stop,
            presence_penalty,
            frequency_penalty,
            reasoning_effort,
            reasoning_budget,
            service_tier,
        } = self;
        let values = [
            json!(temperature),
            json!(max_tokens),
            json!(seed),
            json!(top_p),
            json!(top_k),
            json!(min_p),
            json!(stop),
            json!(presence_penalty),
            json!(frequency_penalty),
            json!(reasoning_effort),
            json!(reasoning_budget),
            json!(service_tier),
        ];
        Self::NAMES.into_iter().zip(values).filter(|(_, value)| !value.is_null())
    }

    /// Checks the values, whichever provider they are for.
    ///
    /// # Errors
    /// The first parameter whose value is out of range: a share outside of 0 to 1, a negative temperature, a penalty beyond 2,
    /// a number that is not finite, an empty list of stop sequences or an empty one among them; also effort and budget of
    /// reasoning together.
    pub fn check(&self) -> Result<(), InvalidParam> {
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        let is_penalty = |value: f64| (-2.0..=2.0).contains(&value);
        let is_temperature = |value: f64| value.is_finite() && value >= 0.0;
        in_range("temperature", self.temperature, is_temperature, "a number from 0")?;
        in_range("top_p", self.top_p, is_share, "a number from 0 to 1")?;
        in_range("min_p", self.min_p, is_share, "a number from 0 to 1")?;
        in_range("presence_penalty", self.presence_penalty, is_penalty, "a number from -2 to 2")?;
        in_range("frequency_penalty", self.frequency_penalty, is_penalty, "a number from -2 to 2")?;
        in_range("max_tokens", self.max_tokens, |tokens| tokens > 0, "a whole number from 1")?;
        self.check_texts()?;
        if self.reasoning_effort.is_some() && self.reasoning_budget.is_some() {
            let message = "reasoning_budget and reasoning_effort exclude each other: set one of them";
            return Err(InvalidParam::new("reasoning_budget", message));
        }
        Ok(())
    }

    /// Checks the parameters that are texts.
    fn check_texts(&self) -> Result<(), InvalidParam> {
        if self.stop.as_ref().is_some_and(|stop| stop.is_empty() || stop.iter().any(String::is_empty)) {
            let message = "stop is empty: it must be a list of texts, none of which is empty. Leave it out for no stop sequence";
            return Err(InvalidParam::new("stop", message));
        }
        let is_tier = |tier: &str| {
            !tier.is_empty()
                && tier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        if self.service_tier.as_deref().is_some_and(|tier| !is_tier(tier)) {
            let message = "service_tier is no name of a tier: write it as the vendor does, as in \"flex\"";
            return Err(InvalidParam::new("service_tier", message));
        }
        Ok(())
    }
}

/// Checks a number against its range, which `expected` describes.
fn in_range<T: Copy + fmt::Display>(
    name: &'static str,
    value: Option<T>,
    is_valid: impl Fn(T) -> bool,
    expected: &str,
) -> Result<(), InvalidParam> {
    match value.filter(|value| !is_valid(*value)) {
        Some(value) => Err(InvalidParam::new(name, format!("{name} is {value}: it must be {expected}"))),
        None => Ok(()),
    }
}

/// Defines a struct that serde reads from a table in which the sampling parameters are keys beside others.
///
/// Its method `sampling` returns them, and `From` sets them over its default. Serde's `flatten` would lose the lines of mistakes,
/// and the check for unknown keys.
#[doc(hidden)]
#[macro_export]
macro_rules! with_sampling_params {
    ($(#[$attr:meta])* $vis:vis struct $name:ident { $($body:tt)* }) => {
        $crate::with_sampling_params! {
            @fields $(#[$attr])* $vis struct $name { $($body)* }
            temperature: f64, max_tokens: u64, seed: u64, top_p: f64, top_k: u64, min_p: f64, stop: Vec<String>,
            presence_penalty: f64, frequency_penalty: f64, reasoning_effort: $crate::ReasoningEffort,
            reasoning_budget: u64, service_tier: String,
        }
    };
    (
        @fields $(#[$attr:meta])* $vis:vis struct $name:ident { $($body:tt)* }
        $($field:ident: $type:ty,)*
    ) => {
        $(#[$attr])*
        $vis struct $name {
            $($body)*
            $(
                #[serde(default, skip_serializing_if = "Option::is_none")]
                $field: Option<$type>,
            )*
        }

        impl $name {
            /// Returns the sampling parameters among the keys.
            $vis fn sampling(&self) -> $crate::SamplingParams {
                let mut parameters = $crate::SamplingParams::default();
                $(parameters.$field = self.$field.clone();)*
                parameters
            }
        }

        impl From<$crate::SamplingParams> for $name {
            fn from(parameters: $crate::SamplingParams) -> Self {
                Self { $($field: parameters.$field,)* ..Self::default() }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ReasoningEffort, SamplingParams};

    /// Returns parameters in which each one is set.
    fn all() -> SamplingParams {
        SamplingParams::default()
            .temperature(0.5)
            .max_tokens(9)
            .seed(7)
            .top_p(0.9)
            .top_k(40)
            .min_p(0.1)
            .stop(["END"])
            .presence_penalty(0.5)
            .frequency_penalty(-0.5)
            .reasoning_effort(ReasoningEffort::Xhigh)
            .reasoning_budget(100)
            .service_tier("flex")
    }

    #[test]
    fn every_parameter_is_serialised_and_listed_under_one_name() {
        let value = serde_json::to_value(all()).unwrap();
        assert_eq!(serde_json::from_value::<SamplingParams>(value.clone()).unwrap(), all());
        let listed: serde_json::Map<_, _> =
            all().set().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(json!(listed), value);
        assert_eq!(listed.len(), 12);
        let unset = json!({ "temperature": null, "max_tokens": null, "seed": null });
        assert_eq!(serde_json::to_value(SamplingParams::default()).unwrap(), unset, "as in earlier versions");
    }

    #[test]
    fn unset_parameters_are_those_of_the_other_and_reasoning_is_one_choice() {
        assert_eq!(SamplingParams::default().or(all()), all());
        assert_eq!(all().or(SamplingParams::default().top_k(1)), all());
        let budget = SamplingParams::default().reasoning_budget(5);
        let effort = SamplingParams::default().reasoning_effort(ReasoningEffort::Low);
        assert_eq!(budget.clone().or(effort.clone()), budget);
        assert_eq!(effort.clone().or(budget), effort);
    }

    #[track_caller]
    fn check(parameters: SamplingParams, expected: &str) {
        let err = parameters.check().unwrap_err();
        assert!(err.to_string().starts_with(expected), "{err}");
        assert!(err.to_string().contains(err.name), "{err}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        let new = SamplingParams::default;
        check(new().temperature(-0.1), "temperature is -0.1: it must be a number from 0");
        check(new().temperature(f64::NAN), "temperature is NaN");
        check(new().temperature(f64::INFINITY), "temperature is inf");
        check(new().top_p(3.0), "top_p is 3: it must be a number from 0 to 1");
        check(new().top_p(f64::NAN), "top_p is NaN");
        check(new().min_p(-0.5), "min_p is -0.5");
        check(new().presence_penalty(2.5), "presence_penalty is 2.5");
        check(new().frequency_penalty(f64::NEG_INFINITY), "frequency_penalty is -inf");
        check(new().max_tokens(0), "max_tokens is 0");
        check(new().stop([""]), "stop is empty");
        check(new().stop(["a", ""]), "stop is empty");
        check(new().stop(Vec::<String>::new()), "stop is empty");
        check(new().service_tier(""), "service_tier");
        check(new().service_tier("a b"), "service_tier");
        check(all(), "reasoning_budget and reasoning_effort");
        for fine in [0.0, 1.0] {
            new().top_p(fine).min_p(fine).temperature(fine).check().unwrap();
            new().presence_penalty(2.0 * fine).frequency_penalty(-2.0 * fine).check().unwrap();
        }
        assert!("hgih".parse::<ReasoningEffort>().unwrap_err().to_string().contains("none, minimal, low"));
    }
}
