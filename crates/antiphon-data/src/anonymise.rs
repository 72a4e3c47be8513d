//! Anonymisation: personal data (PII) is found and replaced, with the turns and the source lines kept.
//!
//! All documents are processed in one call and in two passes. The first collects the names of people from labels and
//! introductions, the second replaces them and everything that matches a pattern. In each document the replacements are
//! collected in this order, and a range that overlaps an earlier one is dropped:
//!
//! 1. the speaker's name in the label before each turn, which is a name in any script;
//! 2. e-mail addresses, account names and telephone numbers, by regular expressions (`patterns`);
//! 3. words that belong to a known name (`names`).
//!
//! The new text and the moved offsets are then made together (`rewrite`). `Debug` of all public types omits originals,
//! names and the salt, since logs are read by others.

mod names;
mod patterns;
mod rewrite;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use self::names::Names;
use self::rewrite::{joined, replaced};
use crate::document::{Document, Turn};
use crate::speakers;

/// An anonymiser, which removes personal data (PII) from documents: names, e-mail addresses, account names and
/// telephone numbers.
///
/// The anonymiser knows the names of speakers, names in introductions ("my name is …", "call me …", "Mrs …"), and names
/// that the caller [gives](Anonymiser::names). It removes every occurrence of a word of such a name that begins with a
/// capital letter; the words of given names also match in lower case. Accents and the case of the other letters are
/// ignored.
///
/// There is no dictionary of names: the name of a person who is only mentioned, without a title, stays in the text
/// unless the caller gives it.
///
/// Addresses of places, dates, amounts and names of companies are kept as well: the result has less personal data, and
/// is not proved to have none.
///
/// | kind | found by | redact | replace | hash |
/// |---|---|---|---|---|
/// | `name` | labels, introductions, given names | `[name]` | `Person 1` | `name-1f3a5b7c` |
/// | `email` | `name@host.tld`, in any script | `[email]` | `person1@mail.example` | `email-…` |
/// | `account` | `@name` | `[account]` | `@person1` | `account-…` |
/// | `phone` | 7 to 15 digits in the form of a number to call | `[phone]` | `01632 960001` | `phone-…` |
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
    /// `name`, `email`, `account` or `phone`.
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
    /// [`Document::line_at`] still returns lines of the source files; byte offsets refer to the new texts. The copies
    /// are named `document-001` and so on, with the extension of the file, since a file's name may be a person's name.
    /// Pass all documents in one call, so that a person has the same substitute in each of them.
    ///
    /// With [`Strategy::Redact`], [speakers](Turn::speaker) with a name become `Speaker 1` and so on, so that turns of
    /// different people can still be distinguished. [`Document::sha256`] and [`Document::bytes`] remain those of the
    /// source. The list of replacements is in the order in which they were found.
    ///
    /// The result is deterministic. This function is CPU-bound: in async code, call it on a blocking thread for large
    /// inputs.
    #[must_use]
    pub fn apply(&self, documents: &[Document]) -> (Vec<Document>, Vec<Replacement>) {
        let names = self.words_of_names(documents);
        let mut found = ReplacementLog::of(self);
        let mut made = Vec::with_capacity(documents.len());
        for (number, document) in (1..).zip(documents) {
            let mut cuts = Replacements::default();
            // Labels first: there a speaker's label is a name in any script.
            for turn in &document.turns {
                cuts.label(document, turn, &names, &mut found);
            }
            patterns::cut(&document.text, &names, &mut cuts, &mut found);
            let cuts = joined(&document.text, cuts.in_order());
            made.push(replaced(document, &cuts, number, |speaker| names.speaker(speaker, &mut found)));
        }
        (made, found.replaced)
    }

    /// Collects the names of people in all documents: given names, speakers that are no codes or roles, and
    /// introductions.
    fn words_of_names(&self, documents: &[Document]) -> Names {
        let mut names: Vec<String> = self.names.clone();
        for document in documents {
            let people = document.turns.iter().map(|turn| &*turn.speaker);
            names.extend(people.filter(|name| speakers::is_speaker(name)).map(str::to_owned));
            names.extend(patterns::introduced(&document.text).map(str::to_owned));
        }
        Names::new(&names, &self.names)
    }

    /// Returns the substitute for the original of a kind that is the `number`th of its kind, from 1.
    fn substitute(&self, kind: &str, original: &str, number: usize) -> String {
        match (self.strategy, kind) {
            (Strategy::Redact, kind) => format!("[{kind}]"),
            (Strategy::Replace, "email") => format!("person{number}@mail.example"),
            // Ofcom reserves these numbers for drama: no one has them.
            (Strategy::Replace, "phone") => format!("01632 960{:03}", number % 1_000),
            (Strategy::Replace, "account") => format!("@person{number}"),
            (Strategy::Replace, _) => format!("Person {number}"),
            (Strategy::Hash, kind) => self.code(kind, original),
        }
    }

    /// Returns the code of an original: its kind and the first 32 bits of a salted SHA-256. The kind is hashed as well,
    /// so that equal texts of two kinds have different codes.
    fn code(&self, kind: &str, original: &str) -> String {
        let digest = Sha256::digest(format!("{}\0{kind}\0{original}", self.salt));
        let code: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("{kind}-{code}")
    }
}

