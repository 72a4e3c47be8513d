//! Servers that fail calls for other reasons than a limit.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::admission::limiter::{AdaptiveLimiter, AdaptivePolicy, Cost, Deadline, LimitHints, Reply};
use crate::{BreakerPolicy, BreakerWindow, CircuitBreaker};

/// Makes 4,000 calls of 400 ms through a limiter, and each again until it is answered. Returns the duration in seconds, and
/// the most calls in flight. `fault` returns after how many milliseconds a call fails, if it does, by the number of the call
/// and the calls in flight.
async fn with_faults(fault: impl Fn(u64, usize) -> Option<u64> + Sync) -> (f64, usize) {
    let limiter = AdaptiveLimiter::new(AdaptivePolicy::default());
    let (start, state) = (Instant::now(), Mutex::new((0_u64, 0_usize, 0_usize)));
    let call = || async {
        let fault = {
            let mut state = state.lock().unwrap();
            (state.0, state.1) = (state.0 + 1, state.1 + 1);
            state.2 = state.2.max(state.1);
            fault(state.0, state.1)
        };
        sleep(Duration::from_millis(fault.unwrap_or(400))).await;
        state.lock().unwrap().1 -= 1;
        match fault {
            Some(_) => Reply::Failed { error: (), hints: LimitHints::default() },
            None => Reply::Answered { value: (), usage: None, hints: LimitHints::default() },
        }
    };
    let until_answered = || async {
        while limiter.call(Cost::request(), Deadline::none(), call).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    join_all((0..4_000).map(|_| until_answered())).await;
    let most = state.lock().unwrap().2;
    (start.elapsed().as_secs_f64(), most)
}

/// Returns whether the call of this number belongs to a pseudo-random share `part` of all calls.
fn is_hit(number: u64, part: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "32 bits")]
    let at = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as f64;
    at < part * 2_f64.powi(32)
}

#[tokio::test(start_paused = true)]
async fn a_steady_share_of_faults_costs_only_its_share() {
    let (whole, most) = with_faults(|_, _| None).await;
    assert!(most > 500, "{most}");
    for (part, takes, in_a_row) in [(0.05, 20, 3.0), (0.05, 400, 3.0), (0.3, 20, 7.0), (0.3, 400, 7.0)] {
        let (took, most) = with_faults(|number, _| is_hit(number, part).then_some(takes)).await;
        // The last call may fail this often in a row.
        let last = in_a_row * (Duration::from_millis(takes).as_secs_f64() + 0.1);
        let share = 1.1 * whole / (1.0 - part) + last;
        assert!(took < share, "{part} of {takes} ms: {took:.1} s, and at most {share:.1}, {most} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn faults_due_to_high_concurrency_limit_it() {
    for takes in [1, 50, 400] {
        let (took, most) = with_faults(|_, in_flight| (in_flight > 60).then_some(takes)).await;
        // A concurrency of 60 is a throughput of 150 calls each second.
        assert!(most < 300 && took < 1.3 * 4_000.0 / 150.0, "{takes} ms: {took:.1} s, {most} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_little_more_than_its_length() {
    let (whole, _) = with_faults(|_, _| None).await;
    for (at, takes) in [(0.3, 5), (1.0, 5), (2.0, 5), (2.0, 300)] {
        let start = Instant::now();
        let is_away = move |now: f64| (at..at + 1.0).contains(&now);
        let (took, most) = with_faults(|_, _| is_away(start.elapsed().as_secs_f64()).then_some(takes)).await;
        assert!(took < whole + 3.0, "at {at} s, {takes} ms: {took:.1} s and {whole:.1} s, {most} at once");
    }
}

/// Runs calls through an outage of one second that starts at `at` milliseconds. Returns the most calls in flight before it,
/// and how long after its end as many were in flight again. A call is answered after 400 ms, or fails after `takes`
/// milliseconds.
async fn recovers(at: u64, takes: u64, breaker: Option<&CircuitBreaker>) -> (usize, Option<Duration>) {
    let (limiter, start) =
        (AdaptiveLimiter::new(AdaptivePolicy::default().max_concurrency(1_000)), Instant::now());
    let (begins, ends) = (Duration::from_millis(at), Duration::from_millis(at + 1_000));
    let call = || async {
        let permit = limiter.acquire(Cost::request(), Deadline::none()).await.unwrap();
        let guard = match breaker.map(CircuitBreaker::permit).transpose() {
            Ok(guard) => guard,
            Err(rejected) => {
                permit.refund();
                return sleep(rejected.retry_after.unwrap_or(Duration::from_millis(250))).await;
            }
        };
        if (begins..ends).contains(&start.elapsed()) {
            sleep(Duration::from_millis(takes)).await;
            guard.into_iter().for_each(crate::BreakerPermit::failure);
            permit.failed(&LimitHints::default());
            sleep(Duration::from_millis(100)).await;
        } else {
            sleep(Duration::from_millis(400)).await;
            guard.into_iter().for_each(crate::BreakerPermit::success);
            permit.settle(None, &LimitHints::default());
        }
    };
    let calls = join_all((0..1_000).map(|_| async {
        loop {
            call().await;
        }
    }));
    let watch = async {
        let mut most = 0;
        while start.elapsed() < begins {
            most = most.max(limiter.snapshot().in_flight);
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_secs(1)).await;
        while start.elapsed() < ends + Duration::from_secs(20) {
            if limiter.snapshot().in_flight >= most {
                return (most, Some(start.elapsed() - ends));
            }
            sleep(Duration::from_millis(10)).await;
        }
        (most, None)
    };
    tokio::select! {
        biased;
        recovered = watch => recovered,
        _ = calls => unreachable!("they never end"),
    }
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_back_within_three_seconds_of_an_outage() {
    // The program's policy.
    let policy = BreakerPolicy::default().window(BreakerWindow::Count(100)).min_calls(20).failure_rate(0.8);
    let policy =
        policy.trials(1).spare_trials(7).open_for(Duration::from_millis(500), Duration::from_secs(300));
    for at in [300, 1_000, 1_700, 3_000] {
        for takes in [5, 400] {
            for breaker in [None, Some(CircuitBreaker::new(policy))] {
                let (most, after) = recovers(at, takes, breaker.as_ref()).await;
                let is_back = after.is_some_and(|after| after <= Duration::from_secs(3));
                let with = breaker.map(|breaker| breaker.status());
                assert!(is_back, "outage at {at} ms, failures of {takes} ms: {most}, {after:?}, {with:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_with_a_tiny_retry_after_is_called_less_and_less() {
    for millis in [0, 1] {
        let (limiter, start) = (AdaptiveLimiter::new(AdaptivePolicy::default()), Instant::now());
        let calls = std::cell::Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            let hints =
                LimitHints { retry_after: Some(Duration::from_millis(millis)), ..LimitHints::default() };
            let is_over = start.elapsed() > Duration::from_secs(60);
            async move {
                if is_over {
                    Reply::Answered { value: (), usage: None, hints: LimitHints::default() }
                } else {
                    Reply::Throttled { error: (), hints }
                }
            }
        };
        limiter.call(Cost::request(), Deadline::none(), call).await.unwrap();
        let took = start.elapsed().as_secs_f64();
        assert!(calls.get() < 40 && took < 75.0, "{millis} ms: {} calls in {took:.0} s", calls.get());
    }
}
