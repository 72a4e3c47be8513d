//! Rows without personal data: texts in JSON objects, a row at a time.
//!
//! A table may be larger than memory, and a name may be known only from a later row. Therefore rows are read twice: the
//! first time for names, the second time to be rewritten. Only the names and the replacements are kept in memory.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::common::is_first_name;
use super::kind::Kind;
use super::log::{ReplacementLog, Replacements};
use super::misses::Misses;
use super::names::{Names, folded, person_of_file};
use super::rewrite::{joined, text_without};
use super::{Anonymiser, PossibleMiss, Replacement, names_in, new_name, patterns};
use crate::document::{Document, Format, Turn};
use crate::error::Failure;
use crate::rows::line_of_failure;
use crate::speakers;

/// Keys of fields that hold a person's name, folded and without marks.
const NAME_KEYS: [&str; 34] = [
    "firstname",
    "lastname",
    "middlename",
    "fullname",
    "surname",
    "familyname",
    "givenname",
    "forename",
    "displayname",
    "customername",
    "clientname",
    "contactname",
    "contactperson",
    "username",
    "nickname",
    "speaker",
    "author",
    "interviewer",
    "interviewee",
    "participant",
    "respondent",
    "sender",
    "recipient",
    "vorname",
    "nachname",
    "familienname",
    "prenom",
    "nom",
    "nombre",
    "apellido",
    "apellidos",
    "imie",
    "nazwisko",
    "patient",
];
/// Keys of fields that hold a telephone number.
const PHONE_KEYS: [&str; 12] = [
    "phone",
    "phonenumber",
    "telephone",
    "tel",
    "mobile",
    "mobilephone",
    "cell",
    "cellphone",
    "fax",
    "telefon",
    "handy",
    "telefono",
];
/// Keys of fields that hold a postal address or a part of one that identifies a house.
const ADDRESS_KEYS: [&str; 20] = [
    "address",
    "address1",
    "address2",
    "addressline1",
    "addressline2",
    "streetaddress",
    "street",
    "postaladdress",
    "homeaddress",
    "shippingaddress",
    "billingaddress",
    "postcode",
    "zip",
    "zipcode",
    "postalcode",
    "adresse",
    "strasse",
    "plz",
    "direccion",
    "rue",
];
/// Keys of people by their part in something, without case and separators.
const ROLE_KEYS: [&str; 9] =
    ["customer", "client", "contact", "employee", "owner", "manager", "emergencycontact", "guest", "tenant"];
/// Keys of fields that hold the number of a payment card.
const CARD_KEYS: [&str; 4] = ["card", "cardnumber", "creditcard", "creditcardnumber"];

/// The names of people in rows, which are collected before any row is rewritten.
///
/// # Examples
/// ```
/// use antiphon_data::{Anonymiser, Strategy};
/// let anonymiser = Anonymiser::new(Strategy::Redact);
/// let rows = [r#"{"first_name":"Ada","note":"Slow."}"#, r#"{"first_name":"Bo","note":"Ada helps, 12 Mill Lane."}"#];
/// let mut names = anonymiser.row_names();
/// rows.iter().for_each(|row| names.learn(row));
/// let mut rewriter = names.into_anonymiser();
/// let made: Vec<String> = rows.iter().map(|row| rewriter.rewrite(row)).collect();
/// assert_eq!(made[0], r#"{"first_name":"[name]","note":"Slow."}"#);
/// assert_eq!(made[1], r#"{"first_name":"[name]","note":"[name] helps, [address]."}"#);
/// assert_eq!(rewriter.finish().0.len(), 3);
/// ```
pub struct RowNames {
    anonymiser: Anonymiser,
    names: BTreeSet<String>,
}

/// A rewriter of rows: texts in JSON objects lose their personal data, and the objects keep their keys.
pub struct RowAnonymiser {
    names: Names,
    log: ReplacementLog,
    misses: Misses,
    /// The number of rows that were rewritten.
    rows: u32,
}

impl Anonymiser {
    /// Returns the collector of names for rows, of which none was read yet.
    #[must_use]
    pub fn row_names(&self) -> RowNames {
        RowNames { anonymiser: self.clone(), names: BTreeSet::new() }
    }
}

