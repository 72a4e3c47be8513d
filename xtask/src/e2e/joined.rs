//! Several processes of `antiphon map` on one run.

use std::process::Child;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::kill::{Case, begin, judge, map};
use super::{LONG, Outcome};
use crate::shell::Done;

/// Kills two and eight processes on one run at random, and replaces them: no result is lost or doubled, and the bill is within
/// the reported bounds.
pub(super) fn check_killed() -> Done<Outcome> {
    let most = if LONG.load(Ordering::Relaxed) { 300 } else { 30 };
    let mut reports = Vec::new();
    for processes in [2, 8] {
        let case = Case { name: "joined", rows: 60 * most, server: &["--latency", "60"] };
        let (kills, duplicates) = killed(&case, processes, most)?;
        reports.push(format!("{processes} processes: {kills} kills, {duplicates} calls made twice"));
    }
    Ok(Outcome::Passed(reports.join("; ")))
}

/// Returns the number of kills, and the number of calls that were made twice.
fn killed(case: &Case, processes: usize, most: usize) -> Done<(u64, u64)> {
    let (folder, server) = begin(case, processes)?;
    let start = || map(&folder, &server.url).spawn().map_err(|err| err.to_string());
    let mut children = (0..processes).map(|_| start()).collect::<Done<Vec<Child>>>()?;
    let (mut kills, mut random) = (0, 0x9E37_79B9_7F4A_7C15_u64);
    while kills < most {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        sleep(Duration::from_millis(random % 120));
        let victim = &mut children[kills % processes];
        if victim.try_wait().map_err(|err| err.to_string())?.is_some() {
            break;
        }
        victim.kill().map_err(|err| err.to_string())?;
        victim.wait().map_err(|err| err.to_string())?;
        *victim = start()?;
        kills += 1;
    }
    if kills < most / 2 {
        return Err(format!("the run ended after {kills} of {most} kills: too few to be a test"));
    }
    let mut duplicates = 0;
    for child in children {
        let output = child.wait_with_output().map_err(|err| err.to_string())?;
        duplicates = judge(case, &folder, &server, kills as u64, &output)?;
    }
    Ok((kills as u64, duplicates))
}

/// Runs three processes within one rate limit, with and without headers that report it: few calls are refused, and most of the
/// limit is used.
pub(super) fn check_limit() -> Done<Outcome> {
    let mut reports = Vec::new();
    // Without headers a limit is found by refusals, and all three processes begin to look for it at the same time.
    for (server, most_refused) in [
        (&["--latency", "100", "--requests-per-second", "60"][..], 0.05),
        (&["--latency", "100", "--requests-per-second", "60", "--limit-signal", "none"], 0.12),
    ] {
        let case = Case { name: "limit", rows: 600, server };
        let (folder, server) = begin(&case, server.len())?;
        let start = || map(&folder, &server.url).spawn().map_err(|err| err.to_string());
        let began = Instant::now();
        let children = (0..3).map(|_| start()).collect::<Done<Vec<Child>>>()?;
        for child in children {
            let output = child.wait_with_output().map_err(|err| err.to_string())?;
            judge(&case, &folder, &server, 0, &output)?;
        }
        // The limit allows ten seconds; processes that hold each other up take thirty and more.
        if began.elapsed() > Duration::from_secs(25) {
            return Err(format!("600 rows at 60 per second took {:.0} s", began.elapsed().as_secs_f64()));
        }
        let stats = server.stats()?;
        let number = |name: &str| stats[name].as_f64().unwrap_or_default();
        let refused = number("throttled") / number("requests");
        if refused.is_nan() || refused > most_refused {
            return Err(format!("{:.1} % of the calls were refused: {stats}", refused * 100.0));
        }
        reports.push(format!("{:.1} % refused", refused * 100.0));
    }
    Ok(Outcome::Passed(reports.join(" with headers, ") + " without"))
}
