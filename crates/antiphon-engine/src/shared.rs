use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use antiphon_llm::{
    Calls, Deadline, Error as LlmError, ErrorKind as LlmErrorKind, Gate, GateView, Price, Prompt, Scope,
    Spent, Usage,
};
use antiphon_store::{Bill, Intent, Run, Store, Tally};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::{Budget, Grant};
use crate::dispatch::{JobOutcome, Options};
use crate::seen::{Seen, Usual};
use crate::status::Counters;
use crate::stop::Stop;
use crate::work::Work;

/// What all rows of a run share.
pub(super) struct Shared {
    pub(super) calls: Calls,
    pub(super) scope: Scope,
    pub(super) store: Store,
    pub(super) run: Arc<Run>,
    pub(super) work: Arc<dyn Work>,
    pub(super) options: Options,
    pub(super) budget: Budget,
    pub(super) counters: Counters,
    pub(super) ended: mpsc::Sender<JobOutcome>,
    /// Ends the handing out of rows.
    pub(super) halt: CancellationToken,
    pub(super) places: Arc<Semaphore>,
    pub(super) sleeping: AtomicUsize,
    /// Pauses in a row that the provider asked for.
    pub(super) refusals: AtomicU32,
    /// Rows were added.
    pub(super) fed: Notify,
    /// Rows were claimed.
    pub(super) taken: Notify,
    pub(super) backlog: AtomicUsize,
    /// What keeps to the limits of the model that is asked.
    gate: OnceLock<Option<Gate>>,
    seen: Mutex<Seen>,
    paused: Mutex<Option<Instant>>,
    has_answered: AtomicBool,
    /// The part of the last calls that were answered, of [`WHOLE`].
    health: AtomicU32,
    trouble: Mutex<Option<LlmError>>,
    /// Failures of one kind that no retry heals, while nothing was answered.
    hopeless: Mutex<(LlmErrorKind, u64)>,
    warned: Mutex<Option<Instant>>,
    stop: Mutex<Option<Stop>>,
    deadline: Deadline,
    /// Outcomes that could not be stored.
    unsaved: Mutex<Vec<JobOutcome>>,
}

/// What a call may cost and how many tokens its answer may have: at most, and usually.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// At most; `None` if that is not known.
    pub(super) whole: Option<u64>,
    /// As much as calls usually need.
    pub(super) least: u64,
    /// So little that less would be no call.
    pub(super) floor: u64,
    without_output: u64,
    /// In millionths of a US dollar for a million tokens, of all providers that may be asked.
    output_price: u64,
    /// How many bills there may be, each rounded up.
    bills: u64,
    /// The most tokens that the answer may have.
    pub(super) most_tokens: Option<u64>,
}

impl Bounds {
    /// The most tokens of an answer that a grant pays for.
    pub(super) fn tokens_for(&self, grant: &Grant) -> Option<u64> {
        if grant.is_whole() || self.output_price == 0 {
            return self.most_tokens;
        }
        // Rounded down, with one millionth to spare for the rounding of each bill.
        let left = grant.amount().saturating_sub(self.without_output + self.bills);
        Some((left * 1_000_000 / self.output_price).max(1))
    }
}

/// The most tokens of an answer under a budget, where nobody said how many there may be.
const USUAL_MOST: u64 = 4_096;
/// An answer of fewer tokens than this is not worth a call.
const FEWEST: u64 = 64;
/// Tokens that a provider puts around a prompt, at most.
const FRAMING: u64 = 64;
const WHOLE: u32 = 1 << 16;
/// From here on a provider is well.
const WELL: u32 = WHOLE / 2;
/// Calls that fail in the same way before anything was answered, after which a run ends.
const HOPELESS: u64 = 20;
/// Pauses in a row after which a provider counts as saturated.
const MOST_REFUSALS: u32 = 8;

