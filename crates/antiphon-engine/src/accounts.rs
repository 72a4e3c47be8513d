//! The accounts of a run: what its calls may cost, what they cost, and what is learned from their usage.
//!
//! Each call passes through three steps. All amounts are in millionths of a US dollar (microdollars), except for tokens
//! times prices, which are in picodollars until they are rounded.
//!
//! | step | function | effect on the budget |
//! |---|---|---|
//! | before the call | `Accounts::bounds` | none: computes the maximum and the usual cost |
//! | once the budget grants it | `Bounds::reserve` | the grant is reserved, and sets the maximum number of tokens |
//! | after the call | `Accounts::bill` | the grant is replaced by the cost and the amount that is held |
//!
//! A call that ended without a bill (a broken stream, a timeout) was possibly billed. For such calls an amount is held,
//! which counts as spent: the whole bound, or the expected cost of a single call once enough answers were seen. The
//! module does no I/O.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon_llm::{AnswerLimits, Completion, Price, Prompt, Spent, Usage};
use antiphon_store::{Bill, Tally};

use crate::budget::{Budget, Grant};
use crate::engine::{Options, Pricing};
use crate::held::{Broken, Held};
use crate::status::Counters;
use crate::stop::StopCause;
use crate::usage::{UsageQuantiles, UsageStats};

/// The accounts of a run: its budget, the costs and bounds of its calls, and the usage that it learns from answers.
pub(crate) struct Accounts {
    pub(crate) budget: Budget,
    /// The counters that status reports read.
    pub(crate) counters: Counters,
    pricing: Pricing,
    /// The number of further providers that one call may try: each may send its own bill.
    fallbacks: u32,
    /// One lock for all of it, held only for arithmetic and never across an await.
    learned: Mutex<Learned>,
}

/// The usage that was learned from the run's calls, and the amounts that are held for calls without a bill.
struct Learned {
    /// The tokens and times of this process's answers, and the quantiles of earlier runs.
    seen: UsageStats,
    /// The possibly billed calls of this process.
    held: Held,
    /// The part of a microdollar by which the last bill was rounded, in millionths of a microdollar; the next bill includes it.
    remainder: u64,
    /// The amount that is no longer held for calls without a bill, and that the store has not released yet.
    less: u64,
}

/// The end of a call, from which its bill is made.
#[derive(Debug, Default)]
pub(crate) struct CallEnd {
    /// The tokens of the answer, if one came.
    pub(crate) usage: Usage,
    /// The cost of earlier calls for the same answer, such as those of fallbacks, or of the failed call itself.
    pub(crate) earlier: Spent,
    /// The number of times that the call was sent.
    pub(crate) sent: u32,
    /// The bytes of the text that arrived.
    pub(crate) received_bytes: u64,
    /// Whether the call was answered.
    pub(crate) is_answer: bool,
}

/// The reservation for one call, with the bounds that it was made by.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// The part of the budget; dropped without a settlement, it counts as spent.
    pub(crate) grant: Grant,
    bounds: Bounds,
    /// The maximum number of tokens of the answer, where the budget lowered it.
    pub(crate) held_to: Option<u64>,
}

/// The bounds of a call: its maximum and usual cost, and the maximum number of tokens of its answer. Amounts are in millionths of
/// a US dollar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    /// The maximum cost; `None` if it is not known.
    pub(crate) whole: Option<u64>,
    /// The cost of a call of usual length: what is reserved where the maximum does not fit into the budget.
    pub(crate) least: u64,
    /// The minimum amount with which a call is worthwhile.
    pub(crate) floor: u64,
    /// The cost of the prompt alone.
    without_output: u64,
    /// The price of a million tokens of answers, summed over all providers that may be called.
    output_price: u64,
    /// The maximum number of bills, each of which is rounded up.
    bills: u64,
    /// The maximum number of tokens of the answer; `None` without a limit.
    max_tokens: Option<u64>,
    /// The length of the prompt, from which the tokens of a call without a bill are estimated.
    prompt_bytes: u64,
    /// The price for a prompt of this length; `None` if it is not known.
    price: Option<Price>,
}

