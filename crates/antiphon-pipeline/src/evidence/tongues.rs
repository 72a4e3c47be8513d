//! Languages in which a word denies that is an ordinary word elsewhere, or in which verbs deny by a prefix or an ending.
//!
//! Finnish "en" denies, and French and Spanish "en" do not: so these words count only in a turn that has the frequent words of
//! their language. In doubt they count, since a quote that is lost is better than one that is turned round.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::languages::{ENGLISH, FRENCH, GERMAN, ITALIAN, LANGUAGES, POLISH, PORTUGUESE, RUSSIAN, SPANISH};
use super::matcher::Token;
use super::sense::has;
use super::text::{is_apostrophe, word};
use super::words;

/// A language, by its frequent words, and what denies in it alone.
struct Tongue {
    common: &'static str,
    /// Words that deny.
    denying: &'static str,
    /// Returns whether a word denies by its form.
    denies: fn(&str) -> bool,
    /// Whether the verb is at the end of the clause, and with it what denies.
    is_verb_last: bool,
}

/// Frequent words of Turkish.
const TURKISH: &str = "ben sen siz o bir ve bu için ile de da çok her ama gibi daha var benim bizim kadar sonra şey mi biz para ekmek su gün zaman artık hiç";

/// The languages that deny by words of their own, and neighbours of theirs that do not, so that a turn is not taken for one of
/// the former.
const TONGUES: [Tongue; 15] = [
    Tongue {
        common: "minä sinä hän me te he ja on ei se että niin kun mutta tämä siellä sieltä aina sitten en et emme kanssa olen oli joka",
        denying: "en et ei emme ette eivät enkä etkä eikä emmekä ettekä eivätkä",
        denies: never,
        is_verb_last: false,
    },
    Tongue {
        common: "eu tu el ea noi voi ele și în la de cu pe nu că este sunt am ai are avem un o din pentru mai nici",
        denying: "nu n nici niciun nicio nimic deloc fără",
        denies: never,
        is_verb_last: false,
    },
    Tongue {
        common: "já ty my vy oni je jsem jsme jsou a v na z s ve se si to že jak když můj moje po za ale od do také při pro nebo u každý",
        denying: "ne ani bez nic žádný žádná žádné",
        denies: is_czech,
        is_verb_last: false,
    },
    Tongue {
        common: "én te ő mi ti ők a az és van egy hogy nem is de ha mert meg itt ott már csak minden azt ezt",
        denying: "nem ne sem se nincs nincsenek sincs soha sohasem sose senki semmi semmit semmilyen nélkül alig ritkán",
        denies: never,
        is_verb_last: false,
    },
    Tongue { common: TURKISH, denying: "", denies: is_turkish, is_verb_last: true },
    Tongue { common: LANGUAGES[FRENCH].common, denying: "ne", denies: never, is_verb_last: false },
    Tongue {
        common: "ja ti on mi vi oni je sam smo su i u na za se da od s sa ali moj moja kad kako",
        denying: "ne nije nisam nisi nismo niste nisu nema nemam nemamo neću nećemo nikad nikada nitko niko ništa bez",
        denies: never,
        is_verb_last: false,
    },
    Tongue {
        common: "jag du han hon vi ni de och att det är på som med för av en ett inte har den till om nu men så där här alltid",
        denying: "ej",
        denies: never,
        is_verb_last: false,
    },
    Tongue {
        common: "jeg du han hun vi de og at det er på som med for af av en et ikke har den til om nu nå men så der alltid altid",
        denying: "ej",
        denies: never,
        is_verb_last: false,
    },
    Tongue {
        common: "ik jij je hij zij ze wij we jullie de het een en van in op te dat niet met voor is zijn maar ook aan bij er nu altijd",
        denying: "",
        denies: never,
        is_verb_last: false,
    },
    Tongue {
        common: "saya kami kita aku dia mereka yang di ke dari dan ini itu untuk dengan tidak ada juga sudah akan setiap selalu",
        denying: "tak nggak enggak gak ga ndak",
        denies: never,
        is_verb_last: false,
    },
    Tongue {
        common: "tôi chúng ta anh chị em họ là và của ở có không này đó cho với những các một rất luôn mỗi",
        denying: "chả",
        denies: never,
        is_verb_last: false,
    },
    Tongue { common: LANGUAGES[SPANISH].common, denying: "", denies: never, is_verb_last: false },
    Tongue { common: LANGUAGES[GERMAN].common, denying: "", denies: never, is_verb_last: false },
    Tongue { common: LANGUAGES[ENGLISH].common, denying: "", denies: never, is_verb_last: false },
];

/// The other languages of [`LANGUAGES`], which count against those above.
const OTHERS: [usize; 4] = [ITALIAN, PORTUGUESE, POLISH, RUSSIAN];

static COMMON: LazyLock<Vec<HashSet<String>>> = LazyLock::new(|| {
    let others = OTHERS.iter().map(|language| LANGUAGES[*language].common);
    TONGUES.iter().map(|tongue| tongue.common).chain(others).map(set).collect()
});