impl Shared {
    pub(super) fn new(
        calls: Calls,
        (store, run, tally): (Store, Arc<Run>, Tally),
        work: Arc<dyn Work>,
        options: Options,
        ended: mpsc::Sender<JobOutcome>,
    ) -> Self {
        let at_once = options.limits.max_concurrency.unwrap_or(Semaphore::MAX_PERMITS).max(1);
        let deadline = options.limits.deadline.map_or(Deadline::none(), Deadline::after);
        let counters = Counters::default();
        let set = |counter: &std::sync::atomic::AtomicU64, value| counter.store(value, Ordering::Relaxed);
        set(&counters.rows, tally.jobs());
        set(&counters.accepted, tally.accepted);
        set(&counters.failed, tally.failed);
        set(&counters.cost, tally.settled);
        set(&counters.without_price, u64::from(tally.cost_unknown));
        set(&counters.lost, tally.lost);
        set(&counters.possible, tally.possible);
        Self {
            scope: calls.provider().scope(),
            calls,
            store,
            run,
            work,
            budget: Budget::new(options.limits.max_cost, tally.settled.saturating_add(tally.possible)),
            counters,
            ended,
            halt: CancellationToken::new(),
            places: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
            options,
            sleeping: AtomicUsize::new(0),
            refusals: AtomicU32::new(0),
            fed: Notify::new(),
            taken: Notify::new(),
            backlog: AtomicUsize::new(0),
            gate: OnceLock::new(),
            seen: Mutex::new(Seen::new()),
            paused: Mutex::default(),
            has_answered: AtomicBool::new(false),
            health: AtomicU32::new(0),
            trouble: Mutex::default(),
            hopeless: Mutex::new((LlmErrorKind::Cancelled, 0)),
            warned: Mutex::default(),
            stop: Mutex::default(),
            deadline,
            unsaved: Mutex::default(),
        }
    }

