//! Facts from introductions of participants: occupation, age, location and experience.

use super::cues::plain;
use super::speech::Participant;

/// Facts in the participants' own words; a fact that is not stated is `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) occupation: Option<String>,
    pub(super) age: Option<u32>,
    pub(super) location: Option<String>,
    pub(super) experience: Option<String>,
}

impl Facts {
    pub(super) fn of(participant: &Participant<'_>) -> Self {
        let mut facts = Self::default();
        for sentence in participant.sentences.iter().filter(|sentence| sentence.introduces) {
            let text = sentence.text().replace('’', "'");
            facts.occupation = facts.occupation.or_else(|| occupation(&text));
            facts.age = facts.age.or_else(|| age(&text));
            facts.location = facts.location.or_else(|| location(&text));
            facts.experience = facts.experience.or_else(|| experience(&text));
        }
        facts
    }
}

/// The beginnings of statements about an occupation.
const LEADS: [&str; 9] =
    ["I'm a ", "I'm an ", "I'm the ", "I am a ", "I am the ", "I work ", "I own ", "I run a ", "I manage "];

/// Statements that begin like one about an occupation: "I'm a bit tired".
const NOT_OCCUPATIONS: [&str; 4] = ["I'm a bit", "I'm a little", "I'm a big", "I'm the one"];

/// Finds an occupation: `the head baker on nights` in `I'm the head baker on nights, and …`, `manage a café` in
/// `So I manage a café`.
fn occupation(text: &str) -> Option<String> {
    let (start, lead) = LEADS.iter().filter_map(|lead| text.find(lead).map(|at| (at, *lead))).min()?;
    if NOT_OCCUPATIONS.iter().any(|not| text[start..].starts_with(not)) {
        return None;
    }
    let keep = match lead.strip_prefix("I'm ").or_else(|| lead.strip_prefix("I am ")) {
        Some(article) => lead.len() - article.len(),
        None => "I ".len(),
    };
    let phrase = first_clause(&text[start + keep..]);
    (phrase.len() <= 80).then(|| phrase.trim().to_owned())
}

/// Returns a statement up to its first mark, or to the first words that begin another statement.
fn first_clause(text: &str) -> &str {
    let end = text.find([',', '.', ';', '—', '(']).unwrap_or(text.len());
    let clause = &text[..end];
    let stops = [" and I've ", " and I have ", " with my ", " which ", " and that "];
    let stop = stops.iter().filter_map(|stop| clause.find(stop)).min();
    stop.map_or(clause, |stop| &clause[..stop])
}

/// Finds an age from 14 to 99: `I'm forty-three`, `I'm 39 now`; not `I'm 20 minutes late`.
fn age(text: &str) -> Option<u32> {
    let text = plain(text);
    ["i'm ", "i am "].iter().flat_map(|lead| text.match_indices(lead)).find_map(|(at, lead)| {
        let rest = &text[at + lead.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '-').unwrap_or(rest.len());
        let age = number(&rest[..end]).filter(|age| (14..=99).contains(age))?;
        let after = rest[end..].trim_start();
        let ends = after.is_empty() || after.starts_with(['.', ',', ';', '—', '!']);
        (ends || ["and ", "now", "years old", "this year", "next"].iter().any(|next| after.starts_with(next)))
            .then_some(age)
    })
}

/// The numbers from 0 to 19.
const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
/// The tens from 20 to 90.
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Parses a number, in digits or, under 100, in words.
fn number(word: &str) -> Option<u32> {
    let below_twenty =
        |word: &str| ONES.iter().zip(0..).find(|(name, _)| **name == word).map(|(_, value)| value);
    let tens =
        |word: &str| TENS.iter().zip(2..).find(|(name, _)| **name == word).map(|(_, value)| value * 10);
    if let Ok(value) = word.parse() {
        return Some(value);
    }
    match word.split_once('-') {
        Some((ten, one)) => Some(tens(ten)? + below_twenty(one).filter(|one| *one < 10)?),
        None => below_twenty(word).or_else(|| tens(word)),
    }
}

