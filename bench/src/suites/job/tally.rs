use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use antiphon_sim::Stats;
use serde_json::{Value, json};

use super::vendor::TOKENS;

/// The counts of the vendor.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// The time from the first request to the last answer.
    wall: Duration,
    calls: u64,
    throttled: u64,
    billed_tokens: u64,
    max_concurrency: u64,
}

impl Tally {
    pub(super) fn of(stats: &Stats) -> Self {
        Self {
            wall: stats.wall,
            calls: stats.requests,
            throttled: stats.throttled,
            billed_tokens: stats.billed_output_tokens,
            max_concurrency: stats.most_in_flight,
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "wall_s": self.wall.as_secs_f64(),
            "calls": self.calls,
            "throttled": self.throttled,
            "billed_output_tokens": self.billed_tokens,
            "max_concurrency": self.max_concurrency,
        })
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { wall, calls, throttled, billed_tokens, max_concurrency } = self;
        write!(
            f,
            "{:>8.1} {calls:>7} {throttled:>7} {billed_tokens:>9} {max_concurrency:>7}",
            wall.as_secs_f64()
        )
    }
}

/// Returns the number of rows with a complete answer in the results: a truncated answer lacks its last words.
pub(super) fn whole(results: &Path, rows: usize) -> usize {
    // A missing file means that nothing was answered.
    let text = std::fs::read_to_string(results).unwrap_or_default();
    let expected = answer();
    let answered = text.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let row = line.get("n").or_else(|| line.get("index"))?.as_u64()?;
        let answer = line.get("text").or_else(|| line.get("result"))?.as_str()?;
        (answer.trim() == expected && row < rows as u64).then_some(row)
    });
    answered.collect::<HashSet<u64>>().len()
}

/// Returns the complete answer of the simulated vendor.
fn answer() -> String {
    let words = "The quick brown fox jumps over lazy dogs.".split(' ').cycle();
    words.take(TOKENS as usize).collect::<Vec<_>>().join(" ")
}
