//! Errors of TOML files for the person who wrote them: with the line, and with a similar key for a misspelt one.
//!
//! The messages of the parser name types of Rust and repeat values. A configuration file may have keys of an API, so
//! values are removed:
//!
//! | message of the parser | message here |
//! |---|---|
//! | ``missing field `name` `` | `missing key name` |
//! | ``unknown field `strikt`, expected one of …`` | `unknown key strikt; did you mean strict?` |
//! | `invalid type: string "sk-…", expected u64` | `wrong value: expected a whole number` |
//! | a syntax error | its first line |

use antiphon_llm::InvalidParam;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, ErrorKind};

/// Parses a TOML file that a person wrote, with errors that name the line and a similar key; `path` is only for errors.
///
/// ```
/// #[derive(Debug, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Limits { #[expect(dead_code)] most: u32 }
///
/// let err = antiphon_engine::read_toml::<Limits>("limits.toml", "mots = 3").unwrap_err();
/// assert_eq!(err.to_string(), "limits.toml:1: unknown key mots; did you mean most?");
/// ```
///
/// # Errors
/// `Config` with file and line, and for an unknown key a similar known one. The message never repeats a value, which may be a
/// secret.
pub fn read_toml<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|err| {
        let message = explained(err.message());
        // A missing key has no line in the file.
        let is_missing = message.starts_with("missing ");
        let line = err.span().filter(|span| !is_missing || span.start > 0);
        let line = line.map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map_or_else(|| path.to_owned(), |line| format!("{path}:{line}"));
        Error::new(ErrorKind::Config, format!("{place}: {message}"))
    })
}

/// Returns the message of a sampling parameter that cannot be used, with the path of the recipe, and the line if the recipe's text
/// has the parameter: in the table `parameters`, or beside the other keys.
///
/// ```
/// use antiphon_engine::at_param;
/// use antiphon_llm::SamplingParams;
/// let err = SamplingParams::default().top_p(3.0).check().unwrap_err();
/// let text = "prompt = \"x\"\n[parameters]\ntop_p = 3\n";
/// assert_eq!(at_param("r.toml", text, &err), "r.toml:3: top_p is 3: it must be a number from 0 to 1");
/// ```
#[must_use]
pub fn at_param(path: &str, text: &str, err: &InvalidParam) -> String {
    let line = line_of(text, &["parameters", err.name]).or_else(|| line_of(text, &[err.name]));
    match line {
        Some(line) => format!("{path}:{line}: {err}"),
        None => format!("{path}: {err}"),
    }
}

/// Returns the line of a key in a TOML text, from 1; `None` if the text does not have the key.
fn line_of(text: &str, key: &[&str]) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let (last, tables) = key.split_last()?;
    let mut table = table.get_ref();
    for name in tables {
        let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
        let DeValue::Table(inner) = value.get_ref() else { return None };
        table = inner;
    }
    let (key, _) = table.iter().find(|(key, _)| key.get_ref() == last)?;
    Some(text.get(..key.span().start)?.matches('\n').count() + 1)
}

/// Shortens the parser's message, and adds a similar key. Of other messages only the first line is kept, without values.
fn explained(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    if let Some(key) = line.strip_prefix("missing field `") {
        return format!("missing key {}", key.trim_end_matches('`'));
    }
    match line.strip_prefix("unknown field `") {
        Some(rest) => unknown_key(rest),
        None => without_value(line),
    }
}

/// Removes the value from a message of the TOML parser, such as `invalid type: string "sk-…", expected u64`, and names the expected
/// type as a user does. Other messages, such as those of syntax errors, repeat no values and are returned as they are.
///
/// ```
/// let message = "invalid type: string \"sk-secret\", expected f64";
/// assert_eq!(antiphon_engine::without_value(message), "wrong value: expected a number");
/// ```
#[must_use]
pub fn without_value(line: &str) -> String {
    if !["invalid ", "unknown variant"].iter().any(|begin| line.starts_with(begin)) {
        return line.to_owned();
    }
    let Some((_, expected)) = line.rsplit_once(", expected ") else { return line.to_owned() };
    let expected = match expected {
        "usize" | "u32" | "u64" => "a whole number",
        "f64" => "a number",
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    format!("wrong value: expected {expected}")
}

/// Formats the error of an unknown key. `rest` is the parser's message from the key on, where the known keys are quoted
/// with backticks.
fn unknown_key(rest: &str) -> String {
    let (key, known) = rest.split_once('`').unwrap_or((rest, ""));
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    match near_name(key, known.iter().copied()) {
        Some(near) => format!("unknown key {key}; did you mean {near}?"),
        None => format!("unknown key {key}; known are {}", known.join(", ")),
    }
}

/// Returns the one of `known` that is most similar to `name` (Jaro-Winkler similarity of at least 0.7); `None` if none is.
///
/// Case is ignored. The similarity is that of Winkler (1990), which favours equal beginnings, as typing errors do.
///
/// ```
/// use antiphon_engine::near_name;
/// assert_eq!(near_name("Sytem", ["prompt", "system"].into_iter()), Some("system"));
/// assert_eq!(near_name("colour", ["prompt", "system"].into_iter()), None);
/// ```
#[must_use]
pub fn near_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::read_toml;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are tested")]
    struct File {
        name: String,
        most: Option<u32>,
        share: Option<f64>,
        strict: Option<bool>,
        check: Option<Vec<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only errors are tested")]
    struct Inner {
        at: Option<String>,
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read_toml::<File>("a.toml", text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn errors_name_the_line_and_never_a_value() {
        check("name = \"x\"\n\nmost = \"sk-secret\"", "a.toml:3: wrong value: expected a whole number");
        check("name = \"x\"\nshare = \"sk-secret\"", "a.toml:2: wrong value: expected a number");
        check("name = 3", "a.toml:1: wrong value: expected a text in quotes");
        check("name = \"x\"\nstrict = \"yes\"", "a.toml:2: wrong value: expected true or false");
        check("name = \"x\"\ncheck = 3", "a.toml:2: wrong value: expected a list in brackets");
        check("name = \"x\"\ncheck = [3]", "a.toml:2: wrong value: expected a table");
        check("most = 3", "a.toml: missing key name");
        check("name = x", "a.toml:1: string values must be quoted, expected literal string");
        check("name = \"x\"\nstrikt = true", "a.toml:2: unknown key strikt; did you mean strict?");
        assert!(!read_toml::<File>("a.toml", "x = \"sk-secret").unwrap_err().to_string().contains("secret"));
    }
}
