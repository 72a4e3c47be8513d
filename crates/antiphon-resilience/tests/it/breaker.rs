//! Breakers with settings of zero, and their modes.

use std::time::Duration;

use antiphon_resilience::{
    BreakerPolicy, BreakerRegistry, BreakerState, BreakerWindow, CircuitBreaker, SlowCalls,
};

#[tokio::test(start_paused = true)]
async fn a_threshold_or_a_window_of_zero_opens_at_the_first_failure() {
    let policy = BreakerPolicy::default().min_calls(0);
    for breaker in [
        CircuitBreaker::simple(0, Duration::from_secs(60)),
        CircuitBreaker::new(policy.window(BreakerWindow::Count(0))),
        CircuitBreaker::new(policy.window(BreakerWindow::Time(Duration::ZERO))),
    ] {
        breaker.permit().unwrap().success();
        assert_eq!(breaker.status().state, BreakerState::Closed);
        breaker.permit().unwrap().failure();
        assert_eq!(breaker.status().state, BreakerState::Open, "{breaker:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forced_breaker_says_so() {
    let breaker = CircuitBreaker::simple(1, Duration::from_secs(60)).named("db");
    let message = || breaker.permit().unwrap_err().to_string();
    breaker.force_open_for(Duration::from_secs(30));
    assert_eq!(message(), "db is not called for another 30 s: its circuit breaker was forced open");
    breaker.force_open();
    assert_eq!(message(), "db is not called until its circuit breaker is reset: it was forced open");
    breaker.reset();
    breaker.permit().unwrap().failure();
    assert_eq!(message(), "db is not called for another 60 s: too many calls failed");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let _trial = breaker.permit().unwrap();
    assert_eq!(message(), "db is not called until a trial ends: too many calls failed");
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_mode_are_events() {
    let breaker = CircuitBreaker::simple(1, Duration::from_secs(60));
    let mut events = breaker.events();
    breaker.metrics_only();
    breaker.permit().unwrap().failure();
    breaker.disable();
    breaker.permit().unwrap().failure();
    breaker.force_open();
    breaker.permit().unwrap_err();
    breaker.reset();
    drop(breaker);
    let mut states = Vec::new();
    while let Some(event) = events.next().await {
        states.push(event.to);
    }
    use BreakerState::{Closed, Disabled, ForcedOpen, MetricsOnly};
    assert_eq!(states, [MetricsOnly, Disabled, ForcedOpen, Closed]);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_is_not_counted_in_any_mode() {
    let breaker = CircuitBreaker::simple(2, Duration::from_secs(60));
    let drop_one = || drop(breaker.permit().unwrap());
    drop_one();
    breaker.metrics_only();
    drop_one();
    assert_eq!(breaker.status().calls, 0);
    breaker.disable();
    drop_one();
    breaker.reset();
    breaker.permit().unwrap().failure();
    drop_one();
    breaker.permit().unwrap().failure();
    assert_eq!(breaker.status().state, BreakerState::Open);
}

#[test]
fn a_name_with_another_policy_is_an_error_and_with_the_same_one_is_the_same_breaker() {
    let breakers = BreakerRegistry::new(BreakerPolicy::default());
    let (lenient, strict) =
        (BreakerPolicy::default().failure_rate(0.9), BreakerPolicy::default().min_calls(1));
    breakers.get_with("a", strict).unwrap().force_open();
    assert!(breakers.get_with("a", strict).unwrap().permit().is_err());
    let conflict = breakers.get_with("a", lenient).unwrap_err();
    assert_eq!((*conflict.existing, *conflict.requested), (strict, lenient));
    let text = "cannot register the circuit breaker \"a\": it exists with another policy. \
                Use one policy for each name, or another name.";
    assert_eq!(conflict.to_string(), text);
    breakers.register(CircuitBreaker::new(lenient).named("a")).unwrap_err();
    assert!(breakers.get("a").permit().is_err(), "the first one stays");
    let same = breakers.register(CircuitBreaker::new(strict).named("a")).unwrap();
    assert!(same.permit().is_err(), "the registered breaker is returned");
    assert!(breakers.get("b").permit().is_ok());
    breakers.get_with("b", strict).unwrap_err();
}

#[test]
fn every_field_of_the_policy_has_a_setter_and_a_default() {
    let (s, slow) = (Duration::from_secs, SlowCalls::new(Duration::from_secs(1), 0.5));
    let default = BreakerPolicy::default();
    assert_eq!(
        (default.window, default.min_calls, default.failure_rate),
        (BreakerWindow::Count(20), 10, 0.5)
    );
    assert_eq!((default.slow_calls, default.open_for, default.max_open), (None, s(30), s(300)));
    assert_eq!((default.trials, default.spare_trials, default.max_half_open), (3, 0, s(60)));
    let policy = BreakerPolicy::default()
        .window(BreakerWindow::Count(1))
        .min_calls(2)
        .failure_rate(0.3)
        .slow_calls(slow)
        .open_for(s(4), s(4))
        .max_open(s(5))
        .trials(6)
        .spare_trials(7)
        .max_half_open(s(8));
    assert_eq!((policy.window, policy.min_calls, policy.failure_rate), (BreakerWindow::Count(1), 2, 0.3));
    assert_eq!((policy.slow_calls, policy.open_for, policy.max_open), (Some(slow), s(4), s(5)));
    assert_eq!((policy.trials, policy.spare_trials, policy.max_half_open), (6, 7, s(8)));
}
