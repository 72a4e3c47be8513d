//! Estimates of a run: the calls, tokens, cost and time that it is likely to take.
//!
//! An estimate reads the whole input and makes every prompt, so its counts are exact; only the answers are unknown. The
//! range of a sum is not the sum of the ranges of its calls, which would be far too wide: deviations of single calls
//! cancel each other out. With the mean μ and the standard deviation σ of n seen calls, the sum of N calls lies within
//!
//! ```text
//! N·μ ± 2.5·σ·√(N + N²/n)      (the N calls themselves, and the error of μ)
//! ```
//!
//! with a probability of about 99 % for a normal distribution; the test below takes log-normal lengths.

use std::collections::HashSet;

use antiphon_data::Row;
use antiphon_llm::{CacheKey, Calls, Prompt, SchemaRetryPolicy, Usage};
use antiphon_store::{Run, RunStatus, Store};
use serde::Serialize;

use crate::error::Error;
use crate::mapping::{Mapping, Opened};
use crate::usage::{UsageMeans, UsageQuantiles};
use crate::work::InvalidRow;

/// An estimate of a run before any call is sent. Each range is a pair: the least and the most that are likely.
///
/// After at least 20 calls of the same recipe with the same model, the ranges are based on the measured means; before, they
/// follow from the parameters, with at most `attempts` calls per row. An estimate is no limit: to cap the cost, set
/// [`RunLimits::max_cost`](crate::RunLimits::max_cost).
///
/// ```json
/// {
///   "schema": "antiphon.estimate/1", "rows": 1000, "done": 0, "cached": 20, "bad": 1, "calls": [979, 1050],
///   "input_tokens": [210000, 236000], "output_tokens": [98000, 121000],
///   "cost_usd_micros": [79800, 97200], "millis": [24000, 310000], "based_on_calls": 412,
///   "weakened": ["/properties/name/maxLength"]
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Always `antiphon.estimate/1`.
    pub schema: String,
    /// Rows of the input.
    pub rows: u64,
    /// Rows that have already ended in an earlier process of the run.
    pub done: u64,
    /// Rows with a cached answer or a duplicate prompt, which take no call.
    pub cached: u64,
    /// Rows from which no prompt can be made.
    pub bad: u64,
    /// The number of calls: the least, if the first answer to each row is valid, and the most that schema retries make likely.
    pub calls: (u64, u64),
    /// The tokens of all prompts.
    pub input_tokens: (u64, u64),
    /// The tokens of all answers.
    pub output_tokens: (u64, u64),
    /// The cost in millionths of a US dollar; `null` if the price is not known.
    pub cost_usd_micros: Option<(u64, u64)>,
    /// The wall-clock time in milliseconds; `null` until this recipe has been run with this model.
    pub millis: Option<(u64, u64)>,
    /// The number of earlier calls on which the ranges are based. With 0 they follow from the recipe's parameters alone, and are
    /// wide.
    pub based_on_calls: u64,
    /// The parts of the schema that the provider will not enforce, as JSON pointers; `[""]` if it enforces none of it. Answers are
    /// always checked against the whole schema. Left empty by [`Mapping::estimate`]: see [`Recipe::weakened`](crate::Recipe::weakened),
    /// which may ask the server for its capabilities.
    pub weakened: Vec<String>,
}

/// The number of earlier calls from which their means are used.
const ENOUGH: u64 = 20;
/// The maximum number of tokens of an answer, where the recipe sets none. A budget bounds such answers by the same
/// number.
const MAX_USUAL: u64 = 4_096;