impl RowNames {
    /// Collects the names in a row: those in fields for names, such as `first_name`, and in its texts those of speakers
    /// and introductions. A row that is no JSON is one text.
    pub fn learn(&mut self, row: &str) {
        match serde_json::from_str(row) {
            Ok(value) => self.learn_value("", &value),
            Err(_) => self.learn_text(row),
        }
    }

    fn learn_value(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) if field_kind(key, text) == Some(Kind::Name) => {
                self.names.extend((!speakers::is_no_speaker(text)).then(|| text.clone()));
            }
            Value::String(text) if is_file(key, text) => self.names.extend(person_of_file(text)),
            Value::String(text) => self.learn_text(text),
            Value::Array(values) => values.iter().for_each(|value| self.learn_value(key, value)),
            Value::Object(fields) => {
                let is_person = is_person(fields);
                fields.iter().for_each(|(key, value)| self.learn_value(meant(key, is_person), value));
            }
            _ => {}
        }
    }

    fn learn_text(&mut self, text: &str) {
        let text = &*with_plain_ends(text);
        let turns = turns_of(text);
        let people = turns.iter().map(|turn| &*turn.speaker).filter(|name| speakers::is_speaker(name));
        self.names.extend(people.map(str::to_owned));
        self.names.extend(names_in(text, &turns));
    }

    /// Returns the rewriter, once all rows were read.
    #[must_use]
    pub fn into_anonymiser(self) -> RowAnonymiser {
        let given = &self.anonymiser.names;
        let names: Vec<String> = given.iter().cloned().chain(self.names).collect();
        let names = Names::new(&names, given);
        RowAnonymiser { names, log: ReplacementLog::of(&self.anonymiser), misses: Misses::default(), rows: 0 }
    }
}

impl RowAnonymiser {
    /// Returns a row without the personal data that was found in its texts. Keys, numbers and the order of fields are
    /// kept; only numbers in fields for telephones and cards are replaced.
    pub fn rewrite(&mut self, row: &str) -> String {
        self.rows = self.rows.saturating_add(1);
        match serde_json::from_str(row) {
            Ok(value) => self.value("", value).to_string(),
            Err(_) => self.text(row),
        }
    }

    /// Returns a text without the personal data that was found, such as the message of a row that cannot be read.
    pub fn text(&mut self, text: &str) -> String {
        let text = &*with_plain_ends(text);
        let turns = turns_of(text);
        let mut cuts = Replacements::default();
        for turn in &turns {
            cuts.label_in(text, turn, &self.names, &mut self.log);
        }
        for range in patterns::cut(text, &self.names, &mut cuts, &mut self.log) {
            self.misses.add(&text[range], "row", self.rows);
        }
        text_without(text, &joined(text, cuts.in_order()))
    }

    /// Returns the line that takes the place of a row that cannot be read: [`Rows`](crate::Rows) reads it as the same failure,
    /// with its reason and its line in the source but without its text.
    pub fn failed(&mut self, failure: &Failure) -> String {
        self.rows = self.rows.saturating_add(1);
        let has_name = self.names.is_in_file(&failure.document);
        let document = if has_name { format!("file-{:03}", self.rows) } else { failure.document.clone() };
        line_of_failure(&Failure { document, reason: self.text(&failure.reason), ..failure.clone() })
    }

    /// Returns the replacements, in the order in which they were found, and the words that may be names and were kept.
    #[must_use]
    pub fn finish(self) -> (Vec<Replacement>, Vec<PossibleMiss>) {
        (self.log.into_replaced(), self.misses.into_list())
    }

    fn value(&mut self, key: &str, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.field(key, &text)),
            Value::Number(number) => match field_kind(key, &number.to_string()) {
                Some(kind @ (Kind::Phone | Kind::Card)) => {
                    Value::String(self.log.substitute(kind, &number.to_string()))
                }
                _ => Value::Number(number),
            },
            Value::Array(values) => values.into_iter().map(|value| self.value(key, value)).collect(),
            Value::Object(fields) => {
                let is_person = is_person(&fields);
                let fields = fields.into_iter().map(|(key, value)| {
                    let value = self.value(meant(&key, is_person), value);
                    (key, value)
                });
                Value::Object(fields.collect())
            }
            other => other,
        }
    }

    /// Returns the text of a field: a substitute for the whole of it if the key says what it is.
    fn field(&mut self, key: &str, text: &str) -> String {
        match field_kind(key, text) {
            _ if is_file(key, text) && self.names.is_in_file(text) => new_name(text, self.rows),
            _ if is_file(key, text) => text.to_owned(),
            Some(Kind::Name) if speakers::is_no_speaker(text) => text.to_owned(),
            Some(Kind::Name) => self.log.substitute(Kind::Name, self.names.whole_name(text)),
            Some(kind) => self.log.substitute(kind, text),
            None => self.text(text),
        }
    }
}

