//! The text of `runs diff`: the rows whose results differ. Of personas, it has the fields that differ, since each row is all
//! documents and each result all personas.

use std::collections::BTreeSet;

use antiphon_engine::{Change, RunDiff};
use serde_json::Value;

use super::error::CommandError;
use super::output;
use super::progress::counted;

/// The number of rows that differ which `diff` shows without `--all`.
pub(super) const CHANGES: usize = 20;
/// The maximum number of characters of a value.
const MOST: usize = 100;

/// Prints the rows whose results differ between two runs, and how many more there are.
pub(super) fn print(diff: &RunDiff, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return output::result(&output::json(diff)?);
    }
    let mut text = format!(
        "{} the same, {} changed, {} only in the first, {} only in the second, {} in neither\n",
        diff.same, diff.changed, diff.only_first, diff.only_second, diff.neither
    );
    for change in &diff.changes {
        text.push_str(&of_personas(change).unwrap_or_else(|| of_row(change)));
    }
    if diff.left_out > 0 {
        text.push_str(&format!("\nand {} more; use --all to show them\n", counted(diff.left_out, "row")));
    }
    output::result(&text)
}

/// Formats a row with both results. Rows are counted from 1.
fn of_row(change: &Change) -> String {
    let shown = |result: &Option<String>| result.as_deref().unwrap_or("no result").to_owned();
    let (first, second) = (shown(&change.first), shown(&change.second));
    format!("\nrow {}: {}\n- {first}\n+ {second}\n", change.index + 1, change.row)
}

/// Formats the personas that differ; `None` for a row with other results.
fn of_personas(change: &Change) -> Option<String> {
    let personas = |result: &Option<String>| -> Option<Vec<Value>> {
        let result: Value = serde_json::from_str(result.as_deref()?).ok()?;
        result["personas"].as_array().cloned()
    };
    let (first, second) = (personas(&change.first), personas(&change.second));
    if first.is_none() && second.is_none() {
        return None;
    }
    let (first, mut second) = (first.unwrap_or_default(), second.unwrap_or_default());
    let mut text = String::from("\n");
    for persona in &first {
        match second.iter().position(|other| other["name"] == persona["name"]) {
            Some(at) => text.push_str(&of_persona(persona, &second.remove(at))),
            None => text.push_str(&format!("- {}\n", name(persona))),
        }
    }
    second.iter().for_each(|persona| text.push_str(&format!("+ {}\n", name(persona))));
    Some(text)
}

/// Formats the fields in which a persona differs; empty if there are none.
fn of_persona(first: &Value, second: &Value) -> String {
    let mut lines = Vec::new();
    differences("", first, second, &mut lines);
    if lines.is_empty() { String::new() } else { format!("  {}\n{}", name(first), lines.concat()) }
}

/// Adds the lines of the fields that differ, each with the path of its names.
fn differences(path: &str, first: &Value, second: &Value, lines: &mut Vec<String>) {
    if first == second {
        return;
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (first, second) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for name in names {
                differences(&below(name), &first[name], &second[name], lines);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for at in 0..one.len().max(other.len()) {
                let none = &Value::Null;
                let (one, other) = (one.get(at).unwrap_or(none), other.get(at).unwrap_or(none));
                differences(&below(&(at + 1).to_string()), one, other, lines);
            }
        }
        _ => {
            let line = |sign: &str, value: &Value| match value {
                Value::Null => String::new(),
                value => format!("{sign}   {path}: {}\n", short(value)),
            };
            lines.extend([line("-", first), line("+", second)]);
        }
    }
}

/// Returns the name of a persona.
fn name(persona: &Value) -> &str {
    persona["name"].as_str().unwrap_or("a persona without a name")
}

/// Returns a value in at most [`MOST`] characters, a text without quotes.
fn short(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{of_personas, of_row};

    /// Returns the only change of a comparison that is read from JSON.
    fn change(first: &Value, second: &Value) -> antiphon_engine::Change {
        let mut change = antiphon_engine::Change::default();
        (change.row, change.index) = ("{\"documents\":[]}".to_owned(), 6);
        (change.first, change.second) = (Some(first.to_string()), Some(second.to_string()));
        change
    }

    #[test]
    fn personas_are_compared_by_name_and_field() {
        let persona =
            |name: &str, role: &str, goals: Value| json!({ "name": name, "role": role, "goals": goals });
        let first = json!({ "personas": [persona("Ada", "weaver", json!(["sleep"])), persona("Bo", "cook", json!([]))] });
        let second = json!({ "personas": [persona("Cy", "cook", json!([])), persona("Ada", "dyer", json!(["sleep", "save"]))] });
        let text = of_personas(&change(&first, &second)).unwrap();
        assert_eq!(text, "\n  Ada\n+   goals.2: save\n-   role: weaver\n+   role: dyer\n- Bo\n+ Cy\n");
        assert_eq!(of_personas(&change(&json!({ "town": "Ulm" }), &json!(1))), None);
    }

    #[test]
    fn rows_are_counted_from_one() {
        assert!(of_row(&change(&json!(1), &json!(2))).starts_with("\nrow 7: {"));
    }
}