/// Ranges of a text with their substitutes; no two overlap. The key is the start of a range, the value its end and
/// substitute.
#[derive(Default)]
struct Replacements(BTreeMap<usize, (usize, String)>);

impl Replacements {
    /// Adds a range, unless it is empty or overlaps an earlier one. Only then is the substitute computed, and counted.
    fn add(&mut self, range: Range<usize>, substitute: impl FnOnce() -> String) {
        let before = self.0.range(..range.end).next_back();
        if range.is_empty() || before.is_some_and(|(_, (end, _))| *end > range.start) {
            return;
        }
        self.0.insert(range.start, (range.end, substitute()));
    }

    /// Replaces the name in the label before a turn's words. Labels that are codes or sides of the interview are kept.
    fn label(&mut self, document: &Document, turn: &Turn, names: &Names, found: &mut ReplacementLog<'_>) {
        let before = document.text.get(..turn.span.start).unwrap_or_default();
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
            self.add(range, || found.substitute("name", names.whole_name(&turn.speaker)));
        }
    }

    /// Returns the ranges in ascending order, with their substitutes.
    fn in_order(self) -> Vec<(Range<usize>, String)> {
        self.0.into_iter().map(|(start, (end, substitute))| (start..end, substitute)).collect()
    }
}

impl fmt::Debug for Anonymiser {
    // Without names and salt, which are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anonymiser").field("strategy", &self.strategy).finish_non_exhaustive()
    }
}

/// The replacements in all documents so far, by which equal originals get equal substitutes.
struct ReplacementLog<'a> {
    anonymiser: &'a Anonymiser,
    /// The replacements in the order in which they were found.
    replaced: Vec<Replacement>,
    /// The index in `replaced` of each original, by its kind: an account may have the text of a name.
    by_kind: BTreeMap<&'static str, BTreeMap<String, usize>>,
    /// The numbers of speakers whose names were redacted.
    speakers: BTreeMap<String, usize>,
}

impl<'a> ReplacementLog<'a> {
    /// Creates an empty log.
    fn of(anonymiser: &'a Anonymiser) -> Self {
        Self { anonymiser, replaced: Vec::new(), by_kind: BTreeMap::new(), speakers: BTreeMap::new() }
    }

    /// Returns the number of a speaker, from 1.
    fn number_of(&mut self, speaker: &str) -> usize {
        let next = self.speakers.len() + 1;
        *self.speakers.entry(speaker.to_owned()).or_insert(next)
    }

    /// Returns the substitute for an original, and counts the occurrence in a text.
    fn substitute(&mut self, kind: &'static str, original: &str) -> String {
        let replacement = self.replacement(kind, original);
        replacement.times += 1;
        replacement.substitute.clone()
    }

