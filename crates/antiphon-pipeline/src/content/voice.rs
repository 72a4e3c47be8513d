//! Voices: the tone that a model is asked for, and the rules that make sure of the form.
//!
//! A rule is applied to one text at a time, in the order of its fields: replacements, filler, case, maximum, end,
//! prefix. Each step works on words or on the whole text, so that `max` counts what the reader sees. Filler words are a
//! fixed list, chosen so that a sentence without them means the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::portfolio::Content;

/// The voice of a theme: a tone for the prompt, and rules that are applied to the texts of an answer.
///
/// The tone asks, the rules enforce: a model may ignore the one, but texts in upper case or of limited length need the
/// other. Since rules are applied when an answer is read, changing them needs no new call; a changed tone is another
/// prompt.
///
/// In TOML:
///
/// ```toml
/// name = "terminal"
/// tone = "Terse, like the manual of a command."
///
/// [[rule]]
/// at = ["hero.title", "menu_items[].label"]
/// case = "lower"
/// max = 40
/// ```
///
/// # Examples
/// ```
/// use antiphon_pipeline::content::{Case, TextRule, Voice};
/// let mut rule = TextRule::default();
/// (rule.case, rule.max) = (Some(Case::Lower), Some(40));
/// let mut voice = Voice::new("terminal", "Terse, like the manual of a command.");
/// voice.rules.push(rule);
/// assert_eq!(voice.mistake(), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Voice {
    /// The theme's name. Default: empty; a theme that has the voice sets its own name.
    #[serde(default)]
    pub name: String,
    /// The description of the voice in the prompt.
    pub tone: String,
    /// Rules for the texts of an answer, applied in this order. Named `rule` in TOML. Default: none.
    #[serde(default, rename = "rule")]
    pub rules: Vec<TextRule>,
}

/// A rule that rewrites the texts at some places of an answer. Its parts are applied in the order of the fields.
///
/// ```
/// use antiphon_pipeline::content::{Case, TextRule};
/// let mut rule = TextRule::default();
/// (rule.fluff, rule.case, rule.max, rule.end) = (true, Some(Case::Upper), Some(12), Some("!".to_owned()));
/// assert_eq!(rule.applied("A seamless tool for looms."), "A TOOL FOR!");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TextRule {
    /// The places of the texts: `tagline`, `hero.title`, `hero.subtitle`, `cta.text`, `repos[].name`,
    /// `repos[].description`, `repos[].tags[]`, `menu_items[].label`, `brand_name`. Default: all but `brand_name` and
    /// `repos[].name`, since names keep their spelling.
    pub at: Vec<String>,
    /// Words and their replacements, regardless of case. Default: none.
    pub replace: BTreeMap<String, String>,
    /// Whether filler words of praise, such as "seamless", are removed. Default: they stay.
    pub fluff: bool,
    /// The letter case. Default: unchanged.
    pub case: Option<Case>,
    /// The maximum number of characters, `prefix` and `end` included. A longer text is cut after a whole sentence, or after
    /// a whole word and then closed with an ellipsis or `end`. Default: no maximum.
    pub max: Option<usize>,
    /// The replacement for the closing marks `.!?…:;,` at the end of a text: one mark, or empty to remove them. Default: the
    /// marks are kept.
    pub end: Option<String>,
    /// Text that is put before each text. Default: none.
    pub prefix: String,
}

/// The letter case of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Case {
    /// ALL UPPERCASE.
    Upper,
    /// all lowercase.
    Lower,
    /// Each Word Capitalised, but for Short Ones Such as "of".
    Title,
    /// The first letter capitalised, the others unchanged.
    Sentence,
}

/// Words of praise without information. Removing any of them never reverses the meaning of a sentence, as removing "just"
/// after "not" does.
const FILLER: [&str; 16] = [
    "seamlessly",
    "seamless",
    "cutting-edge",
    "world-class",
    "best-in-class",
    "state-of-the-art",
    "next-generation",
    "revolutionary",
    "groundbreaking",
    "game-changing",
    "innovative",
    "synergistic",
    "passionately",
    "effortlessly",
    "stunning",
    "unparalleled",
];

