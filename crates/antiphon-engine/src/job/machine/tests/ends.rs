//! Answers without a natural end, and answers with a mark.

use antiphon_llm::{AnswerMark, Completion, Error, ErrorKind, FinishReason, Output, TruncationCause};
use std::sync::Arc;

use antiphon_store::{JobState, Tally};

use super::{Rig, RunState, answer, kept_in, next_prompt, options};
use crate::job::JobRequest;
use crate::job::machine::{Action, Ending, Event};
use crate::recipe::Recipe;

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

/// A recipe for three distinct objects.
const THREE: &str = r#"
    prompt = "x"
    [schema]
    type = "array"
    minItems = 3
    maxItems = 3
    uniqueItems = true
    items = { type = "object", required = ["a"], properties = { a = { type = "number" } } }
"#;

/// Returns a rig of a recipe, after a first answer that was cut.
fn cut_at(recipe: &str, text: &str) -> (Action, Rig) {
    let work = Recipe::read("r.toml", recipe).unwrap().asking("model").unwrap();
    let mut rig = Rig::new(options());
    let prompt = Arc::new(work.prompt("{}").unwrap());
    rig.run = RunState::new(work, options(), &Tally::default());
    let request = JobRequest { prompt, key: [1; 32], cached: None, shares: false };
    let action = rig.on(Event::Started(Box::new(request)));
    rig.grant(&action);
    let action = rig.end_call(Ok(answer(text).finish(FinishReason::Length)));
    (action, rig)
}

#[test]
fn a_cut_list_with_enough_distinct_elements_needs_no_second_call() {
    for cut in [
        r#"[{"a":1},{"a":1},{"a":2},{"a":3},{"a""#,
        r#"[{"a":1},{"a":"x"},{"a":2},{"a":3},"#,
        r#"[{"a":1},{"a":2},{"a":3},{"a":4},{"#,
    ] {
        let (action, rig) = cut_at(THREE, cut);
        assert_eq!(kept_in(&action), Some(r#"[{"a":1},{"a":2},{"a":3}]"#), "{cut}");
        let Action::Commit(settlement) = &action else { panic!("{action:?}") };
        assert!(settlement.state == JobState::Accepted, "{settlement:?}");
        assert_eq!(rig.machine.seen.notes.len(), 1, "the element left out is counted: {cut}");
    }
}

#[test]
fn nothing_is_joined_to_a_whole_answer() {
    // The list behind a reference is found, and the rest of it cannot be asked for alone where the reference has a keyword beside it.
    let recipe = r##"
        prompt = "x"
        schema = """{"$ref": "#/definitions/L", "minProperties": 1, "definitions": {"L": {
            "type": "object", "required": ["items"], "properties": {"items": {"type": "array"}}
        }}}"""
    "##;
    let (_, mut rig) = cut_at(recipe, r#"{"items": [1, 2, "#);
    next_prompt(&mut rig);
    let action = rig.end_call(Ok(answer(r#"{"items": [1, 2, 3]}"#)));
    assert_eq!(kept_in(&action), Some(r#"{"items":[1,2,3]}"#));
}