    /// Returns the replacement of an original; a new one has no occurrence yet.
    fn replacement(&mut self, kind: &'static str, original: &str) -> &mut Replacement {
        let of_kind = self.by_kind.entry(kind).or_default();
        let at = of_kind.get(original).copied().unwrap_or_else(|| {
            let substitute = self.anonymiser.substitute(kind, original, of_kind.len() + 1);
            of_kind.insert(original.to_owned(), self.replaced.len());
            self.replaced.push(Replacement { kind, original: original.to_owned(), substitute, times: 0 });
            self.replaced.len() - 1
        });
        &mut self.replaced[at]
    }
}

#[cfg(test)]
#[cfg(feature = "csv")]
mod tests {
    use super::{Anonymiser, Strategy};
    use crate::Document;

    fn document(name: &str, text: &str) -> Document {
        Document::parse(name, text.as_bytes()).unwrap()
    }

    #[track_caller]
    fn check(strategy: Strategy, text: &str, expected: &str) {
        let (documents, _) = Anonymiser::new(strategy).salt("salt").apply(&[document("a.txt", text)]);
        assert_eq!(&*documents[0].text, expected);
        for turn in &documents[0].turns {
            assert!(!documents[0].words(turn).is_empty());
        }
    }

    #[test]
    fn names_addresses_and_numbers_are_removed_and_the_rest_is_kept() {
        check(
            Strategy::Redact,
            "Interviewer: Hello Anna.\nAnna Lee: Call +44 20 7946 0958 or a.lee@post.example, Anna's line.\nInterviewer: On 2026-11-22 at 10:30:00?\nAnna Lee: I paid 12,000 for 3 ovens.\n",
            "Interviewer: Hello [name].\n[name]: Call [phone] or [email], [name]'s line.\nInterviewer: On 2026-11-22 at 10:30:00?\n[name]: I paid 12,000 for 3 ovens.\n",
        );
        check(
            Strategy::Redact,
            "Interviewer: And you?\nP1: My name is Bo Larsson, I work with Mrs Abara. Bo is short. I like may flowers.\n",
            "Interviewer: And you?\nP1: My name is [name], I work with Mrs [name]. [name] is short. I like may flowers.\n",
        );
    }

