use std::fmt;

use serde_json::Value;

use super::parse::{Fault, Parsed, is_invisible, parse, parse_whole};
use super::scalar;

/// A JSON value found in an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Extracted {
    /// The value.
    pub value: Value,
    /// The repairs that were needed to parse the value.
    pub repairs: Vec<Repair>,
}

/// A repair of an answer's text that was needed to parse its JSON. A repair never changes a value, and never completes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// Removal of the model's reasoning, between `<think>` and `</think>`.
    Thoughts,
    /// Removal of a code fence or text around the JSON.
    Surroundings,
    /// Removal of commas before a closing bracket.
    TrailingCommas,
    /// Removal of comments.
    Comments,
    /// Escaping of line breaks, tabs and other control characters inside a string.
    ControlCharacters,
    /// Conversion of Python's `True`, `False` and `None` to JSON's literals.
    PythonLiterals,
    /// Conversion of single or curly quotes around strings and keys, or of none around a text for a schema that names it.
    Quotes,
    /// Quotes around keys that are words.
    BareKeys,
    /// Commas between values that have only white space between them.
    MissingCommas,
    /// Backslashes before characters that need none, as in `"\d"`: they are part of the string.
    Escapes,
    /// Removal of byte order marks, characters without a width and white space that JSON does not have.
    InvisibleCharacters,
    /// Removal of the quotes and backslashes of a string that has the whole JSON.
    DoubleEncoding,
    /// Removal of an object with one key, such as `{"value": 3}`, around a value for a schema that accepts no such object.
    Wrapper,
    /// Removal of other values, which do not fit the schema.
    OtherValues,
}

/// The strictness of the parser: its tolerance for text around the JSON and for small errors in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Only white space around the JSON is accepted, and no [`Repair`] is made.
    Strict,
    /// Any text around the JSON is accepted, and every [`Repair`] is made.
    #[default]
    Lenient,
}

/// An error of [`extract`]: the answer has no usable JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    kind: JsonErrorKind,
    message: String,
}

/// The kinds of [`JsonError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// No JSON in the answer.
    Missing,
    /// JSON, or reasoning before it, that ends in the middle.
    Truncated,
    /// Several different JSON values, or an object that has a key twice.
    Ambiguous,
    /// Broken JSON, or an answer of more than 64 MiB.
    Malformed,
}

