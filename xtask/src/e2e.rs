//! The program against what we did not write: a real model server, a server with faults on cue, a real browser.

mod browser;
mod conformance;
mod disk;
mod fuzz;
mod install;
mod joined;
mod kill;
mod llama;
mod llmock;
mod net;
mod program;
mod resume;
mod sites;

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::shell::{self, Done, words};

pub(crate) use install::install;

/// What a check gives.
pub(crate) enum Outcome {
    Passed(String),
    /// What it needs is not installed.
    Skipped(String),
    /// This machine does not allow what it needs, and no installing helps.
    Forbidden(String),
}

type Check = fn() -> Done<Outcome>;

const CHECKS: [(&str, Check); 25] = [
    ("a disk that is full", disk::check_full),
    ("a disk that breaks", disk::check_broken),
    ("a disk that is slow is named", kill::check_slow_disk),
    ("more files than handles", disk::check_few_handles),
    ("killed at any instant", kill::check),
    ("frozen in the middle", kill::check_frozen),
    ("processes on one run, killed", joined::check_killed),
    ("processes within one limit", joined::check_limit),
    ("a disk that is full in the middle of a run", kill::check_full_disk),
    ("resume after the folder moved", resume::check_moved),
    ("resume after the recipe was deleted", resume::check_without_recipe),
    ("two runs of the library API over one journal", resume::check_journal),
    ("flags as the release before named them", resume::check_former_flags),
    ("the page in a browser", browser::check),
    ("every theme in a browser", sites::check),
    ("personas from a real model", llama::check),
    ("interviews that are more than a real model's context", llama::check_distil),
    ("copy for four themes from a real model", llama::check_content),
    ("Ctrl-C while a real model answers", llama::check_interrupt),
    ("a server with faults on cue", llmock::check),
    ("the client's manners, by that server's verdict", llmock::check_manners),
    ("every format at a real model", conformance::check_llama),
    ("one by one and at once at a real model", conformance::check_speed),
    ("every format at the fault server", conformance::check_llmock),
    ("fuzzers, a minute each", fuzz::check),
];

/// Whether checks that only grow surer with time take ten times as long.
static LONG: AtomicBool = AtomicBool::new(false);

/// As [`run`], and longer.
pub(crate) fn run_long(only: Option<&str>) -> Done {
    LONG.store(true, Ordering::Relaxed);
    run(only)
}

/// Runs every check; what is not installed is skipped, and said so.
pub(crate) fn run(only: Option<&str>) -> Done {
    shell::run(&mut words("cargo build --quiet -p antiphon"))?;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let wanted: Vec<_> =
        CHECKS.into_iter().filter(|(name, _)| only.is_none_or(|only| name.contains(only))).collect();
    if wanted.is_empty() {
        let names = CHECKS.map(|(name, _)| name).join("; ");
        return Err(format!("no e2e check has {} in its name; there are: {names}", only.unwrap_or_default()));
    }
    for (name, check) in wanted {
        let began = Instant::now();
        let result = catch_unwind(check).unwrap_or_else(|_| Err("it panicked".to_owned()));
        let seconds = began.elapsed().as_secs_f32();
        match result {
            Ok(Outcome::Passed(what)) => {
                passed += 1;
                println!("e2e: {name}: passed in {seconds:.1} s: {what}");
            }
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                println!("e2e: {name}: skipped: {why}");
            }
            Ok(Outcome::Forbidden(why)) => println!("e2e: {name}: skipped: {why}"),
            Err(why) => {
                failed += 1;
                println!("e2e: {name}: FAILED after {seconds:.1} s: {why}");
            }
        }
    }
    println!("e2e: {passed} passed, {failed} failed, {skipped} skipped");
    // CI installs everything, so that there a check that is skipped has failed.
    if skipped > 0 && std::env::var_os("E2E_SKIP_NOTHING").is_some() {
        return Err(format!("{skipped} e2e checks were skipped, and E2E_SKIP_NOTHING is set"));
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} e2e checks failed")) }
}
