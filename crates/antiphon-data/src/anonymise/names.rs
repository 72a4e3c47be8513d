//! Known names: the words of people's names, and the whole name to which each of them belongs.
//!
//! A text rarely repeats a whole name: `Anna Lee` is later `Anna`, `Ms Lee` or `Anna's`. Therefore each word of a name
//! is known by itself, and all words of one name have the same substitute. A word that two people share, such as a
//! family name, identifies neither, and has another substitute.
//!
//! Words are compared folded: in lower case and without accents, so that `WOJCIK` is found for `Wójcik`. Whether a word
//! that was found is a name at its place is decided by `scan`.

use std::collections::{BTreeMap, BTreeSet};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::common::{begins_sentences, is_first_name, is_word_too};
use super::inflected::{Form, Stems};
use super::kind::Kind;
use super::log::ReplacementLog;
use super::scan::is_uncased;
use crate::speakers;

/// Words of labels that are no person's name, folded: an article, titles, roles, and some days.
const NO_NAMES: [&str; 38] = [
    "dr",
    "mr",
    "mrs",
    "ms",
    "miss",
    "prof",
    "herr",
    "frau",
    "madame",
    "monsieur",
    "the",
    "manager",
    "owner",
    "lead",
    "head",
    "interviewer",
    "interviewerin",
    "moderator",
    "moderatorin",
    "facilitator",
    "researcher",
    "participant",
    "respondent",
    "interviewee",
    "speaker",
    "customer",
    "user",
    "client",
    "host",
    "guest",
    "unknown",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// Words between the parts of a name, which identify no one, folded.
pub(super) const PARTICLES: [&str; 19] = [
    "van", "von", "der", "den", "de", "del", "della", "di", "da", "dos", "das", "do", "la", "le", "du", "zu",
    "bin", "al", "y",
];
/// Words in the names of files that are no person's name.
const FILE_WORDS: [&str; 34] = [
    "interview",
    "interviews",
    "transcript",
    "transcripts",
    "talk",
    "session",
    "notes",
    "call",
    "recording",
    "audio",
    "video",
    "meeting",
    "chat",
    "final",
    "draft",
    "copy",
    "participant",
    "customer",
    "user",
    "client",
    "test",
    "pilot",
    "study",
    "round",
    "part",
    "day",
    "week",
    "raw",
    "clean",
    "edited",
    "zoom",
    "teams",
    "with",
    "and",
];

/// The case-folded words of names, each with the whole name that it belongs to.
pub(super) struct Names {
    /// The known words by their folded form.
    words: BTreeMap<String, Known>,
    /// The words of given names, which match in lower case, too, and in scripts without case.
    given: BTreeSet<String>,
    /// The stems of the words, by which inflected forms are found.
    stems: Stems,
    /// Whether a word is in a script without capitals.
    pub(super) has_uncased: bool,
}

/// A word of a name.
struct Known {
    /// The whole name, or the word itself if several people share it.
    whole: String,
    /// The first letters of the other words of the names, folded.
    initials: BTreeSet<char>,
}

/// A word of a text that may belong to a known name.
#[derive(Debug, Clone)]
pub(super) struct Hit<'n> {
    /// The whole name.
    pub(super) name: &'n str,
    /// The number of bytes that are the name: "Anna's" has four.
    pub(super) length: usize,
    /// The first letters of the other words of the name.
    pub(super) initials: &'n BTreeSet<char>,
    /// The sign by which the word was found.
    pub(super) sign: Sign<'n>,
}

/// The sign by which a word was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign<'n> {
    /// The word is a name wherever it occurs.
    Name,
    /// The word is a name, and begins sentences as another word.
    Word,
    /// The word is one that is a name as well, in lower case.
    LowerCase,
    /// The word is an inflected form of a name.
    Form(Form<'n>),
}