/// Words of sentences that mention a place.
const PLACES: [&str; 22] = [
    "live", "based", "shop", "shops", "store", "café", "cafe", "bakery", "stall", "market", "pitch",
    "office", "school", "clinic", "practice", "farm", "town", "village", "city", "group", "chain", "delis",
];
/// Capitalised words after `in` that are not places.
const NOT_PLACES: [&str; 21] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Christmas",
    "I",
];

/// Finds a capitalised name after `in`, `outside` or `near`, in a sentence that mentions a kind of place.
fn location(text: &str) -> Option<String> {
    let speaks_of_place = text.split(|c: char| !c.is_alphanumeric()).any(|word| PLACES.contains(&word));
    if !speaks_of_place {
        return None;
    }
    let words: Vec<&str> = text.split(' ').collect();
    words.windows(2).enumerate().find_map(|(at, pair)| {
        let name = bare(pair[1]);
        if !is_place(name) || !["in", "outside", "near"].contains(&pair[0].to_lowercase().as_str()) {
            return None;
        }
        let second = words.get(at + 2).filter(|next| name == pair[1] && next.starts_with(char::is_uppercase));
        let second = second.map(|word| bare(word)).filter(|word| word.len() > 2 && !word.starts_with("I'"));
        Some(second.map_or_else(|| name.to_owned(), |second| format!("{name} {second}")))
    })
}

/// Returns a word without the marks at its end.
fn bare(word: &str) -> &str {
    word.trim_end_matches([',', '.', ';', '!'])
}

/// Returns whether a word can be the name of a place.
fn is_place(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.len() > 2 && !NOT_PLACES.contains(&name)
}

/// Finds a duration in years: `nine years`, also in `just over nine years`.
fn experience(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let years =
        words.iter().position(|word| word.trim_end_matches([',', '.', ';']).eq_ignore_ascii_case("years"))?;
    let count = words.get(years.checked_sub(1)?)?;
    number(&count.to_lowercase())?;
    // "Twenty five years" and "four or five years" are not five years.
    let before = years.checked_sub(2).and_then(|at| words.get(at)).map(|word| word.to_lowercase());
    if before.is_some_and(|word| ["and", "or", "to"].contains(&word.as_str()) || number(&word).is_some()) {
        return None;
    }
    // "Forty years old" and "nine years ago" are not durations.
    let other = words.get(years + 1).is_some_and(|word| word.starts_with("old") || word.starts_with("ago"));
    (!other).then(|| format!("{count} years"))
}

#[cfg(test)]
mod tests {
    use super::{age, experience, location, occupation};

    #[test]
    fn facts_are_taken_only_where_they_are_stated() {
        assert_eq!(
            occupation("I'm the head baker on nights, and tired").as_deref(),
            Some("the head baker on nights")
        );
        assert_eq!(
            occupation("So I manage a café next to the station.").as_deref(),
            Some("manage a café next to the station")
        );
        assert_eq!(occupation("I'm a bit tired"), None);
        assert_eq!(age("I'm forty-three, and there are six of us"), Some(43));
        assert_eq!(age("I'm 39."), Some(39));
        assert_eq!(age("I'm twenty minutes late"), None);
        assert_eq!(location("a small café in Harrowmere, just off").as_deref(), Some("Harrowmere"));
        assert_eq!(location("a pitch in Tarnley Cross for years").as_deref(), Some("Tarnley Cross"));
        assert_eq!(location("back in January it snowed in the village"), None);
        assert_eq!(location("I do it all in Excel"), None);
        assert_eq!(experience("I've had it for nine years now").as_deref(), Some("nine years"));
        assert_eq!(experience("I'm 40 years old"), None);
        assert_eq!(experience("I left nine years ago"), None);
        assert_eq!(experience("a baker for twenty five years"), None);
    }
}
