//! A piece of work in the notes for a portfolio.

use std::ops::Range;

use serde_json::{Value, json};

use super::outline::plain;
use super::text::{capitalised, cut};

/// The names of programming languages, in their usual spelling.
const LANGUAGES: [&str; 33] = [
    "Rust",
    "Go",
    "Python",
    "TypeScript",
    "JavaScript",
    "Java",
    "Kotlin",
    "Swift",
    "Ruby",
    "PHP",
    "Elixir",
    "Erlang",
    "Haskell",
    "OCaml",
    "Scala",
    "Clojure",
    "C++",
    "C#",
    "C",
    "Zig",
    "Lua",
    "Perl",
    "R",
    "Julia",
    "Dart",
    "Elm",
    "F#",
    "Fortran",
    "SQL",
    "Bash",
    "Lisp",
    "COBOL",
    "Ada",
];

/// The limits of the recipe's schema: in characters, and the number of tags.
const NAME: usize = 200;
const DESCRIPTION: usize = 1_000;
const TAG: usize = 50;
const URL: usize = 500;
const MOST_TAGS: usize = 10;

/// A piece of work, as far as the notes describe it.
#[derive(Debug, Default)]
pub(super) struct Item {
    name: String,
    description: String,
    url: Option<String>,
    stars: Option<u64>,
    language: Option<&'static str>,
    tags: Vec<String>,
    /// Whether the paragraphs that follow belong to the item.
    pub(super) is_open: bool,
}

impl Item {
    /// Creates an item with a heading for its name.
    pub(super) fn named(name: &str) -> Self {
        let url = addresses(name).into_iter().next();
        Self { name: plain(&without_addresses(name)), url, is_open: true, ..Self::default() }
    }

    /// Creates an item for a whole section: its heading is the name, its texts are the description.
    pub(super) fn of_section(heading: &str, texts: &[&str]) -> Self {
        let mut item = Self::named(heading);
        texts.iter().for_each(|text| item.describe(text));
        item
    }

    /// Parses an item of a list: a name, a separator, and a description.
    pub(super) fn read(text: &str) -> Self {
        let mut item = Self::default();
        let rest = item.take_facts(text);
        let rest = plain(&rest);
        let tie = [" — ", " – ", " - ", ": ", " | "]
            .iter()
            .filter_map(|tie| rest.find(tie).map(|at| (at, tie.len())))
            .min()
            .filter(|(at, _)| *at > 0 && *at <= NAME);
        (item.name, item.description) = match tie {
            Some((at, length)) => (rest[..at].trim().to_owned(), rest[at + length..].trim().to_owned()),
            None => match rest.split_once(". ") {
                Some((name, more)) if name.chars().count() <= 80 => (name.to_owned(), more.trim().to_owned()),
                _ => (rest.trim_end_matches('.').to_owned(), String::new()),
            },
        };
        item
    }

    /// Appends a paragraph to the description.
    pub(super) fn describe(&mut self, text: &str) {
        let rest = self.take_facts(text);
        let rest = plain(&rest);
        if !self.description.is_empty() && !rest.is_empty() {
            self.description.push(' ');
        }
        self.description.push_str(&rest);
    }

    /// Extracts address, tags, stars and language, and returns the remaining text.
    fn take_facts(&mut self, text: &str) -> String {
        self.url = self.url.take().or_else(|| addresses(text).into_iter().next());
        let mut text = without_addresses(text);
        // The last brackets, if they contain a list of facts.
        if let Some((open, inner)) = last_brackets(&text)
            && self.take_list(&inner)
        {
            let close = open + inner.len() + 2;
            text = format!("{}{}", text[..open].trim_end(), &text[close..]);
        }
        self.language = self.language.or_else(|| language_in(&text));
        // The mark that led to an address is replaced.
        match text.trim_end().strip_suffix([':', ',']) {
            Some(rest) => format!("{}.", rest.trim_end()),
            None => text,
        }
    }

    /// Extracts the parts of a list if each can be a fact and one is a language or a number of stars; returns whether it did.
    fn take_list(&mut self, list: &str) -> bool {
        let (mut stars, mut language, mut tags) = (None, None, Vec::new());
        for part in parts(list) {
            let known = LANGUAGES.iter().find(|language| language.eq_ignore_ascii_case(&part));
            if let Some(number) = stars_in(&part) {
                stars = Some(number);
            } else if let (Some(known), None) = (known, language) {
                language = Some(*known);
            } else if part.split_whitespace().all(|word| word.starts_with('#')) {
                tags.extend(part.split_whitespace().map(|tag| tag.trim_start_matches('#').to_owned()));
            } else if part.split_whitespace().count() <= 2 {
                tags.push(part);
            } else {
                return false;
            }
        }
        if stars.is_none() && language.is_none() {
            return false;
        }
        (self.stars, self.language) = (self.stars.or(stars), self.language.or(language));
        self.tags.extend(tags);
        true
    }

    /// Returns the piece as the recipe's schema demands it, with texts cut to its limits. A piece without a
    /// name has the host of its address as its name.
    pub(super) fn into_value(self) -> Value {
        let tags: Vec<String> =
            self.tags.iter().filter(|tag| !tag.is_empty()).take(MOST_TAGS).map(|tag| cut(tag, TAG)).collect();
        let host =
            || self.url.as_deref().map_or_else(|| "Untitled".to_owned(), |url| host_of(url).to_owned());
        let has_name = self.name.chars().any(char::is_alphanumeric);
        let name = if has_name { self.name.clone() } else { host() };
        let description = capitalised(&self.description);
        json!({
            "name": cut(&name, NAME), "description": cut(&description, DESCRIPTION), "url": self.url,
            "stars": self.stars, "language": self.language, "tags": tags,
        })
    }
}

