use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{BreakerMachine, BreakerPolicy, BreakerState, BreakerTicket, BreakerWindow, CallResult};
use crate::SlowCalls;
use crate::deadline::now;

mod in_flight;

/// The result of a call, and its duration in seconds.
type End = (CallResult, u64);

const OK: End = (CallResult::Success, 0);
const FAILED: End = (CallResult::Failure, 0);
const SLOW: End = (CallResult::Success, 5);

/// A machine on a timeline of whole seconds.
struct Timeline {
    machine: BreakerMachine,
    start: Instant,
    seconds: u64,
}

impl Timeline {
    fn new(policy: BreakerPolicy) -> Self {
        Self { machine: BreakerMachine::new(policy), start: now(), seconds: 0 }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.seconds)
    }

    fn admit(&mut self) -> Result<BreakerTicket, Option<u64>> {
        let now = self.now();
        self.machine.admit(|| now).map_err(|wait| wait.map(|wait| wait.as_secs()))
    }

    fn report(&mut self, ticket: BreakerTicket, (result, took): End) {
        let now = self.now();
        self.machine.report(ticket, result, Some(Duration::from_secs(took)), || now);
    }

    fn calls(&mut self, count: usize, end: End) {
        for _ in 0..count {
            let ticket = self.admit().unwrap();
            self.report(ticket, end);
        }
    }

    fn is(&self, state: BreakerState) -> bool {
        self.machine.state() == state
    }
}

#[test]
fn five_failures_spread_over_505_calls_do_not_open_the_breaker() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    for _ in 0..5 {
        breaker.calls(100, OK);
        breaker.calls(1, FAILED);
    }
    assert!(breaker.is(BreakerState::Closed));
}

#[test]
fn ten_results_with_failures_open_the_breaker_and_nine_do_not() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    breaker.calls(9, FAILED);
    assert!(breaker.is(BreakerState::Closed));
    breaker.calls(1, OK);
    assert!(breaker.is(BreakerState::Open));
    assert_eq!(breaker.admit(), Err(Some(30)));
}

#[test]
fn a_half_open_breaker_admits_the_trials_and_no_more() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    breaker.calls(10, FAILED);
    breaker.seconds = 30;
    let tickets: Vec<BreakerTicket> = (0..50).filter_map(|_| breaker.admit().ok()).collect();
    assert_eq!(tickets.len(), 3);
    tickets.into_iter().for_each(|ticket| breaker.report(ticket, OK));
    assert!(breaker.is(BreakerState::Closed));
}

#[test]
fn a_released_trial_is_admitted_again() {
    let mut breaker = Timeline::new(BreakerPolicy::default().trials(1));
    breaker.calls(10, FAILED);
    breaker.seconds = 30;
    for _ in 0..5 {
        let ticket = breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
        breaker.machine.release(ticket);
    }
    let ticket = breaker.admit().unwrap();
    breaker.report(ticket, OK);
    assert!(breaker.is(BreakerState::Closed));
}

#[test]
fn each_failed_trial_doubles_the_open_time_up_to_five_minutes() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    breaker.calls(10, FAILED);
    for wait in [30, 60, 120, 240, 300, 300] {
        assert_eq!(breaker.admit(), Err(Some(wait)));
        breaker.seconds += wait;
        let ticket = breaker.admit().unwrap();
        breaker.report(ticket, FAILED);
    }
    breaker.seconds += 300;
    breaker.calls(3, OK);
    breaker.calls(10, FAILED);
    assert_eq!(breaker.admit(), Err(Some(30)), "closing resets the open time");
}

#[test]
fn spare_trials_may_fail() {
    let mut breaker = Timeline::new(BreakerPolicy::default().trials(1).spare_trials(2));
    breaker.calls(10, FAILED);
    breaker.seconds = 30;
    let [first, second, third] = [(); 3].map(|()| breaker.admit().unwrap());
    assert_eq!(breaker.admit(), Err(None), "at most three trials");
    breaker.report(first, FAILED);
    breaker.report(second, FAILED);
    assert!(breaker.is(BreakerState::HalfOpen));
    assert_eq!(breaker.admit(), Err(None), "failed trials count as trials");
    breaker.report(third, OK);
    assert!(breaker.is(BreakerState::Closed), "one success is enough");
    breaker.calls(10, FAILED);
    breaker.seconds += 30;
    breaker.calls(3, FAILED);
    assert_eq!(breaker.admit(), Err(Some(60)), "all trials failed: the open time has doubled");
}

