//! Postal addresses: a street with its number, and a postcode with its town.
//!
//! Streets are found by the word for one, in the order of the language: `12 Mill Lane`, `Hauptstraße 5`, `12 rue de la
//! Paix`, `calle Mayor 3`. A street without a number identifies no house, and is kept. A postcode of five digits is a
//! number like others, so that it counts only behind a street or before the name of a town that follows a word for a
//! place.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Match, Regex};

use super::patterns::pattern;

/// A capitalised word, as in the name of a street or a town.
const NAME: &str = r"\p{Lu}[\p{L}\p{M}'’.-]*";

/// Streets with their numbers, a pattern for each order of the parts.
static STREETS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [english(), compound(), german(), french(), spanish(), slavic(), boxes()]
        .iter()
        .map(|text| pattern(text))
        .collect()
});

/// `12 Mill Lane`, `Flat 3, 12a St. John's Road`, `350 W. Fifth Ave., Apt 4B`, also with the number as a word.
fn english() -> String {
    let unit = r"(?:Flat|Apartment|Apt\.?|Unit|Suite|Ste\.?|Room)\s?#?\d{0,4}[A-Za-z]?";
    let number = r"(?:\d{1,5}[A-Za-z]?(?:\s?[-–/]\s?\d{1,5}[A-Za-z]?)?|(?i:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[- ](?i:one|two|three|four|five|six|seven|eight|nine))?)";
    let street = "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Way|Court|Ct|Close|Place|Pl|Square|Sq|Terrace|Crescent|Cres|Gardens|Grove|Row|Mews|Walk|Boulevard|Blvd|Parkway|Pkwy|Highway|Hwy|Circle|Wharf|Quay|Rise";
    format!(
        r"\b(?:{unit},?\s)?{number},?[ \t]+(?:(?:\p{{Lu}}[\p{{L}}\p{{M}}'’-]*\.?|\d{{1,3}}(?:st|nd|rd|th))[ \t]+){{1,4}}?(?:{street})\b(?:\.(?:,?[ \t]+{unit}\b|,)|\.?,[ \t]+{unit}\b)?"
    )
}

/// `Hauptstraße 5`, `Kerkstraat 12a`, `Storgatan 3`: the street is one word.
fn compound() -> String {
    let street = "straße|strasse|str\\.|weg|gasse|platz|allee|damm|ufer|steig|chaussee|promenade|straat|laan|plein|gracht|gatan|vägen|gata|veien|vej|gade";
    format!(
        r"\b\p{{Lu}}[\p{{L}}\p{{M}}-]*(?:{street})[ \u{{a0}}]?\d{{1,4}}(?:[ ]?[a-z]\b)?(?:[-–/]\d{{1,4}}[a-z]?\b)?"
    )
}

/// `Lange Straße 12`, `Alter Markt 5`, `ul. Długa 5`, and before a postcode also `An der Mühle 7`.
fn german() -> String {
    let street = "Straße|Strasse|Str\\.|Weg|Gasse|Platz|Allee|Ring|Damm|Ufer|Markt|Chaussee";
    let number = r"\d{1,4}(?:[ ]?[a-z]\b)?(?:[-–/]\d{1,4}[a-z]?\b)?";
    let place = r"(?:Am|An|Auf|Im|In|Zum|Zur|Unter|Hinter|Bei)(?: der| den| dem)?";
    format!(
        r"\b(?:(?:{NAME}[ -]){{1,2}}(?:{street})[ ]{number}|{place} {NAME}[ ]{number},[ ]?(?:D-|A-|CH-)?\d{{4,5}} {NAME}|(?:ul|al|pl|os)\. (?:{NAME}[ ]){{1,3}}{number})"
    )
}

/// `12 rue de la Paix`, `3 bis, avenue Victor-Hugo`, `5, place du marché`.
fn french() -> String {
    let street = "rue|avenue|av\\.|boulevard|bd\\.?|place|chemin|allée|impasse|quai|route|ruelle|faubourg|sentier|square";
    let link = r"(?:de la |de l['’]|du |des |de |d['’]|la |le |les |l['’])";
    format!(
        r"\b\d{{1,4}}(?: ?(?:bis|ter|quater|[A-D])\b)?,? (?i:{street}) (?:{link}+\p{{L}}[\p{{L}}\p{{M}}'’-]*|{NAME})(?:[ -](?:{link})*{NAME})*"
    )
}