    #[test]
    fn names_are_removed_in_every_form_and_similar_words_are_kept() {
        check(
            Strategy::Redact,
            "Interviewer: Hello KATARZYNA.\nKatarzyna Wójcik: Wojcik, yes. I will say: may I? @kasia_w knows, 555-0187 too.\nLiam O'Connor: O'Connor's line, (01632) 960 003. In 2021 I sold 1234567.\n",
            "Interviewer: Hello [name].\n[name]: [name], yes. I will say: may I? [account] knows, [phone] too.\n[name]: [name]'s line, [phone]. In 2021 I sold 1234567.\n",
        );
        let made = |name: &str, text: &str| {
            let document = Document::parse(name, text.as_bytes()).unwrap();
            let (made, _) = Anonymiser::new(Strategy::Redact).apply(&[document]);
            (made[0].text.to_string(), made[0].turns.last().unwrap().speaker.to_string())
        };
        let file = made("maria_lopez.csv", "age,What annoys you?\n40,It is so slow\n");
        assert_eq!(file.1, "Speaker 1");
        let file = made("maria_lopez.txt", "Interviewer: Well?\nParticipant: It is slow.\n");
        assert_eq!(
            file,
            ("Interviewer: Well?\nParticipant: It is slow.\n".to_owned(), "Speaker 1".to_owned())
        );
        let file = made("t.txt", "Interviewer: Well?\nParticipant: It is.\n");
        assert!(file.0.contains("Participant: It"), "{}", file.0);
        let led = made(
            "a.txt",
            "Moderator (Sam): Well?\nDr Lee: Dr Smith, in 2019-2020 I made 12 500 000.\nModerator (Sam): My name is Sam\nDr Lee: Call me Lee. 01.23.45.67.89\n",
        );
        assert_eq!(
            led.0,
            "Moderator ([name]): Well?\n[name]: Dr [name], in 2019-2020 I made 12 500 000.\nModerator ([name]): My name is [name]\n[name]: Call me [name]. [phone]\n"
        );
        let other = made("b.json", r#"[{"speaker": "李小龙", "text": "I like it so"}]"#);
        assert_eq!(other, ("[name]: I like it so\n".to_owned(), "Speaker 1".to_owned()));
    }

    #[test]
    fn a_person_has_one_substitute_in_all_documents_and_codes_reveal_nothing() {
        let documents = [
            document("anna.txt", "Interviewer: Well?\nAnna: I bake.\n"),
            document("b.txt", "Interviewer: Well?\nBo: Anna bakes, Zed sells.\n"),
        ];
        let (made, found) = Anonymiser::new(Strategy::Replace).names(["Zed"]).apply(&documents);
        assert_eq!(&*made[1].text, "Interviewer: Well?\nPerson 2: Person 1 bakes, Person 3 sells.\n");
        assert_eq!((made[0].name.as_str(), &*made[1].turns[1].speaker), ("document-001.txt", "Person 2"));
        assert_eq!(found.iter().map(|found| found.times).max(), Some(2));
        let shared = document("c.txt", "Ann Lee: One.\nBob Lee: Two.\nAnn Lee: Lee and Ann.\nBob Lee: No.\n");
        let (made, _) = Anonymiser::new(Strategy::Replace).apply(&[shared]);
        assert!(made[0].text.contains("Person 3 and Person 1."), "{}", made[0].text);
        let coded =
            |salt: &str| Anonymiser::new(Strategy::Hash).salt(salt).apply(&documents).0[0].text.to_string();
        assert_eq!(coded("x"), coded("x"));
        assert_ne!(coded("x"), coded("y"));
        assert!(!coded("x").contains("Anna"));
    }

    #[test]
    fn equal_texts_of_two_kinds_have_different_codes() {
        let text = "Interviewer: Well?\nP1: Ask @ada_b and @ada_b.\n";
        let replaced = |strategy| {
            let given = Anonymiser::new(strategy);
            let mut found = super::ReplacementLog::of(&given);
            let made = [("account", "@ada"), ("name", "@ada"), ("account", "@ada")];
            let made = made.map(|(kind, original)| found.substitute(kind, original));
            (made, found.replaced.iter().map(|replaced| (replaced.kind, replaced.times)).collect::<Vec<_>>())
        };
        let (made, found) = replaced(Strategy::Hash);
        assert!(
            made[0] == made[2] && made[0].starts_with("account-") && made[1].starts_with("name-"),
            "{made:?}"
        );
        assert_eq!(found, [("account", 2), ("name", 1)]);
        assert_eq!(replaced(Strategy::Redact).0, ["[account]", "[name]", "[account]"]);
        check(Strategy::Redact, text, "Interviewer: Well?\nP1: Ask [account] and [account].\n");
    }

    #[test]
    fn occurrences_are_those_in_the_texts_and_not_the_speakers_of_turns() {
        let text = "Interviewer: Well, Anna?\nAnna: I bake.\nInterviewer: So?\nAnna: So.\n";
        let (_, found) = Anonymiser::new(Strategy::Replace).apply(&[document("a.txt", text)]);
        let counted: Vec<_> = found.iter().map(|found| (found.original.as_str(), found.times)).collect();
        assert_eq!(counted, [("Anna", 3)]);
        let table = "age,What annoys you?\n40,It is so slow\n";
        let (made, found) = Anonymiser::new(Strategy::Replace).apply(&[document("maria_lopez.csv", table)]);
        assert_eq!((&*made[0].turns[0].speaker, found[0].times), ("Person 1", 0));
    }

    #[test]
    fn lines_and_turns_keep_their_places() {
        let text =
            "Interviewer: Hi\nMaximiliane: I am Maximiliane,\nfrom Ulm, and I bake.\nMaximiliane: Yes.\n";
        let (made, _) = Anonymiser::new(Strategy::Redact).apply(&[document("a.txt", text)]);
        let words: Vec<_> = made[0].turns.iter().map(|turn| made[0].words(turn)).collect();
        assert_eq!(words, ["Hi", "I am [name],\nfrom Ulm, and I bake.", "Yes."]);
        assert_eq!(made[0].line_at(made[0].text.find("Ulm").unwrap()), 3);
        assert_eq!(made[0].line_at(made[0].turns[2].span.start), 4);
    }
}
