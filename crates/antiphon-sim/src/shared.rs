//! The state that all connections share: statistics, the judge of retries, the token buckets and the random generator.
//!
//! One mutex guards the whole state, and is never held over an await. Admission control is thus a single step: the
//! arrival is counted and judged, both buckets are checked and charged, and the fate is drawn, before the next request
//! is looked at. The order of admission is the order of the random choices, on which determinism rests.
//!
//! Each request that is counted ends in exactly one way:
//!
//! | end | by | in flight before |
//! |---|---|---|
//! | hopeless | [`Shared::hopeless`] | no |
//! | refused by a rate limit | [`Shared::admit`] | no |
//! | answered, refused as overloaded, without credit, cut, hung up | the `Report` of the answer | yes |
//!
//! A reset begins a new epoch. Requests of an earlier epoch that end later are ignored, so that no counter falls below
//! zero.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Version;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::bucket::Bucket;
use crate::faults::{Fate, Faults};
use crate::latency::Latency;
use crate::limit::Limit;
use crate::limit_headers::Levels;
use crate::scenario::Scenario;
use crate::stats::{Stats, count_of};
use crate::verdict::{ClientVerdict, End, Judge};
use crate::wire::Wire;

/// The scenario and the state that all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The scenario as it was when the server started. Limits and faults may have changed since: those of `state` hold.
    scenario: Scenario,
    state: Mutex<State>,
}

/// The part that changes, behind the mutex.
#[derive(Debug)]
struct State {
    stats: Stats,
    judge: Judge,
    /// The bucket of the rate limit of requests, if there is one.
    requests: Option<Bucket>,
    /// The bucket of the rate limit of tokens, if there is one.
    tokens: Option<Bucket>,
    faults: Faults,
    /// The source of all random choices, seeded by the scenario.
    rng: SmallRng,
    /// The time of the first request, from which `Stats::wall` counts.
    started_at: Option<Instant>,
    /// Incremented by each reset; requests of an earlier epoch are not counted.
    epoch: u64,
}

/// The result of admission control for a request.
pub(crate) enum Admitted {
    /// The request was charged to the rate limits, and is in flight.
    Yes(Admission),
    /// A rate limit refuses the request, which is not charged.
    No {
        /// The levels of the buckets, for the headers.
        levels: Levels,
        /// The wait to report, as the limit signal rounds it; zero if waits are not reported.
        wait: Duration,
    },
}

/// A request before admission.
pub(crate) struct Arrival {
    /// The fingerprint by which a retry is recognised.
    pub(crate) fingerprint: u64,
    pub(crate) version: Version,
    /// The size of the prompt in tokens.
    pub(crate) prompt_tokens: u64,
    /// The charge to the rate limit of tokens.
    pub(crate) cost: f64,
}

/// An admitted request, with its fate.
pub(crate) struct Admission {
    /// The number of the request since the last reset, from 1, which is part of the ids in its answer.
    pub(crate) id: u64,
    /// The fingerprint of the request.
    pub(crate) fingerprint: u64,
    /// The epoch in which it was counted.
    pub(crate) epoch: u64,
    pub(crate) fate: Fate,
    pub(crate) latency: Duration,
    /// The levels of the buckets after the request was charged.
    pub(crate) levels: Levels,
    /// The seed of its words.
    pub(crate) words: u64,
    pub(crate) prompt_tokens: u64,
}

impl State {
    /// Creates the state of a server that has served no request: full buckets and a freshly seeded generator.
    fn new(scenario: &Scenario) -> Self {
        let now = Instant::now().into_std();
        Self {
            stats: Stats::default(),
            judge: Judge::default(),
            requests: scenario.requests.map(|limit| Bucket::new(limit, now)),
            tokens: scenario.tokens.map(|limit| Bucket::new(limit, now)),
            faults: scenario.faults,
            rng: SmallRng::seed_from_u64(scenario.seed),
            started_at: None,
            epoch: 0,
        }
    }

    /// Counts a request with a prompt, and judges whether it is a wrong retry.
    fn arrived(&mut self, fingerprint: u64, version: Version, now: Instant) {
        self.started_at.get_or_insert(now);
        self.stats.requests += 1;
        self.stats.http2 += u64::from(version == Version::HTTP_2);
        self.judge.arrived(fingerprint, now.into_std());
    }

