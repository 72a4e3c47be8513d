use serde_json::Value;

use super::extract::{next_start, parse_prefix, without_thoughts};
use super::parse::parse_key;
use crate::dialect::WRAPPER;

/// The complete elements of a list in a truncated answer; the result of [`salvage`].
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Salvaged {
    /// The complete elements, in order.
    pub elements: Vec<Value>,
    /// Whether the end of the list arrived, so that no element is missing.
    pub is_complete: bool,
}

/// Returns the complete elements of the list at `pointer` in a truncated answer; `None` if the answer ends before the list
/// begins.
///
/// The pointer is a JSON pointer (RFC 6901) with object keys only; an empty pointer means that the answer itself is a list.
///
/// Errors of form are repaired as [`extract`](super::extract) does. An element counts as complete only if a comma or the end of the list follows it, since a number at the end of the text may
/// have lost digits. A truncated element is left out, not repaired.
///
/// ```
/// let answer = r#"{"personas": [{"name": "Ada"}, {"name": "Bob"}, {"na"#;
/// let salvaged = antiphon_llm::json::salvage(answer, "/personas").ok_or("there is no list")?;
/// assert_eq!((salvaged.elements.len(), salvaged.is_complete), (2, false));
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn salvage(answer: &str, pointer: &str) -> Option<Salvaged> {
    let mut rest = without_thoughts(answer).ok()?;
    loop {
        rest = &rest[next_start(rest)?..];
        match list_at(rest, pointer).or_else(|| wrapped_list(rest, pointer)) {
            // A footnote's `[1]` is not the answer.
            Some(list)
                if !list.is_complete || list.elements.is_empty() || list.elements.iter().any(is_data) =>
            {
                return Some(list);
            }
            found => match parse_prefix(rest) {
                Some((_, len)) if next_start(&rest[len..]).is_some() => rest = &rest[len..],
                _ => return found,
            },
        }
    }
}

fn is_data(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// Returns the list that an answer itself should be, in the object that a provider demands around it.
fn wrapped_list(text: &str, pointer: &str) -> Option<Salvaged> {
    if pointer.is_empty() { list_at(text, &format!("/{WRAPPER}")) } else { None }
}

/// Returns the list at `pointer` of the value that `text` begins with.
fn list_at(text: &str, pointer: &str) -> Option<Salvaged> {
    let mut rest = text;
    for key in pointer.split('/').skip(1) {
        rest = value_of(rest, &key.replace("~1", "/").replace("~0", "~"))?;
    }
    let mut rest = rest.strip_prefix('[')?;
    let mut salvaged = Salvaged::default();
    loop {
        rest = rest.trim_start();
        if rest.starts_with(']') {
            return Some(Salvaged { is_complete: true, ..salvaged });
        }
        let Some((value, len)) = parse_prefix(rest) else { return Some(salvaged) };
        rest = rest[len..].trim_start();
        if !rest.starts_with([',', ']']) {
            return Some(salvaged);
        }
        salvaged.elements.push(value);
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// Returns the text after a key of the object that `text` begins with.
fn value_of<'t>(text: &'t str, wanted: &str) -> Option<&'t str> {
    let mut rest = text.strip_prefix('{')?;
    loop {
        let (key, len) = parse_key(rest.trim_start())?;
        rest = rest.trim_start()[len..].trim_start().strip_prefix(':')?.trim_start();
        if key == wanted {
            return Some(rest);
        }
        let (_, len) = parse_prefix(rest)?;
        rest = rest[len..].trim_start().strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::salvage;

    #[track_caller]
    fn check(answer: &str, pointer: &str, expected: Option<(Value, bool)>) {
        let found = salvage(answer, pointer).map(|found| (Value::Array(found.elements), found.is_complete));
        assert_eq!(found, expected, "{answer}");
    }

    #[test]
    fn complete_elements_are_kept_and_a_cut_one_is_not() {
        check("[1, 2, 3", "", Some((json!([1, 2]), false)));
        check("[1, 2, 3]", "", Some((json!([1, 2, 3]), true)));
        check("[\"a\", \"b", "", Some((json!(["a"]), false)));
        check("```json\n{\"n\": {\"x\": [2]}, \"list\": [[1], [2", "/list", Some((json!([[1]]), false)));
        check("{\"a\": {\"b/c\": [1,", "/a/b~1c", Some((json!([1]), false)));
        check("{\"a\": [", "/a", Some((json!([]), false)));
        check("{\"a\": 1, \"lis", "/list", None);
        check("{\"list\": {}}", "/list", None);
        check("Based on [1] and [2]: [{\"a\": 1}, {\"b", "", Some((json!([{"a": 1}]), false)));
        check("As [1] says: {\"list\": [{}, 2", "/list", Some((json!([{}]), false)));
        check("nothing", "", None);
        check("{items: [{'a': True}, {b", "/items", Some((json!([{"a": true}]), false)));
        check("{\"value\": [1, 2, 3", "", Some((json!([1, 2]), false)));
        check("[{\"a\": 1}, {\"a\": 1, \"a\": 2}, {\"a\": 3}]", "", Some((json!([{"a": 1}]), false)));
    }

    proptest! {
        #[test]
        fn a_truncated_list_keeps_its_first_elements(names in prop::collection::vec("[a-z\",\\]}é]{0,6}", 0..6), part in 0.0..1.0_f64) {
            let list: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
            let whole = json!({ "n": 1, "list": list }).to_string();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a position in a short text")]
            let mut cut = (whole.len() as f64 * part) as usize;
            while !whole.is_char_boundary(cut) {
                cut -= 1;
            }
            if let Some(found) = salvage(&whole[..cut], "/list") {
                prop_assert!(list.starts_with(&found.elements));
            }
            prop_assert_eq!(salvage(&whole, "/list").unwrap().elements, list);
        }
    }
}
