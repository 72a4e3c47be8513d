//! Scenario files: a scenario as TOML, with units in the names of the keys.
//!
//! The file has its own types, separate from [`Scenario`], so that the keys can have the units that people write:
//! milliseconds as numbers, and limits per minute, as vendors publish them. Unknown keys are errors, since a misspelt
//! fault would otherwise be a test of nothing.
//!
//! A syntax error or an unknown key is reported with its line, an invalid value with its key.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::faults::Faults;
use crate::latency::Latency;
use crate::limit::{Limit, LimitSignal};
use crate::scenario::Scenario;

/// The error for an invalid scenario file. The message has the path, the line or the key, and the mistake.
///
/// ```
/// use antiphon_sim::Scenario;
///
/// let unknown = Scenario::parse("s.toml", "latency_ms = 1\nlatancy = 2\n");
/// assert!(unknown.is_err_and(|err| err.to_string().starts_with("s.toml:2: unknown field `latancy`")));
/// let invalid = Scenario::parse("s.toml", "spread = 0.0");
/// assert!(invalid.is_err_and(|err| err.to_string() == "s.toml: invalid spread: must be above 0, not 0"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError(String);

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScenarioError {}

/// A scenario as a TOML file. [`Scenario::parse`] describes the keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    latency_ms: f64,
    /// The maximum of a uniform latency. Excludes `spread`.
    latency_max_ms: Option<f64>,
    /// The sigma of a log-normal latency, of which `latency_ms` is the median.
    spread: Option<f64>,
    trickle_every_ms: Option<f64>,
    tokens_per_second: Option<f64>,
    answer_tokens: Option<u32>,
    requests_per_minute: Option<f64>,
    /// The capacity of the bucket of requests. Without a rate it has no effect.
    requests_burst: Option<u32>,
    tokens_per_minute: Option<u32>,
    limit_signal: LimitSignalFile,
    key: Option<String>,
    models: Vec<String>,
    max_streams: Option<u32>,
    seed: u64,
    faults: FaultsFile,
}

/// A [`LimitSignal`] by its name in the file.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LimitSignalFile {
    #[default]
    Headers,
    RetryAfter,
    RetryAfterSeconds,
    None,
}

/// The table `[faults]`: a fraction for each fault, 0 if it is missing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FaultsFile {
    error: f64,
    reset: f64,
    stall: f64,
    empty: f64,
    trickle: f64,
    half: f64,
    garbage: f64,
    breaks: f64,
    overloaded: f64,
    money: f64,
    wrong_type: f64,
    slow: f64,
    refusal: f64,
    filter: f64,
    endless: f64,
}

impl Scenario {
    /// Parses a scenario from TOML. The path is used only in error messages; no file is read. A key that is missing has
    /// the default of [`Scenario`].
    ///
    /// | key | value | field |
    /// |---|---|---|
    /// | `latency_ms` | milliseconds, 0 or more | [`latency`](Self::latency), fixed |
    /// | `latency_max_ms` | milliseconds; less than `latency_ms` counts as that | uniform from `latency_ms` |
    /// | `spread` | above 0 | log-normal: the sigma, with the median `latency_ms` |
    /// | `tokens_per_second` | above 0 | [`tokens_per_second`](Self::tokens_per_second) |
    /// | `trickle_every_ms` | milliseconds, 0 or more | [`trickle_every`](Self::trickle_every) |
    /// | `answer_tokens` | an integer | [`answer_tokens`](Self::answer_tokens) |
    /// | `requests_per_minute` | above 0 | [`requests`](Self::requests) |
    /// | `requests_burst` | an integer; by default one minute's requests | the burst of `requests` |
    /// | `tokens_per_minute` | an integer | [`tokens`](Self::tokens), with one minute's tokens as the burst |
    /// | `limit_signal` | `headers`, `retry-after`, `retry-after-seconds`, `none` | the field of this name |
    /// | `key` | a text | [`key`](Self::key) |
    /// | `models` | a list of texts | [`models`](Self::models) |
    /// | `max_streams` | an integer; 0 counts as 1 | [`max_streams`](Self::max_streams) |
    /// | `seed` | an integer, 0 or more | [`seed`](Self::seed) |
    /// | `[faults]` | a fraction for each fault, by its name in [`Faults`] | [`faults`](Self::faults) |
    ///
    /// # Examples
    /// ```
    /// let scenario = antiphon_sim::Scenario::parse("busy.toml", r#"
    ///     latency_ms = 200           # to the first byte; uniform up to latency_max_ms if set, log-normal with spread
    ///     tokens_per_second = 50.0
    ///     requests_per_minute = 600.0
    ///     tokens_per_minute = 90_000
    ///     limit_signal = "headers"   # or retry-after, retry-after-seconds, none
    ///     seed = 7
    ///     [faults]                   # fractions of all requests
    ///     error = 0.01
    ///     half = 0.01
    /// "#)?;
    /// assert_eq!(scenario.seed, 7);
    /// # Ok::<(), antiphon_sim::ScenarioError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScenarioError`] with the line of a syntax error, of an unknown key or of a value of the wrong type, or with
    /// the key of a value that is out of range. `spread` and `latency_max_ms` exclude each other, and the fractions of
    /// faults must not add up to more than 1.
    pub fn parse(path: &str, text: &str) -> Result<Self, ScenarioError> {
        let file: File = toml::from_str(text).map_err(|err| {
            let line = err.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
            ScenarioError(format!("{path}:{line}: {}", err.message().trim_end()))
        })?;
        file.scenario().map_err(|err| ScenarioError(format!("{path}: {err}")))
    }
}

