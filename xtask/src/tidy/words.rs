use std::collections::BTreeMap;

use crate::shell::Done;
use crate::source::{Function, Source};

/// Words with which no doc comment begins.
pub(crate) const BAD_OPENINGS: [&str; 10] =
    ["It", "Its", "What", "How", "Who", "Where", "Those", "That", "They", "Of"];

/// Words that docs, comments and messages avoid: docs/glossary.md has those to use instead.
const AVOIDED: [&str; 15] = [
    "told",
    "tells",
    "nobody",
    "somebody",
    "whoever",
    "goes on",
    "gone on with",
    "under way",
    "of one's own",
    "mended",
    "heeds",
    "hears",
    "what there is",
    "is over",
    "stands",
];

/// Files that have an avoided word as data, with the reason.
const WORDS_AS_DATA: [(&str, &str); 4] = [
    ("crates/antiphon-data/src/anonymise/context.rs", "a list of verbs of which people are the subject"),
    (
        "crates/antiphon-pipeline/src/experiment/history.rs",
        "a line by which files of earlier versions are known",
    ),
    ("crates/antiphon-pipeline/src/persona/recipe.rs", "a prompt: other words would change the answers"),
    ("crates/antiphon-providers/src/offline/drafts/naming.rs", "a list of verbs in the past"),
];

/// Lines of a function, its signature included.
const MAX_FUNCTION: usize = 60;

/// Names that types of several crates may have: each crate has its own.
const SHARED_NAMES: [&str; 4] = ["Error", "ErrorKind", "Builder", "Options"];

/// The words of docs, comments and messages, and the names of types.
pub(crate) fn check() -> Done<Vec<String>> {
    let mut breaches = Vec::new();
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in Source::of_crates()? {
        for (number, text) in source.doc_openings() {
            if opens_badly(text) {
                breaches.push(format!(
                    "{}:{number}: a doc comment begins with \"{}\"",
                    source.name,
                    first_word(text)
                ));
            }
        }
        if !WORDS_AS_DATA.iter().any(|(name, _)| source.name == *name) {
            breaches.extend(avoided(&source));
        }
        breaches.extend(functions(&source));
        for name in public_types(&source) {
            types.entry(name).or_default().push(source.name.clone());
        }
    }
    let shared =
        types.into_iter().filter(|(name, files)| files.len() > 1 && !SHARED_NAMES.contains(&name.as_str()));
    breaches.extend(
        shared.map(|(name, files)| format!("several public types are called {name}: {}", files.join(", "))),
    );
    Ok(breaches)
}

/// The functions that are too long, or take a tuple to get around the limit of five parameters.
fn functions(source: &Source) -> Vec<String> {
    let complain = |function: Function| {
        let Function { line, length, has_tuple } = function;
        if length > MAX_FUNCTION {
            Some(format!(
                "{}:{line}: a function of {length} lines; the maximum is {MAX_FUNCTION}",
                source.name
            ))
        } else {
            has_tuple.then(|| format!("{}:{line}: a parameter is a tuple: use a struct, or two", source.name))
        }
    };
    source.functions().into_iter().filter_map(complain).collect()
}

/// Whether a doc comment begins with a word that says nothing of the thing.
pub(crate) fn opens_badly(text: &str) -> bool {
    BAD_OPENINGS.contains(&first_word(text))
}

fn first_word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default()
}

/// The comments and messages of a file that have an avoided word, above its unit tests.
fn avoided(source: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    for (number, line) in (1..).zip(source.code().lines()) {
        let is_text = line.trim_start().starts_with("//") || line.contains('"');
        let found = AVOIDED.iter().find(|word| is_text && has_word(&line.to_lowercase(), word));
        breaches.extend(found.map(|word| format!("{}:{number}: \"{word}\" is not used here", source.name)));
    }
    breaches
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    line.match_indices(word).any(|(at, _)| {
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

/// Returns the names of the structs, enums and traits of a file that are public at its top level.
pub(crate) fn public_types(source: &Source) -> Vec<String> {
    let name_of = |line: &str| {
        let rest = line.strip_prefix("pub ")?;
        let rest = ["struct ", "enum ", "trait "].iter().find_map(|kind| rest.strip_prefix(kind))?;
        Some(first_word(rest).to_owned())
    };
    source.code().lines().filter_map(name_of).collect()
}

#[cfg(test)]
mod tests {
    use super::{avoided, opens_badly, public_types};
    use crate::source::Source;

    fn source(text: &str) -> Source {
        Source { name: "crates/a/src/lib.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_doc_comment_begins_with_the_thing() {
        assert!(
            opens_badly("What it says.") && opens_badly("It: a thing") && opens_badly("Those that wait.")
        );
        assert!(!opens_badly("Italic text.") && !opens_badly("A limiter of what comes."));
    }

    #[test]
    fn avoided_words_are_found_in_comments_and_messages() {
        let text = "/// Nobody asks.\nlet told = 1;\nerr(\"it was told\");\n// retold\n";
        let found = avoided(&source(text));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/lib.rs:1:") && found[1].contains("told"));
    }

    #[test]
    fn public_types_are_those_of_the_top_level() {
        let text = "pub struct A<T>(T);\npub(crate) enum B {}\n    pub struct C;\npub trait D {}\n";
        assert_eq!(public_types(&source(text)), ["A", "D"]);
    }
}
