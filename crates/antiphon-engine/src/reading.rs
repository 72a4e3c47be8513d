//! The way from the text of an answer to a value that may be a result.
//!
//! The steps are pure functions, which the state machine of a job applies one after the other:
//!
//! ```text
//! answer ─ read ─▶ value ─ with_rest ─▶ whole value ─ checked ─▶ value for `Work::accept`
//! ```
//!
//! [`read`] extracts JSON from the text around it, such as a code fence; [`with_rest`] adds the list elements that were
//! kept from earlier answers; [`checked`] applies the schema. A failure of any step is an [`Invalid`], which a schema
//! retry may cure.

use antiphon_llm::{Completion, FinishReason, Output, Prompt, Schema, json};
use serde_json::{Value, json};

use crate::work::Invalid;

/// The maximum number of violations in a schema retry's prompt; further ones tend to repeat the first.
const MAX_VIOLATIONS: usize = 10;

/// Parses an answer: as JSON where the prompt asks for structured output, else as the trimmed text. Of several JSON values, the
/// one is taken that fits the schema of the prompt or `own`, the recipe's; a text, a number, a Boolean or `null` only if it fits.
///
/// # Errors
/// [`Invalid::Truncated`] for JSON that ends in the middle, or that cannot be parsed in an answer which reached the
/// token limit. [`Invalid::Violations`] for other text without JSON, for an empty text, and for an output mode that is
/// not known here.
pub(crate) fn read(own: Option<&Schema>, prompt: &Prompt, answer: &Completion) -> Result<Value, Invalid> {
    match &prompt.output {
        Output::Json(schema) => extracted(own, schema, &answer.text).map_err(|err| {
            let is_cut =
                err.kind() == json::JsonErrorKind::Truncated || answer.finish == FinishReason::Length;
            if is_cut { Invalid::Truncated } else { Invalid::Violations(err.to_string()) }
        }),
        Output::Text => match answer.text.trim() {
            "" if answer.reasoning.is_some() => {
                Err(Invalid::Violations("the answer is empty: it has only reasoning".to_owned()))
            }
            "" => Err(Invalid::Violations("the answer is empty".to_owned())),
            text => Ok(json!(text)),
        },
        // An output mode that this version cannot check must not pass unchecked.
        other => Err(Invalid::Violations(format!("answers of the form {other:?} cannot be checked"))),
    }
}

/// Finds the JSON value of an answer to `schema`; where no value fits it, to `own`, which may be looser.
fn extracted(own: Option<&Schema>, schema: &Schema, text: &str) -> Result<Value, json::JsonError> {
    let find = |schema: &Schema| {
        let found = json::extract_for(text, json::Strictness::Lenient, |value| schema.is_valid(value));
        found.map(|found| found.value)
    };
    match (find(schema), own) {
        (Ok(value), Some(own)) if !schema.is_valid(&value) => find(own),
        (Err(_), Some(own)) => find(own),
        (found, _) => found,
    }
}

/// Prepends the kept elements of a list to those of a later answer. Without kept elements the answer is returned as it
/// is.
///
/// # Errors
/// [`Invalid::Violations`] if the answer has no list at `list`, a JSON pointer (RFC 6901).
pub(crate) fn with_rest(kept: &[Value], list: &str, answer: Value) -> Result<Value, Invalid> {
    if kept.is_empty() {
        return Ok(answer);
    }
    let mut whole = answer;
    match whole.pointer_mut(list) {
        Some(Value::Array(elements)) => {
            let rest = std::mem::replace(elements, kept.to_vec());
            elements.extend(rest);
            Ok(whole)
        }
        _ => Err(Invalid::Violations(format!("there is no list at {list}"))),
    }
}

/// Checks a value against a schema: the recipe's own, or else that of the prompt. A text without either is always
/// valid.
///
/// # Errors
/// [`Invalid::Violations`] with the first [`MAX_VIOLATIONS`] violations, one per line.
pub(crate) fn checked(own: Option<&Schema>, prompt: &Prompt, value: &Value) -> Result<(), Invalid> {
    let ((Some(schema), _) | (None, Output::Json(schema))) = (own, &prompt.output) else { return Ok(()) };
    let violations = schema.first_violations(value, MAX_VIOLATIONS);
    if violations.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
    Err(Invalid::Violations(lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Completion, FinishReason, Message, Output, Prompt, Schema};
    use serde_json::{Value, json};

    use super::{Invalid, checked, read, with_rest};

    fn prompt() -> Prompt {
        let items = json!({"type": "array", "items": {"type": "integer"}});
        let schema = json!({"type": "object", "required": ["items"], "properties": {"items": items}});
        Prompt::new("m", [Message::user("?")]).output(Output::Json(Schema::new("answer", schema).unwrap()))
    }

    #[track_caller]
    fn check(answer: Completion, expected: Result<Value, Invalid>) {
        let prompt = prompt();
        let found =
            read(None, &prompt, &answer).and_then(|value| checked(None, &prompt, &value).map(|()| value));
        match (found, expected) {
            (Err(Invalid::Violations(_)), Err(Invalid::Violations(_))) => {}
            (found, expected) => assert_eq!(found, expected),
        }
    }

    #[test]
    fn answers_are_valid_truncated_or_in_violation_of_their_schema() {
        check(Completion::new("```json\n{\"items\": [1]}\n```"), Ok(json!({"items": [1]})));
        check(Completion::new("{\"items\": [1, "), Err(Invalid::Truncated));
        check(Completion::new("well").finish(FinishReason::Length), Err(Invalid::Truncated));
        check(Completion::new("well"), Err(Invalid::Violations(String::new())));
        check(Completion::new("{\"items\": [\"a\"]}"), Err(Invalid::Violations(String::new())));
        let text = Prompt::new("m", [Message::user("?")]);
        assert_eq!(read(None, &text, &Completion::new(" words \n")), Ok(json!("words")));
        assert!(matches!(read(None, &text, &Completion::new(" \n")), Err(Invalid::Violations(_))));
    }

    #[test]
    fn the_value_that_fits_the_prompt_is_preferred_to_one_that_fits_the_recipe_alone() {
        let own = Schema::new("own", json!({"type": "object", "required": ["items"]})).unwrap();
        let read = |text: &str| read(Some(&own), &prompt(), &Completion::new(text));
        assert_eq!(read("{\"items\": [\"a\"]} or {\"items\": [1]}"), Ok(json!({"items": [1]})));
        assert_eq!(read("{\"items\": [\"a\"]} or {}"), Ok(json!({"items": ["a"]})));
        assert!(matches!(read("{\"items\": [1], \"items\": [2]}"), Err(Invalid::Violations(_))));
    }

    #[test]
    fn kept_elements_come_before_the_rest() {
        let merged = with_rest(&[json!(1)], "/items", json!({"items": [2]}));
        assert_eq!(merged, Ok(json!({"items": [1, 2]})));
        assert!(matches!(with_rest(&[json!(1)], "/items", json!({})), Err(Invalid::Violations(_))));
        assert_eq!(with_rest(&[], "/items", json!({})), Ok(json!({})));
    }
}
