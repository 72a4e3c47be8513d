//! Limits of requests and of tokens, with answers whose headers are observed before they end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{Bucket, RATE};
use crate::admission::limiter::{
    AdaptiveLimiter, AdaptivePolicy, Cost, Deadline, LimitHints, LimitPart, Permit,
};

/// A scenario: a server that admits a hundred calls each second, and the calls that are sent to it.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// Estimated and actual tokens of a call; `None` where requests are limited and not tokens.
    tokens: Option<(u64, u32)>,
    /// Burst of the server, in calls.
    burst: f64,
    has_headers: bool,
    /// Shortest and longest latency of an answer, in milliseconds.
    latency: (u64, u64),
    /// Number of processes that share the limit.
    processes: u32,
}

const REQUESTS: Course =
    Course { tokens: None, burst: 10.0, has_headers: true, latency: (300, 300), processes: 1 };

/// A scenario in progress.
struct Run {
    course: Course,
    limiters: Vec<(AdaptiveLimiter, LimitPart)>,
    bucket: Mutex<Bucket>,
    refused: AtomicU32,
    random: AtomicU64,
}

const CALLS: u32 = 2_000;

impl Run {
    fn new(course: Course) -> Self {
        let each = course.tokens.map_or(1.0, |(_, takes)| f64::from(takes));
        let bucket = Mutex::new(Bucket::new(RATE * each, course.burst * each));
        let limiters = (0..course.processes).map(|_| {
            let limiter = AdaptiveLimiter::new(AdaptivePolicy::default());
            let part = limiter.share();
            part.set(1.0 / f64::from(course.processes), None);
            (limiter, part)
        });
        Self {
            course,
            limiters: limiters.collect(),
            bucket,
            refused: AtomicU32::new(0),
            random: AtomicU64::new(7),
        }
    }

    /// Waits for a random time between these two, in milliseconds.
    async fn pause(&self, (least, most): (u64, u64)) {
        // Knuth's generator.
        let next = self.random.load(Relaxed).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.random.store(next, Relaxed);
        sleep(Duration::from_millis(least + (next >> 33) % (most - least + 1))).await;
    }

    /// Sends a request, and returns its permit, whether the server admits it, and its headers.
    async fn send(&self, call: u32) -> (Permit, bool, LimitHints) {
        let estimated = self.course.tokens.map_or(0, |(estimated, _)| estimated);
        let cost = Cost::request().input_tokens(estimated / 2).output_tokens(estimated / 2);
        let (limiter, _) = &self.limiters[(call % self.course.processes) as usize];
        let permit = limiter.acquire(cost, Deadline::none()).await.unwrap();
        // Requests arrive out of order.
        self.pause((1, 6)).await;
        let mut bucket = self.bucket.lock().unwrap();
        let passes = bucket.takes(self.course.tokens.map_or(1.0, |(_, takes)| f64::from(takes)));
        let mut hints = LimitHints::default();
        if self.course.has_headers {
            match self.course.tokens {
                Some(_) => hints.tokens = bucket.allowance(),
                None => hints.requests = bucket.allowance(),
            }
        }
        (permit, passes, hints)
    }

    async fn call(&self, call: u32) {
        loop {
            let (permit, passes, hints) = self.send(call).await;
            if !passes {
                self.refused.fetch_add(1, Relaxed);
                self.pause((1, 1)).await;
                permit.throttled(&hints);
                continue;
            }
            self.pause(self.course.latency).await;
            permit.observe_headers(&hints);
            self.pause((1, 1)).await;
            // Only a quarter of the reserved tokens is used, and the server returns none.
            let used =
                self.course.tokens.map(|(_, takes)| Cost::request().input_tokens(u64::from(takes) / 4));
            return permit.finish(used);
        }
    }
}

/// Makes 2,000 calls; returns the share of the limit that was used, and the share of the calls that was refused.
async fn utilisation(course: Course) -> (f64, f64) {
    let (run, start) = (Run::new(course), Instant::now());
    join_all((0..CALLS).map(|call| run.call(call))).await;
    // The latencies of the first answer, which reports the limit, and of the last one do not count.
    let seconds = start.elapsed().as_secs_f64() - Duration::from_millis(2 * course.latency.1).as_secs_f64();
    let refused = f64::from(run.refused.load(Relaxed));
    ((f64::from(CALLS) - course.burst) / (RATE * seconds), refused / (f64::from(CALLS) + refused))
}

#[track_caller]
fn check(course: Course, (reached, refused): (f64, f64), least: f64, most_refused: f64) {
    let good = reached >= least && refused <= most_refused;
    assert!(good, "{course:?}: {reached:.3} of the limit, {:.2} % refused", refused * 100.0);
}

const LATENCIES: [(u64, u64); 3] = [(20, 20), (300, 300), (200, 400)];
const BURSTS: [f64; 3] = [10.0, 100.0, 600.0];

