//! Inflected forms of names: `Annas`, `Anny`, `Annalle`, `Анны`.
//!
//! Each name has stems, and a word is a form of the name if it is a stem and one of the endings that belong to it.
//! Stems are the whole name, the name without its last vowel, and in some languages a stem whose consonants change, as in
//! `Marek` and `Marka`, or `Mikko` and `Mikon`. No grammar of a language is applied: a form that does not exist does not
//! occur.
//!
//! All texts here are folded: in lower case and without accents.

use std::collections::BTreeMap;

/// The kind of a stem, which decides on the endings that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stem {
    /// The whole name, which ends with a consonant.
    Consonant,
    /// The whole name, which ends with a vowel.
    Vowel,
    /// The name without its last vowel.
    Shortened,
    /// A stem whose last consonants changed before an ending with `e` or `i`.
    Softened,
}

/// Endings of a genitive in languages that do not inflect names otherwise: German, English plurals, Swedish.
const GENITIVES: &[&str] = &["s", "ens"];
/// Endings of the Slavic languages, Hungarian, Finnish and the Baltic languages, by the kind of their stem.
const AFTER_CONSONANT: &[&str] = &[
    "a", "u", "e", "em", "iem", "ie", "owi", "ovi", "ow", "om", "ami", "ach", "y", "ym", "im", "ego", "eho",
    "emu", "ova", "ove", "ovy", "ovo", "uv", "ovou", "ovou", "ou", "nak", "nek", "val", "vel", "at", "et",
    "ot", "hoz", "ban", "ben", "in", "ia", "ille", "illa", "ilta", "issa", "ista", "iin", "ina", "iksi", "i",
    "ui", "am", "ul", "ului", "а", "у", "ом", "ем", "ым", "им", "е", "и", "ы", "ов", "ова", "ову", "ове",
    "ои", "ою", "ами", "ах", "ам", "ові", "еві", "ю", "я", "ого", "ому", "ης", "ου",
];
const AFTER_VOWEL: &[&str] = &[
    "n", "a", "t", "i", "u", "j", "m", "ssa", "sta", "lla", "lta", "lle", "ksi", "na", "tta", "an", "nak",
    "nek", "val", "vel", "ban", "ben", "hoz", "nal", "ra", "re", "ei", "le", "los", "ς", "ν", "м", "и", "ю",
];
const AFTER_SHORTENED: &[&str] = &[
    "y", "i", "ie", "e", "o", "a", "u", "ou", "ej", "iej", "om", "ami", "ach", "am", "in", "ina", "ine",
    "inu", "iny", "iego", "iemu", "im", "ego", "eho", "emu", "ym", "ei", "ii", "em", "iem", "owi", "ovi",
    "as", "es", "os", "is", "us", "ai", "oj", "iu", "ы", "и", "е", "у", "ю", "ои", "еи", "ою", "ею", "ам",
    "ами", "ах", "я", "а", "ем", "ом", "ого", "ому", "ым", "им", "ии", "ию", "ия", "ин", "ина", "ины",
    "ином", "ієм", "єм", "єю", "ієи", "і", "ї", "ου", "ο", "ον", "ε", "ας", "ης",
];
const AFTER_SOFTENED: &[&str] =
    &["ie", "e", "i", "n", "lle", "lla", "lta", "ssa", "sta", "ksi", "а", "у", "ом", "ем", "е", "і"];

/// The stems of known names, each with the folded names to which it belongs.
#[derive(Debug, Default)]
pub(super) struct Stems(BTreeMap<String, Vec<StemOf>>);

/// The kind of a stem, and the name that it is of.
#[derive(Debug)]
struct StemOf {
    kind: Stem,
    name: String,
}

/// A form of a known name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form<'n> {
    /// The folded name.
    pub(super) name: &'n str,
    /// Whether the form is a genitive with `s`, which every language of Europe has.
    pub(super) is_genitive: bool,
    /// Whether the stem has only two letters, so that many words are such forms.
    pub(super) is_short: bool,
}

impl Stems {
    /// Adds the stems of a folded name. Names of one or two letters have none.
    pub(super) fn add(&mut self, name: &str) {
        let letters: Vec<char> = name.chars().collect();
        let (Some(last), 3..) = (letters.last().copied(), letters.len()) else { return };
        let without_last: String = letters[..letters.len() - 1].iter().collect();
        if !is_vowel(last) {
            self.insert(name.to_owned(), Stem::Consonant, name);
            for stem in fleeting(&letters).into_iter().chain(endless(name)) {
                self.insert(stem.clone(), Stem::Consonant, name);
                self.insert(stem, Stem::Shortened, name);
            }
            for stem in softened(name) {
                self.insert(stem, Stem::Softened, name);
            }
            return;
        }
        self.insert(name.to_owned(), Stem::Vowel, name);
        for stem in softened(&without_last).into_iter().chain(graded(&without_last, last)) {
            self.insert(stem, Stem::Softened, name);
        }
        self.insert(without_last, Stem::Shortened, name);
    }

