//! Prompts for the missing elements of a list.

use antiphon_llm::{Message, Output, Prompt, Schema};
use serde_json::Value;

/// The reason why elements of a list are missing.
#[derive(Debug, Clone, Copy)]
pub enum MissingElements<'a> {
    /// The answer was cut.
    Truncated,
    /// Elements were rejected, for these reasons, one per line.
    Rejected(&'a str),
}

/// Returns the prompt that requests the missing elements of a list; the kept ones are included as the model's earlier answer.
/// `list` is the JSON pointer (RFC 6901) of the list. Returns `None` if the prompt's schema has no such list, or if the prompt
/// has no schema.
#[must_use]
pub fn prompt_for_rest(
    question: &Prompt,
    list: &str,
    kept: &[Value],
    why: MissingElements<'_>,
) -> Option<Prompt> {
    let Output::Json(schema) = &question.output else { return None };
    let mut value = schema.value().clone();
    let place: String = list.split('/').skip(1).map(|key| format!("/properties/{key}")).collect();
    let array = value.pointer_mut(&place)?.as_object_mut()?;
    for bound in ["minItems", "maxItems"] {
        if let Some(count) = array.get(bound).and_then(Value::as_u64) {
            array.insert(bound.to_owned(), count.saturating_sub(kept.len() as u64).into());
        }
    }
    array.shift_remove("uniqueItems");
    let rest = Schema::new(schema.name(), value).ok()?;
    let there = Value::Array(kept.to_vec()).to_string();
    let count = kept.len();
    let ask = match why {
        MissingElements::Truncated => format!(
            "Your answer was cut. These {count} elements of {list} are whole and kept. Answer again in the same form, with \
             only the elements that are missing behind them, and nothing else."
        ),
        MissingElements::Rejected(reasons) => format!(
            "These {count} elements of {list} are kept. Others were refused:\n{reasons}\nAnswer again in the same form, with \
             only the elements that are missing, each clearly different from all that are kept, and nothing else."
        ),
    };
    let prompt = question.clone().output(Output::Json(rest));
    Some(prompt.message(Message::assistant(there)).message(Message::user(ask)))
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
        assert!(refused.messages[2].rendered().contains("refused:\n2 is like 1\n"));
    }
}
