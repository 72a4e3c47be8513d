//! Random paths through the machine: answers and errors of all kinds, a store that fails, and a run that is stopped at
//! any step.
//!
//! Whatever happens, each call that is sent has an intent before it and a settlement after it, and the budget never
//! exceeds its cap nor keeps a reservation.

use antiphon_llm::{Billed, Completion, ErrorKind, FinishReason, Usage};
use antiphon_store::Settlement;
use proptest::prelude::*;

use super::{Rig, THREE, answer, asked, error, event_of, options};
use crate::fixtures::all_errors;
use crate::job::machine::{Action, Ending, Event, State};
use crate::stop::StopCause;

/// A random end of a call.
#[derive(Debug, Clone)]
enum Fate {
    /// An answer.
    Text(&'static str, FinishReason),
    /// An error, with the text that arrived before it.
    Error(ErrorKind, Billed, &'static str),
}

fn fate() -> impl Strategy<Value = Fate> {
    let texts = prop::sample::select(vec![
        (THREE, FinishReason::Stop),
        (r#"{"items": [1]}"#, FinishReason::Stop),
        (r#"{"items": [1, -1, 2]}"#, FinishReason::Stop),
        (r#"{"items": [1, 2, "#, FinishReason::Length),
        ("no JSON", FinishReason::Stop),
        ("", FinishReason::Length),
    ]);
    let billed = prop::sample::select(vec![
        Billed::No,
        Billed::Maybe,
        Billed::Yes(Usage::new(Some(20), Some(10))),
        Billed::Yes(Usage::NOTHING),
    ]);
    prop_oneof![
        texts.prop_map(|(text, finish)| Fate::Text(text, finish)),
        (prop::sample::select(all_errors()), billed, prop::sample::select(vec!["", r#"{"items": [1, "#]))
            .prop_map(|(kind, billed, partial)| Fate::Error(kind, billed, partial)),
    ]
}

/// The sums over a path through the machine.
#[derive(Debug, Default)]
struct Path {
    /// Calls that were sent.
    sent: u32,
    /// Intents with the right job and a known bound.
    intended: u32,
    /// Calls in the bills that were committed.
    billed: u32,
    held: u64,
    settled: u64,
    /// Whether every settlement was stored.
    is_stored: bool,
}

/// Drives a job until its end, with calls that end as in `fates`, a store that fails at the commit `fails_at`, and a run that is
/// stopped before the step `stops_at`.
fn drive(rig: &mut Rig, fates: &[Fate], fails_at: usize, stops_at: usize) -> (Path, Ending) {
    let mut path = Path { is_stored: true, ..Path::default() };
    let (mut fates, mut commits) = (fates.iter().cycle(), 0);
    let mut action = rig.on(Event::Started(asked()));
    for step in 0..200 {
        if step == stops_at {
            rig.run.stop.stop(StopCause::Interrupted);
        }
        let is_stopped = rig.run.stop.is_stopped();
        action = match action {
            Action::Reserve(_) | Action::Sleep(..) if is_stopped => rig.on(Event::Halted),
            Action::Reserve(_) => rig.grant(&action),
            Action::Call(..) if is_stopped => rig.on(Event::Failed(error(ErrorKind::Cancelled), 0)),
            Action::Call(_, intent) => {
                path.intended += u32::from(intent.index == 4 && intent.reserved.is_some());
                path.sent += 1;
                match fates.next().unwrap() {
                    Fate::Text(text, finish) => rig.end_call(Ok(answer(text).finish(finish.clone()))),
                    Fate::Error(kind, billed, partial) => {
                        let partial = Completion::new(*partial);
                        rig.end_call(Err(error(*kind).with_billed(*billed).with_partial(partial)))
                    }
                }
            }
            Action::Commit(settlement) => {
                commits += 1;
                if commits == fails_at {
                    path.is_stored = false;
                    rig.on(event_of("not committed", &rig.run))
                } else {
                    path.add(&settlement);
                    rig.on(Event::Committed)
                }
            }
            Action::Sleep(..) => rig.on(Event::Woke),
            Action::End(ending) => return (path, ending),
        };
    }
    panic!("no end after 200 steps: {path:?}");
}

impl Path {
    fn add(&mut self, settlement: &Settlement) {
        self.billed += settlement.bill.calls;
        self.held += settlement.bill.held;
        self.settled += settlement.bill.settled.unwrap_or(0);
    }
}

proptest! {
    /// Asserts that each call has a settlement, that no call is sent without an intent, and that no reservation outlives the job.
    #[test]
    fn no_path_loses_a_call_or_money(
        fates in prop::collection::vec(fate(), 1..8),
        was_well in any::<bool>(),
        cap in prop::option::of(500_u64..20_000),
        fails_at in 0_usize..12,
        stops_at in 0_usize..60,
    ) {
        let mut options = options();
        options.limits.max_cost = cap;
        let mut rig = Rig::new(options);
        if was_well {
            rig.run.health.answered();
        }
        let (path, ending) = drive(&mut rig, &fates, fails_at, stops_at);
        let budget = &rig.run.accounts.budget;
        prop_assert_eq!(budget.reserved(), 0, "{:?} {:?}", path, ending);
        prop_assert_eq!(path.intended, path.sent);
        prop_assert!(matches!(rig.machine.state, State::Ended));
        if path.is_stored {
            prop_assert_eq!(path.billed, path.sent, "{:?} {:?}", path, ending);
            prop_assert_eq!(path.settled + path.held, budget.spent());
        } else {
            prop_assert!(matches!(ending, Ending::Left | Ending::Unsaved(_)));
            prop_assert!(rig.run.stop.is_stopped());
        }
        if let Some(cap) = cap {
            prop_assert!(budget.spent() <= cap, "{} of {cap}", budget.spent());
        }
    }
}
