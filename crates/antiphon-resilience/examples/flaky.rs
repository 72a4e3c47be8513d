//! Forty jobs against a service that is sometimes busy and is down for half a minute: retries with one owner, a circuit
//! breaker for the outage, a token bucket for the rate, a retry budget for all jobs, and a deadline for each job.
//!
//! The clock is paused, so that the minutes of this example take no time; in a program, omit `start_paused`.
#![expect(clippy::print_stdout, reason = "a program")]

use std::sync::Mutex;
use std::time::Duration;

use antiphon_resilience::{
    Attempts, BreakerError, BreakerPolicy, BreakerState, BreakerWindow, CircuitBreaker, Cost, Deadline, Rate,
    RateLimiter, RateLimits, RetryBudget, RetryPolicy, Verdict,
};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, sleep};

const JOBS: u32 = 40;
const RATE: u32 = 5;
const DOWN: std::ops::Range<u64> = 4..34;

/// A failure of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Down,
    Busy { retry_after: Duration },
    BadRequest,
}

struct Service {
    start: Instant,
    calls: Mutex<Vec<Duration>>,
}

impl Service {
    async fn call(&self, job: u32) -> Result<u32, Trouble> {
        let at = self.start.elapsed();
        let number = self.calls.lock().map_or(0, |mut calls| {
            calls.push(at);
            calls.len()
        });
        sleep(Duration::from_millis(100)).await;
        match () {
            () if DOWN.contains(&at.as_secs()) => Err(Trouble::Down),
            () if job == 13 => Err(Trouble::BadRequest),
            () if number.is_multiple_of(9) => Err(Trouble::Busy { retry_after: Duration::from_secs(2) }),
            () => Ok(job * job),
        }
    }

    /// Returns the number of calls in a range of seconds since the start.
    fn calls_in(&self, seconds: std::ops::Range<u64>) -> usize {
        self.calls.lock().map_or(0, |calls| calls.iter().filter(|at| seconds.contains(&at.as_secs())).count())
    }
}

/// Returns the verdict on an error: the only place that decides whether, and when, a call is retried.
fn classify(err: &BreakerError<Trouble>) -> Verdict {
    match err {
        // The breaker reports when its next trial is due.
        BreakerError::CircuitOpen(rejected) => Verdict::Throttled { retry_after: rejected.retry_after },
        BreakerError::Failed(Trouble::Busy { retry_after }) => {
            Verdict::Throttled { retry_after: Some(*retry_after) }
        }
        BreakerError::Failed(Trouble::Down) => Verdict::Retry,
        BreakerError::Failed(Trouble::BadRequest) => Verdict::Stop,
    }
}

struct Guards {
    policy: RetryPolicy,
    budget: RetryBudget,
    breaker: CircuitBreaker,
    limiter: RateLimiter,
}

impl Guards {
    fn new() -> Self {
        let breaker = BreakerPolicy::default().window(BreakerWindow::Count(6)).min_calls(6);
        Self {
            policy: RetryPolicy::default().max_retries(20).seed(7),
            budget: RetryBudget::default(),
            breaker: CircuitBreaker::new(breaker.open_for(Duration::from_secs(10), Duration::from_secs(10))),
            limiter: RateLimiter::new(RateLimits::default().requests(Rate::per_second(RATE.into()))),
        }
    }

    /// Runs one job, with its retries.
    async fn run(&self, service: &Service, job: u32) -> (Attempts, Result<u32, BreakerError<Trouble>>) {
        let mut attempts = Attempts::default();
        let is_outage = self.breaker.trips_on(|trouble: &Trouble| *trouble == Trouble::Down);
        let call = |_| async {
            // Each attempt takes a permit first and asks the breaker second, so that no trial is held while a call waits.
            let _permit = self.limiter.acquire(Cost::request()).await;
            is_outage.call(service.call(job)).await
        };
        let calls = self.policy.run(classify, call).deadline(Deadline::after(Duration::from_secs(300)));
        let result = calls.budget(&self.budget).log(&mut attempts, |_| false).await;
        (attempts, result)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let (guards, start) = (Guards::new(), Instant::now());
    let service = Service { start, calls: Mutex::default() };
    let mut events = guards.breaker.events();
    let watch = async {
        while let Some(event) = events.next().await {
            println!("after {:4.1} s the circuit is {:?}", start.elapsed().as_secs_f64(), event.to);
            if event.to == BreakerState::Closed {
                break;
            }
        }
    };
    let (done, ()) = join(join_all((1..=JOBS).map(|job| guards.run(&service, job))), watch).await;

    let (mut answers, mut retries) = (0, 0);
    for (job, (attempts, result)) in (1..).zip(&done) {
        retries += attempts.len();
        match result {
            Ok(answer) => {
                assert_eq!(*answer, job * job);
                answers += 1;
            }
            Err(err) => println!("job {job} failed after {} retries: {err:?}", attempts.len()),
        }
    }
    let made = service.calls_in(0..u64::MAX);
    let in_outage = service.calls_in(DOWN);
    println!(
        "{answers} answers of {JOBS} jobs in {:.0} s of the paused clock",
        start.elapsed().as_secs_f64()
    );
    println!("{retries} attempts failed, {made} calls were made, {in_outage} of them during the outage");
    println!("{} points are left in the retry budget", guards.budget.available());
    assert_eq!(answers, JOBS - 1, "a bad request is not retried, and all other jobs are answered");
    assert!(in_outage < 20, "the breaker rejected most calls during the outage");
    // A full bucket, and one second of refill.
    let most = 2 * RATE as usize;
    assert!((0..start.elapsed().as_secs()).all(|second| service.calls_in(second..second + 1) <= most));
}
