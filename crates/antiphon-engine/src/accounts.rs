use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use antiphon_llm::{Completion, Price, Prompt, Spent, Usage};
use antiphon_store::{Bill, Tally};

use crate::budget::{Budget, Grant};
use crate::engine::{Options, Pricing};
use crate::held::{Broken, Held};
use crate::status::Counters;
use crate::stop::StopCause;
use crate::usage::{UsageQuantiles, UsageStats};

/// The accounting of a run: what calls may cost, what they did cost, and the tokens that they usually take.
pub(crate) struct Accounts {
    pub(crate) budget: Budget,
    pub(crate) counters: Counters,
    pricing: Pricing,
    fallbacks: u32,
    learned: Mutex<Learned>,
}

/// What the calls of the run taught, and what is held for those without a bill.
struct Learned {
    seen: UsageStats,
    held: Held,
    /// What the last bills were rounded down by, in millionths of a millionth of a US dollar.
    remainder: u64,
    /// What is to be held less since it was last told to the store.
    less: u64,
}

/// The end of a call, as far as it matters to its bill.
#[derive(Debug, Default)]
pub(crate) struct CallEnd {
    /// The tokens of the answer, if one came.
    pub(crate) usage: Usage,
    /// What calls on the way to it, or to its failure, have cost.
    pub(crate) earlier: Spent,
    /// How often it was sent.
    pub(crate) sent: u32,
    /// The bytes of the text that arrived.
    pub(crate) received_bytes: u64,
    pub(crate) is_answer: bool,
}

/// The money that is reserved for one call, and what it buys.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) grant: Grant,
    bounds: Bounds,
    /// The most tokens that the answer could have, where money held it to fewer than it may have.
    pub(crate) held_to: Option<u64>,
}

/// What a call may cost and how many tokens its answer may have: at most, and usually.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    /// At most; `None` if that is not known.
    pub(crate) whole: Option<u64>,
    /// As much as calls usually need.
    pub(crate) least: u64,
    /// So little that less would be no call.
    pub(crate) floor: u64,
    without_output: u64,
    /// In millionths of a US dollar for a million tokens, of all providers that may be asked.
    output_price: u64,
    /// How many bills there may be, each rounded up.
    bills: u64,
    /// The most tokens that the answer may have.
    max_tokens: Option<u64>,
    prompt_bytes: u64,
    price: Option<Price>,
}

/// Millionths in a millionth of a US dollar.
const PICOS: u64 = 1_000_000;
/// The most tokens of an answer under a budget, where no limit is set.
const MAX_USUAL: u64 = 4_096;
/// An answer of fewer tokens than this is not worth a call.
const FEWEST: u64 = 64;
/// Tokens that a provider puts around a prompt, at most.
const FRAMING: u64 = 64;

impl Bounds {
    /// Takes a grant for a call within these bounds. Returns it with the most tokens that the answer may then have.
    pub(crate) fn reserve(&self, grant: Grant) -> (Reservation, Option<u64>) {
        let tokens = self.tokens_for(&grant);
        let held_to = tokens.filter(|_| !grant.is_whole());
        (Reservation { grant, bounds: *self, held_to }, tokens)
    }

    /// The most tokens of an answer that a grant pays for.
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

    /// Gives everything back: no call was sent.
    pub(crate) fn release(self) {
        self.grant.settle(0);
    }
}

impl Accounts {
    /// Continues the accounts of earlier processes.
    pub(crate) fn new(options: &Options, tally: &Tally) -> Self {
        Self {
            budget: Budget::new(options.limits.max_cost, tally.settled.saturating_add(tally.held)),
            counters: Counters::after(tally),
            pricing: options.pricing.clone(),
            fallbacks: options.fallbacks,
            // The sum is rounded up, once.
            learned: Mutex::new(Learned {
                seen: UsageStats::new(),
                held: Held::default(),
                remainder: PICOS - 1,
                less: 0,
            }),
        }
    }

    /// Returns the reason to stop when a further call may cost more than is left.
    pub(crate) fn exhausted(&self, needs: u64) -> StopCause {
        let (spent, possible) = (Counters::get(&self.counters.cost), Counters::get(&self.counters.possible));
        StopCause::Budget { cap: self.budget.cap().unwrap_or(u64::MAX), spent, possible, needs }
    }

