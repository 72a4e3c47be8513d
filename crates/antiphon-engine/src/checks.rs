//! Checks of answers that a JSON schema cannot express, or that compare a row with the others.
//!
//! A recipe file has them as `[[check]]` tables. A violated check leads to a schema retry: its text is sent to the
//! model as the reason why the answer cannot be used, so it is worded for the model as much as for a user.
//!
//! ```toml
//! [[check]]
//! at = "/email"
//! regex = "@"
//! unique = true
//!
//! [[check]]
//! at = "/tags"
//! min = 1
//! max = 5
//! ```

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::decimal::Decimal;
use crate::work::Unique;

/// A condition on an answer, in addition to its JSON schema. At least one of `regex`, `min`, `max` and `unique` has to be set.
///
/// All conditions of a check have to hold. An answer without a value at [`at`](Self::at) violates it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Check {
    /// The checked part of the answer, as a JSON pointer (RFC 6901) such as `/email`. Default: the whole answer.
    pub at: String,
    /// A regular expression that has to match somewhere in the text, in the syntax of the `regex` crate; anchor it with
    /// `^` and `$` to match the whole. A value that is not a text never matches. Default: none.
    pub regex: Option<String>,
    /// The minimum of the number, of the text's length in characters, or of the list's length. Inclusive; values
    /// without a size, such as objects, pass. Default: none.
    pub min: Option<f64>,
    /// The maximum of the number, of the text's length in characters, or of the list's length. Inclusive. Default:
    /// none.
    pub max: Option<f64>,
    /// Whether no other row may have the same value. Default: no.
    pub unique: bool,
}

/// Compiled checks. Where a check is `unique`, they also record the values that rows already use.
///
/// The record is that of this process, and finds a duplicate before its answer is committed. For a run with several
/// processes, the store enforces uniqueness as well: see [`Work::unique`](crate::Work::unique). Values are kept as
/// digests of 16 bytes.
///
/// # Examples
/// ```
/// use antiphon_engine::{Check, Checks};
/// let check: Check = serde_json::from_str(r#"{"at": "/name", "min": 2, "unique": true}"#)?;
/// let checks = Checks::new(&[check])?;
/// let ada = serde_json::json!({"name": "Ada"});
/// assert!(checks.hold(0, &ada).is_ok());
/// assert!(checks.hold(1, &ada).is_err(), "row 0 has this name");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Checks {
    /// The checks, each with its compiled regular expression.
    checks: Vec<(Check, Option<Regex>)>,
    /// For each check, the digests of the values in use, with the row that has each.
    taken: Mutex<Vec<HashMap<[u8; 16], u64>>>,
}

/// A check that cannot be compiled, or checks nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCheck(String);

/// The checks that a result violates: its text has one per line, and goes to the model with the schema retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckViolations(String);

impl fmt::Display for InvalidCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CheckViolations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidCheck {}

impl std::error::Error for CheckViolations {}

impl Checks {
    /// Compiles checks.
    ///
    /// # Errors
    /// The first invalid check: one without a condition, with a path that does not begin with `/`, or with a regular
    /// expression that does not compile.
    pub fn new(checks: &[Check]) -> Result<Self, InvalidCheck> {
        let compiled = checks.iter().map(|check| {
            let failed = |why: String| InvalidCheck(format!("the check at {}: {why}", place(&check.at)));
            if check.regex.is_none() && check.min.is_none() && check.max.is_none() && !check.unique {
                return Err(failed("it has none of regex, min, max and unique".to_owned()));
            }
            if !check.at.is_empty() && !check.at.starts_with('/') {
                return Err(failed("a path begins with /".to_owned()));
            }
            let regex = check.regex.as_deref().map(Regex::new).transpose();
            let regex =
                regex.map_err(|err| failed(err.to_string().lines().last().unwrap_or_default().to_owned()))?;
            Ok((check.clone(), regex))
        });
        let checks = compiled.collect::<Result<Vec<_>, InvalidCheck>>()?;
        let taken = Mutex::new(checks.iter().map(|_| HashMap::new()).collect());
        Ok(Self { checks, taken })
    }

