//! Random sequences of steps, compared with a model of the store.

use antiphon_store::{Bill, Intent, JobState, NewRun, Settlement};
use proptest::prelude::*;

use crate::place::{Place, run_of};

/// An event in the life of a job.
#[derive(Debug, Clone, Copy)]
enum Step {
    Intend(u64),
    Accept(u64),
    Fail(u64),
    PutBack(u64),
    Die,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..5, 0_u64..4).prop_map(|(what, job)| match what {
        0 => Step::Intend(job),
        1 => Step::Accept(job),
        2 => Step::Fail(job),
        3 => Step::PutBack(job),
        _ => Step::Die,
    });
    prop::collection::vec(step, 0..24)
}

/// A job's state in a model of the store: whether it has ended, and whether a call is intended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Model {
    ended: Option<bool>,
    intended: bool,
    lost: u32,
}

async fn follow(place: Place, steps: &[Step]) {
    let mut run = run_of(&place.open().await, 4).await;
    let mut model = [Model::default(); 4];
    for step in steps {
        match *step {
            Step::Die => {
                drop(run);
                run = place.open().await.open_run(NewRun::new("f")).await.unwrap();
                let lost: Vec<u64> = run.interrupted().iter().map(|call| call.index).collect();
                let expected: Vec<u64> =
                    (0..).zip(&model).filter(|(_, job)| job.intended).map(|(n, _)| n).collect();
                assert_eq!(lost, expected);
                for job in model.iter_mut().filter(|job| job.intended) {
                    (job.intended, job.lost) = (false, job.lost + 1);
                }
            }
            Step::Intend(n) => {
                let job = &mut model[n as usize];
                let done = run.intend(Intent::new(n).reserved(Some(1))).await;
                assert_eq!(done.is_ok(), job.ended.is_none());
                job.intended |= done.is_ok();
            }
            Step::Accept(n) | Step::Fail(n) | Step::PutBack(n) => {
                let job = &mut model[n as usize];
                let (settlement, end) = match step {
                    Step::Accept(_) => (Settlement::accepted(n, "x", Bill::none()), Some(true)),
                    Step::Fail(_) => (Settlement::failed(n, "k", "m", Bill::none()), Some(false)),
                    _ => (Settlement::put_back(n, 0, Bill::none()), None),
                };
                let done = run.settle(settlement).await;
                assert_eq!(done.is_ok(), job.ended.is_none());
                if done.is_ok() {
                    (job.ended, job.intended) = (end, false);
                }
            }
        }
    }
    let kept = run.jobs(0, 9).await.unwrap();
    for (job, kept) in model.iter().zip(kept) {
        assert_eq!(job.ended, kept.state.is_end().then_some(kept.state == JobState::Accepted));
        assert_eq!((job.lost, u64::from(job.lost)), (kept.bill.possibly_billed, kept.bill.possible));
    }
}

fn check(place: Place, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(follow(place, steps));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_result_is_lost_or_changed_whatever_happens_in_memory(steps in steps()) {
        check(Place::memory(), &steps);
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_result_is_lost_or_changed_whatever_happens_in_a_file(steps in steps()) {
        check(Place::sqlite(), &steps);
    }
}
