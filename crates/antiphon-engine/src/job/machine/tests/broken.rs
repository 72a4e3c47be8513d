//! Streams that break off: partial answers are kept, for as many breaks as bring new elements.

use antiphon_llm::{Billed, Error, ErrorKind, TimeoutPhase, TruncationCause};
use antiphon_store::JobState;

use super::{Rig, answer, error, kept_in, next_prompt, options};
use crate::job::machine::{Action, Ending, Event};

const DISCONNECTED: ErrorKind = ErrorKind::Truncated { cause: TruncationCause::Disconnected };

/// Returns the error of a stream that broke off after `text`.
fn broken(kind: ErrorKind, text: &str) -> Error {
    error(kind).with_billed(Billed::Maybe).with_partial(answer(text))
}

#[test]
fn elements_are_kept_over_several_breaks() {
    for kind in [
        DISCONNECTED,
        ErrorKind::Timeout { phase: TimeoutPhase::NextToken },
        ErrorKind::Timeout { phase: TimeoutPhase::Total },
        ErrorKind::Unavailable,
        ErrorKind::Overloaded { retry_after: None },
    ] {
        let mut rig = Rig::new(options());
        rig.run.health.answered();
        let action = rig.first_call(Err(broken(kind, r#"{"items": [1, "#)));
        assert_eq!(kept_in(&action), Some("[1]"), "{kind:?}");
        let prompt = next_prompt(&mut rig);
        assert_eq!(prompt.messages.len(), 3, "{kind:?}: only the rest is requested");
        let action = rig.end_call(Err(broken(kind, r#"{"items": [2, "#)));
        assert_eq!(kept_in(&action), Some("[1,2]"), "{kind:?}");
        next_prompt(&mut rig);
        let action = rig.end_call(Ok(answer(r#"{"items": [3]}"#)));
        assert_eq!(kept_in(&action), Some(r#"{"items":[1,2,3]}"#), "{kind:?}");
        assert!(matches!(rig.on(Event::Committed), Action::End(Ending::Accepted(_))));
    }
}

#[test]
fn a_list_that_is_whole_before_the_break_is_a_result() {
    let mut rig = Rig::new(options());
    let action = rig.first_call(Err(broken(DISCONNECTED, r#"{"items": [1, 2, 3"#)));
    assert_eq!(kept_in(&action), Some("[1,2]"), "the last number may have had more digits");
    next_prompt(&mut rig);
    let action = rig.end_call(Err(broken(DISCONNECTED, r#"{"items": [3]"#)));
    assert_eq!(kept_in(&action), Some(r#"{"items":[1,2,3]}"#));
    assert!(matches!(rig.on(Event::Committed), Action::End(Ending::Accepted(_))));
}

#[test]
fn surplus_elements_are_left_out() {
    let mut rig = Rig::new(options());
    rig.first_call(Err(broken(DISCONNECTED, r#"{"items": [1, 2, "#)));
    next_prompt(&mut rig);
    let action = rig.end_call(Err(broken(DISCONNECTED, r#"{"items": [3, 4, 5, "#)));
    assert_eq!(
        kept_in(&action),
        Some(r#"{"items":[1,2,3]}"#),
        "the server sent more elements than were missing"
    );
    assert!(matches!(rig.on(Event::Committed), Action::End(Ending::Accepted(_))));
}

#[test]
fn breaks_that_bring_nothing_new_use_up_the_retries() {
    let mut rig = Rig::new(options());
    rig.run.health.answered();
    let mut action = rig.first_call(Err(broken(DISCONNECTED, r#"{"items": [1, "#)));
    for _ in 0..options().retry.max_retries {
        assert_eq!(kept_in(&action), Some("[1]"));
        next_prompt(&mut rig);
        action = rig.end_call(Err(broken(DISCONNECTED, r#"{"items": ["#)));
    }
    next_prompt(&mut rig);
    let action = rig.end_call(Err(broken(DISCONNECTED, r#"{"items": ["#)));
    let Action::Commit(settlement) = action else { panic!("{action:?}") };
    assert_eq!(settlement.state, JobState::Failed);
}

#[test]
fn a_break_of_an_answer_without_a_list_requests_the_whole_again() {
    let mut rig = Rig::new(options());
    rig.run.health.answered();
    let action = rig.first_call(Err(broken(DISCONNECTED, "half a sente")));
    assert_eq!(kept_in(&action), None);
    assert!(matches!(rig.on(Event::Committed), Action::Sleep(..)));
    let action = rig.on(Event::Woke);
    let Action::Call(prompt, _) = rig.grant(&action) else { panic!("no call") };
    assert_eq!(prompt.messages.len(), 1);
}
