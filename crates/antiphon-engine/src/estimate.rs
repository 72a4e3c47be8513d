use std::collections::HashSet;

use antiphon_data::Row;
use antiphon_llm::{CacheKey, Calls, Prompt, Usage};
use antiphon_store::{Run, RunStatus, Store};
use serde::Serialize;

use crate::error::Error;
use crate::mapping::Mapping;
use crate::seen::Usual;

/// What a run would take, from the least to the most that is likely, before any call is made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Always `antiphon.estimate/1`.
    pub schema: String,
    /// Rows of the input.
    pub rows: u64,
    /// Rows that are done already, by an earlier part of the run.
    pub done: u64,
    /// Rows whose question was answered before.
    pub cached: u64,
    /// Rows that cannot be asked about.
    pub bad: u64,
    /// Calls, if each answer fits at once, and if none does.
    pub calls: (u64, u64),
    /// Tokens of all prompts.
    pub input_tokens: (u64, u64),
    /// Tokens of all answers.
    pub output_tokens: (u64, u64),
    /// Their cost in millionths of a US dollar; `null` if the price is not known.
    pub cost_usd_micros: Option<(u64, u64)>,
    /// The time in milliseconds; `null` while no call of this recipe was made with this model.
    pub millis: Option<(u64, u64)>,
    /// Calls that this is based on; without any it is what the parameters allow.
    pub based_on_calls: u64,
}

/// Tokens of an answer where nobody said how many there may be.
const USUAL_MOST: u64 = 4_096;

impl Mapping {
    /// What the run would take. Makes no call.
    ///
    /// # Errors
    /// As [`run`](Self::run), for what can be seen without a call.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn estimate(&self, calls: &Calls, store: &Store) -> Result<Estimate, Error> {
        let mut opened = self.open(calls).await?;
        let identity = self.identity_of(&opened, store).await?;
        let fingerprint = identity.map(|identity| identity.fingerprint());
        let runs = store.runs().await.map_err(Error::store)?;
        let is_same = |run: &Run| match &self.resume {
            Some(id) => run.record().id.starts_with(id.as_str()),
            None => Some(&run.record().fingerprint) == fingerprint.as_ref() && !self.fresh,
        };
        let earlier = runs.into_iter().rev().find(is_same);
        let mut ended = HashSet::new();
        if let Some(run) = &earlier {
            ended = super::mapping::ended(run).await?;
        }
        let usual = store.recall(self.usual_name(&opened.scope)).await.map_err(Error::store)?;
        let usual: Option<Usual> = usual.and_then(|note| serde_json::from_str(&note).ok());
        let mut sum = Sum { distinct: HashSet::new(), found: Estimate::empty(), bytes: 0 };
        let mut left = self.options.limits.max_rows.unwrap_or(u64::MAX);
        while left > 0 {
            let batch = match &mut opened.rows {
                Some(rows) => rows.next().await.map_err(Error::input)?,
                None => stored(earlier.as_ref(), sum.found.rows).await?,
            };
            if batch.is_empty() {
                break;
            }
            let batch = batch.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX));
            let mut asked = Vec::new();
            for row in batch {
                let index = sum.found.rows;
                sum.found.rows += 1;
                left -= 1;
                match row.map_err(|err| err.to_string()).and_then(|row| opened.work.prompt(&row)) {
                    _ if ended.contains(&index) => sum.found.done += 1,
                    Ok(prompt) => asked.push((CacheKey::of(&opened.scope, &prompt).bytes(), prompt)),
                    Err(_) => sum.found.bad += 1,
                }
            }
            let keys = asked.iter().map(|(key, _)| *key).filter(|_| self.recipe.cache).collect();
            let mut known = store.answers(keys).await.map_err(Error::store)?.into_iter();
            for (key, prompt) in &asked {
                let is_known = known.next().flatten().is_some();
                sum.add(*key, prompt, is_known, self.recipe.cache);
            }
        }
        if sum.found.rows == 0 {
            return Err(self.no_rows());
        }
        let is_finished = earlier.is_some_and(|run| run.record().status == RunStatus::Finished);
        Ok(self.told(if is_finished { sum.found } else { self.ranges(sum, usual, calls) }, usual))
    }

    fn told(&self, estimate: Estimate, usual: Option<Usual>) -> Estimate {
        Estimate { based_on_calls: usual.map_or(0, |usual| usual.calls), ..estimate }
    }

    fn ranges(&self, sum: Sum, usual: Option<Usual>, calls: &Calls) -> Estimate {
        let Sum { found, bytes, .. } = sum;
        let fewest = found.calls.0;
        let tries = u64::from(self.options.limits.attempts.unwrap_or(self.recipe.attempts));
        let most = fewest * tries;
        let (low, high) = usual.map_or((100, 1_000), |usual| usual.input_tokens_per_kilobyte);
        let framing = if usual.is_some() { 0 } else { 64 };
        let input = (bytes * low / 1_000, (bytes * high).div_ceil(1_000) * tries + framing * most);
        let limit = self.recipe.parameters.max_tokens.unwrap_or(USUAL_MOST);
        let (low, high) = usual.map_or((1, limit), |usual| usual.output_tokens);
        let output = (fewest * low, most * high.min(limit));
        let cost = |input: u64, output: u64, rows: u64| {
            let price = (self.options.pricing)(input.checked_div(rows).unwrap_or(0))?;
            price.cost_usd_micros(Usage::new(Some(input), Some(output)))
        };
        let cost =
            cost(input.0, output.0, fewest).zip(cost(input.1, output.1, most).map(|most| most + fewest));
        let millis = usual.map(|usual| self.time(fewest, most, usual, calls));
        Estimate {
            calls: (fewest, most),
            input_tokens: input,
            output_tokens: output,
            cost_usd_micros: cost,
            millis,
            ..found
        }
    }

    /// At most as many at once as one may, and at least as many as a run begins with.
    fn time(&self, fewest: u64, most: u64, usual: Usual, calls: &Calls) -> (u64, u64) {
        const BEGINNING: u64 = 8;
        const AT_ONCE: u64 = 4_096;
        let at_once = self.options.limits.max_concurrency.map_or(AT_ONCE, |calls| calls as u64);
        let limits = calls.gate(&self.model).and_then(|gate| gate.view().requests_per_second);
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

/// The rows of a run that has all of them, from one on.
async fn stored(run: Option<&Run>, from: u64) -> Result<Vec<Row>, Error> {
    const PAGE: usize = 512;
    let Some(run) = run else { return Ok(Vec::new()) };
    let jobs = run.jobs(from, PAGE).await.map_err(Error::store)?;
    Ok(jobs.into_iter().map(|job| Ok(job.row)).collect())
}

struct Sum {
    distinct: HashSet<[u8; 32]>,
    found: Estimate,
    bytes: u64,
}

impl Sum {
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
        }
    }
}