#[test]
fn late_results_of_an_earlier_state_are_ignored() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    let [slow_success, slow_failure, dropped] = [(); 3].map(|()| breaker.admit().unwrap());
    breaker.calls(10, FAILED);
    breaker.report(slow_success, OK);
    assert!(breaker.is(BreakerState::Open));
    breaker.seconds = 30;
    let trial = breaker.admit().unwrap();
    breaker.report(slow_failure, FAILED);
    breaker.machine.release(dropped);
    assert!(breaker.is(BreakerState::HalfOpen));
    breaker.report(trial, OK);
    breaker.calls(2, OK);
    assert!(breaker.is(BreakerState::Closed));
    breaker.machine.force_open();
    assert_eq!(breaker.admit(), Err(None));
}

#[test]
fn trials_that_never_end_reopen_the_breaker() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    breaker.calls(10, FAILED);
    breaker.seconds = 30;
    let hung: Vec<BreakerTicket> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    breaker.seconds = 89;
    assert_eq!(breaker.admit(), Err(None));
    breaker.seconds = 90;
    assert_eq!(breaker.admit(), Err(Some(30)));
    breaker.seconds = 120;
    assert!(breaker.admit().is_ok(), "trials that hang do not block others");
    hung.into_iter().for_each(|ticket| breaker.report(ticket, FAILED));
    assert!(breaker.is(BreakerState::HalfOpen));
}

#[test]
fn trials_with_long_gaps_between_them_close_the_breaker() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    breaker.calls(10, FAILED);
    for _ in 0..3 {
        breaker.seconds += 100;
        breaker.calls(1, OK);
    }
    assert!(breaker.is(BreakerState::Closed));
}

#[test]
fn slow_calls_open_the_breaker_if_the_policy_says_so() {
    let policy = BreakerPolicy::default().slow_calls(SlowCalls::new(Duration::from_secs(5), 0.8));
    let mut breaker = Timeline::new(policy);
    breaker.calls(2, OK);
    breaker.calls(7, SLOW);
    assert!(breaker.is(BreakerState::Closed));
    breaker.calls(1, SLOW);
    assert!(breaker.is(BreakerState::Open), "8 of 10");
}

#[test]
fn a_time_window_drops_old_calls() {
    let policy = BreakerPolicy::default().window(BreakerWindow::Time(Duration::from_secs(10)));
    let mut breaker = Timeline::new(policy);
    breaker.calls(9, FAILED);
    breaker.seconds = 10;
    breaker.calls(1, FAILED);
    assert!(breaker.is(BreakerState::Closed), "the first nine failures are outside the window");
    breaker.seconds = 19;
    breaker.calls(9, FAILED);
    assert!(breaker.is(BreakerState::Open));
}

#[test]
fn a_dropped_ticket_keeps_its_call_in_flight_until_the_state_changes() {
    let mut breaker = Timeline::new(BreakerPolicy::default().max_half_open(Duration::from_secs(60)));
    let dropped = |breaker: &mut Timeline| drop(breaker.admit().unwrap());
    (0..11).for_each(|_| dropped(&mut breaker));
    breaker.calls(10, FAILED);
    assert!(breaker.is(BreakerState::Closed), "eleven of twenty-one may still succeed");
    breaker.calls(1, FAILED);
    assert!(breaker.is(BreakerState::Open), "eleven of twenty-two failed");
    breaker.seconds = 30;
    (0..3).for_each(|_| dropped(&mut breaker));
    assert_eq!(breaker.admit(), Err(None), "the trials are in flight");
    breaker.seconds = 90;
    assert_eq!(breaker.admit(), Err(Some(30)), "trials that never ended reopen the breaker");
}

