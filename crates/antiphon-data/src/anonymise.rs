//! Anonymisation: personal data (PII) is found and replaced, with the turns and the source lines kept.
//!
//! All documents are processed in one call and in two passes. The first collects the names of people from labels,
//! headers and introductions, the second replaces them and everything that matches a pattern. In each document the
//! replacements are collected in this order, and a range that overlaps an earlier one is dropped:
//!
//! 1. the speaker's name in the label before each turn, which is a name in any script;
//! 2. e-mail addresses, account names, cards (`cards`), postal addresses (`addresses`) and telephone numbers, by regular
//!    expressions (`patterns`);
//! 3. words that belong to a known name (`names`), or to an inflected form of one (`inflected`), where the sentence does
//!    not show that they are something else (`scan`, `context`).
//!
//! The new text and the moved offsets are then made together (`rewrite`). Rows of tables take the same way, a text at a
//! time (`rows`). `Debug` of all public types omits originals, names and the salt, since logs are read by others.

mod addresses;
mod cards;
mod common;
mod context;
mod inflected;
mod kind;
mod log;
mod misses;
mod names;
mod patterns;
mod rewrite;
mod rows;
mod scan;

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest, Sha256};

use self::kind::Kind;
use self::log::{ReplacementLog, Replacements};
use self::misses::Misses;
pub use self::misses::PossibleMiss;
use self::names::{Names, person_of_file};
use self::rewrite::{joined, replaced};
pub use self::rows::{RowAnonymiser, RowNames};
use crate::document::{Document, Turn};
use crate::speakers;

/// An anonymiser, which removes personal data (PII) from documents: names, e-mail addresses, account names, telephone
/// and card numbers, and postal addresses.
///
/// The anonymiser knows the names of speakers, names in headers and introductions ("Interviewer: Sam Lee", "my name is
/// …", "Mrs …"), and names that the caller [gives](Anonymiser::names). It removes every occurrence of a word of such a
/// name that begins with a capital letter, with the initials beside it, and its inflected forms ("Annas", "Anny",
/// "Анны"); the words of given names also match in lower case. Accents and the case of the other letters are ignored. A
/// name that is also a word, such as Will or May, counts only where the sentence shows that it is a name.
///
/// No dictionary of names decides on a text: the name of a person who is only mentioned, without a title, stays in the
/// text unless the caller gives it. [`review`](Anonymiser::review) lists the words that may be such names.
///
/// Names of towns alone, dates, amounts and names of companies are kept as well: the result has less personal data, and
/// is not proved to have none.
///
/// | kind | found by | redact | replace | hash |
/// |---|---|---|---|---|
/// | `name` | labels, introductions, given names | `[name]` | `Person 1` | `name-1f3a5b7c` |
/// | `email` | `name@host.tld`, in any script | `[email]` | `person1@mail.example` | `email-…` |
/// | `account` | `@name` | `[account]` | `@person1` | `account-…` |
/// | `phone` | 7 to 15 digits in the form of a number to call | `[phone]` | `01632 960001` | `phone-…` |
/// | `card` | 13 to 19 digits with a valid check digit (Luhn) | `[card]` | `0000 0000 0000 0001` | `card-…` |
/// | `address` | a street with its number, a postcode with its town | `[address]` | `1 Example Street` | `address-…` |
///
/// # Examples
/// ```
/// use antiphon_data::{Anonymiser, Document, Strategy};
/// let talk = b"Interviewer: Who are you?\nAnna Lee: Anna, mail me at anna@lee.example.\n";
/// let document = Document::parse("talk.txt", talk)?;
/// let (documents, found) = Anonymiser::new(Strategy::Replace).apply(&[document]);
/// let expected = "Interviewer: Who are you?\nPerson 1: Person 1, mail me at person1@mail.example.\n";
/// assert_eq!(&*documents[0].text, expected);
/// assert_eq!((found[0].original.as_str(), found[0].substitute.as_str()), ("Anna Lee", "Person 1"));
/// # Ok::<(), antiphon_data::Failure>(())
/// ```
#[derive(Clone)]
pub struct Anonymiser {
    strategy: Strategy,
    names: Vec<String>,
    salt: String,
}

/// The strategy for the text that replaces personal data: redact, replace or hash. Serialised in lower case, as
/// `redact`.
///
/// Use [`Replace`](Self::Replace) if a language model or a person reads the result, [`Redact`](Self::Redact) if no one
/// has to distinguish people, and [`Hash`](Self::Hash) if results of several runs have to be joined by person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Strategy {
    /// Redact: the kind of the data, such as `[name]`. Two people can no longer be distinguished.
    Redact,
    /// Replace: an invented value, such as `Person 1`, which is the same for all occurrences of a name in all
    /// documents.
    Replace,
    /// Hash: a short code, such as `name-1f3a5b7c`, which is the same for all occurrences in all documents: the first
    /// eight hexadecimal digits of a salted SHA-256. Without a secret [salt](Anonymiser::salt), a name can be found by
    /// hashing a list of names.
    Hash,
}