impl Names {
    /// Creates the index of `names`, which include the `given` ones.
    ///
    /// Words of given names count in any case; words of other names only if they begin with a capital letter, since
    /// labels such as `Owner of a stall` have ordinary words, too.
    pub(super) fn new(names: &[String], given: &[String]) -> Self {
        let given: BTreeSet<String> = given.iter().flat_map(|name| parts(name)).map(folded).collect();
        let begins = |c: char| c.is_uppercase() || is_uncased(c);
        let is_name = |word: &&str| word.starts_with(begins) || given.contains(&folded(word));
        let mut owners: BTreeMap<String, Owners> = BTreeMap::new();
        for name in names {
            let words: Vec<&str> = parts(name).filter(is_name).collect();
            for (place, word) in words.iter().enumerate() {
                let owners = owners.entry(folded(word)).or_insert_with(|| Owners::of(word));
                let others = words.iter().enumerate().filter(|(other, _)| *other != place);
                owners.initials.extend(others.filter_map(|(_, word)| folded(word).chars().next()));
                if words.len() > 1 {
                    owners.names.insert(words.join(" "));
                }
            }
            for (word, part) in
                words.iter().flat_map(|word| unspaced_parts(word).map(move |part| (word, part)))
            {
                let owners = owners.entry(folded(part)).or_insert_with(|| Owners::of(word));
                owners.names.insert(words.join(" "));
            }
            for (word, part) in
                words.iter().flat_map(|word| other_forms(word).into_iter().map(move |part| (word, part)))
            {
                let owners = owners.entry(part).or_insert_with(|| Owners::of(word));
                owners.names.insert(words.join(" "));
            }
        }
        let mut stems = Stems::default();
        owners.keys().filter(|key| !is_word_too(key) || given.contains(*key)).for_each(|key| stems.add(key));
        let words = owners.into_iter().map(|(key, owners)| (key, owners.into_known())).collect();
        let has_uncased = BTreeMap::keys(&words).any(|key| key.starts_with(is_uncased));
        Self { words, given, stems, has_uncased }
    }

    /// Returns the hit of a word of a text; `None` for a word that belongs to no name, and for one in lower case that is
    /// not of a given name, such as `may` for May.
    pub(super) fn hit(&self, word: &str) -> Option<Hit<'_>> {
        let stem = ["'s", "’s", "'S", "’S", "'", "’"].iter().find_map(|ending| word.strip_suffix(ending));
        self.known(word)
            .or_else(|| self.known(stem?))
            // A part of "Lee-Smith" or of "d'Anna" may be a known name.
            .or_else(|| self.part_of(word))
            .or_else(|| self.form(stem.unwrap_or(word)))
    }

    /// Returns the hit of a word that is a part of a name as it is written.
    fn known(&self, word: &str) -> Option<Hit<'_>> {
        let key = folded(word);
        let known = self.words.get(&key)?;
        let sign = match (word.starts_with(char::is_uppercase), self.given.contains(&key)) {
            (true, _) if begins_sentences(&key) => Sign::Word,
            (true, _) => Sign::Name,
            (false, _) if word.starts_with(is_uncased) => Sign::Name,
            (false, true) if !is_word_too(&key) => Sign::Name,
            (false, true) => Sign::LowerCase,
            (false, false) => return None,
        };
        Some(Hit { name: &known.whole, length: word.len(), initials: &known.initials, sign })
    }

    /// Returns the hit of a word one of whose parts is a name.
    fn part_of(&self, word: &str) -> Option<Hit<'_>> {
        let mut parts = word.split(['-', '\'', '’']).filter(|part| part.len() < word.len());
        let hit = parts.find_map(|part| self.known(part))?;
        (hit.sign == Sign::Name).then_some(Hit { length: word.len(), ..hit })
    }

    /// Returns the hit of a word that is an inflected form of a name.
    fn form(&self, word: &str) -> Option<Hit<'_>> {
        let key = folded(word);
        let form = self.stems.form_of(&key)?;
        let known = self.words.get(form.name)?;
        let may_be = word.starts_with(char::is_uppercase) || self.given.contains(form.name);
        may_be.then(|| Hit {
            name: &known.whole,
            length: word.len(),
            initials: &known.initials,
            sign: Sign::Form(form),
        })
    }

    /// Returns whether a word that is no known name may be one: it is similar to one, or a frequent first name.
    pub(super) fn may_be_name(&self, word: &str) -> bool {
        let key = folded(word.trim_end_matches("'s").trim_end_matches("’s"));
        !self.words.contains_key(&key) && (is_first_name(&key) || self.stems.is_similar(&key))
    }

    /// Returns the whole name of a speaker: that of the first word that belongs to one, in any case, or else the speaker
    /// itself.
    pub(super) fn whole_name<'n>(&'n self, speaker: &'n str) -> &'n str {
        // The name of a file, such as "ada-byron", may be a speaker's.
        let parts = speaker.split(|c: char| !c.is_alphanumeric());
        let whole = words_of(speaker).chain(parts).find_map(|word| self.words.get(&folded(word)));
        whole.map_or(speaker, |known| &known.whole)
    }

    /// Returns whether the name of a file, or of a folder above it, has a word of a known name.
    pub(super) fn is_in_file(&self, name: &str) -> bool {
        file_words(name).any(|word| self.words.contains_key(&folded(word)))
    }

    /// Returns the substitute for the speaker of a turn: that of the name, numbered where all names have the same one.
    /// Codes and sides of the interview are no names and are kept. The field is no occurrence in a text, and is not
    /// counted.
    pub(super) fn speaker(&self, speaker: &str, found: &mut ReplacementLog) -> String {
        if speakers::is_no_speaker(speaker) {
            return speaker.to_owned();
        }
        match found.replacement(Kind::Name, self.whole_name(speaker)).substitute.as_str() {
            "[name]" => format!("Speaker {}", found.number_of(speaker)),
            substitute => substitute.to_owned(),
        }
    }
}