    /// Ends the run for a reason, of which the first counts.
    pub(super) fn stop(&self, stop: Stop) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(stop);
        self.halt.cancel();
    }

    /// Ends the run since a further call may cost more than is left.
    pub(super) fn stop_for_budget(&self, needs: u64) {
        let (spent, possible) = (Counters::get(&self.counters.cost), Counters::get(&self.counters.possible));
        let cap = self.options.limits.max_cost.unwrap_or(u64::MAX);
        self.stop(Stop::Budget { cap, spent, possible, needs });
    }

    pub(super) fn stopped(&self) -> Option<Stop> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many answers about one row are asked for until one is valid.
    pub(super) fn attempts(&self) -> u32 {
        self.options.limits.attempts.unwrap_or(2).max(1)
    }

    /// Whether the deadline has passed, after a pause.
    pub(super) fn is_late(&self, pause: Duration) -> bool {
        !self.deadline.allows(pause, Instant::now().into_std())
    }

    /// When the deadline is, if there is one.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.instant().map(Instant::from_std)
    }

    /// Keeps an outcome that could not be stored.
    pub(super) fn keep_unsaved(&self, outcome: JobOutcome) {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
    }

    pub(super) fn take_unsaved(&self) -> Vec<JobOutcome> {
        std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn seal(&self) {
        self.counters.is_sealed.store(1, Ordering::Relaxed);
    }

    pub(super) fn sleeping(&self) -> usize {
        self.sleeping.load(Ordering::Relaxed)
    }

    pub(super) fn claimed(&self, rows: usize) {
        let _ = self
            .backlog
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |backlog| Some(backlog.saturating_sub(rows)));
        self.taken.notify_one();
    }

    /// The model that is asked, by which limits are known.
    pub(super) fn asks(&self, model: &str) {
        self.gate.get_or_init(|| self.calls.gate(model));
    }

    /// What earlier runs of the same kind saw.
    pub(super) fn remember(&self, usual: Usual) {
        self.seen().remember(usual);
    }

    pub(super) fn limits(&self) -> Option<GateView> {
        Some(self.gate.get()?.as_ref()?.view())
    }

    /// Until when nothing is begun, because the provider asked for that.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = paused.filter(|until| *until > Instant::now());
        *paused
    }

    /// Whether most of the last calls were answered, and not only few have been made.
    pub(super) fn is_well(&self) -> bool {
        self.health.load(Ordering::Relaxed) > WELL
    }

    /// Notes how a call ended, of which the newest count most.
    fn note_health(&self, is_answer: bool) {
        let mix = |health: u32| Some(health - health / 16 + if is_answer { WHOLE / 16 } else { 0 });
        let _ = self.health.fetch_update(Ordering::Relaxed, Ordering::Relaxed, mix);
    }

    /// The provider has answered a call.
    pub(super) fn answered(&self) {
        self.note_health(true);
        self.refusals.store(0, Ordering::Relaxed);
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Whether it ever has, in this process.
    pub(super) fn was_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Remembers what was the matter with a call, for when no more are made.
    pub(super) fn trouble(&self, err: &LlmError) {
        self.note_health(false);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(err.clone());
    }

    pub(super) fn last_trouble(&self) -> Option<LlmError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether no row can be expected to fare better than this one: nothing was ever answered, and so many calls, or all that
    /// there are, failed in one way that no retry heals.
    pub(super) fn is_hopeless(&self, kind: LlmErrorKind) -> bool {
        use LlmErrorKind::{InvalidRequest, InvalidResponse, Unsupported};
        if self.was_answered() || !matches!(kind, InvalidRequest | InvalidResponse | Unsupported) {
            return false;
        }
        let mut hopeless = self.hopeless.lock().unwrap_or_else(PoisonError::into_inner);
        if hopeless.0 != kind {
            *hopeless = (kind, 0);
        }
        hopeless.1 += 1;
        let is_all = Counters::get(&self.counters.is_sealed) > 0;
        let rows = if is_all { Counters::get(&self.counters.rows) } else { u64::MAX };
        hopeless.1 >= rows.min(HOPELESS)
    }

    /// Tells why a call is made again; a few times a minute, since a whole run may have the same trouble.
    pub(super) fn warn(&self, trouble: &dyn fmt::Display) {
        const PAUSE: Duration = Duration::from_secs(15);
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|last| last.elapsed() >= PAUSE) {
            *warned = Some(Instant::now());
            tracing::warn!("asking again: {trouble}");
        }
    }

    /// The circuit breaker lets no call through for so long. Short openings are a way to look again soon, and no refusals.
    pub(super) fn opened(&self, pause: Duration) {
        const LONG: Duration = Duration::from_secs(30);
        if pause >= LONG {
            return self.refused(pause);
        }
        self.pause(pause);
    }

    /// Begins nothing for so long; whether that was not so before.
    fn pause(&self, pause: Duration) -> bool {
        let now = Instant::now();
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = paused.is_none_or(|until| until <= now);
        *paused = (*paused).max(Some(now + pause));
        is_new
    }

    /// The provider takes nothing for so long.
    pub(super) fn refused(&self, pause: Duration) {
        let refusals = if self.pause(pause) { self.refusals.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
        if pause > self.options.max_pause || refusals > MOST_REFUSALS {
            self.stop(Stop::Saturated { retry_after: pause });
        }
    }

    /// Notes that a call is about to be sent. What cannot be noted is not sent.
    pub(super) async fn intend(&self, intent: Intent, sent: &AtomicU32) -> Result<(), LlmError> {
        if self.halt.is_cancelled() {
            let message = "the call was not sent: the run was asked to stop";
            return Err(LlmError::new(LlmErrorKind::Cancelled, message));
        }
        sent.fetch_add(1, Ordering::Relaxed);
        Counters::add(&self.counters.calls, 1);
        self.run.intend(intent).await.map_err(|err| {
            let message = format!("the call was not sent, since it could not be noted: {err}");
            self.stop(Stop::Store(err));
            LlmError::new(LlmErrorKind::Cancelled, message)
        })
    }

    /// What a call may cost, with those of all fallbacks. A token has at least one byte, so a prompt has at most as many tokens as bytes.
    pub(super) fn bounds(&self, prompt: &Prompt, least: Option<u64>) -> Bounds {
        let input = prompt.bytes().max_total() + FRAMING;
        let price = (self.options.pricing)(input);
        let is_bound = self.budget.is_limited() && price != Some(Price::FREE);
        let most_tokens = prompt.parameters.max_tokens.or_else(|| is_bound.then_some(USUAL_MOST));
        let usual = self.seen().usual_output().map(|usual| usual + usual / 4 + 16);
        let least_tokens = least.max(usual).map(|least| most_tokens.map_or(least, |most| least.min(most)));
        let bills = u64::from(self.options.fallbacks) + 1;
        let cost = |output: Option<u64>| match price? {
            Price::FREE => Some(0),
            price => {
                let usage = Usage::new(Some(input), Some(output?));
                let written =
                    usage.cache_write(Some(if price.cache_write > price.input { input } else { 0 }));
                price.cost_usd_micros(written)?.checked_mul(bills)
            }
        };
        let whole = cost(most_tokens);
        let least = least_tokens.and_then(|least| cost(Some(least)));
        Bounds {
            whole,
            least: least.or(whole).unwrap_or(0),
            // Where it is known what answers need, less would only be cut.
            floor: least.or_else(|| cost(Some(FEWEST))).unwrap_or(0),
            without_output: cost(Some(0)).unwrap_or(0),
            output_price: price.map_or(0, |price| price.output.saturating_mul(bills)),
            bills,
            most_tokens,
        }
    }

    pub(super) fn learn(&self, prompt: &Prompt, usage: Usage, took: Duration) {
        self.seen().saw(prompt.bytes().total(), usage.input, usage.output, took);
    }

    pub(super) fn usual(&self) -> Option<Usual> {
        self.seen().usual()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What calls have cost: the one that answered, and `earlier` ones. `bound` says whether the grant is the most that all
    /// of them may have cost.
    pub(super) fn bill(
        &self,
        usage: Usage,
        earlier: Spent,
        calls: u32,
        (grant, bound): (Grant, bool),
    ) -> Bill {
        let cost_of = |usage: Usage| {
            let price = (self.options.pricing)(usage.input.unwrap_or(0));
            price.and_then(|price| price.cost_usd_micros(usage))
        };
        let mut cost = cost_of(usage);
        let amount = grant.amount();
        // With fallbacks the grant pays for the answer and for the calls before it.
        let beside =
            if self.options.fallbacks > 0 { amount.saturating_sub(cost.unwrap_or(0)) } else { amount };
        if let Some(more) = earlier.usage {
            cost = cost.zip(cost_of(more)).map(|(cost, more)| cost.saturating_add(more));
        }
        let lost = earlier.possibly_billed;
        let mut possible = if lost > 0 { bound.then_some(beside) } else { Some(0) };
        if cost.is_none() && bound {
            // What is not known may be all of it.
            possible = Some(amount);
        }
        let tokens = |of: fn(&Usage) -> Option<u64>| -> u64 {
            [Some(usage), earlier.usage].iter().flatten().filter_map(of).fold(0, u64::saturating_add)
        };
        let (input, output) = (tokens(|usage| usage.input), tokens(|usage| usage.output));
        grant.settle(cost.unwrap_or(0).saturating_add(possible.unwrap_or(0)));
        let counters = &self.counters;
        Counters::add(&counters.input_tokens, input);
        Counters::add(&counters.output_tokens, output);
        Counters::add(&counters.cost, cost.unwrap_or(0));
        Counters::add(&counters.without_price, u64::from(cost.is_none()));
        Counters::add(&counters.lost, u64::from(lost));
        Counters::add(&counters.possible, possible.unwrap_or(0));
        let mut bill = Bill::call(cost).calls(calls).tokens(input, output).lost(lost, possible);
        // Also where no call was lost: its cost is not known.
        bill.possible = possible.unwrap_or(0);
        bill
    }
}

/// A job that waits without holding a place.
pub(super) struct Sleeping(Arc<Shared>);

impl Sleeping {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        shared.sleeping.fetch_add(1, Ordering::Relaxed);
        // Another row may begin in its place.
        shared.fed.notify_one();
        Self(shared.clone())
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.0.sleeping.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("scope", &self.scope)
            .field("run", &self.run.record().id)
            .finish_non_exhaustive()
    }
}