/// The number of picodollars in a microdollar, the unit of amounts.
const PICOS: u64 = 1_000_000;
/// The maximum number of tokens of an answer under a budget, where the recipe sets none.
///
/// An answer without a limit has no maximum cost, and could not be reserved.
const MAX_USUAL: u64 = 4_096;
/// The minimum number of tokens of an answer that is worth a call.
const FEWEST: u64 = 64;
/// The maximum number of tokens that a provider adds around a prompt.
const FRAMING: u64 = 64;

impl CallEnd {
    /// Returns the sum of one count of tokens over the answer and the calls before it; an unreported count is 0.
    fn tokens(&self, of: fn(&Usage) -> Option<u64>) -> u64 {
        [Some(self.usage), self.earlier.usage].iter().flatten().filter_map(of).fold(0, u64::saturating_add)
    }

    /// Returns whether a call was sent and answered without the number of tokens of its prompt or of its answer.
    fn is_unreported(&self) -> bool {
        self.is_answer && self.sent > 0 && self.usage.input.zip(self.usage.output).is_none()
    }
}

impl Bounds {
    /// Makes a reservation of a grant. Returns it with the maximum number of tokens that the answer may then have.
    pub(crate) fn reserve(&self, grant: Grant) -> (Reservation, Option<u64>) {
        let tokens = self.tokens_for(&grant);
        let held_to = tokens.filter(|_| !grant.is_whole());
        (Reservation { grant, bounds: *self, held_to }, tokens)
    }

    /// Returns the maximum number of tokens of an answer that a grant pays for; with a partial grant at least 1.
    ///
    /// ```text
    /// tokens = (grant - cost of the prompt - one microdollar a bill) * 1_000_000 / price of a million tokens
    /// ```
    fn tokens_for(&self, grant: &Grant) -> Option<u64> {
        if grant.is_whole() || self.output_price == 0 {
            return self.max_tokens;
        }
        // Rounded down, with one millionth to spare for the rounding of each bill.
        let left = grant.amount().saturating_sub(self.without_output + self.bills);
        Some((left * 1_000_000 / self.output_price).max(1))
    }
}

impl Reservation {
    /// Returns the most that the call may cost; `None` if that is not known.
    pub(crate) fn amount(&self) -> Option<u64> {
        self.bounds.whole.map(|_| self.grant.amount())
    }

    /// Returns the whole amount to the budget: no call was sent.
    pub(crate) fn release(self) {
        self.grant.settle(0);
    }
}

impl Accounts {
    /// Continues the accounts of earlier processes: settled costs and the amounts that the store holds count as spent.
    pub(crate) fn new(options: &Options, tally: &Tally) -> Self {
        Self {
            budget: Budget::new(options.limits.max_cost, tally.settled.saturating_add(tally.held)),
            counters: Counters::after(tally),
            pricing: options.pricing.clone(),
            fallbacks: options.fallbacks,
            // Starting one below a whole unit makes the sum of all costs round up, once.
            learned: Mutex::new(Learned {
                seen: UsageStats::new(),
                held: Held::default(),
                remainder: PICOS - 1,
                less: 0,
            }),
        }
    }

    /// Returns the cause of a stop where the next call may cost `needs`, and less is left.
    pub(crate) fn exhausted(&self, needs: u64) -> StopCause {
        let (spent, possible) = (Counters::get(&self.counters.cost), Counters::get(&self.counters.possible));
        StopCause::Budget { cap: self.budget.cap().unwrap_or(u64::MAX), spent, possible, reserved: 0, needs }
    }