/// Returns the name of a person in the name of a file, such as `Maria Lopez` for `talks/maria_lopez.txt`; `None` without
/// a frequent first name in it.
pub(super) fn person_of_file(name: &str) -> Option<String> {
    let words: Vec<&str> = file_words(name).filter(|word| !FILE_WORDS.contains(&&*folded(word))).collect();
    let first = words.iter().position(|word| is_first_name(&folded(word)))?;
    let words = if words.len() < 4 { &words[..] } else { &words[first..=first] };
    Some(words.iter().map(|word| capitalised(word)).collect::<Vec<_>>().join(" "))
}

/// Returns the words of letters in a file's name, without its extension.
fn file_words(name: &str) -> impl Iterator<Item = &str> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    stem.split(|c: char| !c.is_alphabetic()).filter(|word| word.chars().count() > 1)
}

/// Returns a word with a capital first letter.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The people whose names have one word in common.
struct Owners {
    /// The word as it was first written.
    word: String,
    /// The whole names of several words that contain the word.
    names: BTreeSet<String>,
    /// The first letters of the other words.
    initials: BTreeSet<char>,
}

impl Owners {
    /// Creates the owners of a word, of whom none is known yet.
    fn of(word: &str) -> Self {
        Self { word: word.to_owned(), names: BTreeSet::new(), initials: BTreeSet::new() }
    }

    /// Returns the word with the whole name of the only owner, otherwise with the word itself: a word that two people
    /// share identifies neither.
    fn into_known(self) -> Known {
        let whole = match (self.names.len(), self.names.into_iter().next()) {
            (1, Some(name)) => name,
            _ => self.word,
        };
        Known { whole, initials: self.initials }
    }
}

/// Returns the words of a name that can identify a person: no titles, no roles, no particles and no single letters.
/// Hyphens and apostrophes belong to a word.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    words_of(name).filter(|word| {
        let key = folded(word);
        let is_particle = PARTICLES.contains(&&*key) && word.starts_with(char::is_lowercase);
        word.chars().count() > 1 && !is_particle && !NO_NAMES.contains(&&*key)
    })
}

/// Returns other forms of a word of a name, folded: the parts between hyphens, the word without an apostrophe, and the cases of
/// Finnish names that end in `nen`.
fn other_forms(word: &str) -> Vec<String> {
    const LEAST: usize = 3;
    const CASES: [&str; 8] = ["sen", "sta", "selle", "sella", "selta", "sesta", "seen", "sena"];
    let key = folded(word);
    let pieces =
        word.split('-').filter(|piece| piece.len() < word.len() && piece.starts_with(char::is_uppercase));
    let mut forms: Vec<String> = pieces.filter(|piece| piece.chars().count() >= LEAST).map(folded).collect();
    forms.extend(key.contains('\'').then(|| key.replace('\'', "")));
    if let Some(stem) = key.strip_suffix("nen").filter(|stem| stem.len() >= LEAST) {
        forms.extend(CASES.iter().map(|case| format!("{stem}{case}")));
    }
    forms
}

/// Returns the parts of a name of three or four characters of Chinese, Japanese or Korean: the family name or the given one.
fn unspaced_parts(word: &str) -> impl Iterator<Item = &str> {
    let is_unspaced = |c: char| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    let bounds: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
    let is_name = matches!(bounds.len(), 3 | 4) && word.chars().all(is_unspaced);
    let cuts = is_name.then(|| (bounds[2], bounds[bounds.len() - 2]));
    cuts.into_iter().flat_map(|(first, last)| [&word[..first], &word[last..]])
}

/// Returns the words of a label, with their hyphens and apostrophes.
fn words_of(label: &str) -> impl Iterator<Item = &str> {
    label.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '\'' | '’'))
}

/// Folds a word: lower case, without accents and strokes, and with a straight apostrophe.
pub(super) fn folded(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    for letter in word.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match letter {
            '’' => plain.push('\''),
            'ł' => plain.push('l'),
            'ø' => plain.push('o'),
            'đ' => plain.push('d'),
            'ı' => plain.push('i'),
            'ß' => plain.push_str("ss"),
            letter => plain.push(letter),
        }
    }
    plain
}