/// Finds the first programming language in a text. A single letter is usually not a language.
fn language_in(text: &str) -> Option<&'static str> {
    let is_between = |c: char| c.is_whitespace() || matches!(c, ',' | '.' | ';' | ':' | '(' | ')' | '/');
    let known = |word: &str| LANGUAGES.iter().find(|language| **language == word && language.len() > 1);
    text.split(is_between).find_map(known).copied()
}

/// Splits a list into its parts: a comma within a number does not separate, and adjacent tags are one part.
fn parts(list: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let letters: Vec<char> = list.chars().collect();
    for (index, letter) in letters.iter().enumerate() {
        let is_digit =
            |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(char::is_ascii_digit);
        match letter {
            ',' | ';' if !(is_digit(index.checked_sub(1)) && is_digit(Some(index + 1))) => {
                parts.push(String::new())
            }
            letter => parts.iter_mut().last().into_iter().for_each(|part| part.push(*letter)),
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Parses a number of stars, such as `1,240 stars`, `1.2k stars` or `7 ★`.
fn stars_in(part: &str) -> Option<u64> {
    let mut words = part.split_whitespace();
    let number = words.next()?.replace(',', "").to_lowercase();
    let is_of_stars = words
        .next()
        .is_some_and(|word| matches!(word.to_lowercase().as_str(), "star" | "stars" | "★" | "⭐"));
    if !is_of_stars {
        return None;
    }
    // 1.2k is 1,200.
    match number.strip_suffix('k').map(|thousands| thousands.split_once('.').unwrap_or((thousands, "0"))) {
        Some((whole, part)) if part.len() == 1 => {
            let (whole, part): (u64, u64) = (whole.parse().ok()?, part.parse().ok()?);
            whole.checked_mul(1_000)?.checked_add(part * 100)
        }
        _ => number.parse().ok(),
    }
}

/// Returns the position of the last opening bracket, and the text in the brackets.
fn last_brackets(text: &str) -> Option<(usize, String)> {
    let close = text.rfind(')')?;
    let open = text[..close].rfind('(')?;
    Some((open, text[open + 1..close].to_owned()))
}

/// Returns the web addresses of a text, in its order, that are short enough for an answer.
pub(super) fn addresses(text: &str) -> Vec<String> {
    let spans = antiphon_llm::addresses(text).into_iter();
    spans.map(|span| text[span].to_owned()).filter(|address| address.chars().count() <= URL).collect()
}

/// Removes web addresses from a text; of Markdown links the words remain.
pub(super) fn without_addresses(text: &str) -> String {
    let mut rest = String::new();
    let mut from = 0;
    for Range { start, end } in antiphon_llm::addresses(text) {
        let (before, closes) = unlinked(&text[from..start]);
        rest.push_str(&before);
        from = end + usize::from(closes.is_some_and(|mark| text[end..].starts_with(mark)));
    }
    rest.push_str(&text[from..]);
    tidied(&rest)
}

/// Returns the text before an address without the marks of a link, and the mark that closes the link:
/// `[words](address)` and `<address>`.
fn unlinked(before: &str) -> (String, Option<char>) {
    if let Some(before) = before.strip_suffix("](") {
        let words = match before.rfind('[') {
            Some(open) => format!("{}{}", &before[..open], &before[open + 1..]),
            None => before.to_owned(),
        };
        (words, Some(')'))
    } else if let Some(before) = before.strip_suffix('<') {
        (before.to_owned(), Some('>'))
    } else {
        (before.to_owned(), None)
    }
}

/// Returns a text with single spaces, and without the spaces and colons that a removed address leaves before a mark.
fn tidied(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(" .", ".")
        .replace(" ,", ",")
        .replace(":.", ".")
}

/// Finds the first e-mail address.
pub(super) fn email_in(text: &str) -> Option<&str> {
    let words =
        text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | ',' | ';' | '"'));
    words.map(|word| word.trim_start_matches("mailto:").trim_matches(['.', ':', '*', '_', '!', '?'])).find(
        |word| {
            let Some((name, host)) = word.split_once('@') else { return false };
            let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
            !name.is_empty() && name.chars().all(allowed) && host.contains('.') && host.chars().all(allowed)
        },
    )
}

/// Returns the host of a web address, without `www.`.
pub(super) fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest).trim_start_matches("www.")
}

#[cfg(test)]
mod tests {
    use super::{addresses, email_in, host_of, parts, without_addresses};

    #[test]
    fn addresses_are_found_and_removed() {
        let text = "See [the notes](https://a.test/n), <https://b.test> and https://c.test/x. End";
        assert_eq!(addresses(text), ["https://a.test/n", "https://b.test", "https://c.test/x"]);
        assert_eq!(without_addresses(text), "See the notes, and. End");
        assert_eq!((host_of("https://www.a.test/n"), host_of("a.test")), ("a.test", "a.test"));
    }

    #[test]
    fn an_email_address_has_a_host() {
        assert_eq!(email_in("write to <mailto:a.b@c.test>."), Some("a.b@c.test"));
        assert_eq!(email_in("@ada, a@b, or (x@y.test)"), Some("x@y.test"));
        assert_eq!(email_in("no address"), None);
    }

    #[test]
    fn a_comma_in_a_number_does_not_separate() {
        assert_eq!(parts("Rust, 1,240 stars,#a #b"), ["Rust", "1,240 stars", "#a #b"]);
    }
}