    fn insert(&mut self, stem: String, kind: Stem, name: &str) {
        if stem.chars().count() > 1 {
            self.0.entry(stem).or_default().push(StemOf { kind, name: name.to_owned() });
        }
    }

    /// Returns the name of which a folded word is a form. The longest stem wins.
    pub(super) fn form_of(&self, word: &str) -> Option<Form<'_>> {
        let ends = word.char_indices().map(|(at, _)| at).rev().take(5);
        // The longest ending has five letters.
        ends.take_while(|at| *at > 0).find_map(|at| {
            let (stem, ending) = word.split_at(at);
            let owner = self.0.get(stem)?.iter().find(|of| takes(of.kind, ending))?;
            let is_whole = matches!(owner.kind, Stem::Consonant | Stem::Vowel);
            let is_genitive = is_whole && stem == owner.name && GENITIVES.contains(&ending);
            Some(Form { name: &owner.name, is_genitive, is_short: stem.chars().count() < 3 })
        })
    }

    /// Returns whether a folded word begins as a known name does, up to the name's last letter, and is not much longer.
    pub(super) fn is_similar(&self, word: &str) -> bool {
        let length = word.chars().count();
        let begins = word.char_indices().map(|(at, c)| at + c.len_utf8()).skip(2);
        begins.take(12).any(|end| {
            let owners = self.0.get(&word[..end]).map(Vec::as_slice).unwrap_or_default();
            owners.iter().any(|of| {
                let name = of.name.chars().count();
                of.kind != Stem::Softened && name >= 4 && length <= name + 4 && word != of.name
            })
        })
    }
}

/// Returns whether a kind of stem takes an ending.
fn takes(kind: Stem, ending: &str) -> bool {
    match kind {
        Stem::Consonant => GENITIVES.contains(&ending) || AFTER_CONSONANT.contains(&ending),
        Stem::Vowel => ending == "s" || AFTER_VOWEL.contains(&ending),
        Stem::Shortened => AFTER_SHORTENED.contains(&ending),
        Stem::Softened => AFTER_SOFTENED.contains(&ending),
    }
}

/// Returns whether a folded letter is a vowel, or a letter that Cyrillic names lose before an ending.
fn is_vowel(letter: char) -> bool {
    "aeiouyаеиоуыэюяьійαειουωη".contains(letter)
}

/// Returns the stem without the vowel that Slavic names lose before an ending: `mark` for `marek`, `pawl` for `pawel`.
fn fleeting(letters: &[char]) -> Option<String> {
    let [start @ .., vowel, last] = letters else { return None };
    let is_lost = matches!(vowel, 'e' | 'е' | 'о') && "klcrкцлнр".contains(*last);
    // "Marek" has "Marka", "Daniec" has "Danca": an "i" before the vowel goes with it.
    let start = if *vowel == 'e' { start.strip_suffix(&['i']).unwrap_or(start) } else { start };
    (is_lost && start.len() > 1).then(|| start.iter().chain([last]).collect())
}

/// Returns the stem of a name that loses its ending, as in `Jonas`, `Jono` and `Γιωργος`, `Γιωργου`.
fn endless(name: &str) -> Option<String> {
    ["as", "us", "is", "ος", "ης", "ας"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .map(str::to_owned)
}

/// Returns the stem whose last consonant changes before `e` or `i`: `marci` for `marta`, `agnieszc` for `agnieszka`.
fn softened(stem: &str) -> Vec<String> {
    const CHANGES: [(&str, &[&str]); 12] = [
        ("ch", &["sz", "s"]),
        ("t", &["c", "ci"]),
        ("d", &["dz", "dzi"]),
        ("k", &["c"]),
        ("g", &["dz", "z"]),
        ("r", &["rz", "r"]),
        ("h", &["z"]),
        ("к", &["ц"]),
        ("г", &["з"]),
        ("х", &["с"]),
        ("s", &["si"]),
        ("n", &["ni"]),
    ];
    let change = CHANGES.iter().find(|(last, _)| stem.ends_with(last));
    let made = change.into_iter().flat_map(|(last, new)| {
        let start = &stem[..stem.len() - last.len()];
        new.iter().map(move |new| format!("{start}{new}"))
    });
    made.collect()
}

/// Returns the weak grade of a Finnish name: `miko` for `mikko`, `mati` for `matti`.
fn graded(without_last: &str, last: char) -> Option<String> {
    let start = ["kk", "pp", "tt"].iter().find(|double| without_last.ends_with(*double));
    start.map(|_| format!("{}{last}", &without_last[..without_last.len() - 1]))
}

/// The language of a line, as far as names are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tongue {
    /// A language that gives names no ending but `s`: English, German, the Romance and the Nordic languages.
    Plain,
    /// A language that inflects names.
    Inflecting,
    /// A line with too few words to say.
    Unknown,
}

