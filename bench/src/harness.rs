//! The measurement of two sides in turns, A B B A, so that a machine that becomes slower or faster meanwhile affects both alike.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// One row of a suite: the operation, its baseline and its target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) suite: &'static str,
    pub(crate) row: &'static str,
    pub(crate) baseline: &'static str,
    /// The operations in one run of a side, by which its time is divided.
    pub(crate) ops: u64,
    /// The largest ratio, ours / baseline, that meets the target.
    pub(crate) target: f64,
}

/// The result of a row.
#[derive(Debug)]
pub(crate) struct Measured {
    row: Row,
    /// The median of all runs, in nanoseconds per operation.
    ours: f64,
    baseline: f64,
    /// The lower quartile, the median and the upper quartile of the rounds' ratios.
    ratio: [f64; 3],
    /// Whether the target is a lower bound of the ratio, and not an upper bound.
    at_least: bool,
}

const ROUNDS: usize = 7;

impl Row {
    /// Runs both sides in turns; each returns the time that counts.
    pub(crate) fn measure(
        self,
        ours: impl FnMut() -> Duration,
        baseline: impl FnMut() -> Duration,
    ) -> Measured {
        self.measure_rounds(ROUNDS, ours, baseline)
    }

    /// Runs both sides as [`measure`](Row::measure) does, with this number of rounds.
    pub(crate) fn measure_rounds(
        self,
        rounds: usize,
        mut ours: impl FnMut() -> Duration,
        mut baseline: impl FnMut() -> Duration,
    ) -> Measured {
        // A warm-up: caches, page tables, the allocator.
        ours();
        baseline();
        let (mut all_ours, mut all_baseline, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (a, b, c, d) = (ours(), baseline(), baseline(), ours());
            let [a, b, c, d] = [a, b, c, d].map(|time| time.as_secs_f64());
            all_ours.extend([a, d]);
            all_baseline.extend([b, c]);
            ratios.push((a + d) / (b + c));
        }
        let per_op = |times: &mut Vec<f64>| quartiles(times)[1] * 1e9 / self.ops as f64;
        let measured = Measured {
            row: self,
            ours: per_op(&mut all_ours),
            baseline: per_op(&mut all_baseline),
            ratio: quartiles(&mut ratios),
            at_least: false,
        };
        println!("{measured}");
        measured
    }

    /// Measures the part of a limit that is reached, which should be at least the target.
    pub(crate) fn reach(self, rounds: usize, mut reached: impl FnMut() -> f64) -> Measured {
        let mut ratios: Vec<f64> = (0..rounds).map(|_| reached()).collect();
        let ratio = quartiles(&mut ratios);
        let measured = Measured { row: self, ours: ratio[1], baseline: 1.0, ratio, at_least: true };
        println!("{measured}");
        measured
    }
}

impl Measured {
    /// Returns whether the target is met; `None` if the quartiles lie on both sides of it.
    pub(crate) fn met(&self) -> Option<bool> {
        let [lower, _, upper] = self.ratio;
        let target = self.row.target;
        let (good, bad) =
            if self.at_least { (lower >= target, upper < target) } else { (upper <= target, lower > target) };
        (good || bad).then_some(good)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "suite": self.row.suite,
            "row": self.row.row,
            "ours": self.ours,
            "baseline": self.baseline,
            "baseline_name": self.row.baseline,
            "unit": if self.at_least { "part of the limit" } else { "ns/op" },
            "ratio": self.ratio[1],
            "ratio_quartiles": [self.ratio[0], self.ratio[2]],
            "target": self.row.target,
            "at_least": self.at_least,
            "met": self.met(),
        })
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Measured { row, ours, baseline, ratio: [lower, median, upper], at_least } = self;
        let sign = if *at_least { '≥' } else { '≤' };
        let verdict = match self.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "unresolved",
        };
        write!(
            f,
            "{:8} {:44} {ours:>10.1} {baseline:>10.1} ns  {median:.3} [{lower:.3} {upper:.3}]  {sign} {:<5} {verdict:10} vs {}",
            row.suite, row.row, row.target, row.baseline
        )
    }
}

fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
    [at(1), at(2), at(3)]
}

/// Returns the wall-clock time that `work` takes.
pub(crate) fn wall<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}
