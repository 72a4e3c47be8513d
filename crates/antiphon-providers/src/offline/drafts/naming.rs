//! Names of personas: what the participants want and do, in the third person.
//!
//! A name is made of the statements that the persona has as claims, so that it rests on their evidence: from "I keep the
//! stock by hand" and "I want no surprises at delivery" comes "Keeps the stock by hand, wants no surprises at delivery".

use super::text::{capitalised, cut};

/// The maximum number of words of a clause, and the minimum that says something.
const MOST_WORDS: usize = 9;
const LEAST_WORDS: usize = 2;
/// The maximum length of a clause in characters.
const CLAUSE: usize = 60;

/// Adverbs between the speaker and the verb; those that are kept say how often.
const ADVERBS: &[&str] = &["always", "usually", "often", "never", "normally", "mostly", "mainly", "only"];
const FILLERS: &[&str] = &["just", "really", "still", "also", "simply", "basically", "honestly", "actually"];
/// Words behind the speaker that begin no statement in the present.
const NO_VERBS: &[&str] = &[
    "am", "was", "were", "had", "did", "can", "could", "will", "would", "should", "may", "might", "must",
    "shall", "used", "went", "got", "said", "made", "took", "came", "saw", "knew", "thought", "found",
    "gave", "told", "felt", "left", "kept", "bought", "brought", "began", "ran", "wrote", "lost", "paid",
    "spent", "put", "read", "set", "let", "cannot", "can't", "couldn't", "won't", "wouldn't", "didn't",
    "wasn't", "haven't", "hadn't", "and", "who", "don't", "do", "mean", "think", "guess", "suppose", "know",
];
/// Words that begin another clause.
const NEXT_CLAUSE: &[&str] = &[
    "because", "but", "so", "which", "while", "when", "although", "since", "unless", "then", "and", "if",
    "or", "whether", "where", "who", "as", "except",
];
/// Words with which a clause cannot end.
const NO_ENDS: &[&str] = &[
    "the", "a", "an", "to", "of", "in", "on", "at", "for", "with", "my", "their", "and", "or", "by", "from",
    "that", "is", "not", "into", "very", "too", "just", "up", "about", "this",
];

/// Returns the name for the statements of a persona, the best of each kind first: what they do and what they want, or else
/// what troubles them. `None` if no statement can be said in the third person.
pub(super) fn name(behaviours: &[String], goals: &[String], pains: &[String], most: usize) -> Option<String> {
    let first = |said: &[String]| {
        let clauses = said.iter().filter_map(|sentence| third_person(sentence));
        clauses.min_by_key(|clause| clause.rank).map(|clause| clause.text)
    };
    let (does, wants) = (first(behaviours), first(goals));
    let parts: Vec<String> = match (does, wants) {
        (None, None) => first(pains).into_iter().collect(),
        (does, wants) => does.into_iter().chain(wants).collect(),
    };
    (!parts.is_empty()).then(|| cut(&capitalised(&parts.join(", ")), most))
}

/// A statement in the third person.
struct Clause {
    text: String,
    /// The place among other statements, from 0: whole ones of some words are the best.
    rank: u8,
}

/// Returns the first statement of a sentence about its speaker, in the third person: `keeps the stock by hand` for `And I
/// keep the stock by hand, so`.
fn third_person(sentence: &str) -> Option<Clause> {
    let sentence = sentence.replace('’', "'");
    let words: Vec<&str> = sentence.split_whitespace().collect();
    (0..words.len()).find_map(|at| statement_at(&words, at))
}

/// Returns the statement whose speaker is the word at an index.
fn statement_at(words: &[&str], at: usize) -> Option<Clause> {
    let speaker = words[at].trim_start_matches(['"', '“', '(']);
    let mut said: Vec<String> = Vec::new();
    let mut next = at + 1;
    match speaker.to_lowercase().as_str() {
        "i" | "we" => {
            while let Some(word) = words.get(next).filter(|word| is_adverb(word)) {
                said.extend(ADVERBS.contains(word).then(|| (*word).to_owned()));
                next += 1;
            }
            said.extend(verb(words, &mut next)?);
        }
        // "I'd love to" and "I'd like".
        "i'd" | "we'd" if matches!(words.get(next), Some(&("love" | "like" | "rather" | "prefer"))) => {
            said.push("would".to_owned());
        }
        _ => return None,
    }
    let verbs = said.len();
    let (object, is_whole) = object(&words[next..], MOST_WORDS - verbs.min(MOST_WORDS - 1));
    said.extend(object);
    while said.len() > verbs && said.last().is_some_and(|word| NO_ENDS.contains(&word.as_str())) {
        said.pop();
    }
    let text = said.join(" ");
    let rank = match said.len() {
        4.. if is_whole => 0,
        3 if is_whole => 1,
        4.. => 2,
        _ => 3,
    };
    let fits = said.len() >= LEAST_WORDS && said.len() > verbs && text.chars().count() <= CLAUSE;
    fits.then_some(Clause { text, rank })
}

