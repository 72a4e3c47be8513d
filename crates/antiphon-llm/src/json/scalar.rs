//! Texts, numbers, Booleans and `null` in answers to a schema that asks for one.
//!
//! Prose is full of numbers and words, so one of them is an answer only where nothing else can be meant: it is all that the
//! answer has beside markup, or all that follows a label.
//!
//! | answer | value |
//! |---|---|
//! | ```` ```json ```` and `42` in a code fence, `**42**` | 42 |
//! | `Answer: 42`, `The answer is 42.` | 42 |
//! | `positive`, for a schema with this text in its `enum` | `"positive"` |
//! | `42 or 43`, `about 42 %`, `Paris` for any text | none |

use serde_json::Value;

use super::extract::{Extracted, IsValid, Repair, Strictness};
use super::parse::{Parsed, parse_whole};

/// Finds the one valid scalar of a text that is not JSON as a whole.
pub(super) fn find(text: &str, is_valid: IsValid<'_>) -> Option<Extracted> {
    let bare = without_markup(text);
    let found = of_text(bare, is_valid);
    let is_all = found.is_some() && bare.len() == text.len();
    let mut found = found.or_else(|| of_text(labelled(bare)?, is_valid))?;
    if !is_all {
        found.repairs.push(Repair::Surroundings);
    }
    Some(found)
}

/// Returns a text without the code fence or the emphasis around it.
fn without_markup(text: &str) -> &str {
    let mut text = text.trim();
    if let Some(inside) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) {
        let (language, code) = inside.split_once('\n').unwrap_or(("", inside));
        let is_language = language.trim().chars().all(char::is_alphanumeric);
        text = if is_language { code.trim() } else { inside.trim() };
    }
    while let Some(inside) =
        ["**", "`", "*"].iter().find_map(|mark| text.strip_prefix(mark)?.strip_suffix(mark))
    {
        text = inside.trim();
    }
    text
}

/// Returns the scalar that a text is: as JSON, or as one of the few texts that are valid.
fn of_text(text: &str, is_valid: IsValid<'_>) -> Option<Extracted> {
    if let Ok(Parsed { value, repairs, .. }) = parse_whole(text, Strictness::Lenient) {
        return is_valid(&value).then_some(Extracted { value, repairs });
    }
    let value = Value::String(text.to_owned());
    // Where any text is valid, this one may be anything, such as a refusal.
    let other = Value::String(text.chars().map(|_| '\u{1}').collect());
    (is_valid(&value) && !is_valid(&other)).then(|| Extracted { value, repairs: vec![Repair::Quotes] })
}

/// The words of labels, beside those that name the value.
const BESIDE: [&str; 10] =
    ["the", "my", "a", "final", "correct", "right", "overall", "predicted", "total", "short"];

/// The words that name the value, also in some other languages.
const NAMES: [&str; 41] = [
    "answer",
    "result",
    "value",
    "label",
    "sentiment",
    "category",
    "class",
    "classification",
    "type",
    "topic",
    "mood",
    "tone",
    "emotion",
    "language",
    "score",
    "rating",
    "grade",
    "number",
    "count",
    "sum",
    "amount",
    "age",
    "year",
    "output",
    "response",
    "solution",
    "verdict",
    "decision",
    "conclusion",
    "choice",
    "name",
    "prediction",
    "antwort",
    "ergebnis",
    "réponse",
    "résultat",
    "respuesta",
    "resultado",
    "risposta",
    "risultato",
    "resposta",
];

