//! Random values, written with every error of form that needs no guess, are read as the same values; and no cut is.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{JsonErrorKind, extract};

/// The errors of form with which a value is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    None,
    SingleQuotes,
    CurlyQuotes,
    BareKeys,
    Comments,
    TrailingCommas,
    MissingCommas,
    Python,
    LineBreaks,
    Backslashes,
    Invisible,
}

const ALL: [Damage; 11] = [
    Damage::None,
    Damage::SingleQuotes,
    Damage::CurlyQuotes,
    Damage::BareKeys,
    Damage::Comments,
    Damage::TrailingCommas,
    Damage::MissingCommas,
    Damage::Python,
    Damage::LineBreaks,
    Damage::Backslashes,
    Damage::Invisible,
];

impl Damage {
    fn write(self, value: &Value) -> String {
        let gap = match self {
            Self::Comments => " /* , ] */ # } x\n// \"\n",
            Self::Invisible => "\u{200b}\u{a0}\u{feff}",
            _ => "\n ",
        };
        let comma = if self == Self::MissingCommas { "" } else { "," };
        let last = if self == Self::TrailingCommas { "," } else { "" };
        let joined = |open: &str, parts: Vec<String>, close: &str| {
            let last = if parts.is_empty() { "" } else { last };
            format!("{open}{gap}{}{last}{gap}{close}", parts.join(&format!("{comma}{gap}")))
        };
        match value {
            Value::Null if self == Self::Python => "None".to_owned(),
            Value::Bool(true) if self == Self::Python => "True".to_owned(),
            Value::Bool(false) if self == Self::Python => "False".to_owned(),
            Value::String(text) => self.string(text),
            Value::Array(items) => joined("[", items.iter().map(|item| self.write(item)).collect(), "]"),
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| {
                    let is_word = key.starts_with(|c: char| c.is_ascii_lowercase())
                        && key.chars().all(|c| c.is_ascii_alphanumeric())
                        && !["true", "false", "null"].contains(&key.as_str());
                    let key = if self == Self::BareKeys && is_word { key.clone() } else { self.string(key) };
                    format!("{key}{gap}:{gap}{}", self.write(value))
                };
                joined("{", entries.iter().map(entry).collect(), "}")
            }
            other => other.to_string(),
        }
    }

    fn string(self, text: &str) -> String {
        let json = Value::from(text).to_string();
        let body = &json[1..json.len() - 1];
        match self {
            Self::SingleQuotes => format!("'{}'", body.replace('\'', "\\'")),
            Self::CurlyQuotes => format!("“{}”", body.replace('“', "\\“").replace('”', "\\”")),
            Self::LineBreaks if !text.contains('\\') => {
                format!("\"{}\"", body.replace("\\n", "\n").replace("\\t", "\t"))
            }
            // A single backslash before a letter that needs none.
            Self::Backslashes if !text.contains(|c: char| c < ' ') => {
                format!("\"{}\"", body.replace("\\\\d", "\\d"))
            }
            _ => json,
        }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(|number| number.parse().unwrap()),
        "[ -~äß’“”\\n\\t]{0,12}".prop_map(Value::from),
        "(\\\\d|[a-c{}\\[\\],:'\"])*".prop_map(Value::from),
    ];
    let nested = leaf.prop_recursive(4, 40, 5, |inner| {
        let key = prop_oneof!["[a-z][a-zA-Z0-9]{0,5}", "[ -~]{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5)
                .prop_map(|entries| Value::Object(Map::from_iter(entries))),
        ]
    });
    nested.prop_map(|value| Value::Object(Map::from_iter([("root".to_owned(), value)])))
}

proptest! {
    #[test]
    fn damage_without_a_loss_is_repaired(value in values(), at in 0..ALL.len()) {
        let text = ALL[at].write(&value);
        let found = extract(&text).map_err(|err| TestCaseError::fail(format!("{err}: {text}")))?;
        prop_assert_eq!(&found.value, &value, "{}", text);
        let around = format!("Sure, here it is:\n```json\n{text}\n```\nShall I go on?");
        prop_assert_eq!(&extract(&around).unwrap().value, &value);
        let encoded = Value::from(text).to_string();
        prop_assert_eq!(&extract(&encoded).unwrap().value, &value, "{}", encoded);
    }

    #[test]
    fn a_cut_value_is_never_completed(value in values(), at in 0..ALL.len(), part in 0.0..1.0_f64, is_fenced in any::<bool>()) {
        let text = ALL[at].write(&value);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a position in a short text")]
        let cut = text.floor_char_boundary((text.len() as f64 * part) as usize);
        let (head, rest) = text.split_at(cut);
        prop_assume!(!rest.trim().is_empty());
        let head = if is_fenced { format!("Here it is:\n```json\n{head}") } else { head.to_owned() };
        let err = extract(&head).map_err(|err| err.kind());
        // Without its first bracket, nothing of the value is there.
        let is_cut = matches!(err, Err(JsonErrorKind::Truncated | JsonErrorKind::Missing));
        prop_assert!(is_cut, "{:?}: {}", err, head);
    }
}