/// `calle Mayor 3`, `Avda. de la Paz, 12, 2º B`, `C/ Sol 5`, and the same forms in Portuguese and Italian.
fn spanish() -> String {
    let street = "calle|c/|avenida|avda\\.?|av\\.|plaza|pza\\.?|paseo|camino|carretera|ronda|travesía|callejón|glorieta|rua|travessa|praça|via|viale|piazza|vicolo|corso";
    let link = "(?:de la |de los |de las |del |de |la |el |los |las |das |dos |da |do |della |dei )";
    format!(
        r"(?i:\b(?:{street})) ?{link}*{NAME}(?: (?:{link})*(?:y )?{NAME})*,? (?:n[.º°]+ ?|núm\.? |número )?\d{{1,4}}(?:[a-zA-Z]\b)?(?:, ?\d{{1,2}} ?[ºª°](?: ?[A-Z]\b)?)?"
    )
}

/// `улица Ленина, дом 5, кв. 12`, `ул. Садовая, д. 7`, `ulicy Długiej 5 m. 3`.
fn slavic() -> String {
    let street = "улиц[аеыу]|ул\\.|проспект[ае]?|пр-т|переул(?:ок|ке)|площад[ьи]|вулиц[яі]|вул\\.|ulic[aąęy]|alei|placu|ulice|ulici|třída";
    let number = r"(?:дом[ае]? |д\. ?|буд\. ?|nr )?\d{1,4}(?:[A-Za-zА-Яа-я]\b)?(?:[/-]\d{1,4})?(?:,? (?:кв\.|квартира|корп\.|м\.|m\.|кв) ?\d{1,4})?";
    format!(r"(?i:\b(?:{street})) (?:{NAME}[ ]){{0,2}}{NAME},? {number}")
}

/// `PO Box 12`, `Postfach 12 34 56`.
fn boxes() -> String {
    r"\b(?:P\.? ?O\.? Box|Postfach|Apartado(?: de correos)?) \d[\d ]{0,8}\d?\b".to_owned()
}

/// The rest of an address behind a street: a postcode and a town, in either order, also on the next line.
static REST: LazyLock<Regex> = LazyLock::new(|| {
    let town = format!(r"{NAME}(?:[ -](?:am|an der|im|bei|sur|de|del|la|le|upon|{NAME}))*");
    let uk = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b";
    let code = r"(?:[A-Z]{1,2}-)?\d{4,5}(?:[ -]?[A-Z]{2}\b|-\d{3,4})?|\d{3} \d{2}|\d{2}-\d{3}";
    pattern(&format!(
        r"^(?:,[ ]?|[ ]|,?\n)(?:(?:(?:{town}),? ){{0,2}}{uk}|(?:{town}, ){{1,2}}[A-Z]{{2}} \d{{5}}(?:-\d{{4}})?\b|(?:{code}) {town})"
    ))
});

/// A postcode with its town and no street: in forms that no other number has, or behind a word for a place.
static POSTCODES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let town = format!("({NAME}(?:[ -]{NAME}){{0,2}})");
    let all = [
        // A British postcode: SW1A 2AA, with the town before it.
        r"\b(?:\p{Lu}\p{Ll}{2,},? )?(?:[A-PR-UWYZ][A-HK-Y]?\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2})\b".to_owned(),
        // An American one, behind the state: Springfield, IL 62704.
        format!(r"\b{NAME}(?: {NAME}){{0,2}}, [A-Z]{{2}} \d{{5}}(?:-\d{{4}})?\b"),
        // D-50667 Köln, 00-950 Warszawa, 1012 AB Amsterdam, 1000-205 Lisboa.
        format!(r"\b(?:(?:D|A|CH|F|E)-\d{{4,5}}|\d{{2}}-\d{{3}}|\d{{4}} ?[A-Z]{{2}}|\d{{4}}-\d{{3}}) {town}"),
    ];
    all.iter().map(|text| pattern(text)).collect()
});

/// Five digits and a town behind a word for a place: `in 50667 Köln`, `à 75002 Paris`, `en 28013 Madrid`.
static TOWN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?:\b(?i:in|aus|nach|bei|à|a|en|at|of|live|wohne|wohnt|habite)|[,:]|^|\n)[ \t]*(\d{{5}} ({NAME}(?:[ -]{NAME}){{0,2}}))"
    ))
});

/// Nouns behind numbers that are amounts, and words with a number that are no streets.
const AMOUNTS: [&str; 26] = [
    "Euro",
    "Dollar",
    "Franken",
    "Mark",
    "Stück",
    "Kunden",
    "Menschen",
    "Leute",
    "Einwohner",
    "Mitarbeiter",
    "Meter",
    "Kilometer",
    "Schritte",
    "Zeichen",
    "Wörter",
    "Besucher",
    "Personen",
    "Haushalte",
    "Haushalten",
    "Teile",
    "Tonnen",
    "Kilo",
    "Liter",
    "Stunden",
    "Euros",
    "Kronen",
];
const NO_STREETS: [&str; 7] =
    ["Arbeitsplatz", "Parkplatz", "Stellplatz", "Sitzplatz", "Schulweg", "Lösungsweg", "Startplatz"];