impl File {
    /// Checks the values and converts them. The error is the message without the path.
    fn scenario(self) -> Result<Scenario, ScenarioError> {
        let faults = self.faults.checked()?;
        let mut scenario = Scenario::default().latency(self.latency()?).faults(faults).seed(self.seed);
        scenario.tokens_per_second = positive("tokens_per_second", self.tokens_per_second)?;
        if let Some(gap) = self.trickle_every_ms {
            scenario.trickle_every = millis("trickle_every_ms", gap)?;
        }
        scenario.requests = self.requests()?;
        scenario.tokens =
            self.tokens_per_minute.map(|tokens| Limit::per_second(f64::from(tokens) / 60.0, tokens));
        scenario.answer_tokens = self.answer_tokens.unwrap_or(scenario.answer_tokens);
        scenario.max_streams = self.max_streams.unwrap_or(scenario.max_streams).max(1);
        scenario.limit_signal = self.limit_signal.signal();
        (scenario.key, scenario.models) = (self.key, self.models);
        Ok(scenario)
    }

    /// Returns the latency model that the keys select.
    fn latency(&self) -> Result<Latency, ScenarioError> {
        let latency = millis("latency_ms", self.latency_ms)?;
        match (positive("spread", self.spread)?, self.latency_max_ms) {
            (Some(_), Some(_)) => {
                Err(ScenarioError("spread and latency_max_ms exclude each other. Remove one".to_owned()))
            }
            (Some(sigma), None) => Ok(Latency::LogNormal { median: latency, sigma }),
            (None, Some(most)) => Ok(Latency::Uniform(latency, millis("latency_max_ms", most)?.max(latency))),
            (None, None) => Ok(Latency::Fixed(latency)),
        }
    }

    /// Returns the rate limit of requests, if there is one.
    fn requests(&self) -> Result<Option<Limit>, ScenarioError> {
        let Some(rate) = positive("requests_per_minute", self.requests_per_minute)? else { return Ok(None) };
        // Vendors allow a burst of one minute's requests.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive, and saturating"
        )]
        let minute = rate.ceil() as u32;
        Ok(Some(Limit::per_second(rate / 60.0, self.requests_burst.unwrap_or(minute))))
    }
}

/// Converts a number of milliseconds. The error names the key.
fn millis(name: &str, value: f64) -> Result<Duration, ScenarioError> {
    Duration::try_from_secs_f64(value / 1_000.0)
        .map_err(|_| ScenarioError(format!("invalid {name}: must be 0 or more, not {value}")))
}