    /// Returns the bounds of a call, its fallbacks included. A token has at least one byte, so a prompt has at most as many
    /// tokens as bytes. `least` is the minimum number of tokens of the answer, where it is known.
    ///
    /// The tokens of an answer of usual length are the learned quantile with a quarter and 16 tokens to spare. Where
    /// the price is not known, there is no maximum cost, and nothing is reserved.
    pub(crate) fn bounds(&self, prompt: &Prompt, least: Option<u64>) -> Bounds {
        let input = prompt.bytes().max_total() + FRAMING;
        let price = (self.pricing)(input);
        let is_bound = self.budget.is_limited() && price != Some(Price::FREE);
        let max_tokens = prompt.parameters.max_tokens.or_else(|| is_bound.then_some(MAX_USUAL));
        let usual = self.learned().seen.usual_output().map(|usual| usual + usual / 4 + 16);
        let least_tokens = least.max(usual).map(|least| max_tokens.map_or(least, |most| least.min(most)));
        let bills = u64::from(self.fallbacks) + 1;
        let cost = |output: Option<u64>| cost_of_call(price?, input, output?)?.checked_mul(bills);
        let whole = cost(max_tokens);
        let least = least_tokens.and_then(|least| cost(Some(least)));
        Bounds {
            whole,
            least: least.or(whole).unwrap_or(0),
            // Where the usual length is known, an answer with less would only be cut.
            floor: least.or_else(|| cost(Some(FEWEST))).unwrap_or(0),
            without_output: cost(Some(0)).unwrap_or(0),
            output_price: price.map_or(0, |price| price.output.saturating_mul(bills)),
            bills,
            max_tokens,
            prompt_bytes: prompt.bytes().total(),
            price,
        }
    }

    /// Settles a reservation by the end of its call.
    ///
    /// The reservation is replaced in the budget by the cost and by the amount that is held for calls without a bill,
    /// and the bill is added to the counters. The bill is not stored here: the caller commits it with a settlement.
    pub(crate) fn bill(&self, end: &CallEnd, reservation: Reservation) -> Bill {
        let answered = self.picos_of_answer(end);
        let earlier = end.earlier.usage.map_or(Some(0), |usage| self.picos_of(usage));
        let cost = answered.zip(earlier).map(|(picos, more)| self.round(picos.saturating_add(more)));
        let possible = self.possible_cost(end, cost, &reservation, answered);
        let held = self.held_after(end, &reservation.bounds, possible);
        reservation.grant.settle(cost.unwrap_or(0).saturating_add(held));
        let (input, output) = (end.tokens(|usage| usage.input), end.tokens(|usage| usage.output));
        let bill = Bill::call(cost).calls(end.sent).tokens(input, output);
        let bill = bill.possibly_billed(end.earlier.possibly_billed, possible);
        let mut bill = bill.held(held).unreported(u32::from(end.is_unreported()));
        // This is set even if no call was lost, where the cost of the answer is not known.
        bill.possible = possible.unwrap_or(0);
        self.counters.count_bill(&bill);
        bill
    }

    /// Returns the cost of an answer in picodollars; `None` if the price is not known.
    fn picos_of_answer(&self, end: &CallEnd) -> Option<u64> {
        // A call without an answer has no usage of its own, whether or not the model has a price.
        if end.is_answer { self.picos_of(end.usage) } else { Some(0) }
    }

    /// Returns the most that calls without a bill may have cost in addition to `cost`; `None` without an upper bound.
    /// `answered` is the cost of the answer in picodollars, which is a part of `cost`.
    ///
    /// With fallbacks one grant pays for the answer and for the calls before it, so the cost of the answer is
    /// subtracted: the lost calls can only have used the rest of the grant.
    fn possible_cost(
        &self,
        end: &CallEnd,
        cost: Option<u64>,
        reservation: &Reservation,
        answered: Option<u64>,
    ) -> Option<u64> {
        let bound = reservation.amount();
        match cost {
            // An unknown cost may be as high as the whole reservation.
            None if bound.is_some() => bound.max(excess_cost(end, &reservation.bounds)),
            _ if end.earlier.possibly_billed > 0 => {
                let answered = answered.filter(|_| self.fallbacks > 0);
                let of_answer = answered.map_or(0, |picos| picos.div_ceil(PICOS));
                bound.map(|amount| amount.saturating_sub(of_answer))
            }
            _ => Some(0),
        }
    }

    /// Returns the amount to hold after the end of a call: the whole possible cost, or less for a single call that
    /// broke off, whose cost can be estimated.
    fn held_after(&self, end: &CallEnd, bounds: &Bounds, possible: Option<u64>) -> u64 {
        let is_one_call = !end.is_answer && end.earlier.possibly_billed == 1 && self.fallbacks == 0;
        match possible {
            Some(bound) if bound > 0 && is_one_call => self.hold(bounds, end.received_bytes, bound),
            bound => bound.unwrap_or(0),
        }
    }

