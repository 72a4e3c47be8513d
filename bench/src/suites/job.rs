//! One job, done by antiphon and by the tools that users would pick instead, at a simulated vendor with and without faults.

mod peer;
mod script;
mod tally;
mod vendor;
mod venv;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::server::more_handles;
use peer::{Attempt, Peer};
use tally::Tally;
use vendor::{Trouble, Vendor};

pub(crate) use script::run as script;

const ROWS: usize = 5_000;
/// The longest run that is repeated: shorter ones are done three times, and the median counts.
const SHORT: Duration = Duration::from_secs(20);

/// One peer at one vendor.
struct Cell {
    trouble: Trouble,
    peer: Peer,
    outcome: Result<Vec<Measured>, String>,
}

/// One run of a peer.
#[derive(Clone)]
struct Measured {
    attempt: Attempt,
    lost: usize,
    tally: Tally,
}

/// Measures all peers at all vendors.
pub(crate) fn run(json: Option<&Path>) -> Result<(), String> {
    more_handles();
    println!("{ROWS} rows, answers of {} tokens after {:?}", vendor::TOKENS, vendor::LATENCY);
    println!("{HEAD}");
    let mut cells = Vec::new();
    for trouble in Trouble::ALL {
        for peer in Peer::ALL {
            let cell = Cell { trouble, peer, outcome: measure(peer, trouble) };
            println!("{cell}");
            cells.push(cell);
        }
    }
    let Some(path) = json else { return Ok(()) };
    let cells: Vec<Value> = cells.iter().map(Cell::json).collect();
    let text = serde_json::to_string_pretty(&cells).map_err(|err| err.to_string())?;
    std::fs::write(path, text).map_err(|err| format!("could not write {}: {err}", path.display()))
}

/// Runs once each pair of peer and vendor whose names contain these words, and prints the last lines of the peer's output.
pub(crate) fn look(peer: &str, trouble: &str) -> Result<(), String> {
    more_handles();
    println!("{HEAD}");
    for trouble in Trouble::ALL.into_iter().filter(|it| it.name().contains(trouble)) {
        for peer in Peer::ALL.into_iter().filter(|it| it.name().contains(peer)) {
            let cell = Cell { trouble, peer, outcome: once(peer, trouble).map(|run| vec![run]) };
            println!("{cell}");
            if let Ok(runs) = &cell.outcome {
                println!("{}", runs[0].attempt.last_lines(12));
            }
        }
    }
    Ok(())
}

const HEAD: &str = "vendor                     peer                    wall s  lost  calls s   calls refused    billed at once  cpu s  vendor";

fn measure(peer: Peer, trouble: Trouble) -> Result<Vec<Measured>, String> {
    let mut runs = vec![once(peer, trouble)?];
    while runs.len() < 3 && runs[0].attempt.wall < SHORT {
        runs.push(once(peer, trouble)?);
    }
    runs.sort_by_key(|run| run.attempt.wall);
    Ok(runs)
}

fn once(peer: Peer, trouble: Trouble) -> Result<Measured, String> {
    let folder = TempDir::new().map_err(|err| format!("a folder: {err}"))?;
    let rows = folder.path().join("rows.jsonl");
    let text: String = (0..ROWS).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    std::fs::write(&rows, text).map_err(|err| format!("the rows: {err}"))?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|err| err.to_string())?;
    let vendor = Vendor::start(&runtime, trouble)?;
    let attempt = peer.run(&vendor.base_url(), folder.path(), trouble.requests_per_minute())?;
    let lost = ROWS - tally::whole(&folder.path().join("results.jsonl"), ROWS);
    if lost == ROWS && !attempt.timed_out {
        return Err(format!("no row was answered: {}", attempt.last_lines(1)));
    }
    Ok(Measured { lost, tally: Tally::of(&vendor.stats()), attempt })
}

impl Cell {
    /// Returns the run with the median time.
    fn median(runs: &[Measured]) -> &Measured {
        &runs[runs.len() / 2]
    }

    /// Returns the most rows that a run lost.
    fn lost(runs: &[Measured]) -> usize {
        runs.iter().map(|run| run.lost).max().unwrap_or_default()
    }

    fn json(&self) -> Value {
        let mut cell = json!({ "suite": "job", "row": self.trouble.name(), "peer": self.peer.name() });
        match &self.outcome {
            Err(why) => cell["skipped"] = json!(why),
            Ok(runs) => {
                let median = Self::median(runs);
                cell["wall_s"] = json!(median.attempt.wall.as_secs_f64());
                cell["walls_s"] =
                    runs.iter().map(|run| run.attempt.wall.as_secs_f64()).collect::<Vec<_>>().into();
                cell["cpu_s"] = json!(median.attempt.cpu.as_secs_f64());
                cell["vendor_cpu_s"] = json!(median.attempt.vendor_cpu.as_secs_f64());
                cell["timed_out"] = json!(median.attempt.timed_out);
                cell["lost"] = json!(Self::lost(runs));
                cell["vendor"] = median.tally.json();
            }
        }
        cell
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:26} {:22} ", self.trouble.name(), self.peer.name())?;
        let runs = match &self.outcome {
            Err(why) => return write!(f, "skipped: {why}"),
            Ok(runs) => runs,
        };
        let Measured { attempt, tally, .. } = Self::median(runs);
        let [wall, cpu, vendor] =
            [attempt.wall, attempt.cpu, attempt.vendor_cpu].map(|time| time.as_secs_f64());
        write!(f, "{wall:>7.1} {:>5} {tally} {cpu:>6.1} {vendor:>7.1}", Self::lost(runs))?;
        if attempt.timed_out { write!(f, "  timed out") } else { Ok(()) }
    }
}
