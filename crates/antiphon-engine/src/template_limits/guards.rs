//! The functions that replace instructions of a template: the same operators and filters, with a check of what they make.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::value::{Rest, Tuple, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, Expression, State, Value, context};

use super::{MAX_LEVELS, MAX_TEXT, charge, too_long};

pub(super) const CONCAT: &str = "!concat";
pub(super) const ADD: &str = "!add";
pub(super) const MUL: &str = "!mul";
pub(super) const LIST: &str = "!list";
pub(super) const TUPLE: &str = "!tuple";
pub(super) const MAP: &str = "!map";

/// The filters that read all of what they are given, by their names with a mark before.
const FILTERS: [&str; 32] = [
    "!batch",
    "!capitalize",
    "!chain",
    "!dictsort",
    "!e",
    "!escape",
    "!format",
    "!groupby",
    "!indent",
    "!items",
    "!join",
    "!lines",
    "!list",
    "!lower",
    "!map",
    "!max",
    "!min",
    "!pprint",
    "!reject",
    "!rejectattr",
    "!replace",
    "!reverse",
    "!select",
    "!selectattr",
    "!slice",
    "!sort",
    "!split",
    "!string",
    "!sum",
    "!title",
    "!tojson",
    "!upper",
];

/// The most elements of a list that a template makes.
const MAX_ITEMS: u64 = 1 << 20;

/// Adds the functions and filters.
pub(super) fn add(templates: &mut Environment<'_>) {
    templates.add_function(CONCAT, |left: Value, right: Value| {
        text_of(size(&left)?.saturating_add(size(&right)?))?;
        Ok(Value::from(format!("{left}{right}")))
    });
    templates.add_function(ADD, |left: Value, right: Value| plus(left, right));
    templates.add_function(MUL, |left: Value, right: Value| times(left, right));
    templates.add_function(LIST, |items: Rest<Value>| {
        items.iter().try_for_each(|item| weigh(item, 1).map(drop))?;
        Ok(Value::from(items.0))
    });
    templates.add_function(TUPLE, |items: Rest<Value>| {
        items.iter().try_for_each(|item| weigh(item, 1).map(drop))?;
        Ok(Value::from(Tuple::from(items.0)))
    });
    templates.add_function(MAP, |items: Rest<Value>| {
        items.iter().try_for_each(|item| weigh(item, 1).map(drop))?;
        let entries = items.chunks_exact(2).map(|entry| (entry[0].clone(), entry[1].clone()));
        Ok(Value::from(entries.collect::<BTreeMap<Value, Value>>()))
    });
    for name in FILTERS {
        templates.add_filter(name, move |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
            filter(state, name.trim_start_matches('!'), &arguments.into_values())
        });
    }
}

/// Returns the name of the filter that replaces another one; `None` for one that stays.
pub(super) fn guarded_name(name: &str) -> Option<&'static str> {
    FILTERS.into_iter().find(|guarded| guarded.trim_start_matches('!') == name)
}

/// Applies a filter of the engine, after a check of what it will make.
fn filter(state: &mut State<'_, '_>, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let mut size = 0_u64;
    for argument in arguments {
        size = size.saturating_add(weigh(argument, 0)?);
    }
    let has_name = arguments.get(1).is_some_and(|second| second.kind() == ValueKind::String);
    if name == "map" && has_name && arguments.iter().all(|argument| !argument.is_kwargs()) {
        return map(state, arguments);
    }
    text_of(growth(name, arguments, size).saturating_add(size))?;
    state.apply_filter(name, arguments)
}

/// Applies a filter to each element of a list.
fn map(state: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
    let ([list, name], more) = arguments.split_at(2) else { return Ok(Value::from(())) };
    let name = name.as_str().unwrap_or_default();
    let (mut mapped, mut made) = (Vec::new(), 0_u64);
    for item in list.try_iter()? {
        let with_item: Vec<Value> = std::iter::once(item).chain(more.iter().cloned()).collect();
        let value = filter(state, name, &with_item)?;
        made = made.saturating_add(weigh(&value, 1)?);
        text_of(made)?;
        mapped.push(value);
    }
    Ok(Value::from(mapped))
}

/// Returns the most bytes that a filter may add to those of its arguments.
fn growth(name: &str, arguments: &[Value], size: u64) -> u64 {
    let text = |at: usize| arguments.get(at).and_then(Value::as_str).unwrap_or_default();
    let length = |at: usize| text(at).len() as u64;
    // The numbers among the arguments, also those with a name: a width or a count.
    let numbers = || {
        let named = arguments.iter().filter(|argument| argument.is_kwargs()).flat_map(|named| {
            let values = named.try_iter().into_iter().flatten();
            values.filter_map(|key| named.get_item(&key).ok()).collect::<Vec<_>>()
        });
        let of_filter = arguments.iter().skip(1).cloned().chain(named);
        of_filter.filter_map(|value| u64::try_from(value).ok()).max().unwrap_or_default()
    };
    match name {
        "replace" => {
            let found = if length(1) == 0 { length(0) + 1 } else { text(0).matches(text(1)).count() as u64 };
            found.saturating_mul(length(2))
        }
        "join" => arguments[0].len().unwrap_or_default() as u64 * length(1),
        "indent" => (text(0).matches('\n').count() as u64 + 1).saturating_mul(numbers().max(length(1))),
        // Each line of JSON is indented by its level, and each value may have a line.
        "tojson" => size.saturating_mul(numbers().saturating_mul(8).max(6)),
        "batch" | "slice" => numbers().saturating_mul(size.max(8)),
        "format" => {
            let widths =
                text(0).split(|c: char| !c.is_ascii_digit()).filter_map(|width| width.parse::<u64>().ok());
            let longest = widths.chain([numbers()]).max().unwrap_or_default().saturating_add(400);
            let longest = if text(0).contains('*') { longest } else { longest.min(widest(text(0))) };
            (text(0).matches('%').count() as u64).saturating_mul(longest.saturating_add(size))
        }
        "e" | "escape" => size.saturating_mul(6),
        "lower" | "upper" | "title" | "capitalize" => size.saturating_mul(3),
        "pprint" => size.saturating_mul(64),
        _ => 0,
    }
}