/// Returns what follows the label of a text, such as `Answer:` or `The answer is`.
///
/// A sentence may deny what it says, as in `The answer is not: 42`, so that only short labels of known words are labels.
fn labelled(text: &str) -> Option<&str> {
    let marks = [":", "=", " is"];
    let (label, rest) = marks.iter().find_map(|mark| {
        let (label, rest) = text.rsplit_once(mark)?;
        rest.starts_with(|c: char| c.is_whitespace() || "*`".contains(c)).then_some((label, rest))
    })?;
    if !is_label(label) {
        return None;
    }
    let rest = rest.trim();
    let rest = if parse_whole(rest, Strictness::Lenient).is_ok() { rest } else { rest.trim_end_matches('.') };
    let is_around = rest.len() > 4 && rest.starts_with("**") && rest.ends_with("**");
    // The emphasis of a label ends behind its mark.
    Some(without_markup(if is_around { rest } else { rest.trim_start_matches("**").trim() }))
}

/// Returns whether a text is a label: at most three known words behind an article, or one letter.
fn is_label(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_whitespace() || "*_`#>-".contains(c)).to_lowercase();
    let mut words: Vec<&str> = text.split(' ').collect();
    if words.len() > 1 {
        words.pop_if(|word| *word == "is");
    }
    let Some((name, before)) = words.split_last() else { return false };
    let is_letter = before.is_empty() && name.len() == 1 && name.chars().all(char::is_alphabetic);
    let is_known = |word: &&str| BESIDE.contains(word) || NAMES.contains(word);
    is_letter || (NAMES.contains(name) && before.len() <= 3 && before.iter().all(is_known))
}

#[cfg(test)]
#[cfg(feature = "schema")]
mod tests {
    use serde_json::{Value, json};

    use super::find;

    #[track_caller]
    fn check(text: &str, schema: Value, expected: Option<Value>) {
        let schema = crate::Schema::new("s", schema).unwrap();
        assert_eq!(find(text, &|value| schema.is_valid(value)).map(|found| found.value), expected, "{text}");
    }

    #[test]
    fn a_scalar_is_found_where_nothing_else_can_be_meant() {
        let integer = || json!({"type": "integer"});
        for text in [
            "```json\n42\n```",
            "```\n42```",
            "**42**",
            "`42`",
            "Answer: 42",
            "The answer is 42.",
            "n = 42",
            "**Answer:** 42",
        ] {
            check(text, integer(), Some(json!(42)));
        }
        for text in [
            "42 or 43",
            "about 42 %",
            "In 2024: 42",
            "The answer is 42 thousand.",
            "–42",
            "1,234",
            "",
            "forty-two",
            "The answer is 4.2.",
        ] {
            check(text, integer(), None);
        }
        check("The answer is True.", json!({"type": "boolean"}), Some(json!(true)));
        check("Answer: null", json!({"type": ["integer", "null"]}), Some(Value::Null));
        let mood = || json!({"enum": ["positive", "very negative", 3]});
        check("very negative", mood(), Some(json!("very negative")));
        check("Sentiment: positive.", mood(), Some(json!("positive")));
        check("rather positive", mood(), None);
        check("Answer: \"Paris\"", json!({"type": "string"}), Some(json!("Paris")));
        check("I cannot say.", json!({"type": "string"}), None);
    }

    #[test]
    fn a_sentence_is_no_label() {
        let scalar = || json!({"enum": ["positive", true, 42]});
        for text in [
            "I do not think the sentiment is positive.",
            "The answer is not: 42",
            "It is not the case that the claim is true.",
            "It is wrong that the mood is: positive",
            "The sentiment isn't: positive",
            "Not the answer: 42",
            "Wrong answer: 42",
            "Never = 42",
            "Few say that the answer is 42",
            "Is the answer: 42",
            "The answer is false: 42",
            "No answer: 42",
            "If the sky falls, the answer is 42",
            "Nicht die Antwort: 42",
        ] {
            check(text, scalar(), None);
        }
        for (text, value) in [
            ("The final answer is: 42", json!(42)),
            ("Final Answer: **42**", json!(42)),
            ("### Result\u{20}= 42", json!(42)),
            ("The overall sentiment is positive.", json!("positive")),
            ("**Sentiment**: positive", json!("positive")),
            ("My answer is true", json!(true)),
            ("Réponse : 42", json!(42)),
        ] {
            check(text, scalar(), Some(value));
        }
    }
}