    /// Returns what a call may cost, with those of all fallbacks. A token has at least one byte, so a prompt has at most as
    /// many tokens as bytes. `least` is what the answer needs at least, in tokens, where that is known.
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
            // Where it is known what answers need, less would only be cut.
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
    pub(crate) fn bill(&self, end: &CallEnd, reservation: Reservation) -> Bill {
        let Reservation { grant, bounds, .. } = reservation;
        let (amount, is_bound) = (grant.amount(), bounds.whole.is_some());
        // What gave no answer has no cost of its own, whether or not the model has a price.
        let answered = if end.is_answer { self.picos_of(end.usage) } else { Some(0) };
        let earlier = end.earlier.usage.map_or(Some(0), |usage| self.picos_of(usage));
        let cost = answered.zip(earlier).map(|(picos, more)| self.round(picos.saturating_add(more)));
        // With fallbacks the grant pays for the answer and for the calls before it.
        let of_answer =
            if self.fallbacks > 0 { answered.map_or(0, |picos| picos.div_ceil(PICOS)) } else { 0 };
        let lost = end.earlier.possibly_billed;
        let possible = match cost {
            // What is not known may be all of it.
            None if is_bound => Some(amount),
            _ if lost > 0 => is_bound.then(|| amount.saturating_sub(of_answer)),
            _ => Some(0),
        };
        let held = match possible {
            Some(bound) if bound > 0 && !end.is_answer && lost == 1 && self.fallbacks == 0 => {
                self.hold(&bounds, end.received_bytes, bound)
            }
            bound => bound.unwrap_or(0),
        };
        grant.settle(cost.unwrap_or(0).saturating_add(held));
        let tokens = |of: fn(&Usage) -> Option<u64>| -> u64 {
            [Some(end.usage), end.earlier.usage].iter().flatten().filter_map(of).fold(0, u64::saturating_add)
        };
        let (input, output) = (tokens(|usage| usage.input), tokens(|usage| usage.output));
        let is_unreported = end.is_answer && end.sent > 0 && end.usage.input.zip(end.usage.output).is_none();
        let bill = Bill::call(cost).calls(end.sent).tokens(input, output).possibly_billed(lost, possible);
        let mut bill = bill.held(held).unreported(u32::from(is_unreported));
        // Also where no call was lost: its cost is not known.
        bill.possible = possible.unwrap_or(0);
        self.counters.count_bill(&bill);
        bill
    }

    /// Returns what is held for a call that ended without a bill.
    fn hold(&self, bounds: &Bounds, received_bytes: u64, bound: u64) -> u64 {
        let Bounds { prompt_bytes, price, .. } = *bounds;
        let mut learned = self.learned();
        let Learned { seen, held, .. } = &mut *learned;
        held.add(Broken { prompt_bytes, received_bytes, price, bound }, seen)
    }

    /// Rounds a cost to millionths of a US dollar, so that the sum of all costs is rounded only once.
    fn round(&self, picos: u64) -> u64 {
        let mut learned = self.learned();
        let sum = learned.remainder.saturating_add(picos);
        learned.remainder = sum % PICOS;
        sum / PICOS
    }

    /// Learns from an answer what calls usually take.
    pub(crate) fn learn(&self, prompt: &Prompt, answer: &Completion) {
        let mut learned = self.learned();
        let Learned { seen, held, less, .. } = &mut *learned;
        seen.record(prompt.bytes().total(), answer);
        *less += held.review(seen);
    }

    /// Takes what is to be held less than the store says, for calls that ended without a bill.
    pub(crate) fn take_less(&self) -> u64 {
        std::mem::take(&mut self.learned().less)
    }

    /// Takes over what the store counts, in which the work of other processes is, too.
    pub(crate) fn observe(&self, tally: &Tally) {
        self.counters.refresh(tally);
        // Without others all reservations are this process's own, as they were when the tally was read.
        let reserved = if Counters::get(&self.counters.others) > 0 { tally.reserved } else { 0 };
        self.budget.observe(tally.settled.saturating_add(tally.held), reserved);
    }

    /// Learns from earlier runs of the same kind.
    pub(crate) fn remember(&self, usual: UsageQuantiles) {
        self.learned().seen.remember(usual);
    }

    /// Returns how long a call takes on average; `None` while none was answered.
    pub(crate) fn seconds_of_a_call(&self) -> Option<f64> {
        self.learned().seen.seconds_of_a_call()
    }

    pub(crate) fn usual(&self) -> Option<UsageQuantiles> {
        self.learned().seen.usual(Counters::get(&self.counters.asked))
    }

    /// Returns the jobs of the run, once all of them are known.
    pub(crate) fn all_jobs(&self) -> Option<u64> {
        let is_all = Counters::get(&self.counters.is_sealed) > 0;
        is_all.then(|| Counters::get(&self.counters.rows))
    }

    fn picos_of(&self, usage: Usage) -> Option<u64> {
        (self.pricing)(usage.input.unwrap_or(0))?.cost_usd_picos(usage)
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most that a call of so many tokens costs: its prompt may be written to the provider's prompt cache.
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