#[tokio::test(start_paused = true)]
async fn a_burst_that_arrives_out_of_order_is_counted_completely() {
    for latency in LATENCIES {
        for burst in BURSTS {
            let course = Course { burst, latency, ..REQUESTS };
            check(course, utilisation(course).await, 0.95, 0.01);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_cost_what_the_headers_show_and_not_the_estimate() {
    for (latency, bursts) in [((20, 20), BURSTS), ((300, 300), BURSTS), ((200, 400), [30.0, 100.0, 600.0])] {
        for burst in bursts {
            for estimated in [30, 60, 80, 120] {
                let course = Course { tokens: Some((estimated, 80)), burst, latency, ..REQUESTS };
                check(course, utilisation(course).await, 0.95, 0.01);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_headers_a_limit_of_either_kind_is_found() {
    for latency in LATENCIES {
        for burst in BURSTS {
            for tokens in [None, Some((60, 80))] {
                let course = Course { tokens, burst, latency, has_headers: false, ..REQUESTS };
                check(course, utilisation(course).await, 0.85, 0.15);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn processes_that_share_a_limit_reach_it_together() {
    for latency in LATENCIES {
        for (burst, processes) in [(30.0, 2), (100.0, 2), (100.0, 4), (600.0, 4)] {
            for tokens in [None, Some((60, 80))] {
                let course = Course { tokens, burst, latency, processes, ..REQUESTS };
                check(course, utilisation(course).await, 0.95, 0.03);
            }
        }
    }
}

/// One process has the whole limit for 5 s, and then half of it, while another one joins.
#[tokio::test(start_paused = true)]
async fn a_process_that_joins_gets_its_part_and_the_limit_is_kept() {
    for has_headers in [true, false] {
        let run = Run::new(Course { burst: 30.0, processes: 2, has_headers, ..REQUESTS });
        let (start, whole) = (Instant::now(), &run.limiters[0].1);
        whole.set(1.0, None);
        let first = join_all((0..1_250).map(|call| run.call(2 * call)));
        let second = async {
            sleep(Duration::from_secs(5)).await;
            whole.set(0.5, None);
            run.limiters[1].1.set(0.0, Some(RATE));
            let joins = async {
                sleep(Duration::from_millis(500)).await;
                run.limiters[1].1.set(0.5, Some(RATE));
            };
            tokio::join!(joins, join_all((0..750).map(|call| run.call(2 * call + 1))));
        };
        tokio::join!(first, second);
        let (seconds, refused) = (start.elapsed().as_secs_f64(), run.refused.load(Relaxed));
        let is_kept = refused <= if has_headers { 20 } else { 100 };
        assert!(seconds < 22.5 && is_kept, "headers {has_headers}: {seconds:.1} s, {refused} refused");
    }
}

/// Renews the parts of all processes each second, as they do by a store: equal parts, of which none is more than the others leave.
async fn renew_parts(run: &Run) {
    let mut parts = vec![0.0; run.limiters.len()];
    loop {
        for process in 0..parts.len() {
            let others: f64 = parts.iter().sum::<f64>() - parts[process];
            let measured = run.limiters.iter().zip(&parts).filter(|(_, part)| **part > 0.05);
            let measured = measured
                .filter_map(|((limiter, _), part)| Some((limiter.snapshot().requests_per_second?, *part)));
            let (rate, of) = measured.fold((0.0, 0.0), |(rate, of), (more, part)| (rate + more, of + part));
            parts[process] = (1.0 / f64::from(run.course.processes)).min(1.0 - others);
            run.limiters[process].1.set(parts[process], (of > 0.0).then(|| rate / of));
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Three processes start together, before any of them knows of the others, and take calls from one queue.
#[tokio::test(start_paused = true)]
async fn processes_that_start_together_find_a_limit_without_headers() {
    for latency in LATENCIES {
        let run = Run::new(Course { processes: 3, has_headers: false, latency, ..REQUESTS });
        let (start, next) = (Instant::now(), AtomicU32::new(0));
        for (number, (_, part)) in run.limiters.iter().enumerate() {
            part.set(if number == 0 { 1.0 } else { 0.0 }, None);
        }
        let work = |process: u32| {
            let (run, next) = (&run, &next);
            async move {
                while next.fetch_add(1, Relaxed) < CALLS {
                    run.call(process).await;
                }
            }
        };
        let calls = join_all((0..3 * 80).map(|worker| work(worker % 3)));
        let renewed = async {
            sleep(Duration::from_secs(1)).await;
            renew_parts(&run).await;
        };
        tokio::select! { _ = calls => {} () = renewed => {} }
        let (seconds, refused) = (start.elapsed().as_secs_f64(), run.refused.load(Relaxed));
        assert!(seconds < 23.0 && refused < 240, "{latency:?}: {seconds:.1} s, {refused} refused");
    }
}
