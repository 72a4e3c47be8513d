//! End-to-end checks of the program against third-party software: a real model server, a server with scripted faults, a real
//! browser.

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

pub(crate) use fuzz::can_run as can_fuzz;
pub(crate) use install::{install, venv};

/// The outcome of a check that found nothing wrong.
pub(crate) enum Outcome {
    Passed(String),
    /// Skipped, because software that the check needs is not installed.
    Skipped(String),
    /// Skipped, because this machine does not allow it, whatever is installed.
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
    ("flag names of the previous release", resume::check_former_flags),
    ("the page in a browser", browser::check),
    ("every theme in a browser", sites::check),
    ("personas from a real model", llama::check),
    ("interviews larger than a real model's context", llama::check_distil),
    ("copy for four themes from a real model", llama::check_content),
    ("Ctrl-C while a real model answers", llama::check_interrupt),
    ("a server with scripted faults", llmock::check),
    ("the client's behaviour, by that server's verdict", llmock::check_manners),
    ("every format at a real model", conformance::check_llama),
    ("sequential and concurrent calls to a real model", conformance::check_speed),
    ("every format at the fault server", conformance::check_llmock),
    ("fuzzers", fuzz::check),
];

/// Whether the randomised checks do ten times the work.
static LONG: AtomicBool = AtomicBool::new(false);

/// Runs the checks as [`run`] does, and the randomised ones ten times as long.
pub(crate) fn run_long(only: Option<&str>) -> Done {
    LONG.store(true, Ordering::Relaxed);
    run(only)
}

/// Runs every check, or those whose name contains `only`. A check whose software is not installed is reported as skipped.
pub(crate) fn run(only: Option<&str>) -> Done {
    shell::run(&mut words("cargo build --quiet -p antiphon"))?;
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let wanted: Vec<_> =
        CHECKS.into_iter().filter(|(name, _)| only.is_none_or(|only| name.contains(only))).collect();
    if wanted.is_empty() {
        let names = CHECKS.map(|(name, _)| name).join("; ");
        return Err(format!(
            "no e2e check contains {:?} in its name; the checks are: {names}",
            only.unwrap_or_default()
        ));
    }
    for (name, check) in wanted {
        let began = Instant::now();
        let result = catch_unwind(check).unwrap_or_else(|_| Err("the check panicked".to_owned()));
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
    // CI installs everything, so that a skipped check counts as failed there.
    if skipped > 0 && std::env::var_os("E2E_SKIP_NOTHING").is_some() {
        return Err(format!("{skipped} e2e checks were skipped, and E2E_SKIP_NOTHING is set"));
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} e2e checks failed")) }
}