impl Mapping {
    /// Estimates the calls, tokens, cost and time of the run without sending a call.
    ///
    /// The whole input is read, up to `max_rows`, and each prompt is looked up in the answer cache. Rows that an
    /// earlier process of the run has ended take nothing. The run is neither created nor joined.
    ///
    /// # Errors
    /// The errors of [`run`](Self::run) that can be found without a call.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn estimate(&self, calls: &Calls, store: &Store) -> Result<Estimate, Error> {
        let mut opened = self.open(calls).await?;
        let identity = self.identity_of(&opened, store).await?;
        let earlier = self.earlier(store, identity.as_ref()).await?;
        let usual = store.note(self.usual_name(&opened.scope)).await.map_err(Error::store)?;
        let usual: Option<UsageQuantiles> = usual.and_then(|note| serde_json::from_str(&note).ok());
        let sum = self.count(&mut opened, earlier.as_ref(), store).await?;
        if sum.found.rows == 0 {
            return Err(self.no_rows());
        }
        let is_finished = earlier.is_some_and(|run| run.record().status == RunStatus::Finished);
        Ok(self.with_usage(if is_finished { sum.found } else { self.ranges(sum, usual, calls) }, usual))
    }

    /// Counts the rows of the input, by whether they have ended, need a call, or have an answer already.
    async fn count(&self, opened: &mut Opened, earlier: Option<&Run>, store: &Store) -> Result<Sum, Error> {
        let mut sum = Sum::begin(earlier).await?;
        loop {
            let rows = self.next_rows(opened, earlier, sum.found.rows).await?;
            if rows.is_empty() {
                return Ok(sum);
            }
            let prompts = sum.add_rows(rows, opened);
            sum.add_prompts(&prompts, store, self.uses_cache()).await?;
        }
    }

    /// Reads the next rows of the input, or of the run that has them, behind the first `from`; none at the end, or at
    /// `max_rows`.
    async fn next_rows(
        &self,
        opened: &mut Opened,
        earlier: Option<&Run>,
        from: u64,
    ) -> Result<Vec<Row>, Error> {
        let left = self.options.limits.max_rows.unwrap_or(u64::MAX).saturating_sub(from);
        if left == 0 {
            return Ok(Vec::new());
        }
        let mut rows = match &mut opened.rows {
            Some(rows) => rows.next().await.map_err(Error::input)?,
            None => stored(earlier, from).await?,
        };
        rows.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        Ok(rows)
    }

    /// Sets the number of calls that the estimate is based on.
    fn with_usage(&self, estimate: Estimate, usual: Option<UsageQuantiles>) -> Estimate {
        Estimate { based_on_calls: usual.map_or(0, |usual| usual.calls), ..estimate }
    }

    /// Completes an estimate of a run that still needs calls with the ranges of its calls, tokens, cost and time.
    fn ranges(&self, sum: Sum, usual: Option<UsageQuantiles>, calls: &Calls) -> Estimate {
        let fewest = sum.found.calls.0;
        let takes = self.takes(&sum, usual);
        Estimate {
            calls: (fewest, takes.most),
            input_tokens: takes.input,
            output_tokens: takes.output,
            cost_usd_micros: self.cost(fewest, &takes),
            millis: usual.map(|usual| self.time(fewest, takes.most, usual, calls)),
            ..sum.found
        }
    }

    /// Estimates the usage of all calls: from the means of earlier calls if there were enough, otherwise from the
    /// parameters. At most `attempts` calls are made for a row.
    fn takes(&self, sum: &Sum, usual: Option<UsageQuantiles>) -> Takes {
        let fewest = sum.found.calls.0;
        let tries = u64::from(self.options.limits.attempts.unwrap_or(self.recipe.attempts));
        let limit = self.recipe.parameters.max_tokens.unwrap_or(MAX_USUAL);
        let likely = usual
            .filter(|usual| usual.calls >= ENOUGH)
            .and_then(|usual| usual.mean.map(|mean| likely(fewest, sum.bytes, &mean, usual.calls)));
        let takes = likely.unwrap_or_else(|| possible(fewest, sum.bytes, usual, tries, limit));
        Takes { most: takes.most.min(fewest * tries), ..takes }
    }

    /// Returns the cost of the fewest calls with the fewest tokens, and of the most with the most, in millionths of a
    /// US dollar. The upper end has one millionth for each of the fewest calls on top, for rounding. `None` if the
    /// price is not known.
    fn cost(&self, fewest: u64, takes: &Takes) -> Option<(u64, u64)> {
        let cost = |input: u64, output: u64, calls: u64| {
            // A price may depend on the length of the prompt: the mean is used.
            let price = (self.options.pricing)(input.checked_div(calls).unwrap_or(0))?;
            price.cost_usd_micros(Usage::new(Some(input), Some(output)))
        };
        let least = cost(takes.input.0, takes.output.0, fewest);
        let rounded = |cost: u64| if cost == 0 { 0 } else { cost + fewest };
        least.zip(cost(takes.input.1, takes.output.1, takes.most).map(rounded))
    }

    /// Estimates the time in milliseconds: at best at the concurrency limit, at worst at the concurrency with which a run begins.
    /// A request rate that the limiter has learned bounds the lower end from below, and twice that time the upper end.
    fn time(&self, fewest: u64, most: u64, usual: UsageQuantiles, calls: &Calls) -> (u64, u64) {
        const BEGINNING: u64 = 8;
        const AT_ONCE: u64 = 4_096;
        let at_once = self.options.limits.max_concurrency.map_or(AT_ONCE, |calls| calls as u64);
        let limits = calls.limiter(&self.model).and_then(|limiter| limiter.snapshot().requests_per_second);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "times"
        )]
        let by_rate = limits.map_or(0, |rate| (fewest as f64 / rate * 1_000.0) as u64);
        let least = (fewest * usual.micros.0 / at_once.min(fewest.max(1)) / 1_000).max(by_rate);
        let slow = most.div_ceil(at_once.min(BEGINNING)) * usual.micros.1 / 1_000 + 1_000;
        (least, slow.max(by_rate * 2))
    }
}

