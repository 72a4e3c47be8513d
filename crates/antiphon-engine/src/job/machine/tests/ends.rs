//! Answers without a natural end, and answers with a mark.

use antiphon_llm::{AnswerMark, Completion, Error, ErrorKind, FinishReason, Output, TruncationCause};
use antiphon_store::JobState;

use super::{Rig, answer, kept_in, next_prompt, options};
use crate::job::machine::{Action, Ending, Event};

/// Returns the error of a text that ended with a word that is no natural end.
fn ended(word: &str) -> Error {
    let answer = Completion::new("The three").finish(FinishReason::Unknown(word.to_owned())).raw_finish(word);
    answer.into_complete(&Output::Text).unwrap_err()
}

#[test]
fn an_unknown_end_is_asked_again_as_an_invalid_answer_is() {
    let mut rig = Rig::new(options());
    rig.run.health.answered();
    assert_eq!(ended("zzz").kind(), ErrorKind::Truncated { cause: TruncationCause::Stopped });
    rig.first_call(Err(ended("zzz")));
    next_prompt(&mut rig);
    let action = rig.end_call(Err(ended("zzz")));
    let Action::Commit(settlement) = &action else { panic!("{action:?}") };
    assert_eq!(settlement.state, JobState::Failed);
    let Action::End(Ending::Failed(failure)) = rig.on(Event::Committed) else { panic!("not failed") };
    assert!(format!("{failure:?}").contains("zzz"), "{failure:?}");
    assert_eq!(rig.machine.seen.raw_finish.as_deref(), Some("zzz"));
}

#[test]
fn whole_json_at_the_limit_is_accepted_and_noted() {
    let mut rig = Rig::new(options());
    let mut whole = answer(r#"{"items": [1, 2, 3]}"#).finish(FinishReason::Length).raw_finish("length");
    whole.mark(AnswerMark::CompleteWithoutEnd);
    let action = rig.first_call(Ok(whole));
    assert_eq!(kept_in(&action), Some(r#"{"items":[1,2,3]}"#));
    let Action::Commit(settlement) = &action else { panic!("{action:?}") };
    assert!(settlement.state == JobState::Accepted, "{settlement:?}");
    assert_eq!(rig.machine.seen.marks, [AnswerMark::CompleteWithoutEnd]);
}

#[test]
fn the_error_of_a_cut_answer_has_the_word_and_its_explanation() {
    let mut rig = Rig::new(options());
    let full =
        answer("{").finish(FinishReason::Length).raw_finish("context").finish_detail("the window is full");
    rig.first_call(Ok(full));
    let Action::End(Ending::Failed(failure)) = rig.on(Event::Committed) else { panic!("not failed") };
    let said = format!("{failure:?}");
    assert!(said.contains("the answer was cut: the window is full (finish reason context)"), "{said}");
}
