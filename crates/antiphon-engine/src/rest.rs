//! The rest of a list that was cut: whether any is missing at all.
//!
//! An answer may be cut after the last element of its list, for example in the closing brackets. Then the kept elements
//! are the whole answer, and a further call for the rest would be paid for nothing.

use antiphon_llm::{Output, Prompt, Schema};
use serde_json::{Value, json};

/// Returns an answer that consists of one list, if no element can be missing: the list has ended, or has at least as many elements
/// as `maxItems` allows.
///
/// Elements beyond `maxItems` are left out only if `own`, the schema of the check that follows, limits the list as well. Otherwise
/// that check leaves them out and counts them, after the invalid elements and the copies before them.
///
/// The list has to be the whole answer, or the only field of the outermost object: the value of a second field may have been cut,
/// and cannot be made up. `list` is the JSON pointer (RFC 6901) of the list. The returned value is `kept` or `{key: kept}`, and is
/// not checked here.
pub(super) fn whole_of(
    question: &Prompt,
    own: Option<&Schema>,
    list: &str,
    kept: &[Value],
    has_ended: bool,
) -> Option<Value> {
    let Output::Json(schema) = &question.output else { return None };
    let key = list.strip_prefix('/');
    if let Some(key) = key {
        // A field beside the list may have been cut.
        let properties = schema.value().get("properties")?.as_object()?;
        properties.get(key).filter(|_| properties.len() == 1)?;
    } else if !list.is_empty() {
        return None;
    }
    let most = most_of(schema, key);
    let is_full = most.is_some_and(|most| kept.len() >= most);
    let limit = own.map_or(most, |own| most_of(own, key)).unwrap_or(usize::MAX);
    let kept = &kept[..kept.len().min(limit)];
    (has_ended || is_full).then(|| key.map_or_else(|| json!(kept), |key| json!({ key: kept })))
}

/// Returns the `maxItems` of the list that an answer is, or that it has as its field `key`.
fn most_of(schema: &Schema, key: Option<&str>) -> Option<usize> {
    let root = schema.value();
    let array = key.map_or(Some(root), |key| root.get("properties")?.get(key))?;
    usize::try_from(array.get("maxItems")?.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{Message, Output, Prompt, Schema};
    use serde_json::{Value, json};

    use super::whole_of;

    fn whole(question: &Prompt, list: &str, kept: &[Value], has_ended: bool) -> Option<Value> {
        whole_of(question, None, list, kept, has_ended)
    }

    #[test]
    fn elements_beyond_the_bound_are_left_to_a_check_that_counts_them() {
        let bounded = json!({"type": "array", "maxItems": 2});
        let schema = |value: &Value| Schema::new("answer", value.clone()).unwrap();
        let question = Prompt::new("m", []).output(Output::Json(schema(&bounded)));
        let three = [json!(1), json!(2), json!(3)];
        let (open, same) = (schema(&json!({"type": "array"})), schema(&bounded));
        for has_ended in [true, false] {
            let of = |own| whole_of(&question, own, "", &three, has_ended);
            assert_eq!(of(Some(&open)), Some(json!(three)));
            assert_eq!(of(Some(&same)), Some(json!([1, 2])));
            assert_eq!(of(None), Some(json!([1, 2])));
        }
    }

    #[test]
    fn a_list_is_whole_only_where_it_cannot_have_more() {
        let question = |bounds: Value| {
            let schema = json!({"type": "object", "properties": {"items": bounds}});
            let output = Output::Json(Schema::new("answer", schema).unwrap());
            Prompt::new("m", [Message::user("?")]).output(output)
        };
        let (full, open) = (json!({"type": "array", "maxItems": 2}), json!({"type": "array"}));
        let two = [json!(1), json!(2)];
        assert_eq!(whole(&question(full.clone()), "/items", &two, false), Some(json!({"items": [1, 2]})));
        assert_eq!(whole(&question(full), "/items", &two[..1], false), None);
        assert_eq!(whole(&question(open.clone()), "/items", &two, false), None);
        assert_eq!(whole(&question(open), "/items", &two, true), Some(json!({"items": [1, 2]})));
        let root = Schema::new("answer", json!({"type": "array", "maxItems": 2})).unwrap();
        let root = Prompt::new("m", []).output(Output::Json(root));
        assert_eq!(whole(&root, "", &two, false), Some(json!([1, 2])));
        assert_eq!(whole(&root, "", &two[..1], false), None);
        let beside =
            json!({"type": "object", "properties": {"items": {"type": "array"}, "sum": {"type": "string"}}});
        let beside = Prompt::new("m", []).output(Output::Json(Schema::new("answer", beside).unwrap()));
        assert_eq!(whole(&beside, "/items", &two, true), None, "the other field may have been cut");
    }
}
