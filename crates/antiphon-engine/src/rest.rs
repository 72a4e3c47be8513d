use antiphon_llm::{Completion, Output, Prompt, json};
use serde_json::{Value, json};

use crate::work::Unfit;

/// An answer that is nothing but a list, if none of it can be missing: the list has ended, or has as many elements as it may.
pub(super) fn whole_of(question: &Prompt, list: &str, kept: &[Value], has_ended: bool) -> Option<Value> {
    let Output::Json(schema) = &question.output else { return None };
    let key = list.strip_prefix('/')?;
    let properties = schema.value().get("properties")?.as_object()?;
    // What stands beside the list may have been cut.
    let array = properties.get(key).filter(|_| properties.len() == 1)?;
    let is_full = array.get("maxItems").and_then(Value::as_u64) == Some(kept.len() as u64);
    (has_ended || is_full).then(|| json!({ key: kept }))
}

/// An answer that has the rest of a list, with the elements that were kept before it.
pub(super) fn with_rest(kept: &[Value], list: &str, answer: &Completion) -> Result<Value, Unfit> {
    let rest = json::extract(&answer.text).map_err(|err| match err.kind() {
        json::JsonErrorKind::Truncated => Unfit::Cut,
        _ => Unfit::Misfit(err.to_string()),
    })?;
    let mut whole = rest.value;
    match whole.pointer_mut(list) {
        Some(Value::Array(elements)) => {
            let rest = std::mem::replace(elements, kept.to_vec());
            elements.extend(rest);
            Ok(whole)
        }
        _ => Err(Unfit::Misfit(format!("there is no list at {list}"))),
    }
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Completion, Message, Output, Prompt, Schema};
    use serde_json::json;

    use super::{Unfit, whole_of, with_rest};

    #[test]
    fn a_list_is_whole_only_where_it_cannot_have_more() {
        let question = |bounds: serde_json::Value| {
            let schema = json!({"type": "object", "properties": {"items": bounds}});
            let output = Output::Json(Schema::new("answer", schema).unwrap());
            Prompt::new("m", [Message::user("?")]).output(output)
        };
        let (full, open) = (json!({"type": "array", "maxItems": 2}), json!({"type": "array"}));
        let two = [json!(1), json!(2)];
        assert_eq!(whole_of(&question(full.clone()), "/items", &two, false), Some(json!({"items": [1, 2]})));
        assert_eq!(whole_of(&question(full), "/items", &two[..1], false), None);
        assert_eq!(whole_of(&question(open.clone()), "/items", &two, false), None);
        assert_eq!(whole_of(&question(open), "/items", &two, true), Some(json!({"items": [1, 2]})));
        let beside =
            json!({"type": "object", "properties": {"items": {"type": "array"}, "sum": {"type": "string"}}});
        let beside = Prompt::new("m", []).output(Output::Json(Schema::new("answer", beside).unwrap()));
        assert_eq!(whole_of(&beside, "/items", &two, true), None, "the other field may have been cut");
    }

    #[test]
    fn what_was_kept_stands_before_the_rest() {
        let read = |answer: &str| with_rest(&[json!(1)], "/items", &Completion::new(answer));
        assert_eq!(read("{\"items\": [2]}"), Ok(json!({"items": [1, 2]})));
        assert_eq!(read("{\"items\": [2, "), Err(Unfit::Cut));
        assert!(matches!(read("{}"), Err(Unfit::Misfit(_))));
    }
}
