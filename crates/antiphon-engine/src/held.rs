//! The amount of a budget that is held for calls whose bill never came.
//!
//! For a call with a prompt of p tokens whose answer broke off after r bytes, the expected cost is
//!
//! ```text
//! p · price_in + E[tokens | tokens ≥ r · density] · price_out
//! ```
//!
//! with the conditional mean over the answers that were seen (`Histogram::at_least`), and at most the bound of the
//! call. For all such calls together the sum of these is held, plus three standard deviations of it: by the central
//! limit theorem the margin grows with the square root of their number only. So the amount per call falls as their
//! number grows.

use antiphon_llm::Price;

use crate::accounts::cost_of_call;
use crate::usage::UsageStats;

/// The part of a budget that is held for possibly billed calls: calls that ended without a bill.
///
/// Each of them may have cost its bound, and is reported so. But a bound is many times the cost of a usual call: if a tenth
/// of the calls broke off, most of a budget would stay unused. Therefore the expected cost is held: the prompt, the
/// tokens that arrived, the mean of the rest, and three standard deviations of the sum. A stream that broke off is billed at
/// most as if it had come to its end, so the sum of the bills exceeds this in at most one run of several hundred.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Calls before enough was learned; they are held at their bounds.
    early: Vec<Broken>,
    /// The sum of the expected costs of the other calls.
    expected: f64,
    /// The variance of that sum; the calls count as independent.
    variance: f64,
    /// The sum of the bounds of the calls that are held at their expected cost.
    bounds: u64,
    /// The amount that is held for these calls. It never falls, since it is a part of bills that are stored.
    held: u64,
}

/// A call that ended without a bill. Amounts are in millionths of a US dollar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Broken {
    /// The length of the prompt.
    pub(crate) prompt_bytes: u64,
    /// The length of the text that arrived.
    pub(crate) received_bytes: u64,
    /// The price; without one, the bound is held for good.
    pub(crate) price: Option<Price>,
    /// The most that it may have cost.
    pub(crate) bound: u64,
}

/// Standard deviations above the expected sum.
const MARGIN: f64 = 3.0;

impl Held {
    /// Adds a call. Returns the additional amount to hold, at most its bound. That is the bound itself while too few
    /// answers were seen, which [`review`](Self::review) corrects later.
    pub(crate) fn add(&mut self, call: Broken, seen: &UsageStats) -> u64 {
        if self.estimate(call, seen) {
            let before = self.held;
            self.held = self.sum().max(before).min(before + call.bound);
            return self.held - before;
        }
        self.early.push(call);
        call.bound
    }

    /// Estimates the early calls again, once enough was learned. Returns the amount that no longer has to be held.
    pub(crate) fn review(&mut self, seen: &UsageStats) -> u64 {
        if self.early.is_empty() {
            return 0;
        }
        let early = std::mem::take(&mut self.early);
        let (expected, early): (Vec<_>, Vec<_>) =
            early.into_iter().partition(|call| self.estimate(*call, seen));
        self.early = early;
        let bounds: u64 = expected.iter().map(|call| call.bound).sum();
        let before = self.held;
        self.held = self.sum().clamp(before, before + bounds);
        bounds - (self.held - before)
    }

    /// Adds the expected cost of a call. Returns `false` if too little is known.
    fn estimate(&mut self, call: Broken, seen: &UsageStats) -> bool {
        let Some(price) = call.price else { return false };
        let Some(tokens) = seen.estimate(call.prompt_bytes, call.received_bytes) else { return false };
        let Some(prompt) = cost_of_call(price, tokens.input, 0) else { return false };
        let per_token = price.output as f64 / 1e6;
        self.expected += (prompt as f64 + tokens.output * per_token).min(call.bound as f64);
        self.variance += tokens.variance * per_token * per_token;
        self.bounds += call.bound;
        true
    }

    /// Returns the amount to hold for the calls whose cost can be estimated.
    fn sum(&self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and bounded below"
        )]
        let sum = (self.expected + MARGIN * self.variance.sqrt()).ceil() as u64;
        sum.min(self.bounds)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon_llm::{Completion, Price, Timing, Usage};

    use super::{Broken, Held};
    use crate::usage::UsageStats;

    /// Returns statistics of prompts of 100 tokens in 400 bytes and answers of 50 tokens in 200 bytes; every other answer has
    /// twice that if `varies`.
    fn seen(answers: u64, varies: bool) -> UsageStats {
        let mut seen = UsageStats::new();
        for answer in 0..answers {
            let times: u8 = if varies && answer % 2 == 1 { 2 } else { 1 };
            let text = "x".repeat(200 * usize::from(times));
            let usage = Usage::new(Some(100), Some(50 * u64::from(times)));
            let timing = Timing::new(None, Duration::from_secs(1));
            seen.record(400, &Completion::new(text).usage(usage).timing(timing));
        }
        seen
    }

    fn broken(received_bytes: u64) -> Broken {
        let price = Some(Price::new(1_000_000, 1_000_000, 4_000_000));
        Broken { prompt_bytes: 400, received_bytes, price, bound: 5_000 }
    }

    #[test]
    fn a_broken_call_is_held_at_its_bound_until_enough_was_seen() {
        let mut held = Held::default();
        assert_eq!(held.add(broken(100), &seen(19, false)), 5_000);
        assert_eq!(held.review(&seen(19, false)), 0);
        let back = held.review(&seen(20, false));
        // 100 for the prompt, 200 for the answer, and 9 % at most for the buckets.
        assert!((4_650..=4_710).contains(&back), "{back}");
        assert_eq!(held.review(&seen(20, false)), 0, "a call is reviewed once");
        let more = held.add(broken(100), &seen(20, false));
        assert!((290..=350).contains(&more), "{more}");
    }

    #[test]
    fn the_margin_of_many_calls_is_small() {
        let (mut held, seen) = (Held::default(), seen(100, true));
        let first = held.add(broken(0), &seen);
        let all: u64 = first + (1..100).map(|_| held.add(broken(0), &seen)).sum::<u64>();
        // 100 for the prompt; 200 or 400 for the answer: a mean of 300, a deviation of 100.
        assert!((650..=750).contains(&first), "{first}");
        assert!((41_000..=45_500).contains(&all), "{all}");
    }

    #[test]
    fn the_text_that_arrived_raises_the_expected_cost() {
        let seen = seen(100, true);
        let long = Held::default().add(broken(300), &seen);
        assert!((490..=560).contains(&long), "only the longer answers have 300 bytes: {long}");
        assert_eq!(Held::default().add(broken(9_000), &seen), 5_000, "no answer of this length was seen");
    }

    #[test]
    fn at_most_the_bound_is_held() {
        let (mut held, seen) = (Held::default(), seen(100, true));
        let tight = Broken { bound: 250, ..broken(0) };
        assert_eq!((0..9).map(|_| held.add(tight, &seen)).sum::<u64>(), 9 * 250);
        assert_eq!(held.add(Broken { price: None, ..broken(0) }, &seen), 5_000, "no price");
    }
}