/// Returns the ranges of postal addresses in a text, the longer ones first.
pub(super) fn addresses(text: &str) -> Vec<Range<usize>> {
    let streets =
        STREETS.iter().flat_map(|street| street.find_iter(text)).filter(|street| is_street(text, street));
    let mut found: Vec<Range<usize>> = streets.map(|street| with_rest(text, street.range())).collect();
    found.extend(POSTCODES.iter().flat_map(|code| code.find_iter(text)).map(|code| code.range()));
    let towns = TOWN.captures_iter(text).filter_map(|town| Some((town.get(1)?, town.get(2)?)));
    found.extend(towns.filter(|(_, town)| is_town(town.as_str())).map(|(code, _)| code.range()));
    found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    found
}

/// Returns whether a match is a street and not a place of another kind.
fn is_street(text: &str, found: &Match<'_>) -> bool {
    // "Via" is a street in Italian, and a word in other languages: "via Porto 12 times".
    let is_way = found.as_str().get(..4).is_some_and(|start| start.eq_ignore_ascii_case("via "));
    let goes_on = || text[found.end()..].trim_start().starts_with(char::is_lowercase);
    let is_other = NO_STREETS.iter().any(|word| found.as_str().starts_with(word));
    !is_other && (!is_way || !goes_on())
}

/// Returns whether the words behind five digits can be a town.
fn is_town(words: &str) -> bool {
    let first = words.split([' ', '.']).next().unwrap_or_default();
    !AMOUNTS.contains(&first)
}

/// Extends the range of a street to the postcode and the town behind it. Marks at the end are left out.
fn with_rest(text: &str, street: Range<usize>) -> Range<usize> {
    let rest = REST.find(&text[street.end..]).map_or(0, |rest| rest.end());
    let whole = &text[street.start..street.end + rest];
    street.start..street.start + whole.trim_end_matches(['.', ',', ' ', '\'', '’', '-']).len()
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut found: Vec<&str> = Vec::new();
        let mut end = 0;
        for range in addresses(text) {
            if range.start >= end {
                end = range.end;
                found.push(&text[range]);
            }
        }
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn english_addresses_are_found() {
        check("I live at 12 Mill Lane, near the river.", &["12 Mill Lane"]);
        check("It is Flat 3, 7a St. John's Road.", &["Flat 3, 7a St. John's Road"]);
        check(
            "Send it to 350 Fifth Ave., Springfield, IL 62704 today",
            &["350 Fifth Ave., Springfield, IL 62704"],
        );
        check("at 4 High Street, Harrow HA1 3HP, since May", &["4 High Street, Harrow HA1 3HP"]);
        check("our place, twelve Mill Lane, is old", &["twelve Mill Lane"]);
        check("PO Box 123 is ours, or LS1 4AP", &["PO Box 123", "LS1 4AP"]);
    }

    #[test]
    fn addresses_of_other_languages_are_found() {
        check("Ich wohne in der Hauptstraße 5, 50667 Köln.", &["Hauptstraße 5, 50667 Köln"]);
        check("Hauptstr. 12a und Lange Straße 7 b", &["Hauptstr. 12a", "Lange Straße 7 b"]);
        check("Wir leben in 50667 Köln seit Jahren", &["50667 Köln"]);
        check("J'habite au 12 rue de la Paix, 75002 Paris.", &["12 rue de la Paix, 75002 Paris"]);
        check("au 3 bis, avenue Victor Hugo et", &["3 bis, avenue Victor Hugo"]);
        check("Vivo en la calle Mayor 3, en Madrid", &["calle Mayor 3"]);
        check("en Avda. de la Paz, 12, 28013 Madrid.", &["Avda. de la Paz, 12, 28013 Madrid"]);
        check("mieszkam przy ul. Długa 5, 00-950 Warszawa", &["ul. Długa 5, 00-950 Warszawa"]);
        check("Abito in via Garibaldi 12, 20121 Milano.", &["via Garibaldi 12, 20121 Milano"]);
        check("на улице Ленина, дом 5, квартира 12.", &["улице Ленина, дом 5, квартира 12"]);
        check("przy ulicy Długiej 5 m. 3, 00-238 Warszawa", &["ulicy Długiej 5 m. 3, 00-238 Warszawa"]);
        check("Kerkstraat 12, 1012 AB Amsterdam", &["Kerkstraat 12, 1012 AB Amsterdam"]);
    }

    #[test]
    fn amounts_and_streets_without_a_number_are_kept() {
        check("I sold 12 loaves on Mill Lane in 2019", &[]);
        check("in 20000 Haushalten und mit 12500 Euro", &[]);
        check("Am Montag 5 Stunden auf der Straße", &[]);
        check("2 places de parking, 3 Star reviews", &[]);
        check("Version 12 runs, 5 Days later", &[]);
    }
}