/// A text that was removed, with its substitute. `Debug` omits the original; `Serialize` includes it, so that a list of
/// replacements is as confidential as the documents.
///
/// ```json
/// { "kind": "name", "original": "Anna Lee", "instead": "Person 1", "times": 3 }
/// ```
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Replacement {
    /// `name`, `email`, `account`, `phone`, `card` or `address`.
    pub kind: &'static str,
    /// The text that was removed. For a name, the whole name, of which an occurrence may have only one word.
    pub original: String,
    /// The text that replaces it.
    #[serde(rename = "instead")]
    pub substitute: String,
    /// The number of occurrences that were replaced, in the texts of all documents. Each word of a name counts as one. 0
    /// for a name that is only the [speaker](Turn::speaker) of turns, as one that a file's name gave.
    pub times: usize,
}

/// The result of an anonymisation: documents without the personal data that was found, and what a person should know of
/// it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Anonymisation {
    /// The copies of the documents, in their order.
    pub documents: Vec<Document>,
    /// The replacements, in the order in which they were found.
    pub replaced: Vec<Replacement>,
    /// The words that may be names and were kept, in the order of the documents.
    pub possible_misses: Vec<PossibleMiss>,
}

impl fmt::Debug for Replacement {
    // Without the original: logs are read by others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, substitute, times, .. } = self;
        f.debug_struct("Replacement")
            .field("kind", kind)
            .field("instead", substitute)
            .field("times", times)
            .finish()
    }
}

impl Anonymiser {
    /// Creates an anonymiser with this strategy, no given names and an empty salt.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self { strategy, names: Vec::new(), salt: String::new() }
    }

    /// Sets names to remove in addition to those that are found. A name may have several words. Default: none. Replaces
    /// the names of an earlier call.
    ///
    /// Given names also match in lower case and in scripts without case. Titles and words of one letter are ignored.
    ///
    /// ```
    /// use antiphon_data::{Anonymiser, Document, Strategy};
    /// let document = Document::parse("a.txt", b"P1: I share the van with zed.\n")?;
    /// let (documents, _) = Anonymiser::new(Strategy::Redact).names(["Zed"]).apply(&[document]);
    /// assert_eq!(&*documents[0].text, "P1: I share the van with [name].\n");
    /// # Ok::<(), antiphon_data::Failure>(())
    /// ```
    #[must_use]
    pub fn names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the salt for [`Strategy::Hash`]. Default: empty. Keep the salt secret: with it, names can be hashed until a
    /// code matches.
    #[must_use]
    pub fn salt(mut self, salt: impl Into<String>) -> Self {
        self.salt = salt.into();
        self
    }

    /// Returns the strategy.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Returns copies of the documents without the personal data that was found, and the list of replacements.
    ///
    /// [`Document::line_at`] still returns lines of the source files; byte offsets refer to the new texts. A copy keeps
    /// the name of its file, unless that has a person's name: then the copy is named `document-001`, by its place, with
    /// the extension of the file. Pass all documents in one call, so that a person has the same substitute in each of
    /// them.
    ///
    /// With [`Strategy::Redact`], [speakers](Turn::speaker) with a name become `Speaker 1` and so on, so that turns of
    /// different people can still be distinguished. [`Document::sha256`] and [`Document::bytes`] remain those of the
    /// source. The list of replacements is in the order in which they were found.
    ///
    /// The result is deterministic. This function is CPU-bound: in async code, call it on a blocking thread for large
    /// inputs.
    #[must_use]
    pub fn apply(&self, documents: &[Document]) -> (Vec<Document>, Vec<Replacement>) {
        let Anonymisation { documents, replaced, .. } = self.review(documents);
        (documents, replaced)
    }

    /// Anonymises documents as [`apply`](Self::apply) does, and lists the words that may be names and were kept, so that
    /// a person can look at them and [give](Self::names) those that are.
    ///
    /// ```
    /// use antiphon_data::{Anonymiser, Document, Strategy};
    /// let talk = b"P1: I asked Will.\nWill: Will Monday do? Peter is off.\nP1: Ask Peter.\nWill: Yes.\n";
    /// let made = Anonymiser::new(Strategy::Redact).review(&[Document::parse("a.txt", talk)?]);
    /// assert_eq!(&*made.documents[0].text, "P1: I asked [name].\n[name]: Will Monday do? Peter is off.\nP1: Ask Peter.\n[name]: Yes.\n");
    /// let words: Vec<&str> = made.possible_misses.iter().map(|miss| miss.word.as_str()).collect();
    /// assert_eq!(words, ["Will", "Peter"]);
    /// # Ok::<(), antiphon_data::Failure>(())
    /// ```
    #[must_use]
    pub fn review(&self, documents: &[Document]) -> Anonymisation {
        let names = self.words_of_names(documents);
        let (mut found, mut misses) = (ReplacementLog::of(self), Misses::default());
        let mut made: Vec<Document> = Vec::with_capacity(documents.len());
        for (number, document) in (1..).zip(documents) {
            let mut cuts = Replacements::default();
            // Labels first: there a speaker's label is a name in any script.
            for turn in &document.turns {
                cuts.label(document, turn, &names, &mut found);
            }
            let doubtful = patterns::cut(&document.text, &names, &mut cuts, &mut found);
            let is_named = names.is_in_file(&document.name);
            let name = if is_named { new_name(&document.name, number) } else { document.name.clone() };
            for range in doubtful {
                let line = document.line_at(range.start);
                misses.add(&document.text[range], &name, line);
            }
            let cuts = joined(&document.text, cuts.in_order());
            let stem = stem(&document.name);
            made.push(replaced(document, &cuts, name, |speaker| {
                // A file without speakers is its own speaker, and rarely a person.
                let is_file =
                    speaker.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
                if is_file && !is_named { speaker.to_owned() } else { names.speaker(speaker, &mut found) }
            }));
        }
        Anonymisation {
            documents: made,
            replaced: found.into_replaced(),
            possible_misses: misses.into_list(),
        }
    }

    /// Collects the names of people in all documents: given names, speakers that are no codes or roles, headers,
    /// introductions, and names of files with a frequent first name.
    fn words_of_names(&self, documents: &[Document]) -> Names {
        let mut names: Vec<String> = self.names.clone();
        for document in documents {
            let people: BTreeSet<&str> = document.turns.iter().map(|turn| &*turn.speaker).collect();
            let people = people.into_iter().filter(|name| speakers::is_speaker(name));
            names.extend(people.map(str::to_owned));
            names.extend(names_in(&document.text, &document.turns));
            names.extend(person_of_file(&document.name));
        }
        Names::new(&names, &self.names)
    }

    /// Returns the substitute for the original of a kind that is the `number`th of its kind, from 1.
    fn substitute(&self, kind: Kind, original: &str, number: usize) -> String {
        match self.strategy {
            Strategy::Redact => format!("[{}]", kind.name()),
            Strategy::Replace => kind.invented(number),
            Strategy::Hash => self.code(kind, original),
        }
    }

    /// Returns the code of an original: its kind and the first 32 bits of a salted SHA-256. The kind is hashed as well,
    /// so that equal texts of two kinds have different codes.
    fn code(&self, kind: Kind, original: &str) -> String {
        let kind = kind.name();
        let digest = Sha256::digest(format!("{}\0{kind}\0{original}", self.salt));
        let code: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("{kind}-{code}")
    }
}