#[test]
fn a_breaker_that_is_forced_open_for_a_time_makes_trials_after_it() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    let before = breaker.admit().unwrap();
    let now = breaker.now();
    breaker.machine.force_open_for(Duration::from_secs(100), now);
    assert!(breaker.is(BreakerState::ForcedOpen));
    breaker.report(before, OK);
    breaker.seconds = 99;
    assert_eq!(breaker.admit(), Err(Some(1)));
    assert_eq!(breaker.machine.status(breaker.now()).next_trial_in, Some(Duration::from_secs(1)));
    breaker.seconds = 100;
    breaker.calls(3, OK);
    assert!(breaker.is(BreakerState::Closed));
    let now = breaker.now();
    breaker.machine.force_open_for(Duration::MAX, now);
    assert!(breaker.admit().is_err(), "a time that overflows the clock is no panic");
}

#[test]
fn metrics_only_counts_everything_and_rejects_nothing() {
    for window in [BreakerWindow::Count(20), BreakerWindow::Time(Duration::from_secs(10))] {
        let mut breaker = Timeline::new(BreakerPolicy::default().window(window));
        let before = breaker.admit().unwrap();
        breaker.machine.metrics_only();
        breaker.report(before, FAILED);
        let counts = |breaker: &Timeline| {
            let status = breaker.machine.status(breaker.now());
            (status.calls, status.failures, status.would_open, status.rejected)
        };
        breaker.calls(9, FAILED);
        assert_eq!(counts(&breaker), (9, 9, false, 0));
        breaker.calls(1, FAILED);
        assert_eq!(counts(&breaker), (10, 10, true, 0));
        let released = breaker.admit().unwrap();
        breaker.machine.release(released);
        breaker.seconds = 20;
        breaker.calls(20, OK);
        assert_eq!(counts(&breaker), (20, 0, false, 0), "the failures are outside the window");
        assert!(breaker.is(BreakerState::MetricsOnly));
        breaker.machine.reset();
        breaker.calls(10, FAILED);
        assert!(breaker.is(BreakerState::Open));
    }
}

#[test]
fn a_disabled_breaker_counts_and_rejects_nothing() {
    let mut breaker = Timeline::new(BreakerPolicy::default());
    breaker.calls(10, FAILED);
    breaker.machine.disable();
    breaker.calls(100, FAILED);
    let status = breaker.machine.status(breaker.now());
    assert_eq!((status.state, status.calls, status.would_open), (BreakerState::Disabled, 0, false));
    breaker.machine.reset();
    breaker.calls(9, FAILED);
    assert!(breaker.is(BreakerState::Closed), "the counts begin at 0");
}

/// A naive model of the same rules: a list of all calls, which is searched each time.
struct Naive {
    policy: BreakerPolicy,
    /// Calls of this period that were not released, in the order of their start, and whether each failed, once it ended.
    calls: Vec<(u64, Option<bool>)>,
    admitted: u64,
    period: u64,
    open_until: Option<u64>,
    /// End of the half-open period, and the numbers of trials in flight, succeeded and failed.
    trials: Option<(u64, u32, u32, u32)>,
    reopened: u32,
}

impl Naive {
    fn open(&mut self, now: u64) {
        let doubled = (self.policy.open_for.as_secs() << self.reopened).min(self.policy.max_open.as_secs());
        self.open_until = Some(now + doubled);
        self.trials = None;
        self.enter();
    }

    fn enter(&mut self) {
        (self.period, self.admitted) = (self.period + 1, 0);
        self.calls.clear();
    }

    /// Admits a call; returns the period and the number of the call.
    fn admit(&mut self, now: u64) -> Option<(u64, u64)> {
        if self.open_until.is_some_and(|until| until <= now) {
            self.open_until = None;
            self.trials = Some((now + self.policy.max_half_open.as_secs(), 0, 0, 0));
            self.enter();
        } else if let Some((until, out, ..)) = &mut self.trials
            && *until <= now
        {
            match *out {
                0 => *until = now + self.policy.max_half_open.as_secs(),
                _ => self.open(now),
            }
        }
        match &mut self.trials {
            _ if self.open_until.is_some() => None,
            Some((_, out, good, bad))
                if *out + *good + *bad >= self.policy.trials + self.policy.spare_trials =>
            {
                None
            }
            Some((_, out, ..)) => {
                *out += 1;
                Some((self.period, 0))
            }
            None => {
                self.admitted += 1;
                self.calls.push((self.admitted, None));
                Some((self.period, self.admitted))
            }
        }
    }