/// Words in lower case within a title, but for its first and last word.
const SHORT: [&str; 16] =
    ["a", "an", "and", "as", "at", "but", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"];

/// The places that a rule can list, as `Content::texts` names them.
const PLACES: [&str; 9] = [
    "brand_name",
    "tagline",
    "hero.title",
    "hero.subtitle",
    "cta.text",
    "repos[].name",
    "repos[].description",
    "repos[].tags[]",
    "menu_items[].label",
];

impl Voice {
    /// Creates a voice without rules.
    #[must_use]
    pub fn new(name: impl Into<String>, tone: impl Into<String>) -> Self {
        Self { name: name.into(), tone: tone.into(), rules: Vec::new() }
    }

    /// Applies the rules to the texts of `content`, in their order. Names of projects and people are unchanged unless a
    /// rule lists their place in [`TextRule::at`].
    pub fn apply(&self, content: &mut Content) {
        for (place, text) in content.texts() {
            for rule in self.rules.iter().filter(|rule| rule.holds_at(place)) {
                *text = rule.applied(text);
            }
        }
    }

    /// Returns a description of the first mistake in the rules; `None` if they are valid. A mistake is an unknown place, or a
    /// `max` that leaves less than 10 characters for the text between `prefix` and `end`.
    #[must_use]
    pub fn mistake(&self) -> Option<String> {
        let mut places = self.rules.iter().flat_map(|rule| &rule.at);
        if let Some(unknown) = places.find(|place| !PLACES.contains(&place.as_str())) {
            return Some(format!("unknown place {unknown} in a rule. Use one of {}", PLACES.join(", ")));
        }
        let too_short = |rule: &&TextRule| rule.max.is_some_and(|most| most < 10 + rule.affix_length());
        let short = self.rules.iter().find(too_short);
        short.map(|_| "max of a rule must leave at least 10 characters beside its prefix and end".to_owned())
    }
}

impl TextRule {
    /// Returns whether the rule is applied to the text at a place.
    fn holds_at(&self, place: &str) -> bool {
        if self.at.is_empty() {
            // The names of a brand and of projects keep their spelling.
            !matches!(place, "brand_name" | "repos[].name")
        } else {
            self.at.iter().any(|at| at == place)
        }
    }

    /// Returns the text with the rule applied. A text of which no letter or digit would be left is returned unchanged.
    #[must_use]
    pub fn applied(&self, text: &str) -> String {
        let words = self.words_of(text);
        // Marks alone are not worth a rewrite.
        if !words.iter().any(|word| word.contains(char::is_alphanumeric)) {
            return text.to_owned();
        }
        let cased = self.cased(&words, text);
        let (mut whole, is_cut) = match self.max {
            Some(most) => cut(&cased, most.saturating_sub(self.affix_length())),
            None => (cased, false),
        };
        if let Some(end) = self.end.as_deref().or(is_cut.then_some("…")) {
            whole.truncate(whole.trim_end_matches(is_closing).len());
            whole.push_str(end);
        }
        whole.insert_str(0, &self.prefix);
        whole
    }

    /// Returns the words of a text with replacements applied and, if configured, without filler.
    fn words_of(&self, text: &str) -> Vec<String> {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        for (from, to) in &self.replace {
            words.iter_mut().for_each(|word| replace(word, from, to));
        }
        if self.fluff {
            words = without_filler(words);
        }
        words.retain(|word| !word.is_empty());
        words
    }

    /// Joins the words in the rule's case. `text` is the original, whose first word may have been removed as filler.
    fn cased(&self, words: &[String], text: &str) -> String {
        let joined = words.join(" ");
        match self.case {
            Some(Case::Upper) => joined.to_uppercase(),
            Some(Case::Lower) => joined.to_lowercase(),
            Some(Case::Title) => title(words),
            Some(Case::Sentence) => capitalised(&joined),
            None if self.fluff && text.starts_with(char::is_uppercase) => capitalised(&joined),
            None => joined,
        }
    }

    /// Returns the characters that prefix and end take of the maximum.
    fn affix_length(&self) -> usize {
        self.prefix.chars().count() + self.end.as_ref().map_or(0, |end| end.chars().count())
    }
}

/// Removes filler words; a closing mark of a removed word moves to the word before it.
fn without_filler(words: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        if !FILLER.contains(&bare(&word).to_lowercase().as_str()) {
            kept.push(word);
            continue;
        }
        let mark = word.chars().next_back().filter(|c| matches!(c, '.' | '!' | '?' | ':' | ';'));
        if let (Some(mark), Some(last)) = (mark, kept.last_mut()) {
            last.truncate(last.trim_end_matches(is_closing).len());
            last.push(mark);
        }
    }
    kept
}

/// Returns whether a character may be replaced at the end of a text: a closing mark, or white space.
fn is_closing(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | ':' | ';' | ',') || c.is_whitespace()
}

/// Returns a word without the marks around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// Replaces the word `from` by `to`; the marks around it and its initial capital stay.
fn replace(word: &mut String, from: &str, to: &str) {
    let inner = bare(word);
    if inner.is_empty() || inner.to_lowercase() != from.to_lowercase() {
        return;
    }
    let to = if inner.starts_with(char::is_uppercase) { capitalised(to) } else { to.to_owned() };
    *word = word.replacen(inner, &to, 1);
}