    /// Takes a request and its tokens from the buckets, or nothing from either if one of them does not hold enough.
    fn take(&mut self, cost: f64, now: std::time::Instant) -> bool {
        let Self { requests, tokens, .. } = self;
        // Without a short circuit: both buckets are refilled, since the levels of both are reported.
        let fits = requests.as_mut().is_none_or(|bucket| bucket.holds(1.0, now))
            & tokens.as_mut().is_none_or(|bucket| bucket.holds(cost, now));
        if fits {
            requests.iter_mut().for_each(|bucket| bucket.take(1.0));
            tokens.iter_mut().for_each(|bucket| bucket.take(cost));
        }
        fits
    }

    /// Returns the levels of both buckets, with the waits of a request of this cost.
    fn levels(&self, cost: f64) -> Levels {
        Levels {
            requests: self.requests.as_ref().map(|bucket| bucket.level(1.0)),
            tokens: self.tokens.as_ref().map(|bucket| bucket.level(cost)),
        }
    }

    /// Draws the fate of an admitted request, and counts it.
    fn draw_fate(&mut self, wire: &dyn Wire) -> Fate {
        let fate = match self.faults.draw(&mut self.rng) {
            // The format cannot report a filter.
            Fate::Filter if !wire.filters() => Fate::Answer,
            fate => fate,
        };
        if let Some(count) = count_of(&mut self.stats, fate) {
            *count += 1;
        }
        fate
    }

    /// Counts an admitted request as in flight. The order of the draws is part of the determinism: fate, words,
    /// latency.
    fn begin(&mut self, arrival: &Arrival, fate: Fate, levels: Levels, latency: Latency) -> Admission {
        // The same seed produces the same words.
        let words = self.rng.random();
        self.stats.in_flight += 1;
        self.stats.most_in_flight = self.stats.most_in_flight.max(self.stats.in_flight);
        self.stats.input_tokens += arrival.prompt_tokens;
        Admission {
            id: self.stats.requests,
            fingerprint: arrival.fingerprint,
            epoch: self.epoch,
            fate,
            latency: latency.draw(&mut self.rng),
            levels,
            words,
            prompt_tokens: arrival.prompt_tokens,
        }
    }

    /// Extends the measured time up to now.
    fn extend_wall(&mut self, now: Instant) {
        if let Some(started_at) = self.started_at {
            self.stats.wall = now - started_at;
        }
    }
}