/// The normalised words that deny, in the order of [`TONGUES`].
static DENYING: LazyLock<Vec<HashSet<String>>> =
    LazyLock::new(|| TONGUES.iter().map(|tongue| set(tongue.denying)).collect());

/// Number of words beside a passage by which the language is recognised.
const BESIDE: usize = 40;

/// Returns the normalised words of a list.
fn set(list: &str) -> HashSet<String> {
    list.split_whitespace().map(word).collect()
}

fn never(_: &str) -> bool {
    false
}

/// Returns whether a word of Czech or Slovak has the prefix that denies.
fn is_czech(word: &str) -> bool {
    word.starts_with("ne")
        && word.chars().count() > 3
        && !words::NOT_CZECH.split_whitespace().any(|other| word.starts_with(other))
}

/// Returns whether a verb of Turkish denies: "almıyorum", "almadım", "almaz", "almayacak", "almadan".
fn is_turkish(word: &str) -> bool {
    let syllable = |at: usize| {
        let rest = &word[at..];
        let behind = rest.strip_prefix("ma").or_else(|| rest.strip_prefix("me"));
        let narrow = ["mi", "mu", "mü"].iter().find_map(|syllable| rest.strip_prefix(syllable));
        narrow.is_some_and(|rest| rest.starts_with("yor"))
            || behind.is_some_and(|rest| {
                matches!(rest, "m" | "z")
                    || words::TURKISH_BEHIND.split_whitespace().any(|end| rest.starts_with(end))
            })
    };
    word.match_indices('m').filter(|(at, _)| *at > 0).any(|(at, _)| syllable(at))
}

/// The languages that a turn may be in, of those that deny in a way of their own.
pub(super) struct Tongues {
    /// Each with its words that deny.
    likely: Vec<(&'static Tongue, &'static HashSet<String>)>,
    /// Whether the turn has a frequent word or a letter of a language: without one, the forms of words show nothing.
    is_known: bool,
}

impl Tongues {
    /// Returns the languages with the most frequent words around `tokens[at]`; all of them if there are none of any language.
    pub(super) fn of(text: &str, tokens: &[Token], at: usize) -> Self {
        let around = &tokens[at.saturating_sub(BESIDE)..(at + BESIDE).min(tokens.len())];
        let said: Vec<String> = around.iter().map(|token| word(token.text(text))).collect();
        let count =
            |common: &HashSet<String>| said.iter().filter(|word| common.contains(word.as_str())).count();
        let counts: Vec<usize> = COMMON.iter().map(count).collect();
        let most = counts.iter().max().copied().unwrap_or_default();
        // Letters that English does not have show a language, too.
        let is_known = most > 0 || said.iter().any(|word| !word.is_ascii());
        let tongues = TONGUES.iter().zip(DENYING.iter()).zip(counts);
        let likely = tongues.filter(|(_, count)| *count == most).map(|(tongue, _)| tongue).collect();
        Self { likely, is_known }
    }

    /// Returns whether a word denies in one of these languages, by itself or by its form. `said` is the word as it is written, and
    /// `short` the normalised one.
    pub(super) fn deny(&self, said: &str, short: &str) -> bool {
        let by_itself = |(tongue, denying): &(&Tongue, &HashSet<String>)| {
            denying.contains(short) || self.is_known && (tongue.denies)(short)
        };
        self.likely.iter().any(by_itself) || is_elided(said) && self.are_french() || is_prefixed(short)
    }

    /// Returns whether the turn may be in German, whose articles say who does what to whom.
    pub(super) fn have_cases(&self) -> bool {
        self.likely.iter().any(|(tongue, _)| tongue.common == LANGUAGES[GERMAN].common)
    }

    /// Returns whether the turn may be in French.
    pub(super) fn are_french(&self) -> bool {
        self.likely.iter().any(|(tongue, _)| tongue.common == LANGUAGES[FRENCH].common)
    }

    /// Returns whether a normalised word denies the whole clause before it, as a verb at its end.
    pub(super) fn deny_late(&self, short: &str) -> bool {
        // No other language has words with this syllable.
        let is_known = self.is_known || ["miyor", "muyor", "müyor"].iter().any(|form| short.contains(form));
        self.likely.iter().any(|(tongue, _)| tongue.is_verb_last && is_known && (tongue.denies)(short))
    }
}

/// Returns whether a word begins with the elided "ne" of French, as in "n'ai".
fn is_elided(said: &str) -> bool {
    let mut first = said.chars();
    matches!(first.next(), Some('n' | 'N')) && first.next().is_some_and(is_apostrophe)
}

/// Returns whether a word of Hebrew, Arabic or Persian denies behind a prefix: "and not", "that is not".
fn is_prefixed(word: &str) -> bool {
    let of =
        |prefixes: &[char], denying: &str| word.strip_prefix(prefixes).is_some_and(|rest| has(denying, rest));
    of(&['ו', 'ש', 'ה', 'כ'], "לא אין אינו אינה אינני אינם בלי שלא")
        || of(&['و', 'ف', 'أ'], "لا لم لن ليس ليست لست لسنا ما بلا غير بدون")
        || word.starts_with("نمی")
}