/// Reads stored rows of a run, beginning at the index `from`.
async fn stored(run: Option<&Run>, from: u64) -> Result<Vec<Row>, Error> {
    const PAGE: usize = 512;
    let Some(run) = run else { return Ok(Vec::new()) };
    let jobs = run.jobs(from, PAGE).await.map_err(Error::store)?;
    Ok(jobs.into_iter().map(|job| Ok(job.row)).collect())
}

/// The usage of all calls together: ranges from the least to the most.
#[derive(Debug)]
struct Takes {
    /// The maximum number of calls.
    most: u64,
    /// The tokens of all prompts, schema retries included at the upper end.
    input: (u64, u64),
    /// The tokens of all answers.
    output: (u64, u64),
}

/// Estimates calls for `rows` with prompts of `bytes` in all, from the parameters and the usage of a few calls, if any.
///
/// Without usage, 1,000 bytes of a prompt have 100 to 1,000 tokens: a token has at least one byte, and rarely more than
/// ten. An answer then has 1 to `limit` tokens. The upper ends are for `tries` calls per row; each but the first repeats the answer
/// before it, up to its bound, and the violations.
fn possible(rows: u64, bytes: u64, usual: Option<UsageQuantiles>, tries: u64, limit: u64) -> Takes {
    let most = rows * tries;
    let (low, high) = usual.map_or((100, 1_000), |usual| usual.input_tokens_per_kilobyte);
    let framing = if usual.is_some() { 0 } else { 64 };
    let (least, longest) = usual.map_or((1, limit), |usual| usual.output_tokens);
    let longest = longest.min(limit);
    let repeated = longest.min(SchemaRetryPolicy::MAX_REPEATED as u64);
    // Violations are English, which has about four bytes a token.
    let complaint = SchemaRetryPolicy::MAX_COMPLAINT as u64 / 4;
    let retries = rows * tries.saturating_sub(1);
    let asked = (bytes * high).div_ceil(1_000) * tries + framing * most;
    let input = (bytes * low / 1_000, asked + retries * (repeated + complaint));
    Takes { most, input, output: (rows * least, most * longest) }
}

/// Estimates calls for `rows` with prompts of `bytes` in all, from the means of `seen` calls. The ranges hold in at least 19 of
/// 20 runs: the standard deviation of the sum of `n` calls is that of one call times the square root of `n`, and the standard
/// error of the mean is that of one call over the square root of `seen`. 5 % is added for rows that are unlike earlier ones. The
/// upper end is at most three times the lower one.
fn likely(rows: u64, bytes: u64, mean: &UsageMeans, seen: u64) -> Takes {
    const DEVIATIONS: f64 = 2.5;
    let (count, seen) = (rows as f64, seen as f64);
    let unknown = (count + count * count / seen).sqrt();
    let again = mean.calls_per_row - 1.0;
    // A share of 0 among the seen calls may be one call that was just missed.
    let again = again + DEVIATIONS * (again.max(1.0 / seen) / count.min(seen).max(1.0)).sqrt();
    let most = count * (1.0 + again);
    let range = |(of_one, deviation): (f64, f64), units: f64| {
        let per_call = units / count.max(1.0);
        let sum = of_one * units;
        let error = DEVIATIONS * deviation * per_call * unknown + sum * UNLIKE;
        let (low, high) = (sum - error, (sum + error) * (1.0 + again));
        let (least, largest) = (high.max(sum) / THREE, low.max(sum / ROOT) * THREE);
        (low.max(least.min(sum)).floor(), high.min(largest.max(sum)).ceil())
    };
    let whole = |(low, high): (f64, f64)| (to_tokens(low), to_tokens(high));
    Takes {
        most: to_tokens(most.ceil()),
        input: whole(range(mean.input_tokens_per_kilobyte, bytes as f64 / 1_000.0)),
        output: whole(range(mean.output_tokens, count)),
    }
}

/// The fraction by which rows may differ from earlier ones.
const UNLIKE: f64 = 0.05;
/// The maximum ratio of the ends of a range.
const THREE: f64 = 3.0;
/// The square root of three.
const ROOT: f64 = 1.732_050_807_568_877_2;

/// Converts a number of tokens to an integer: negative numbers become 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn to_tokens(number: f64) -> u64 {
    number as u64
}

/// The counts of the rows that were read so far.
struct Sum {
    /// The indices of the rows that have ended in an earlier process.
    ended: HashSet<u64>,
    /// The cache keys of the prompts that need a call.
    distinct: HashSet<[u8; 32]>,
    found: Estimate,
    /// The bytes of the prompts that need a call.
    bytes: u64,
}