    /// Returns whether a result is compared with those of other rows, which is so if any check is `unique`.
    #[must_use]
    pub fn look_back(&self) -> bool {
        self.checks.iter().any(|(check, _)| check.unique)
    }

    /// Returns the parts of a result that have to be unique.
    pub(crate) fn unique(&self, result: &Value) -> Vec<Unique> {
        let unique = self.checks.iter().filter(|(check, _)| check.unique);
        unique
            .filter_map(|(check, _)| Some(Unique::new(&check.at, result.pointer(&check.at)?.clone())))
            .collect()
    }

    /// Checks a result. If it passes, its unique values are recorded as those of `row`; if it fails, nothing is recorded.
    /// A row may be checked again with the same values, as after a retry.
    ///
    /// # Errors
    /// All violations, each with its path. Whether another row has a unique value is only checked if there are no
    /// others.
    pub fn hold(&self, row: u64, result: &Value) -> Result<(), CheckViolations> {
        let mut wrong = Vec::new();
        for (check, regex) in &self.checks {
            let at = place(&check.at);
            match result.pointer(&check.at) {
                Some(value) => {
                    wrong.extend(breach(check, regex.as_ref(), value).map(|why| format!("{at}: {why}")));
                }
                None => wrong.push(format!("{at}: there is nothing")),
            }
        }
        if wrong.is_empty() && self.look_back() {
            wrong.extend(self.take(row, result));
        }
        if wrong.is_empty() { Ok(()) } else { Err(CheckViolations(wrong.join("\n"))) }
    }

    /// Records all unique values of a result for the row, or none. Returns the reason if another row has one of them.
    fn take(&self, row: u64, result: &Value) -> Option<String> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.digests(result);
        for (number, check, value) in &wanted {
            if taken[*number].get(value).is_some_and(|owner| *owner != row) {
                let value = result.pointer(&check.at).cloned().unwrap_or_default();
                return Some(Unique::new(&check.at, value).complaint());
            }
        }
        for (number, _, value) in wanted {
            taken[number].insert(value, row);
        }
        None
    }

    /// Returns the digests of a result's unique values, each with its check and the number of that check.
    fn digests(&self, result: &Value) -> Vec<(usize, &Check, [u8; 16])> {
        let unique = self.checks.iter().enumerate().filter(|(_, (check, _))| check.unique);
        let digests = unique.filter_map(|(number, (check, _))| {
            Some((number, check, digest(&result.pointer(&check.at)?.to_string())))
        });
        digests.collect()
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(check, _)| check)).finish()
    }
}

/// Returns the first 16 bytes of the BLAKE3 digest of a text.
fn digest(text: &str) -> [u8; 16] {
    let hash = blake3::hash(text.as_bytes());
    std::array::from_fn(|at| hash.as_bytes()[at])
}

/// Returns the name of a path in messages.
pub(crate) fn place(at: &str) -> &str {
    if at.is_empty() { "the whole answer" } else { at }
}

/// Returns the reason why a value violates a check; `None` if it passes. Uniqueness is not checked here.
fn breach(check: &Check, regex: Option<&Regex>, value: &Value) -> Option<String> {
    if let Some(mismatch) = regex.and_then(|regex| mismatch(regex, value)) {
        return Some(mismatch);
    }
    let measure = measure(value)?;
    let is_beyond = |bound: &f64, beyond: Ordering| measure.compare(*bound) == Some(beyond);
    if let Some(min) = check.min.filter(|min| is_beyond(min, Ordering::Less)) {
        return Some(format!("{measure}, and {min} is the least"));
    }
    let max = check.max.filter(|max| is_beyond(max, Ordering::Greater))?;
    Some(format!("{measure}, and {max} is the most"))
}

/// Returns the reason why a value does not match a regular expression; only texts can match.
fn mismatch(regex: &Regex, value: &Value) -> Option<String> {
    match value.as_str() {
        Some(text) if regex.is_match(text) => None,
        Some(_) => Some(format!("it does not match {regex}")),
        None => Some("a text is wanted".to_owned()),
    }
}

