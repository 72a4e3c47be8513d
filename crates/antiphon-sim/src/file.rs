use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::scenario::{Faults, Latency, Limit, LimitSignal, Scenario};

/// The error for an invalid scenario file. The message has the path, the line or the key, and the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError(String);

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScenarioError {}

/// A scenario as a TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    latency_ms: f64,
    latency_max_ms: Option<f64>,
    spread: Option<f64>,
    trickle_every_ms: Option<f64>,
    tokens_per_second: Option<f64>,
    answer_tokens: Option<u32>,
    requests_per_minute: Option<f64>,
    requests_burst: Option<u32>,
    tokens_per_minute: Option<u32>,
    limit_signal: LimitSignalFile,
    key: Option<String>,
    models: Vec<String>,
    max_streams: Option<u32>,
    seed: u64,
    faults: FaultsFile,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LimitSignalFile {
    #[default]
    Headers,
    RetryAfter,
    RetryAfterSeconds,
    None,
}

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
}

impl Scenario {
    /// Parses a scenario from TOML. The path is used only in error messages; no file is read. A key that is missing has the
    /// default of [`Scenario`].
    ///
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
    /// [`ScenarioError`] with the line of a syntax error or an unknown key, or with the key of an invalid value.
    pub fn parse(path: &str, text: &str) -> Result<Self, ScenarioError> {
        let file: File = toml::from_str(text).map_err(|err| {
            let line = err.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
            ScenarioError(format!("{path}:{line}: {}", err.message().trim_end()))
        })?;
        file.scenario().map_err(|why| ScenarioError(format!("{path}: {why}")))
    }
}

impl File {
    fn scenario(self) -> Result<Scenario, String> {
        let millis = |name: &str, value: f64| {
            Duration::try_from_secs_f64(value / 1_000.0)
                .map_err(|_| format!("invalid {name}: must be 0 or more, not {value}"))
        };
        let positive = |name: &str, value: Option<f64>| match value {
            Some(value) if !(value.is_finite() && value > 0.0) => {
                Err(format!("invalid {name}: must be above 0, not {value}"))
            }
            value => Ok(value),
        };
        let faults = self.faults.faults()?;
        let latency = millis("latency_ms", self.latency_ms)?;
        let latency = match (positive("spread", self.spread)?, self.latency_max_ms) {
            (Some(_), Some(_)) => {
                return Err("spread and latency_max_ms exclude each other. Remove one".to_owned());
            }
            (Some(sigma), None) => Latency::LogNormal { median: latency, sigma },
            (None, Some(most)) => Latency::Uniform(latency, millis("latency_max_ms", most)?.max(latency)),
            (None, None) => Latency::Fixed(latency),
        };
        let mut scenario =
            Scenario::default().latency(latency).faults(faults).seed(self.seed).models(self.models);
        scenario.tokens_per_second = positive("tokens_per_second", self.tokens_per_second)?;
        scenario.answer_tokens = self.answer_tokens.unwrap_or(scenario.answer_tokens);
        if let Some(gap) = self.trickle_every_ms {
            scenario = scenario.trickle_every(millis("trickle_every_ms", gap)?);
        }
        scenario.key = self.key;
        scenario.max_streams = self.max_streams.unwrap_or(scenario.max_streams).max(1);
        if let Some(rate) = positive("requests_per_minute", self.requests_per_minute)? {
            // Vendors allow a burst of one minute's requests.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, and saturating"
            )]
            let minute = rate.ceil() as u32;
            scenario =
                scenario.requests(Limit::per_second(rate / 60.0, self.requests_burst.unwrap_or(minute)));
        }
        if let Some(tokens) = self.tokens_per_minute {
            scenario = scenario.tokens(Limit::per_second(f64::from(tokens) / 60.0, tokens));
        }
        Ok(scenario.limit_signal(match self.limit_signal {
            LimitSignalFile::Headers => LimitSignal::Headers,
            LimitSignalFile::RetryAfter => LimitSignal::RetryAfter,
            LimitSignalFile::RetryAfterSeconds => LimitSignal::RetryAfterSeconds,
            LimitSignalFile::None => LimitSignal::None,
        }))
    }
}

impl FaultsFile {
    fn faults(self) -> Result<Faults, String> {
        let parts = [
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
        ];
        if let Some((name, part)) = parts.iter().find(|(_, part)| !(0.0..=1.0).contains(part)) {
            return Err(format!("invalid faults.{name}: must be from 0 to 1, not {part}"));
        }
        let faults = Faults::default()
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
            .filter(self.filter);
        if faults.sum() > 1.0 {
            Err("invalid faults: the fractions add up to more than 1".to_owned())
        } else {
            Ok(faults)
        }
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