impl Sum {
    /// Begins with the rows of an earlier run that have ended.
    async fn begin(earlier: Option<&Run>) -> Result<Self, Error> {
        let ended = match earlier {
            Some(run) => crate::mapping::ended(run).await?,
            None => HashSet::new(),
        };
        Ok(Self { ended, distinct: HashSet::new(), found: Estimate::empty(), bytes: 0 })
    }

    /// Counts rows, and returns the prompts of those that have not ended, each with its cache key.
    fn add_rows(&mut self, rows: Vec<Row>, opened: &Opened) -> Vec<([u8; 32], Prompt)> {
        let mut prompts = Vec::new();
        for row in rows {
            let index = self.found.rows;
            self.found.rows += 1;
            let row = row.map_err(|err| InvalidRow::new(err.to_string()));
            match row.and_then(|row| opened.work.prompt(&row)) {
                _ if self.ended.contains(&index) => self.found.done += 1,
                Ok(prompt) => prompts.push((CacheKey::of(&opened.scope, &prompt).bytes(), prompt)),
                Err(_) => self.found.bad += 1,
            }
        }
        prompts
    }

    /// Counts prompts as calls, except for those whose answers are cached. `shares` is whether equal prompts have one
    /// answer.
    async fn add_prompts(
        &mut self,
        prompts: &[([u8; 32], Prompt)],
        store: &Store,
        shares: bool,
    ) -> Result<(), Error> {
        let keys = prompts.iter().map(|(key, _)| *key).filter(|_| shares).collect();
        let mut known = store.answers(keys).await.map_err(Error::store)?.into_iter();
        for (key, prompt) in prompts {
            self.add(*key, prompt, known.next().flatten().is_some(), shares);
        }
        Ok(())
    }

    /// Counts a prompt: as a call, or as cached if its answer is known or an equal prompt was counted before.
    fn add(&mut self, key: [u8; 32], prompt: &Prompt, is_known: bool, shares: bool) {
        if is_known || (shares && !self.distinct.insert(key)) {
            self.found.cached += 1;
            return;
        }
        self.found.calls.0 += 1;
        self.bytes += prompt.bytes().total();
    }
}

impl Estimate {
    /// Creates the estimate of a run without rows: all ranges are 0, as they stay where no call is needed.
    fn empty() -> Self {
        Self {
            schema: "antiphon.estimate/1".to_owned(),
            rows: 0,
            done: 0,
            cached: 0,
            bad: 0,
            calls: (0, 0),
            input_tokens: (0, 0),
            output_tokens: (0, 0),
            cost_usd_micros: Some((0, 0)),
            millis: Some((0, 0)),
            based_on_calls: 0,
            weakened: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestRng;

    use super::{Takes, likely};
    use crate::histogram::Histogram;
    use crate::usage::UsageMeans;

    /// A simulated recipe whose answers have log-normal lengths around `scale`, and of which the share `again` is retried.
    struct Random {
        scale: f64,
        spread: f64,
        again: f64,
    }

    impl Random {
        /// Returns the tokens of each call for `rows`.
        fn calls(&self, rows: u64, rng: &mut TestRng) -> Vec<u64> {
            let mut calls = Vec::new();
            for _ in 0..rows {
                let tries = if rng.random_bool(self.again) { 2 } else { 1 };
                for _ in 0..tries {
                    // The sum of twelve uniform numbers is nearly normal.
                    let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
                    calls.push(super::to_tokens((self.scale * (self.spread * normal).exp()).max(1.0)));
                }
            }
            calls
        }
    }

    #[test]
    fn nineteen_of_twenty_recipes_stay_within_a_threefold_range() {
        let mut rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
        let (mut within, mut all) = (0, 0);
        for _ in 0..400 {
            let recipe = Random {
                scale: rng.random_range(5.0..500.0),
                spread: rng.random_range(0.0..0.7),
                again: rng.random_range(0.0..0.3),
            };
            let (seen_rows, rows) = (rng.random_range(20..60), rng.random_range(20..1_000));
            let (seen, mut outputs) = (recipe.calls(seen_rows, &mut rng), Histogram::new());
            seen.iter().for_each(|tokens| outputs.record(*tokens));
            let mean = UsageMeans {
                output_tokens: outputs.mean(),
                input_tokens_per_kilobyte: (250.0, 0.0),
                calls_per_row: seen.len() as f64 / seen_rows as f64,
            };
            let Takes { most, output: (low, high), .. } = likely(rows, rows * 100, &mean, seen.len() as u64);
            let calls = recipe.calls(rows, &mut rng);
            let (bill, count) = (calls.iter().sum::<u64>(), calls.len() as u64);
            assert!(high <= low * 3 + 3, "{low} to {high}");
            all += 1;
            within += u32::from((low..=high).contains(&bill) && count <= most);
        }
        assert!(within * 20 >= all * 19, "{within} of {all}");
    }
}