/// The number that `min` and `max` bound. Its text is the beginning of a sentence about it.
enum Measure<'v> {
    /// A number, which may have more digits than a float.
    Number(&'v Number),
    /// The length of a text in characters, or of a list.
    Length(usize),
}

impl Measure<'_> {
    /// Compares with a bound. A number that is too large for any bound is beyond it.
    fn compare(&self, bound: f64) -> Option<Ordering> {
        match self {
            Self::Number(number) => Decimal::compare(number, bound),
            #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
            Self::Length(length) => (*length as f64).partial_cmp(&bound),
        }
    }
}

impl fmt::Display for Measure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "it is {number}"),
            Self::Length(length) => write!(f, "its length is {length}"),
        }
    }
}

/// Returns the number that `min` and `max` bound; `None` for a value without a size: `null`, a Boolean or an object.
fn measure(value: &Value) -> Option<Measure<'_>> {
    match value {
        Value::Number(number) => Some(Measure::Number(number)),
        Value::String(text) => Some(Measure::Length(text.chars().count())),
        Value::Array(list) => Some(Measure::Length(list.len())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Check, Checks};

    #[track_caller]
    fn check(check: Check, result: &Value, expected: Option<&str>) {
        let held = Checks::new(&[check]).unwrap().hold(0, result);
        assert_eq!(held.err().map(|err| err.to_string()).as_deref(), expected);
    }

    fn at(at: &str) -> Check {
        Check { at: at.to_owned(), ..Check::default() }
    }

    #[test]
    fn a_failed_check_is_reported_with_its_path() {
        let mail = || Check { regex: Some("@".to_owned()), ..at("/mail") };
        check(mail(), &json!({"mail": "a@b"}), None);
        check(mail(), &json!({"mail": "ab"}), Some("/mail: it does not match @"));
        check(mail(), &json!({"mail": 1}), Some("/mail: a text is wanted"));
        check(mail(), &json!({}), Some("/mail: there is nothing"));
        let size = || Check { min: Some(2.0), max: Some(3.0), ..at("") };
        check(size(), &json!("öö"), None);
        check(size(), &json!("a"), Some("the whole answer: its length is 1, and 2 is the least"));
        check(size(), &json!([1, 2, 3, 4]), Some("the whole answer: its length is 4, and 3 is the most"));
        check(size(), &json!(2.5), None);
        check(size(), &json!(1.5), Some("the whole answer: it is 1.5, and 2 is the least"));
    }

    #[cfg(feature = "arbitrary_precision")]
    #[test]
    fn a_number_is_checked_with_all_its_digits() {
        let most = || Check { max: Some(9_007_199_254_740_992.0), ..at("") };
        let long = "9007199254740993".parse::<Value>().unwrap();
        let complaint = "the whole answer: it is 9007199254740993, and 9007199254740992 is the most";
        check(most(), &long, Some(complaint));
        check(
            most(),
            &"1e400".parse().unwrap(),
            Some("the whole answer: it is 1e+400, and 9007199254740992 is the most"),
        );
        check(most(), &"-1e400".parse().unwrap(), None);
    }

    #[test]
    fn a_unique_value_is_unique_among_rows_but_not_among_attempts() {
        let checks = Checks::new(&[Check { unique: true, ..at("/n") }]).unwrap();
        assert_eq!(checks.hold(1, &json!({"n": "a"})), Ok(()));
        assert_eq!(checks.hold(1, &json!({"n": "a"})), Ok(()));
        assert!(
            checks
                .hold(2, &json!({"n": "a"}))
                .unwrap_err()
                .to_string()
                .contains("another one has \"a\" already")
        );
        assert_eq!(checks.hold(2, &json!({"n": "b"})), Ok(()));
    }

    #[test]
    fn a_check_without_a_condition_is_an_error() {
        assert!(Checks::new(&[at("/n")]).unwrap_err().to_string().contains("none of regex"));
    }
}