impl JsonError {
    fn new(kind: JsonErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> JsonErrorKind {
        self.kind
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JsonError {}

/// The maximum size of an answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// The maximum number of brackets of prose in an answer; with more, it is broken JSON.
const MAX_PROSE: usize = 256;

/// The test of whether a value is valid for the caller.
pub(super) type IsValid<'a> = &'a dyn Fn(&Value) -> bool;

/// Finds the one JSON object or array in an answer.
///
/// Equal copies count as one value. An array of plain values, such as the `[1]` of a footnote, counts only if the answer has no
/// other value. Values may be nested up to 127 levels deep, and an object with a key that occurs twice is refused. Use
/// [`extract_with`] for strict parsing, and [`extract_for`] where a schema is known.
///
/// # Errors
/// `Missing`, `Truncated`, `Ambiguous` or `Malformed`.
pub fn extract(answer: &str) -> Result<Extracted, JsonError> {
    extract_with(answer, Strictness::Lenient)
}

/// Finds the one JSON object or array in an answer, as [`extract`] does, with the tolerance of `strictness`.
///
/// # Errors
/// `Missing`, `Truncated`, `Ambiguous` or `Malformed`.
pub fn extract_with(answer: &str, strictness: Strictness) -> Result<Extracted, JsonError> {
    found_in(answer, strictness, None)
}

/// Finds the one JSON value in an answer, as [`extract_with`] does, where the caller knows which values are valid, as by
/// [`Schema::is_valid`](crate::Schema::is_valid).
///
/// This finds more than [`extract_with`] does: of several different values the only valid one; a text, a number, a Boolean
/// or `null` that is valid; and a valid value within an object with the one key `value`, `answer`, `result`, `output` or
/// `response`. An object or array that is not valid is returned as it is, so that the caller can say what is wrong with it.
///
/// ```
/// use antiphon_llm::json::{Strictness, extract_for};
/// let found = extract_for("The answer is 42.", Strictness::Lenient, |value| value.is_u64())?;
/// assert_eq!(found.value, 42);
/// let found = extract_for("{\"n\": 1} and {\"m\": 2}", Strictness::Lenient, |value| value.get("m").is_some())?;
/// assert_eq!(found.value["m"], 2);
/// # Ok::<(), antiphon_llm::json::JsonError>(())
/// ```
///
/// # Errors
/// `Missing`, `Truncated`, `Ambiguous` or `Malformed`.
pub fn extract_for(
    answer: &str,
    strictness: Strictness,
    is_valid: impl Fn(&Value) -> bool,
) -> Result<Extracted, JsonError> {
    found_in(answer, strictness, Some(&is_valid))
}

fn found_in(
    answer: &str,
    strictness: Strictness,
    is_valid: Option<IsValid<'_>>,
) -> Result<Extracted, JsonError> {
    if answer.len() > MAX_ANSWER {
        let message = format!("the answer has more than {MAX_ANSWER} bytes");
        return Err(JsonError::new(JsonErrorKind::Malformed, message));
    }
    if strictness == Strictness::Strict {
        return strictly(answer, is_valid);
    }
    let text = answer.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    let mut found = search(text, is_valid)?;
    if !answer.trim().eq(text) {
        found.repairs.insert(0, Repair::InvisibleCharacters);
    }
    Ok(unwrapped(found, is_valid))
}

/// Parses an answer that is JSON as a whole, without repairs.
fn strictly(answer: &str, is_valid: Option<IsValid<'_>>) -> Result<Extracted, JsonError> {
    let is_scalar = !answer.trim_start().starts_with(['{', '[']);
    match parse_whole(answer, Strictness::Strict) {
        Ok(Parsed { value, .. }) if !is_scalar || is_valid.is_some_and(|is_valid| is_valid(&value)) => {
            Ok(Extracted { value, repairs: Vec::new() })
        }
        Err(fault) if !is_scalar => Err(error(&fault)),
        _ => Err(JsonError::new(JsonErrorKind::Missing, "the answer is no JSON object or array")),
    }
}

/// Finds the value of a trimmed answer: the whole text, a part of it behind the model's thoughts, or a scalar.
fn search(text: &str, is_valid: Option<IsValid<'_>>) -> Result<Extracted, JsonError> {
    // An answer that is JSON as a whole may have any text in its strings.
    if let Some(found) = whole(text, is_valid) {
        return found;
    }
    let spoken = without_thoughts(text)?.trim();
    let mut found = if spoken.len() < text.len()
        && let Some(found) = whole(spoken, is_valid)
    {
        found?
    } else {
        within(spoken, is_valid)?
    };
    if spoken.len() < text.len() {
        found.repairs.insert(0, Repair::Thoughts);
    }
    Ok(found)
}

/// Returns the value that a text is as a whole; `None` for a text that is no value, or more than one.
fn whole(text: &str, is_valid: Option<IsValid<'_>>) -> Option<Result<Extracted, JsonError>> {
    match parse_whole(text, Strictness::Lenient) {
        Ok(Parsed { value, repairs, .. }) => {
            let is_scalar = !(value.is_object() || value.is_array());
            if !is_scalar || is_valid.is_some_and(|is_valid| is_valid(&value)) {
                return Some(Ok(Extracted { value, repairs }));
            }
            encoded(value.as_str()?)
        }
        // Anything else within the text would be a part of this value.
        Err(fault @ Fault::Duplicate(_)) => Some(Err(error(&fault))),
        Err(fault @ Fault::Truncated) if is_valid.is_some() && text.starts_with('"') => {
            Some(Err(error(&fault)))
        }
        Err(_) if text.starts_with(r#"{\""#) || text.starts_with(r#"[{\""#) => {
            let text = serde_json::from_str::<String>(&format!("\"{text}\"")).ok()?;
            encoded(&text)
        }
        Err(_) => None,
    }
}

/// Returns the object or the array that a string has as its text; the error of one that has a key twice.
fn encoded(text: &str) -> Option<Result<Extracted, JsonError>> {
    let Parsed { value, repairs, .. } = match parse_whole(text, Strictness::Lenient) {
        Ok(parsed) => parsed,
        Err(fault @ Fault::Duplicate(_)) => return Some(Err(error(&fault))),
        Err(_) => return None,
    };
    let is_container = value.is_object() || value.is_array();
    let repairs = [vec![Repair::DoubleEncoding], repairs].concat();
    is_container.then_some(Ok(Extracted { value, repairs }))
}

/// Finds the value within a text that has more than the value.
fn within(text: &str, is_valid: Option<IsValid<'_>>) -> Result<Extracted, JsonError> {
    let found = values(text)?;
    if found.is_empty() {
        let scalar = is_valid.and_then(|is_valid| scalar::find(text, is_valid));
        let missing = || JsonError::new(JsonErrorKind::Missing, "there is no JSON in the answer");
        return scalar.ok_or_else(missing);
    }
    let mut found = chosen(found, is_valid)?;
    found.repairs.push(Repair::Surroundings);
    Ok(found)
}

/// Returns the only one of several values: the only valid one, or one of which the others are copies.
fn chosen(mut found: Vec<Extracted>, is_valid: Option<IsValid<'_>>) -> Result<Extracted, JsonError> {
    let all = found.len();
    let accepts = |found: &Extracted| is_valid.is_some_and(|is_valid| is_valid(&found.value));
    if found.iter().any(accepts) {
        found.retain(accepts);
    } else if found.iter().any(|found| is_data(&found.value)) {
        found.retain(|found| is_data(&found.value));
    }
    let is_rest = found.len() < all && found.iter().any(accepts);
    let mut first = found.swap_remove(0);
    if found.iter().any(|other| other.value != first.value) {
        let message = format!("the answer has {all} JSON values, and more than one may be meant");
        return Err(JsonError::new(JsonErrorKind::Ambiguous, message));
    }
    if is_rest {
        first.repairs.push(Repair::OtherValues);
    }
    Ok(first)
}

/// Returns a valid value without the object with one key around it, for a caller that does not accept the object.
fn unwrapped(found: Extracted, is_valid: Option<IsValid<'_>>) -> Extracted {
    /// The key that this crate asks for, and those that models choose.
    const KEYS: [&str; 5] = [crate::dialect::WRAPPER, "answer", "result", "output", "response"];
    let Extracted { value, mut repairs } = found;
    let is_around = |is_valid: IsValid<'_>| {
        let object = value.as_object().filter(|object| object.len() == 1);
        // The key is looked at first: to validate a long answer takes longer.
        object
            .and_then(|object| object.iter().next())
            .is_some_and(|(key, inner)| KEYS.contains(&key.as_str()) && !is_valid(&value) && is_valid(inner))
    };
    let is_wrapped = is_valid.is_some_and(is_around);
    match value {
        Value::Object(object) if is_wrapped => {
            repairs.push(Repair::Wrapper);
            Extracted {
                value: object.into_iter().next().map(|(_, inner)| inner).unwrap_or_default(),
                repairs,
            }
        }
        value => Extracted { value, repairs },
    }
}

/// Returns the error for a value that could not be parsed.
fn error(fault: &Fault) -> JsonError {
    let (kind, message) = match fault {
        Fault::Truncated => {
            (JsonErrorKind::Truncated, "the JSON of the answer ends in the middle".to_owned())
        }
        Fault::Duplicate(key) => {
            let key: String = key.chars().take(40).collect();
            (JsonErrorKind::Ambiguous, format!("an object of the answer has the key {key:?} twice"))
        }
        Fault::Broken(at, what) => {
            (JsonErrorKind::Malformed, format!("the JSON of the answer is broken: {what}, at its byte {at}"))
        }
    };
    JsonError::new(kind, message)
}

/// Returns every JSON object and array in the text, in order.
fn values(text: &str) -> Result<Vec<Extracted>, JsonError> {
    let (mut found, mut rest, mut prose, mut faults) = (Vec::new(), text, None, 0);
    while let Some(start) = next_start(rest) {
        let candidate = &rest[start..];
        match parse(candidate, Strictness::Lenient) {
            Ok(Parsed { value, len, repairs }) => {
                rest = &candidate[len..];
                found.push(Extracted { value, repairs });
            }
            // The "[1-3]" of "See [1-3]" is not a list.
            Err(Fault::Broken(..)) if is_reference(candidate) => rest = &candidate[1..],
            // The "{x: x > 0}" of a set is no object, unless there is no other value.
            Err(fault @ Fault::Broken(..)) => {
                // Each fault may be far behind its beginning: without a limit, garbage would be read once for each bracket.
                faults += 1;
                let len = prose_len(candidate).filter(|_| faults <= MAX_PROSE);
                let Some(len) = len else { return Err(error(&fault)) };
                prose = prose.or(Some(fault));
                rest = &candidate[len..];
            }
            Err(fault) => return Err(error(&fault)),
        }
    }
    match prose {
        Some(fault) if found.is_empty() => Err(error(&fault)),
        _ => Ok(found),
    }
}

/// Returns the length of the brackets of prose at the beginning of a text; `None` if they may be broken JSON: if they begin like JSON
/// without repairs, are not closed, or have what looks like JSON within them, which would be taken for the whole value.
fn prose_len(text: &str) -> Option<usize> {
    let inside = text[1..].trim_start();
    let is_plain = matches!(inside.bytes().next(), Some(b'"' | b'{' | b'[' | b']' | b'}' | b'/'));
    let len = closed_len(text).filter(|_| !is_plain)?;
    next_start(&text[1..len]).is_none().then_some(len)
}

/// Returns the length of a text up to the bracket that closes its first one; `None` if there is none.
fn closed_len(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    for (at, bracket) in text.match_indices(['{', '[', '}', ']']) {
        match bracket {
            "{" => open.push("}"),
            "[" => open.push("]"),
            close if open.pop() != Some(close) => return None,
            _ if open.is_empty() => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Returns whether an answer begins with a value, and has nothing else but the model's thoughts and a code fence around it.
pub(crate) fn is_alone(answer: &str) -> bool {
    let is_blank = |c: char| c.is_whitespace() || is_invisible(c);
    let Ok(spoken) = without_thoughts(answer.trim_matches(is_blank)) else { return false };
    let text = spoken.trim_matches(is_blank);
    let inside = text.strip_prefix("```").map(|code| code.trim_start_matches(char::is_alphanumeric));
    let text = inside.unwrap_or(text).trim_start_matches(is_blank);
    let Some((_, len)) = parse_prefix(text) else { return false };
    let behind = text[len..].trim_matches(is_blank);
    // The fence itself may have been cut.
    behind.is_empty() || (inside.is_some() && "```".starts_with(behind))
}

/// Returns whether a text begins with a reference as in prose: brackets around a few digits and punctuation marks.
fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inside.is_some_and(|(inside, _)| {
        inside.len() < 24 && inside.chars().all(|c| c.is_ascii_digit() || " ,;-–.".contains(c))
    })
}

/// Returns the value at the beginning of a text, and its length in bytes; `None` if there is none.
pub(super) fn parse_prefix(text: &str) -> Option<(Value, usize)> {
    parse(text, Strictness::Lenient).ok().map(|parsed| (parsed.value, parsed.len))
}

/// Returns the position where something that looks like JSON begins: prose has brackets, too, but seldom `{"` or `[{`.
pub(super) fn next_start(text: &str) -> Option<usize> {
    let looks_like = |(at, open): &(usize, &str)| {
        let inside = text[at + 1..].trim_start_matches(|c: char| c.is_whitespace() || is_invisible(c));
        let is_comment = inside.starts_with("//") || inside.starts_with("/*");
        match (*open, inside.chars().next()) {
            (_, None) => true,
            ("{", Some('"' | '}' | '“' | '”' | '„' | '‘' | '\'')) => true,
            ("{", Some(_)) => is_comment || begins_with_key(inside),
            (_, Some(first)) => {
                matches!(first, '{' | '[' | '"' | ']' | '-' | '0'..='9' | '“' | '\'')
                    || ["true", "false", "null", "True", "False", "None"]
                        .iter()
                        .any(|literal| is_literal(inside, literal))
                    || is_comment
            }
        }
    };
    text.match_indices(['{', '[']).find(looks_like).map(|(at, _)| at)
}

/// Returns whether a text begins with a word and a colon, as an object whose keys have no quotes. At the end of the text, the
/// colon may be missing.
fn begins_with_key(inside: &str) -> bool {
    let behind = inside.trim_start_matches(|c: char| c.is_alphanumeric() || "_$-".contains(c));
    behind.len() < inside.len() && (behind.trim_start().starts_with(':') || behind.is_empty())
}

/// Returns whether a text begins with a literal in a list.
fn is_literal(inside: &str, literal: &str) -> bool {
    let behind = inside.strip_prefix(literal).map(str::trim_start);
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with([',', ']']))
}

/// Returns whether a value is an object, or an array that is empty or holds more than plain values.
fn is_data(value: &Value) -> bool {
    match value {
        Value::Array(items) => {
            items.is_empty() || items.iter().any(|item| item.is_object() || item.is_array())
        }
        value => value.is_object(),
    }
}

pub(super) fn without_thoughts(answer: &str) -> Result<&str, JsonError> {
    const OPEN: &str = "<think>";
    const CLOSE: &str = "</think>";
    // Some templates open the reasoning in the prompt, so that the answer has the closing tag alone.
    let begins = answer.trim_start().starts_with(OPEN);
    match answer.rfind(CLOSE) {
        Some(end) if begins || !answer[..end].contains(OPEN) => Ok(&answer[end + CLOSE.len()..]),
        None if begins => Err(JsonError::new(
            JsonErrorKind::Truncated,
            "the answer ends in the middle of the model's thoughts",
        )),
        _ => Ok(answer),
    }
}

#[cfg(test)]
#[cfg(feature = "arbitrary_precision")]
mod damage_tests;
#[cfg(test)]
mod tests;