    /// Returns whether the window that ends with this call has too many failures.
    fn trips(&self, number: u64) -> bool {
        let BreakerWindow::Count(size) = self.policy.window else { unreachable!() };
        let in_flight = self.calls.iter().filter(|(_, end)| end.is_none()).count();
        let up_to = self.calls.iter().rev().filter(|(other, _)| *other <= number);
        let last: Vec<Option<bool>> = up_to.take(in_flight.max(size as usize)).map(|(_, end)| *end).collect();
        let ended = last.iter().flatten().count();
        let failures = last.iter().flatten().filter(|failed| **failed).count();
        ended >= self.policy.min_calls.min(size) as usize
            && failures > 0
            && failures as f64 >= self.policy.failure_rate * last.len() as f64
    }

    fn report(&mut self, (period, number): (u64, u64), failed: Option<bool>, now: u64) {
        if period != self.period || self.open_until.is_some() {
            return;
        }
        match (&mut self.trials, failed) {
            (Some((_, out, ..)), None) => *out -= 1,
            (None, None) => self.calls.retain(|(other, _)| *other != number),
            (Some((_, out, _, bad)), Some(true)) => {
                *out -= 1;
                *bad += 1;
                if *bad > self.policy.spare_trials {
                    self.reopened += 1;
                    self.open(now);
                }
            }
            (Some((_, out, good, _)), Some(false)) => {
                *out -= 1;
                *good += 1;
                if *good == self.policy.trials {
                    (self.trials, self.reopened) = (None, 0);
                    self.enter();
                }
            }
            (None, Some(failed)) => {
                let ended =
                    self.calls.iter_mut().find(|(other, _)| *other == number).expect("the call is in flight");
                ended.1 = Some(failed);
                if self.trips(number) || self.trips(self.admitted) {
                    self.open(now);
                }
            }
        }
    }

    fn state(&self) -> BreakerState {
        match (self.open_until, self.trials) {
            (Some(_), _) => BreakerState::Open,
            (_, Some(_)) => BreakerState::HalfOpen,
            _ => BreakerState::Closed,
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Admit,
    /// End of one of the calls in flight, which failed or not; `None` releases it.
    End(proptest::sample::Index, Option<bool>),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end =
        (any::<proptest::sample::Index>(), prop_oneof![Just(None), Just(Some(true)), Just(Some(false))]);
    let step = prop_oneof![
        4 => Just(Step::Admit),
        4 => end.prop_map(|(which, how)| Step::End(which, how)),
        1 => (0_u64..40).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn the_machine_agrees_with_the_naive_model(
        steps in steps(),
        size in 1_u32..8,
        min in 1_u32..8,
        trials in (1_u32..4, 0_u32..3),
    ) {
        let policy = BreakerPolicy::default()
            .window(BreakerWindow::Count(size))
            .min_calls(min)
            .trials(trials.0)
            .spare_trials(trials.1)
            .open_for(Duration::from_secs(10), Duration::from_secs(40))
            .max_half_open(Duration::from_secs(15));
        let mut real = Timeline::new(policy);
        let mut naive =
            Naive { policy, calls: vec![], admitted: 0, period: 0, open_until: None, trials: None, reopened: 0 };
        let mut in_flight: Vec<(BreakerTicket, (u64, u64))> = vec![];
        for step in steps {
            match step {
                // With fewer than twenty calls in flight, each call is one slice, and forty slices are kept.
                Step::Admit if in_flight.len() == 19 || naive.admitted == 40 => {}
                Step::Admit => match (real.admit(), naive.admit(real.seconds)) {
                    (Ok(ticket), Some(call)) => in_flight.push((ticket, call)),
                    (Err(_), None) => {}
                    other => prop_assert!(false, "only one of the two rejects: {other:?}"),
                },
                Step::End(which, how) if !in_flight.is_empty() => {
                    let (ticket, call) = in_flight.swap_remove(which.index(in_flight.len()));
                    match how {
                        Some(failed) => real.report(ticket, if failed { FAILED } else { OK }),
                        None => real.machine.release(ticket),
                    }
                    naive.report(call, how, real.seconds);
                }
                Step::End(..) => {}
                Step::Wait(seconds) => real.seconds += seconds,
            }
            prop_assert_eq!(real.machine.state(), naive.state());
        }
    }
}
