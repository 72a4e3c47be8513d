//! The rest of a list that was cut: whether any is missing at all.
//!
//! An answer may be cut after the last element of its list, for example in the closing brackets. Then the kept elements
//! are the whole answer, and a further call for the rest would be paid for nothing.

use antiphon_llm::{Output, Prompt};
use serde_json::{Value, json};

/// Returns an answer that consists of one list, if no element can be missing: the list has ended, or has as many elements as
/// `maxItems` allows. Further elements are left out.
///
/// The list has to be the whole answer, or the only field of the outermost object: the value of a second field may have been cut,
/// and cannot be made up. `list` is the JSON pointer (RFC 6901) of the list. The returned value is `kept` or `{key: kept}`, and is
/// not checked here.
pub(super) fn whole_of(question: &Prompt, list: &str, kept: &[Value], has_ended: bool) -> Option<Value> {
    let Output::Json(schema) = &question.output else { return None };
    let most_of = |array: &Value| {
        let most = array.get("maxItems").and_then(Value::as_u64);
        most.and_then(|most| usize::try_from(most).ok())
    };
    let whole = |array: &Value| {
        let most = most_of(array);
        let kept = most.map_or(kept, |most| &kept[..kept.len().min(most)]);
        (has_ended || most == Some(kept.len())).then(|| kept.to_vec())
    };
    if list.is_empty() {
        return whole(schema.value()).map(Value::Array);
    }
    let key = list.strip_prefix('/')?;
    let properties = schema.value().get("properties")?.as_object()?;
    // A field beside the list may have been cut.
    let array = properties.get(key).filter(|_| properties.len() == 1)?;
    whole(array).map(|kept| json!({ key: kept }))
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Message, Output, Prompt, Schema};
    use serde_json::json;

    use super::whole_of;

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
        let root = Schema::new("answer", json!({"type": "array", "maxItems": 2})).unwrap();
        let root = Prompt::new("m", []).output(Output::Json(root));
        assert_eq!(whole_of(&root, "", &two, false), Some(json!([1, 2])));
        assert_eq!(whole_of(&root, "", &two[..1], false), None);
        let beside =
            json!({"type": "object", "properties": {"items": {"type": "array"}, "sum": {"type": "string"}}});
        let beside = Prompt::new("m", []).output(Output::Json(Schema::new("answer", beside).unwrap()));
        assert_eq!(whole_of(&beside, "/items", &two, true), None, "the other field may have been cut");
    }
}
