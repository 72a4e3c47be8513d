//! The fields of a row as values of templates, with their numbers as they are written.
//!
//! A template computes with floats of 64 bits, and writes them in their shortest form. So a number that a float cannot hold is
//! a value of its own, which can only be written; and for every other one its spelling is kept beside the value:
//!
//! | in the row | in a template | written as |
//! |---|---|---|
//! | `3`, an integer of up to 128 bits | an integer | `3` |
//! | `1.50`, `1e3`, `-0` | a float | `1.50`, `1e+3`, `-0`; a result of arithmetic as `1.5`, or like the number of the row that it equals |
//! | `0.1234567890123456789`, a longer integer | text to be written | as in the row |

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Kwargs, Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter, filters};
use serde_json::{Number, Value as Json};

use crate::decimal::Decimal;
use crate::template_limits;

/// The variable with the spellings; no template can name it.
const SPELLINGS: &str = " spellings";

/// The mark around a number in a text that becomes JSON.
const MARK: &str = "\u{e000}\u{e0ff}\u{e000}";

/// A number with more digits than a float has.
struct Digits(String);

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Object for Digits {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The spelling of each float of a row, by its bits; `None` for one that has several.
#[derive(Debug, Default)]
struct Spellings(HashMap<u64, Option<String>>);

impl Object for Spellings {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

impl Spellings {
    /// Adds the spelling of a float.
    fn add(&mut self, float: f64, text: String) {
        let known = self.0.entry(float.to_bits()).or_insert_with(|| Some(text.clone()));
        if known.as_ref().is_some_and(|known| *known != text) {
            *known = None;
        }
    }

    /// Converts a value of JSON.
    fn value(&mut self, json: &Json) -> Value {
        match json {
            Json::Null => Value::from(()),
            Json::Bool(is_true) => Value::from(*is_true),
            Json::Number(number) => self.number(number),
            Json::String(text) => Value::from(text.as_str()),
            Json::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Json::Object(fields) => Value::from(self.fields(fields)),
        }
    }

    fn fields(&mut self, fields: &serde_json::Map<String, Json>) -> BTreeMap<String, Value> {
        fields.iter().map(|(key, value)| (key.clone(), self.value(value))).collect()
    }

    fn number(&mut self, number: &Number) -> Value {
        let text = number.to_string();
        if let Some(integer) = number.as_i64().filter(|_| text != "-0") {
            return Value::from(integer);
        }
        if let Some(integer) = number.as_u64() {
            return Value::from(integer);
        }
        if let Some(integer) = number.as_i128().filter(|_| text != "-0") {
            return Value::from(integer);
        }
        match text.parse::<f64>() {
            Ok(float) if Decimal::parse(&text).is_some_and(|decimal| decimal.is(float)) => {
                self.add(float, text);
                Value::from(float)
            }
            _ => Value::from_object(Digits(text)),
        }
    }
}

/// Returns the variables of a template: the fields of a row.
pub(crate) fn variables(row: &Json) -> Value {
    let mut spellings = Spellings::default();
    let Json::Object(fields) = row else { return spellings.value(row) };
    let mut variables = spellings.fields(fields);
    variables.insert(SPELLINGS.to_owned(), Value::from_object(spellings));
    Value::from(variables)
}

/// Makes an environment write numbers as they are in the row.
pub(crate) fn keep_digits(templates: &mut Environment<'_>) {
    templates.set_formatter(write);
    templates.add_filter("tojson", to_json);
}

/// Returns the spelling of a float in the row.
fn spelled(state: &State<'_, '_>, value: &Value) -> Option<String> {
    if value.kind() != ValueKind::Number || value.is_integer() {
        return None;
    }
    let float = f64::try_from(value.clone()).ok()?;
    let spellings = state.lookup(SPELLINGS)?;
    spellings.downcast_object_ref::<Spellings>()?.0.get(&float.to_bits())?.clone()
}

fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    template_limits::count_output(value)?;
    match spelled(state, value) {
        Some(text) => out.write_str(&text).map_err(Error::from),
        None => escape_formatter(out, state, value),
    }
}

/// Writes JSON as the filter of this name does, but with numbers as they are in the row.
fn to_json(
    state: &State<'_, '_>,
    value: &Value,
    indent: Option<Value>,
    arguments: Kwargs,
) -> Result<Value, Error> {
    let json = filters::tojson(&marked(state, value)?, indent, arguments)?;
    let text = json.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "no JSON"))?;
    let text = text.replace(&format!("\"{MARK}"), "").replace(&format!("{MARK}\""), "");
    Ok(Value::from_safe_string(text))
}

/// Returns a value with a text between marks in the place of each number that has a spelling.
fn marked(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if let Some(Digits(text)) = value.downcast_object_ref() {
        return Ok(Value::from(format!("{MARK}{text}{MARK}")));
    }
    match value.kind() {
        ValueKind::Seq => value.try_iter()?.map(|item| marked(state, &item)).collect(),
        ValueKind::Map => {
            let entry = |key: Value| Ok((key.clone(), marked(state, &value.get_item(&key)?)?));
            let entries = value.try_iter()?.map(entry).collect::<Result<BTreeMap<Value, Value>, Error>>()?;
            Ok(Value::from(entries))
        }
        _ => Ok(spelled(state, value)
            .map_or_else(|| value.clone(), |text| Value::from(format!("{MARK}{text}{MARK}")))),
    }
}

#[cfg(test)]
#[cfg(feature = "arbitrary_precision")]
mod tests {
    use super::{Environment, keep_digits, variables};

    #[track_caller]
    fn check(template: &str, row: &str, expected: &str) {
        let mut templates = Environment::new();
        keep_digits(&mut templates);
        let row = serde_json::from_str(row).unwrap();
        assert_eq!(templates.render_str(template, variables(&row)).unwrap(), expected, "{template}");
    }

    #[test]
    fn numbers_are_written_as_in_the_row() {
        for number in [
            "3",
            "-7",
            "-0",
            "0.0",
            "1.50",
            "1e+3",
            "0.1234567890123456789",
            "18446744073709551616",
            "-170141183460469231731687303715884105728",
            "123456789012345678901234567890123456789012345",
            "1e+400",
            "9007199254740993.0",
            "1.0",
            "2.5e-8",
        ] {
            let row = format!("{{\"n\": {number}, \"in\": {{\"list\": [{number}]}}}}");
            check("{{ n }}", &row, number);
            check("{{ in.list[0] }}", &row, number);
            check("{{ n|tojson }}", &row, number);
            check("{{ in|tojson }}", &row, &format!("{{\"list\": [{number}]}}"));
        }
    }

    #[test]
    fn templates_compute_with_numbers() {
        let row =
            r#"{"price": 1.50, "same": 1.5, "other": 2.50, "big": 12345678901234567890123, "text": "1.50"}"#;
        check("{{ other * 2 }} {{ other > 2 }} {{ big + 1 }}", row, "5.0 True 12345678901234567890124");
        check("{{ price }} {{ text }} {{ text|tojson }} {{ price|round(1) }}", row, "1.5 1.50 \"1.50\" 1.5");
    }
}