/// Checks that a number, if there is one, is finite and above 0. The error names the key.
fn positive(name: &str, value: Option<f64>) -> Result<Option<f64>, ScenarioError> {
    match value {
        Some(value) if !(value.is_finite() && value > 0.0) => {
            Err(ScenarioError(format!("invalid {name}: must be above 0, not {value}")))
        }
        value => Ok(value),
    }
}

impl LimitSignalFile {
    /// Returns the signal of this name.
    fn signal(self) -> LimitSignal {
        match self {
            Self::Headers => LimitSignal::Headers,
            Self::RetryAfter => LimitSignal::RetryAfter,
            Self::RetryAfterSeconds => LimitSignal::RetryAfterSeconds,
            Self::None => LimitSignal::None,
        }
    }
}

impl FaultsFile {
    /// Checks each fraction and their sum.
    fn checked(&self) -> Result<Faults, ScenarioError> {
        if let Some((name, part)) = self.named().iter().find(|(_, part)| !(0.0..=1.0).contains(part)) {
            return Err(ScenarioError(format!("invalid faults.{name}: must be from 0 to 1, not {part}")));
        }
        let faults = self.faults();
        if faults.sum() > 1.0 {
            Err(ScenarioError("invalid faults: the fractions add up to more than 1".to_owned()))
        } else {
            Ok(faults)
        }
    }

    /// Returns each fraction with its key, for the messages of errors.
    fn named(&self) -> [(&'static str, f64); 15] {
        [
            ("error", self.error),
            ("reset", self.reset),
            ("stall", self.stall),
            ("empty", self.empty),
            ("trickle", self.trickle),
            ("half", self.half),
            ("garbage", self.garbage),
            ("breaks", self.breaks),
            ("overloaded", self.overloaded),
            ("money", self.money),
            ("wrong_type", self.wrong_type),
            ("slow", self.slow),
            ("refusal", self.refusal),
            ("filter", self.filter),
            ("endless", self.endless),
        ]
    }

    /// Converts the fractions without a check.
    fn faults(&self) -> Faults {
        Faults::default()
            .error(self.error)
            .reset(self.reset)
            .stall(self.stall)
            .half(self.half)
            .garbage(self.garbage)
            .empty(self.empty)
            .trickle(self.trickle)
            .breaks(self.breaks)
            .overloaded(self.overloaded)
            .money(self.money)
            .wrong_type(self.wrong_type)
            .slow(self.slow)
            .refusal(self.refusal)
            .filter(self.filter)
            .endless(self.endless)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, Limit, LimitSignal, Scenario};

    #[test]
    fn a_file_sets_every_part_of_a_scenario() {
        let text = "latency_ms = 10\nlatency_max_ms = 20\nrequests_per_minute = 120\ntokens_per_minute = 600\n\
                    limit_signal = 'none'\nkey = 'k'\nmodels = ['a']\nanswer_tokens = 3\n[faults]\nmoney = 0.5\n";
        let scenario = Scenario::parse("s.toml", text).unwrap();
        let millis = Duration::from_millis;
        assert_eq!(scenario.latency, Latency::Uniform(millis(10), millis(20)));
        assert_eq!(scenario.requests, Some(Limit::per_second(2.0, 120)));
        assert_eq!(scenario.tokens, Some(Limit::per_second(10.0, 600)));
        assert_eq!(
            (scenario.limit_signal, scenario.key.as_deref(), scenario.faults.money),
            (LimitSignal::None, Some("k"), 0.5)
        );
    }

    #[test]
    fn errors_name_the_line_or_the_key() {
        let check = |text: &str, expected: &str| {
            let err = Scenario::parse("s.toml", text).unwrap_err().to_string();
            assert!(err.starts_with("s.toml:") && err.contains(expected), "{err}");
        };
        check("latency_ms = 1\nlatancy = 2\n", "s.toml:2: unknown field `latancy`");
        check("[faults]\nerror = 2.0\n", "invalid faults.error: must be from 0 to 1, not 2");
        check("[faults]\nerror = 0.6\nhalf = 0.6\n", "more than 1");
        check("latency_ms = -1\n", "invalid latency_ms: must be 0 or more, not -1");
        check("spread = 0.0\n", "invalid spread: must be above 0, not 0");
    }
}