/// Returns the text with its first character in upper case, which may be several characters, as with `ß`.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Returns the words, of which there is at least one, in title case.
fn title(words: &[String]) -> String {
    let last = words.len() - 1;
    let cased = words.iter().enumerate().map(|(index, word)| {
        let is_inner = index > 0 && index < last;
        if is_inner && SHORT.contains(&word.to_lowercase().as_str()) {
            word.to_lowercase()
        } else {
            capitalised(word)
        }
    });
    cased.collect::<Vec<_>>().join(" ")
}

/// Cuts a text to at most `most` characters, and returns whether a sentence was cut short. The text ends with the last whole
/// sentence if that leaves at least half of `most`, otherwise after a whole word.
fn cut(text: &str, most: usize) -> (String, bool) {
    let Some((at, _)) = text.char_indices().nth(most) else { return (text.to_owned(), false) };
    let half = text.char_indices().nth(most / 2).map_or(0, |(at, _)| at);
    let mut ends = text[..at].match_indices(['.', '!', '?']).map(|(end, _)| end + 1);
    if let Some(end) = ends.rfind(|end| *end >= half && text[*end..].starts_with(' ')) {
        return (text[..end].to_owned(), false);
    }
    // One character is reserved for the ellipsis.
    let at = text[..at].char_indices().next_back().map_or(0, |(last, _)| last);
    let whole = match text[..at].rfind(' ') {
        _ if text[at..].starts_with(' ') => at,
        Some(space) => space,
        None => at,
    };
    (text[..whole].to_owned(), true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Case, TextRule, Voice};
    use crate::content::{Content, Project};

    fn rule(text: &str) -> TextRule {
        antiphon_engine::read_toml("rule.toml", text).unwrap()
    }

    #[track_caller]
    fn check(text: &str, from: &str, to: &str) {
        assert_eq!(rule(text).applied(from), to);
    }

    #[test]
    fn rules_rewrite_texts() {
        check("case = \"upper\"", "a loom,  straße", "A LOOM, STRASSE");
        check("case = \"lower\"", "A Loom", "a loom");
        check("case = \"title\"", "the work of a weaver", "The Work of a Weaver");
        check("case = \"sentence\"", "a Loom", "A Loom");
        check("fluff = true", "Innovative, a seamless loom, stunning. It works", "A loom. It works");
        check("fluff = true", "Seamless innovative", "Seamless innovative");
        check("fluff = true", "I do not just write code", "I do not just write code");
        check("end = \"\"", "...", "...");
        check("replace = { gonna = \"going to\" }", "Gonna weave, gonna!", "Going to weave, going to!");
        check("end = \"\"", "Weave it...", "Weave it");
        check("end = \".\"", "Weave it", "Weave it.");
        check("max = 12", "One two three four", "One two…");
        check("max = 12\nend = \".\"", "One two three four", "One two.");
        check("max = 20", "One two. Three. Four five six", "One two. Three.");
        check("max = 12", "One two four", "One two four");
        check("prefix = \"> \"\nmax = 12", "One two three four", "> One two…");
    }

    #[test]
    fn names_are_unchanged_unless_a_rule_lists_their_place() {
        let mut voice = Voice::new("v", "");
        voice.rules = vec![rule("case = \"upper\"")];
        let project = Project { name: "loom".to_owned(), description: "d".to_owned(), ..Project::default() };
        let mut content =
            Content { brand_name: "Ada".to_owned(), repos: vec![project], ..Content::default() };
        voice.apply(&mut content);
        assert_eq!(
            (
                content.brand_name.as_str(),
                content.repos[0].name.as_str(),
                content.repos[0].description.as_str()
            ),
            ("Ada", "loom", "D")
        );
        voice.rules[0].at = vec!["repos[].name".to_owned()];
        voice.apply(&mut content);
        assert_eq!(content.repos[0].name, "LOOM");
        voice.rules[0].at = vec!["repos.name".to_owned()];
        assert!(voice.mistake().unwrap().contains("repos.name"));
    }

    proptest! {
        #[test]
        fn a_text_never_exceeds_its_maximum(text in "\\PC{0,80}", most in 10_usize..40, end in "[.!]?") {
            let rule = TextRule { max: Some(most), end: Some(end), case: Some(Case::Lower), ..TextRule::default() };
            let rewritten = rule.applied(&text);
            // A text without any word is returned unchanged.
            prop_assert!(rewritten.chars().count() <= most || text.trim().is_empty(), "{rewritten:?}");
        }
    }
}