impl Replacements {
    /// Replaces the name in the label before a turn's words. Labels that are codes or sides of the interview are kept.
    fn label(&mut self, document: &Document, turn: &Turn, names: &Names, found: &mut ReplacementLog) {
        self.label_in(&document.text, turn, names, found);
    }

    /// Replaces the name in the label before a turn of a text.
    fn label_in(&mut self, text: &str, turn: &Turn, names: &Names, found: &mut ReplacementLog) {
        let before = text.get(..turn.span.start).unwrap_or_default();
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        if speakers::is_no_speaker(&turn.speaker) {
            return;
        }
        // A label is alone on its line but for markup and times: "**Anna Lee:**" and "[00:01] Anna Lee:".
        let label = before[line..].trim_end().trim_end_matches(['*', '_']).trim_end_matches(':');
        let label = label.trim_end_matches(['*', '_', ' ']);
        if let Some(lead) = label.strip_suffix(&*turn.speaker)
            && !lead.ends_with(char::is_alphanumeric)
        {
            let start = line + lead.len();
            let range = start..start + turn.speaker.len();
            self.add(range, || found.substitute(Kind::Name, names.whole_name(&turn.speaker)));
        }
    }
}

/// Returns the names in the introductions of a text, and in the header above its first turn.
fn names_in(text: &str, turns: &[Turn]) -> Vec<String> {
    let above = turns.first().map_or(0, |turn| text[..turn.span.start].rfind('\n').map_or(0, |end| end + 1));
    let header = if above > 0 { &text[..above] } else { patterns::header_of(text) };
    let headed = patterns::headed(header).map(|range| &header[range]);
    let introduced = patterns::introduced(text).map(|range| &text[range]);
    headed.chain(introduced).map(str::to_owned).collect()
}

/// Returns the name of the copy of a document whose name has a person's name: its number, and the extension of the file.
fn new_name(file: &str, number: u32) -> String {
    let ending = file.rsplit_once('.').map_or("txt", |(_, ending)| ending);
    format!("document-{number:03}.{ending}")
}

/// Returns a file's name without its extension, which is the speaker of a file that names none.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

impl fmt::Debug for Anonymiser {
    // Without names and salt, which are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anonymiser").field("strategy", &self.strategy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod leaks;
#[cfg(test)]
#[cfg(feature = "csv")]
mod tests;