/// Returns whether an object is about a person, whose `name` is a person's then.
fn is_person(fields: &Map<String, Value>) -> bool {
    const KEYS: [&str; 10] = [
        "email",
        "emailaddress",
        "mail",
        "age",
        "gender",
        "birthday",
        "birthdate",
        "dateofbirth",
        "dob",
        "alter",
    ];
    let has = |keys: &[&str]| fields.keys().any(|key| keys.contains(&&*plain_key(key)));
    // A stall has a telephone, too, but not a name of several capitalised words.
    let is_named = || {
        let mut names = fields.iter().filter(|(key, _)| key.eq_ignore_ascii_case("name"));
        names.any(|(_, name)| name.as_str().is_some_and(is_capitalised))
    };
    has(&KEYS) || ((has(&PHONE_KEYS) || has(&CARD_KEYS)) && is_named())
}

/// Returns the key by which a field is read: the `name` in an object about a person is a full name.
fn meant(key: &str, is_person: bool) -> &str {
    if is_person && key.eq_ignore_ascii_case("name") { "full_name" } else { key }
}

/// Returns whether a field is the name of a document, as in the rows of a folder.
fn is_file(key: &str, text: &str) -> bool {
    key == "name" && Format::from_name(text).is_some()
}

/// Returns a key without case, marks and separators.
fn plain_key(key: &str) -> String {
    folded(key).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Returns whether a text is two to four words that begin with capitals, as the name of a person is written.
fn is_capitalised(text: &str) -> bool {
    let count = text.split_whitespace().count();
    (2..=4).contains(&count) && text.split_whitespace().all(|word| word.starts_with(char::is_uppercase))
}

/// Returns the kind of a field whose key says that all of it is personal data; `None` for other fields.
fn field_kind(key: &str, text: &str) -> Option<Kind> {
    let plain = plain_key(key);
    let is_short = !text.trim().is_empty() && text.chars().count() <= 200;
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let is_person = || text.split_whitespace().next().is_some_and(|first| is_first_name(&folded(first)));
    let is_name = text.split_whitespace().count() <= 5 && !text.contains(['@', '\n']);
    match plain.as_str() {
        _ if !is_short => None,
        key if NAME_KEYS.contains(&key) && is_name => Some(Kind::Name),
        // A "customer" or an "owner" may be a company, which is replaced as well.
        key if ROLE_KEYS.contains(&key) && is_name && is_capitalised(text) => Some(Kind::Name),
        // A "name" is often that of a town or a product.
        "name" if is_name && is_person() => Some(Kind::Name),
        key if PHONE_KEYS.contains(&key) && (5..=17).contains(&digits) => Some(Kind::Phone),
        key if CARD_KEYS.contains(&key) && (12..=19).contains(&digits) => Some(Kind::Card),
        key if ADDRESS_KEYS.contains(&key) && !text.contains('@') => Some(Kind::Address),
        _ => None,
    }
}

/// Returns a text with the line ends that documents have.
fn with_plain_ends(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

/// Returns the turns of a text with labels; none for a text of one line, or without labels.
fn turns_of(text: &str) -> Vec<Turn> {
    const FILE: &str = "row";
    if !text.contains('\n') || !text.contains(':') {
        return Vec::new();
    }
    let turns =
        Document::parse("row.txt", text.as_bytes()).ok().filter(|document| document.text.starts_with(text));
    let turns = turns.map(|document| document.turns).unwrap_or_default();
    turns.into_iter().filter(|turn| !turn.speaker.starts_with(FILE)).collect()
}

impl std::fmt::Debug for RowNames {
    // Without the names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowNames").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RowAnonymiser {
    // Without names and originals.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowAnonymiser").field("rows", &self.rows).finish_non_exhaustive()
    }
}
