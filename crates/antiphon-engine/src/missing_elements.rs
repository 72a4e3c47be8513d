//! Prompts for the missing elements of a list.
//!
//! A long list is the usual structured output that a token limit cuts, and the usual one of which only a few elements
//! fail a check. To request the whole list once more would cost all of its tokens again, so the elements that are good
//! are kept, and a follow-up prompt requests the others:
//!
//! | message | role | content |
//! |---|---|---|
//! | those of the question | as before | as before |
//! | last but one | assistant | the kept elements, as a JSON array; of a long one, its head and its tail |
//! | last | user | the reason, and the request for the rest |
//!
//! The schema of the follow-up has the bounds of the missing part alone, so that a provider that enforces schemas can
//! answer it. The caller puts the kept elements before those of the answer.

use antiphon_llm::{Message, Output, Prompt, Schema, SchemaRetryPolicy, shortened};
use serde_json::Value;

use crate::checks::place;
use crate::list_place::{count, list_in};

/// The reason why elements of a list are missing. It decides the wording of the request in [`prompt_for_rest`].
#[derive(Debug, Clone, Copy)]
pub enum MissingElements<'a> {
    /// The answer was cut, for example at the token limit: the kept elements are its whole ones, and the rest never
    /// arrived.
    Truncated,
    /// Elements were rejected, for these reasons, one per line. The first of them are sent to the model:
    /// [`SchemaRetryPolicy::complaint`].
    Rejected(&'a str),
}

/// Returns the prompt that requests the missing elements of a list; the kept ones are included as the model's earlier answer.
/// `list` is the JSON pointer (RFC 6901) of the list. Returns `None` if the prompt's schema has no such list, or if the prompt
/// has no schema; and if elements were rejected, but the list can have no further ones.
///
/// In the schema of the returned prompt, `minItems` and `maxItems` of the list are reduced by the number of kept
/// elements, down to 0, and `uniqueItems` is removed, since the keyword could not see the kept elements anyway. The
/// other fields of the schema, the model and the sampling parameters are those of `question`.
///
/// # Examples
/// ```
/// use antiphon_engine::{MissingElements, prompt_for_rest};
/// use antiphon_llm::{Message, Output, Prompt, Schema};
/// use serde_json::json;
///
/// let items = json!({"type": "array", "items": {"type": "integer"}, "minItems": 5, "maxItems": 5});
/// let schema = Schema::new("answer", json!({"type": "object", "properties": {"items": items}}))?;
/// let question = Prompt::new("some-model", [Message::user("Five primes.")]).output(Output::Json(schema));
/// let rest = prompt_for_rest(&question, "/items", &[json!(2), json!(3)], MissingElements::Truncated);
/// assert_eq!(rest.map(|prompt| prompt.messages.len()), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn prompt_for_rest(
    question: &Prompt,
    list: &str,
    kept: &[Value],
    why: MissingElements<'_>,
) -> Option<Prompt> {
    let Output::Json(schema) = &question.output else { return None };
    let rest = schema_of_rest(schema, list, kept.len() as u64)?;
    if matches!(why, MissingElements::Rejected(_)) && bound_of(rest.value(), list, "maxItems") == Some(0) {
        return None;
    }
    let there = shortened(&json_of(kept), SchemaRetryPolicy::MAX_REPEATED).into_owned();
    let request = request_for_rest(why, list, kept.len(), &how_many(rest.value(), list));
    let prompt = question.clone().output(Output::Json(rest));
    Some(prompt.message(Message::assistant(there)).message(Message::user(request)))
}

/// Returns elements as a JSON array.
fn json_of(kept: &[Value]) -> String {
    let elements: Vec<String> = kept.iter().map(Value::to_string).collect();
    format!("[{}]", elements.join(","))
}

/// Returns the schema of an answer without its first `kept` elements; `None` if the schema has no list at `list`.
fn schema_of_rest(schema: &Schema, list: &str, kept: u64) -> Option<Schema> {
    let mut value = schema.value().clone();
    let array = list_in(&mut value, list)?;
    for bound in ["minItems", "maxItems"] {
        if let Some(count) = array.get(bound).and_then(count) {
            array.insert(bound.to_owned(), count.saturating_sub(kept).into());
        }
    }
    array.shift_remove("uniqueItems");
    Schema::new(schema.name(), value).ok()
}

/// Returns a bound on the number of elements of the list in a schema without references on the way to it.
fn bound_of(schema: &Value, list: &str, key: &str) -> Option<u64> {
    let place: String = list.split('/').skip(1).map(|key| format!("/properties/{key}")).collect();
    count(schema.pointer(&place)?.get(key)?)
}

/// Returns the number of missing elements in words: of a list with other bounds than one number, no number.
fn how_many(schema: &Value, list: &str) -> String {
    match (bound_of(schema, list, "minItems"), bound_of(schema, list, "maxItems")) {
        (Some(1), Some(1)) => "the 1 element that is missing".to_owned(),
        (Some(least), Some(most)) if least == most => format!("the {least} elements that are missing"),
        _ => "the elements that are missing".to_owned(),
    }
}

/// Returns the message that gives the reason and requests the elements behind the first `count`.
fn request_for_rest(why: MissingElements<'_>, list: &str, count: usize, missing: &str) -> String {
    let list = place(list);
    match why {
        MissingElements::Truncated => format!(
            "Your answer was cut. These {count} elements of {list} are whole and kept. Answer again in the same form, with \
             only {missing} behind them, and nothing else."
        ),
        MissingElements::Rejected(reasons) => {
            let reasons = SchemaRetryPolicy::complaint(reasons);
            format!(
                "These {count} elements of {list} are kept. Others were refused:\n{reasons}\nAnswer again in the same form, with \
             only {missing}, each clearly different from all that are kept, and nothing else."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Message, Output, Prompt, Schema};
    use serde_json::json;

    use super::{MissingElements, prompt_for_rest};

    #[test]
    fn the_prompt_asks_for_exactly_the_missing_elements() {
        let schema = |count: u64| {
            let items = json!({"type": "array", "minItems": count, "maxItems": count});
            Schema::new("answer", json!({"type": "object", "properties": {"items": items}})).unwrap()
        };
        let question = Prompt::new("m", [Message::user("Five, please.")]).output(Output::Json(schema(5)));
        let rest =
            prompt_for_rest(&question, "/items", &[json!(1), json!(2)], MissingElements::Truncated).unwrap();
        let Output::Json(asked) = &rest.output else { unreachable!() };
        assert_eq!((asked.value(), rest.messages.len()), (schema(3).value(), 3));
        assert!(prompt_for_rest(&question, "/others", &[json!(1)], MissingElements::Truncated).is_none());
        let refused =
            prompt_for_rest(&question, "/items", &[json!(1)], MissingElements::Rejected("2 is like 1"))
                .unwrap();
        let request = refused.messages[2].rendered();
        assert!(
            request.contains("refused:\n2 is like 1\n")
                && request.contains("only the 4 elements that are missing")
        );
        let all: Vec<_> = (0..5).map(|n| json!(n)).collect();
        assert!(
            prompt_for_rest(&question, "/items", &all, MissingElements::Rejected("no")).is_none(),
            "none is missing"
        );
    }
}