/// Returns the longest width or precision that a format names, and the length of a number.
fn widest(format: &str) -> u64 {
    let widths = format.split(|c: char| !c.is_ascii_digit()).filter(|width| !width.is_empty());
    widths.map(|width| width.parse().unwrap_or(u64::MAX)).max().unwrap_or_default().saturating_add(400)
}

/// Adds two values as the operator does.
fn plus(left: Value, right: Value) -> Result<Value, Error> {
    static PLUS: LazyLock<Result<Expression<'static, 'static>, Error>> =
        LazyLock::new(|| compiled("left + right"));
    let items = |value: &Value| (value.kind() == ValueKind::Seq).then(|| value.len()).flatten();
    if let (Some(first), Some(second)) = (items(&left), items(&right)) {
        let count = first as u64 + second as u64;
        charge(count)?;
        list_of(count)?;
        // The engine would chain them, as deep as a loop is long.
        return Ok(Value::from(left.try_iter()?.chain(right.try_iter()?).collect::<Vec<_>>()));
    }
    if left.kind() != ValueKind::Number || right.kind() != ValueKind::Number {
        text_of(size(&left)?.saturating_add(size(&right)?))?;
    }
    eval(&PLUS, left, right)
}

/// Multiplies two values as the operator does.
fn times(left: Value, right: Value) -> Result<Value, Error> {
    static TIMES: LazyLock<Result<Expression<'static, 'static>, Error>> =
        LazyLock::new(|| compiled("left * right"));
    for (value, times) in [(&left, &right), (&right, &left)] {
        let Ok(times) = u64::try_from(times.clone()) else { continue };
        match value.kind() {
            ValueKind::Number => {}
            ValueKind::Seq | ValueKind::Iterable => {
                list_of((value.len().unwrap_or_default() as u64).saturating_mul(times))?;
                text_of(size(value)?.saturating_mul(times))?;
            }
            _ => text_of(size(value)?.saturating_mul(times))?,
        }
    }
    eval(&TIMES, left, right)
}

/// The environment of the operators.
static OPERATORS: LazyLock<Environment<'static>> = LazyLock::new(Environment::new);

fn compiled(expression: &'static str) -> Result<Expression<'static, 'static>, Error> {
    OPERATORS.compile_expression(expression)
}

fn eval(
    expression: &LazyLock<Result<Expression<'static, 'static>, Error>>,
    left: Value,
    right: Value,
) -> Result<Value, Error> {
    match &**expression {
        Ok(expression) => expression.eval(context! { left, right }).map_err(|err| {
            // The line is that of the template.
            Error::new(err.kind(), err.detail().unwrap_or_default().to_owned())
        }),
        Err(err) => Err(Error::new(err.kind(), "the operator cannot be compiled")),
    }
}

/// Checks the length of a text that will be made, and counts it as work.
fn text_of(bytes: u64) -> Result<(), Error> {
    if bytes > MAX_TEXT { Err(too_long()) } else { charge(bytes / 64 + 1) }
}

/// Checks the length of a list that will be made.
fn list_of(items: u64) -> Result<(), Error> {
    if items <= MAX_ITEMS {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOperation, format!("a list becomes longer than {MAX_ITEMS} elements")))
}

/// Returns about the bytes of a value when it is written.
///
/// # Errors
/// A value that is nested too deeply, or too much work.
pub(super) fn size(value: &Value) -> Result<u64, Error> {
    weigh(value, 0)
}

fn weigh(value: &Value, level: usize) -> Result<u64, Error> {
    if level > MAX_LEVELS {
        let message = format!("lists and maps are nested more than {MAX_LEVELS} levels deep");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    match value.kind() {
        ValueKind::Number | ValueKind::Bool | ValueKind::None | ValueKind::Undefined => {
            charge(1)?;
            Ok(8)
        }
        ValueKind::String | ValueKind::Bytes => {
            let length = value.len().map_or(0, |_| value.as_str().map_or(0, str::len)) as u64;
            charge(length / 64 + 1)?;
            Ok(length)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let mut size = 2_u64;
            for item in value.try_iter()? {
                size = size.saturating_add(weigh(&item, level + 1)?).saturating_add(4);
            }
            Ok(size)
        }
        ValueKind::Map => {
            let mut size = 2_u64;
            for key in value.try_iter()? {
                size = size.saturating_add(weigh(&key, level + 1)?).saturating_add(6);
                size = size.saturating_add(weigh(&value.get_item(&key)?, level + 1)?);
            }
            Ok(size)
        }
        _ => {
            charge(1)?;
            Ok(64)
        }
    }
}