/// Frequent words of languages without cases of names that languages with them do not have.
const PLAIN_WORDS: &str = "
    the and is of was that you with she they have had but not what when are this it's i'm for from his her about
    der die das und ist ich nicht mit ein eine zu war wir sie auf dem den hat mein wie aber auch
    que los las una por con del está muy pero como es
    les des est et je nous vous dans pour avec mais une du ce qui il elle pas
    che non di il per sono anche della ho è
    não uma em os com para mas
    het een niet van ik dat maar zijn
    och att det som en inte med jag har och er på det ikke til jeg og af";
/// Frequent words of languages that inflect names.
const INFLECTING_WORDS: &str = "
    nie się na jest że jak przez mam dla już tylko czy ze rozmawiałem powiedziała była został mnie też
    že ve jsem jsme bylo když nebo jako být mám pak také řekla
    että ei oli se minä kun mutta niin myös ovat olen hänen kanssa sanoi
    hogy nem az egy és volt meg csak már azt mondta
    sme ktorý bola nebol som aj
    je što kao smo bio bila nije sa rekla
    kad tai bet buvo bija arī yra
    și nu este care pentru";

impl Tongue {
    /// Returns the language of a line by its most frequent words; of a line without any, that of the text around it.
    pub(super) fn of(line: &str) -> Self {
        let words =
            || line.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
        if line.chars().any(|c| ('\u{400}'..'\u{530}').contains(&c)) {
            return Self::Inflecting;
        }
        let count = |list: &std::collections::BTreeSet<&str>| {
            words().filter(|word| list.contains(&*word.to_lowercase())).count()
        };
        let (plain, inflecting) = (count(&PLAIN), count(&INFLECTING));
        match plain.cmp(&inflecting) {
            std::cmp::Ordering::Greater => Self::Plain,
            std::cmp::Ordering::Less => Self::Inflecting,
            std::cmp::Ordering::Equal => Self::Unknown,
        }
    }
}

static PLAIN: std::sync::LazyLock<std::collections::BTreeSet<&str>> =
    std::sync::LazyLock::new(|| PLAIN_WORDS.split_whitespace().collect());
static INFLECTING: std::sync::LazyLock<std::collections::BTreeSet<&str>> =
    std::sync::LazyLock::new(|| INFLECTING_WORDS.split_whitespace().collect());

#[cfg(test)]
mod tests {
    use super::super::names::folded;
    use super::{Stems, Tongue};

    #[track_caller]
    fn check(name: &str, forms: &[&str], others: &[&str]) {
        let mut stems = Stems::default();
        stems.add(&folded(name));
        for form in forms {
            assert!(stems.form_of(&folded(form)).is_some(), "{form} is a form of {name}");
        }
        for other in others {
            assert!(stems.form_of(&folded(other)).is_none(), "{other} is no form of {name}");
        }
    }

    #[test]
    fn forms_of_names_are_found_in_many_languages() {
        check(
            "Anna",
            &["Annas", "Anny", "Annie", "Annę", "Anną", "Annou", "Annalle", "Annan", "Annát", "Annának"],
            &["Anton"],
        );
        check("Marta", &["Marcie", "Martą", "Marty", "Martin"], &["Market", "Marathon"]);
        check("Agnieszka", &["Agnieszce", "Agnieszkę", "Agnieszki"], &["Agnes"]);
        check("Marek", &["Marka", "Markowi", "Markiem"], &["Marketing"]);
        check("Paweł", &["Pawła", "Pawłem", "Pawle"], &[]);
        check("Mikko", &["Mikon", "Mikolle", "Mikkoa"], &["Mikrofon"]);
        check("Анна", &["Анны", "Анне", "Анну", "Анной"], &["Антон"]);
        check("Павел", &["Павла", "Павлу", "Павлом"], &[]);
        check("Андрей", &["Андрея", "Андрею", "Андреем"], &[]);
        check("Kowalska", &["Kowalskiej", "Kowalską"], &[]);
        check("Kowalski", &["Kowalskiego", "Kowalskim"], &[]);
        check("Nováková", &["Novákové", "Novákovou"], &[]);
        check("Hans", &["Hansens"], &["Hanser"]);
    }

    #[test]
    fn the_language_of_a_line_is_that_of_its_frequent_words() {
        assert_eq!(Tongue::of("Rozmawiałem z nią, ale nie było jej"), Tongue::Inflecting);
        assert_eq!(Tongue::of("I was with her and the cat"), Tongue::Plain);
        assert_eq!(Tongue::of("Ich habe mit der Bank geredet"), Tongue::Plain);
        assert_eq!(Tongue::of("Так сказала Анна"), Tongue::Inflecting);
        assert_eq!(Tongue::of("Anna"), Tongue::Unknown);
    }
}
