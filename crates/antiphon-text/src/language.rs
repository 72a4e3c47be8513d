//! The test for English, by the script of a text and its most frequent words.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Frequent words of English that other languages of its script do not share.
const ENGLISH: &str = "
    the and of is that it with for this have not but they you are what when from she had there would can if because it's
    i'm don't their them your were been which about like just get know want need always every how who my we he has all
    i've i'd can't that's very then";
/// Frequent words of other languages, none of which is an English word.
const OTHERS: &str = "
    der das und ist nicht ich wir ein eine mit auf für dass auch sich dem den
    les et je nous vous dans que pas une avec mais qui sur est du ce il
    el los las por como está pero muy y del yo
    che di non sono della è ho gli
    não um uma com os em mais são
    het een niet ik dat voor maar zijn
    och att det som jag är på med til og af ikke
    nie się na jest że jak ale czy tak
    že se je ve jsem byl při
    ei on oli että ja niin
    nem az egy és hogy
    bir ve bu için çok
    și nu este";

static IS_ENGLISH: LazyLock<HashSet<&str>> = LazyLock::new(|| ENGLISH.split_whitespace().collect());
static IS_OTHER: LazyLock<HashSet<&str>> = LazyLock::new(|| OTHERS.split_whitespace().collect());

/// Returns whether a text is English, as far as its letters and its most frequent words show it. A text of a few words is
/// English unless it has words of another language.
///
/// Use it before text statistics, whose stop words and phrases are English.
///
/// ```
/// use antiphon_text::is_english;
/// assert!(is_english("I keep the stock by hand, and it takes two hours."));
/// assert!(!is_english("Ich führe das Lager von Hand, und es dauert zwei Stunden."));
/// assert!(!is_english("Я веду учёт вручную."));
/// ```
#[must_use]
pub fn is_english(text: &str) -> bool {
    let Counts { words, english, others, is_latin } = Counts::of(text);
    // A tenth is far below the share in English, and far above that in any other language.
    let is_frequent = if words < 12 { english >= others } else { english * 10 >= words && english > others };
    is_latin && is_frequent
}

/// Returns whether a text is in another language than English, as far as its letters and its most frequent words show it.
/// Lists of names, which have few frequent words, are in no language: neither this nor [`is_english`] is true for them.
///
/// ```
/// use antiphon_text::is_foreign;
/// assert!(is_foreign("Ich webe, und das ist mir wichtig."));
/// assert!(!is_foreign("Loom: patterns in brass. Rust, Kotlin, Ada."));
/// ```
#[must_use]
pub fn is_foreign(text: &str) -> bool {
    let Counts { words, english, others, is_latin } = Counts::of(text);
    !is_latin || (others > english && others * 20 >= words)
}

/// The words of a text by their language.
struct Counts {
    words: u64,
    english: u64,
    others: u64,
    /// Whether most letters are Latin ones.
    is_latin: bool,
}

impl Counts {
    fn of(text: &str) -> Self {
        let (mut letters, mut foreign, mut words, mut english, mut others) =
            (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
        for letter in text.chars().filter(|c| c.is_alphabetic()) {
            letters += 1;
            foreign += u64::from(letter > '\u{24f}');
        }
        let between = |c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’');
        for word in text.split(between).filter(|word| !word.is_empty()) {
            let plain = word.to_lowercase().replace('’', "'");
            words += 1;
            english += u64::from(word == "I" || IS_ENGLISH.contains(&*plain));
            others += u64::from(IS_OTHER.contains(&*plain));
        }
        Self { words, english, others, is_latin: foreign * 10 <= letters * 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::is_english;

    #[test]
    fn english_is_distinguished_from_other_languages() {
        let english = [
            "",
            "Yes.",
            "I bake.",
            "We keep a list on the wall, and every Friday I check what is left before I ring the mill.",
            "Flour, yeast, salt. Ovens at four. Then it is all about the dough, because no one likes cold bread.",
        ];
        let others = [
            "Wir führen eine Liste an der Wand, und jeden Freitag sehe ich nach, was noch da ist.",
            "Je tiens une liste sur le mur et chaque vendredi je regarde ce qui reste.",
            "Llevo una lista en la pared y cada viernes miro lo que queda para la semana.",
            "Mam listę na ścianie i w każdy piątek sprawdzam, co zostało na następny tydzień.",
            "Pidän listaa seinällä ja joka perjantai katson, mitä on jäljellä ensi viikolle tänään.",
            "Μου αρέσει το ψωμί",
            "我每天早上检查库存。",
            "Nina orodha ukutani, na kila Ijumaa naangalia kilichobaki kwa wiki ijayo yote.",
        ];
        english.iter().for_each(|text| assert!(is_english(text), "{text}"));
        others.iter().for_each(|text| assert!(!is_english(text), "{text}"));
    }
}
