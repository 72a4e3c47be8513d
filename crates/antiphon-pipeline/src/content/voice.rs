use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::portfolio::Content;

/// How a theme speaks: what the model is told, and what is done to its words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Voice {
    /// The theme's name. Default: whatever has the voice.
    #[serde(default)]
    pub name: String,
    /// What the model is told of it.
    pub tone: String,
    /// What holds of the texts whatever the model wrote, in this order.
    #[serde(default, rename = "rule")]
    pub rules: Vec<TextRule>,
}

/// What holds of the texts at a place, after the model. What it says is done in the order of its fields.
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
    /// Which texts: `tagline`, `hero.title`, `hero.subtitle`, `cta.text`, `repos[].name`, `repos[].description`,
    /// `repos[].tags[]`, `menu_items[].label`, `brand_name`. Default: all of them.
    pub at: Vec<String>,
    /// Words that are replaced by others, whatever their case.
    pub replace: BTreeMap<String, String>,
    /// Whether words of praise that say nothing go, such as "seamless".
    pub fluff: bool,
    /// How it is written.
    pub case: Option<Case>,
    /// The most characters: a longer text ends with a whole sentence, or after a whole word with an ellipsis or `end`.
    pub max: Option<usize>,
    /// What stands in the place of the closing marks `.!?…:;,`: a mark, or nothing.
    pub end: Option<String>,
    /// What stands before each text.
    pub prefix: String,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Case {
    /// ALL LETTERS LARGE.
    Upper,
    /// all letters small.
    Lower,
    /// Each Word With a Large Letter, But for Short Ones.
    Title,
    /// The first letter large, the others as they are.
    Sentence,
}

/// Words that praise and say nothing of the thing. None of them can turn a sentence round when it goes, as "just" can after "not".
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

/// Words that a title writes small, but at its ends.
const SHORT: [&str; 16] =
    ["a", "an", "and", "as", "at", "but", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"];

impl Voice {
    /// A voice without rules.
    #[must_use]
    pub fn new(name: impl Into<String>, tone: impl Into<String>) -> Self {
        Self { name: name.into(), tone: tone.into(), rules: Vec::new() }
    }

    /// Makes the texts of `content` hold to the rules. Names of work and people keep their letters unless a rule names
    /// their place.
    pub fn apply(&self, content: &mut Content) {
        for (place, text) in content.texts() {
            for rule in self.rules.iter().filter(|rule| rule.holds_at(place)) {
                *text = rule.applied(text);
            }
        }
    }

    /// What is wrong with the rules, if anything is.
    #[must_use]
    pub fn mistake(&self) -> Option<String> {
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
        let mut places = self.rules.iter().flat_map(|rule| &rule.at);
        if let Some(unknown) = places.find(|place| !PLACES.contains(&place.as_str())) {
            return Some(format!(
                "a rule is for {unknown}, which is no text; those are {}",
                PLACES.join(", ")
            ));
        }
        let around = |rule: &TextRule| {
            rule.prefix.chars().count() + rule.end.as_ref().map_or(0, |end| end.chars().count())
        };
        let too_short = |rule: &&TextRule| rule.max.is_some_and(|most| most < 10 + around(rule));
        let short = self.rules.iter().find(too_short);
        short.map(|_| "max of a rule has to be 10 at least, beside its prefix and its end".to_owned())
    }
}

impl TextRule {
    fn holds_at(&self, place: &str) -> bool {
        if self.at.is_empty() {
            // A name is what it is.
            !matches!(place, "brand_name" | "repos[].name")
        } else {
            self.at.iter().any(|at| at == place)
        }
    }

    /// The text as the rule wants it. A text of which nothing would be left stays as it is.
    #[must_use]
    pub fn applied(&self, text: &str) -> String {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        for (from, to) in &self.replace {
            words.iter_mut().for_each(|word| replace(word, from, to));
        }
        if self.fluff {
            words = without_filler(words);
        }
        words.retain(|word| !word.is_empty());
        // Marks alone are no text to be made better.
        if !words.iter().any(|word| word.contains(char::is_alphanumeric)) {
            return text.to_owned();
        }
        let joined = words.join(" ");
        let cased = match self.case {
            Some(Case::Upper) => joined.to_uppercase(),
            Some(Case::Lower) => joined.to_lowercase(),
            Some(Case::Title) => title(&words),
            Some(Case::Sentence) => capitalised(&joined),
            // The word that began the sentence may be gone.
            None if self.fluff && text.starts_with(char::is_uppercase) => capitalised(&joined),
            None => joined,
        };
        let taken = self.prefix.chars().count() + self.end.as_ref().map_or(0, |end| end.chars().count());
        let (mut whole, is_cut) = match self.max {
            Some(most) => cut(&cased, most.saturating_sub(taken)),
            None => (cased, false),
        };
        match &self.end {
            Some(end) => {
                whole.truncate(whole.trim_end_matches(is_closing).len());
                whole.push_str(end);
            }
            None if is_cut => {
                whole.truncate(whole.trim_end_matches(is_closing).len());
                whole.push('…');
            }
            None => {}
        }
        whole.insert_str(0, &self.prefix);
        whole
    }
}

/// The words without praise; a mark that closed such a word closes the one before it.
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

fn is_closing(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | ':' | ';' | ',') || c.is_whitespace()
}

/// A word without the marks around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// Puts `to` in the place of a word, and keeps the marks around it and its large letter.
fn replace(word: &mut String, from: &str, to: &str) {
    let inner = bare(word);
    if inner.is_empty() || inner.to_lowercase() != from.to_lowercase() {
        return;
    }
    let to = if inner.starts_with(char::is_uppercase) { capitalised(to) } else { to.to_owned() };
    *word = word.replacen(inner, &to, 1);
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

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

/// A text of at most so many characters, and whether anything of a sentence was cut off: it ends with the last whole
/// sentence if that has half of them, else after a whole word.
fn cut(text: &str, most: usize) -> (String, bool) {
    let Some((at, _)) = text.char_indices().nth(most) else { return (text.to_owned(), false) };
    let half = text.char_indices().nth(most / 2).map_or(0, |(at, _)| at);
    let mut ends = text[..at].match_indices(['.', '!', '?']).map(|(end, _)| end + 1);
    if let Some(end) = ends.rfind(|end| *end >= half && text[*end..].starts_with(' ')) {
        return (text[..end].to_owned(), false);
    }
    // One place is for the ellipsis.
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
    fn texts_are_made_to_hold() {
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
    fn names_keep_their_letters_unless_a_rule_names_them() {
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
        fn a_text_is_never_longer_than_its_most(text in "\\PC{0,80}", most in 10_usize..40, end in "[.!]?") {
            let rule = TextRule { max: Some(most), end: Some(end), case: Some(Case::Lower), ..TextRule::default() };
            let made = rule.applied(&text);
            // Of a text without any word nothing is made.
            prop_assert!(made.chars().count() <= most || text.trim().is_empty(), "{made:?}");
        }
    }
}