impl Shared {
    /// Creates the state of a server that has served no request.
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self { state: Mutex::new(State::new(&scenario)), scenario }
    }

    /// Returns the scenario with which the server started.
    pub(crate) fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Counts an accepted connection.
    pub(crate) fn connected(&self) {
        self.lock().stats.connections += 1;
    }

    /// Returns the number of requests since the last reset.
    pub(crate) fn request_count(&self) -> u64 {
        self.lock().stats.requests
    }

    /// Returns the statistics, with the utilisation of the rate limits over the measured time.
    pub(crate) fn stats(&self) -> Stats {
        let state = self.lock();
        let mut stats = state.stats.clone();
        if let Some(started_at) = state.started_at.map(Instant::into_std) {
            let reached = |bucket: &Bucket| bucket.reached(started_at, started_at + stats.wall);
            let buckets = [&state.requests, &state.tokens].into_iter().flatten();
            stats.limit_reached = buckets.filter_map(reached).reduce(f64::max);
        }
        stats
    }

    /// Changes the rate limits. An existing bucket keeps its level, a new one is full.
    pub(crate) fn change(&self, requests: Option<Limit>, tokens: Option<Limit>) {
        let now = Instant::now().into_std();
        let state = &mut *self.lock();
        for (bucket, limit) in [(&mut state.requests, requests), (&mut state.tokens, tokens)] {
            match (bucket, limit) {
                (Some(bucket), Some(limit)) => bucket.change(limit, now),
                (bucket, limit) => *bucket = limit.map(|limit| Bucket::new(limit, now)),
            }
        }
        state.judge.limits_changed();
    }

    /// Changes the faults of requests that are admitted from now on.
    pub(crate) fn change_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Returns the verdict on the retries since the last reset.
    pub(crate) fn verdict(&self) -> ClientVerdict {
        let state = self.lock();
        state.judge.verdict(&state.stats)
    }

    /// Restores the state at the start, and begins a new epoch.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        *state = State { epoch: state.epoch + 1, ..State::new(&self.scenario) };
    }

    /// Returns the pause between the words of a trickling answer.
    pub(crate) fn trickle_every(&self) -> Duration {
        self.scenario.trickle_every
    }

    /// Ends a request with a complete answer, which is billed with its prompt.
    pub(crate) fn answered(&self, request: u64, epoch: u64, input: u64, tokens: u64) {
        self.end(request, epoch, End::Answered, |stats| {
            stats.answered += 1;
            stats.output_tokens += tokens;
            stats.billed_input_tokens += input;
            stats.billed_output_tokens += tokens;
        });
    }

    /// Ends a refused request, which may be retried after `until`, if that was reported.
    pub(crate) fn refused(&self, request: u64, epoch: u64, until: Option<Instant>) {
        self.end(request, epoch, End::Refused(until.map(Instant::into_std)), |_| {});
    }

    /// Ends a request that was refused since the account has no credit.
    pub(crate) fn out_of_money(&self, request: u64, epoch: u64) {
        self.end(request, epoch, End::OutOfMoney(Instant::now().into_std()), |_| {});
    }

    /// Ends a request that failed or was cut by a fault; `billed` is the input and the output to bill, if any.
    pub(crate) fn cut(&self, request: u64, epoch: u64, billed: Option<(u64, u64)>) {
        self.end(request, epoch, End::Failed, |stats| bill(stats, billed));
    }

    /// Ends a request whose client closed the connection; `billed` is as in [`cut`](Self::cut).
    pub(crate) fn hung_up(&self, request: u64, epoch: u64, billed: Option<(u64, u64)>) {
        self.end(request, epoch, End::Failed, |stats| {
            stats.hung_up += 1;
            bill(stats, billed);
        });
    }

    /// Ends a request in flight: counts its end, extends the measured time, and reports it to the judge. Does nothing
    /// for a request of an earlier epoch.
    fn end(&self, request: u64, epoch: u64, end: End, count: impl FnOnce(&mut Stats)) {
        let mut state = self.lock();
        if state.epoch != epoch {
            return;
        }
        count(&mut state.stats);
        state.stats.in_flight -= 1;
        state.extend_wall(Instant::now());
        state.judge.ended(request, end);
    }

    /// Counts a request that can never succeed, at least within these limits. It is never in flight, and takes nothing from the rate limits.
    pub(crate) fn hopeless(&self, fingerprint: u64, version: Version, end: End) {
        let now = Instant::now();
        let mut state = self.lock();
        state.arrived(fingerprint, version, now);
        state.extend_wall(now);
        state.stats.errors += 1;
        state.judge.ended(fingerprint, end);
    }

    /// Returns whether the rate limit of tokens can ever admit a request of this cost.
    pub(crate) fn can_ever_admit(&self, cost: f64) -> bool {
        self.lock().tokens.as_ref().is_none_or(|bucket| bucket.can_hold(cost))
    }

    /// Admits a request to both rate limits, or refuses it. An admitted request is in flight until its `Report` ends
    /// it.
    pub(crate) fn admit(&self, arrival: &Arrival, wire: &dyn Wire) -> Admitted {
        let now = Instant::now();
        let mut state = self.lock();
        state.arrived(arrival.fingerprint, arrival.version, now);
        let fits = state.take(arrival.cost, now.into_std());
        let levels = state.levels(arrival.cost);
        if fits {
            let fate = state.draw_fate(wire);
            return Admitted::Yes(state.begin(arrival, fate, levels, self.scenario.latency));
        }
        state.stats.throttled += 1;
        let wait = self.scenario.limit_signal.rounded(levels.longest_wait());
        // A client is not judged by a wait that was not reported.
        let until = wait.filter(|_| wire.has_retry_after()).map(|wait| now.into_std() + wait);
        state.judge.ended(arrival.fingerprint, End::Refused(until));
        Admitted::No { levels, wait: wait.unwrap_or_default() }
    }

    /// Locks the state. A poisoned lock is used all the same: a panic in one connection does not stop the others.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the input and the output tokens to bill.
fn bill(stats: &mut Stats, billed: Option<(u64, u64)>) {
    if let Some((input, output)) = billed {
        stats.billed_input_tokens += input;
        stats.billed_output_tokens += output;
    }
}
