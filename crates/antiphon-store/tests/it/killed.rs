//! A process that is killed after each step of a run: the next process finds exactly what the first had stored.

use std::path::Path;
use std::process::Command;

use antiphon_store::{Bill, Intent, Job, JobState, NewRun, Run, RunStatus, Settlement, Store, Tally};

use crate::file::File;
use crate::place::{indexes, rows};

const STEPS: usize = 16;
/// The jobs with a call in progress after each step.
const IN_PROGRESS: [&[u64]; STEPS + 1] =
    [&[], &[], &[], &[], &[], &[0], &[], &[0], &[], &[1], &[], &[], &[1], &[1, 2], &[2], &[], &[]];
/// The reservation of each call, and below it its cost, in millionths of a US dollar.
const RESERVED: u64 = 9;
const COST: u64 = 4;

const NAME: &str = "killed::a_process_that_is_killed_after_any_step_loses_and_doubles_nothing";
const PATH: &str = "STORE_TEST_PATH";
const LAST: &str = "STORE_TEST_STEP";

/// Works on a run, and aborts the process after `last` steps.
async fn work(path: &Path, last: usize) {
    let mut step = 0;
    let mut passed = || {
        step += 1;
        if step == last {
            std::process::abort();
        }
    };
    let store = Store::open(path).await.unwrap();
    let run = store.open_run(NewRun::new("f")).await.unwrap();
    passed();
    run.enqueue_from(0, rows(3)).await.unwrap();
    passed();
    run.seal().await.unwrap();
    passed();
    let jobs = run.claim(2).await.unwrap();
    passed();
    let attempt = intend(&run, &jobs[0], 0).await;
    passed();
    run.settle(Settlement::again(0, Bill::call(Some(COST))).attempt(attempt)).await.unwrap();
    passed();
    let attempt = intend(&run, &jobs[0], attempt).await;
    passed();
    run.settle(Settlement::accepted(0, "killed", Bill::call(Some(COST))).attempt(attempt)).await.unwrap();
    passed();
    let attempt = intend(&run, &jobs[1], 0).await;
    passed();
    run.settle(Settlement::put_back(1, 0, Bill::call(Some(COST))).attempt(attempt)).await.unwrap();
    run.release(vec![1]).await.unwrap();
    passed();
    let jobs = run.claim(9).await.unwrap();
    passed();
    let first = intend(&run, &jobs[0], 1).await;
    passed();
    let second = intend(&run, &jobs[1], 0).await;
    passed();
    run.settle(Settlement::failed(1, "kind", "why", Bill::call(Some(COST))).attempt(first)).await.unwrap();
    passed();
    run.settle(Settlement::accepted(2, "killed", Bill::call(Some(COST))).attempt(second)).await.unwrap();
    passed();
    run.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
    passed();
}

async fn intend(run: &Run, job: &Job, attempts: u32) -> u32 {
    let intent = Intent::new(job.index).attempt(attempts).reserved(Some(RESERVED));
    run.intend(intent).await.unwrap()
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may block, and a child process has no other way to learn its task"
)]
async fn a_process_that_is_killed_after_any_step_loses_and_doubles_nothing() {
    // The test starts itself as the process that is killed.
    if let (Ok(path), Ok(last)) = (std::env::var(PATH), std::env::var(LAST)) {
        work(Path::new(&path), last.parse().unwrap()).await;
        unreachable!("it aborts after its last step");
    }
    for last in 1..=STEPS {
        let file = File::new();
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.args(["--exact", NAME]).env(PATH, &file.path).env(LAST, last.to_string());
        let output = command.output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && !stdout.contains("test result"), "{last}: {stdout}");
        resume(&file, last).await;
    }
}

/// Finishes the run, and checks the state that was left by the process that aborted after `last` steps.
async fn resume(file: &File, last: usize) {
    let run = file.open().await.open_run(NewRun::new("f")).await.unwrap();
    let interrupted: Vec<u64> = run.interrupted().iter().map(|call| call.index).collect();
    assert_eq!(interrupted, IN_PROGRESS[last], "step {last}");
    let lost = interrupted.len() as u64;
    let before = run.tally().await.unwrap();
    assert_eq!(
        (before.possibly_billed, before.possible, before.held),
        (lost, lost * RESERVED, lost * RESERVED),
        "{last}"
    );
    assert_eq!(before.settled, before.calls * COST, "step {last}");
    assert_eq!(run.enqueue_from(0, rows(3)).await.unwrap(), 3);
    run.seal().await.unwrap();
    let jobs = run.claim(9).await.unwrap();
    let tally = run.tally().await.unwrap();
    assert_eq!(jobs.len() as u64, 3 - before.accepted - before.failed, "step {last}: {:?}", indexes(&jobs));
    assert_eq!((tally.queued, tally.intended), (jobs.len() as u64, 0), "step {last}");
    for job in &jobs {
        let attempt = intend(&run, job, job.attempt).await;
        let settlement = Settlement::accepted(job.index, "resumed", Bill::call(Some(COST)));
        run.settle(settlement.attempt(attempt)).await.unwrap();
    }
    let tally = run.tally().await.unwrap();
    assert_eq!(tally.accepted + tally.failed, 3, "step {last}");
    assert_eq!(tally.calls, before.calls + jobs.len() as u64, "step {last}");
    assert_eq!((tally.settled, tally.possible), (tally.calls * COST, lost * RESERVED), "step {last}");
    agrees(&run, &tally).await;
    run.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
}

/// Checks that the tally agrees with the jobs.
async fn agrees(run: &Run, tally: &Tally) {
    let jobs = run.jobs(0, 9).await.unwrap();
    let count = |state| jobs.iter().filter(|job| job.state == state).count() as u64;
    assert_eq!((tally.accepted, tally.failed), (count(JobState::Accepted), count(JobState::Failed)));
    assert_eq!(tally.calls, jobs.iter().map(|job| u64::from(job.bill.calls)).sum::<u64>());
    assert!(jobs.iter().all(|job| job.result.is_some() == (job.state == JobState::Accepted)));
}