/// Returns whether a word is between the speaker and the verb.
fn is_adverb(word: &str) -> bool {
    ADVERBS.contains(&word) || FILLERS.contains(&word)
}

/// Returns the verb at an index in the third person, and moves the index behind it; `None` if the word is not one in the
/// present.
fn verb(words: &[&str], next: &mut usize) -> Option<Vec<String>> {
    let word = *words.get(*next)?;
    if matches!(word, "don't" | "do") && (word == "don't" || words.get(*next + 1) == Some(&"not")) {
        *next += if word == "don't" { 1 } else { 2 };
        return words
            .get(*next)
            .filter(|verb| !NO_VERBS.contains(*verb))
            .map(|_| vec!["does".to_owned(), "not".to_owned()]);
    }
    let is_verb = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    if !is_verb || NO_VERBS.contains(&word) || word.ends_with("ed") && word != "need" && word != "feed" {
        return None;
    }
    *next += 1;
    Some(vec![with_s(word)])
}

/// Returns the third person of a verb.
fn with_s(verb: &str) -> String {
    let before_y = verb.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match (verb, before_y) {
        ("have", _) => "has".to_owned(),
        ("go", _) => "goes".to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        _ if verb.ends_with(['s', 'x', 'z']) || verb.ends_with("ch") || verb.ends_with("sh") => {
            format!("{verb}es")
        }
        _ => format!("{verb}s"),
    }
}

/// Returns the words behind a verb up to the end of the clause, with the pronouns of the third person, and whether the
/// clause ends there.
fn object(words: &[&str], most: usize) -> (Vec<String>, bool) {
    let mut said = Vec::new();
    for word in words.iter().take(most) {
        let bare = word.trim_end_matches(['.', ',', ';', ':', '!', '?', '—', '…', '"', '”', ')']);
        let lower = bare.to_lowercase();
        if bare.is_empty() || (NEXT_CLAUSE.contains(&lower.as_str()) && !said.is_empty()) {
            return (said, true);
        }
        said.push(pronoun(&lower).map_or_else(|| bare.to_owned(), str::to_owned));
        if bare.len() < word.len() {
            return (said, true);
        }
    }
    let is_whole = words.len() <= most;
    (said, is_whole)
}

/// Returns the pronoun of the third person for one of the first.
fn pronoun(word: &str) -> Option<&'static str> {
    Some(match word {
        "my" | "our" => "their",
        "mine" | "ours" => "theirs",
        "me" | "us" => "them",
        "myself" | "ourselves" => "themselves",
        "i" | "we" => "they",
        "i'm" | "we're" => "they are",
        "i've" | "we've" => "they have",
        "i'd" | "we'd" => "they would",
        "i'll" | "we'll" => "they will",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{name, third_person};

    #[track_caller]
    fn check(sentence: &str, expected: Option<&str>) {
        let found = third_person(sentence).map(|clause| clause.text);
        assert_eq!(found.as_deref(), expected, "{sentence}");
    }

    #[test]
    fn a_statement_is_said_in_the_third_person() {
        check("And I keep the stock by hand, so it takes time.", Some("keeps the stock by hand"));
        check("I want no surprises at delivery.", Some("wants no surprises at delivery"));
        check("Well, I always check my list twice because I forget.", Some("always checks their list twice"));
        check("I’d love to sleep through the night.", Some("would love to sleep through the night"));
        check("I don't want surprises.", Some("does not want surprises"));
        check("We carry it ourselves!", Some("carries it themselves"));
        check("I was there. I tried it. It broke.", None);
        check("It is slow.", None);
        check("I can't", None);
    }

    #[test]
    fn a_name_says_what_they_do_and_want() {
        let said = |text: &str| vec![text.to_owned()];
        let made = name(&said("I keep stock by hand."), &said("I want no surprises at delivery."), &[], 100);
        assert_eq!(made.as_deref(), Some("Keeps stock by hand, wants no surprises at delivery"));
        assert_eq!(
            name(&[], &[], &said("I hate waiting for the van."), 100).as_deref(),
            Some("Hates waiting for the van")
        );
        assert_eq!(name(&said("Every day."), &[], &[], 100), None);
    }
}