    /// Returns the amount to hold for a call that ended without a bill: `bound`, or less once enough was learned.
    fn hold(&self, bounds: &Bounds, received_bytes: u64, bound: u64) -> u64 {
        let Bounds { prompt_bytes, price, .. } = *bounds;
        let mut learned = self.learned();
        let Learned { seen, held, .. } = &mut *learned;
        held.add(Broken { prompt_bytes, received_bytes, price, bound }, seen)
    }

    /// Rounds a cost to millionths of a US dollar, so that the sum of all costs is rounded only once.
    ///
    /// A call may cost less than a microdollar. The remainder is carried to the next call; rounding each one up would
    /// overstate the cost of a run with many short calls.
    fn round(&self, picos: u64) -> u64 {
        let mut learned = self.learned();
        let sum = learned.remainder.saturating_add(picos);
        learned.remainder = sum % PICOS;
        sum / PICOS
    }

    /// Records the usage of an answer. Once enough answers were seen, earlier calls without a bill are held at less.
    pub(crate) fn learn(&self, prompt: &Prompt, answer: &Completion) {
        let mut learned = self.learned();
        let Learned { seen, held, less, .. } = &mut *learned;
        seen.record(prompt.bytes().total(), answer);
        *less += held.review(seen);
    }

    /// Takes the amount that the store holds for calls without a bill and no longer has to.
    pub(crate) fn take_less(&self) -> u64 {
        std::mem::take(&mut self.learned().less)
    }

    /// Updates the counters and the budget with the store's sums, which include the work of other processes.
    pub(crate) fn observe(&self, tally: &Tally) {
        self.counters.refresh(tally);
        // Without others all reservations are this process's own, as they were when the tally was read.
        let reserved = if Counters::get(&self.counters.others) > 0 { tally.reserved } else { 0 };
        self.budget.observe(tally.settled.saturating_add(tally.held), reserved);
    }

    /// Sets the usage in earlier runs of the same kind.
    pub(crate) fn remember(&self, usual: UsageQuantiles) {
        self.learned().seen.remember(usual);
    }

    /// Returns the mean time of a call in seconds; `None` while none was answered.
    pub(crate) fn seconds_of_a_call(&self) -> Option<f64> {
        self.learned().seen.seconds_of_a_call()
    }

    /// Returns the quantiles of the calls of this process; `None` while no answer reported its output tokens.
    pub(crate) fn usual(&self) -> Option<UsageQuantiles> {
        self.learned().seen.usual(Counters::get(&self.counters.asked))
    }

    /// Returns the number of jobs of the run, once the input was read to its end.
    pub(crate) fn all_jobs(&self) -> Option<u64> {
        let is_all = Counters::get(&self.counters.is_sealed) > 0;
        is_all.then(|| Counters::get(&self.counters.rows))
    }

    /// Returns the cost of a usage in picodollars, at the price for its prompt tokens; `None` without a price.
    fn picos_of(&self, usage: Usage) -> Option<u64> {
        (self.pricing)(usage.input.unwrap_or(0))?.cost_usd_picos(usage)
    }

    /// Locks the learned usage, also after a panic of an earlier holder of the lock.
    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the maximum cost of an answer that is longer than its `max_tokens` can be, since the server ignored them: a token has at
/// least one byte. `None` for any other answer.
fn excess_cost(end: &CallEnd, bounds: &Bounds) -> Option<u64> {
    let most = bounds.max_tokens?.saturating_mul(AnswerLimits::TOKEN_BYTES);
    if end.received_bytes <= most {
        return None;
    }
    let input = bounds.prompt_bytes.saturating_add(FRAMING);
    cost_of_call(bounds.price?, input, end.received_bytes)
}

/// Returns the maximum cost of a call with this many tokens: its prompt may be written to the provider's cache (prompt caching).
pub(crate) fn cost_of_call(price: Price, input: u64, output: u64) -> Option<u64> {
    if price == Price::FREE {
        return Some(0);
    }
    let written = if price.cache_write > price.input { input } else { 0 };
    price.cost_usd_micros(Usage::new(Some(input), Some(output)).cache_write(Some(written)))
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("budget", &self.budget).finish_non_exhaustive()
    }
}
