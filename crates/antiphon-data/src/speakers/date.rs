//! Dates in words before a clock: `Today at 10:15`, `Tue 10:15 AM`, `Mar 12, 2024 at 10:15`, `12. März 2024, 10:15`.

/// Words that make a date beside a number, in lower case: months, and short forms of German days.
const MONTHS: &str = "january february march april may june july august september october november december \
    jan feb mar apr jun jul aug sep sept oct nov dec januar februar märz mai juni juli oktober dezember mär okt dez \
    janvier février mars avril juin juillet août septembre octobre novembre décembre enero febrero marzo abril mayo \
    junio julio agosto septiembre octubre noviembre diciembre ene abr ago dic gennaio febbraio aprile maggio giugno \
    luglio settembre ottobre dicembre janeiro fevereiro março maio junho julho setembro outubro novembro dezembro \
    mo di mi do fr sa so";
/// Short forms of days, in lower case: a date alone only behind a sign such as a comma.
const SHORT_DAYS: &str = "mon tue tues wed thu thur thurs fri sat sun";
/// Words that are a date alone.
const DAYS: &str = "today yesterday tomorrow monday tuesday wednesday thursday friday saturday sunday heute gestern \
    montag dienstag mittwoch donnerstag freitag samstag sonntag aujourd'hui hier lundi mardi mercredi jeudi vendredi \
    samedi dimanche hoy ayer lunes martes miércoles jueves viernes sábado domingo oggi ieri vandaag gisteren сегодня \
    вчера";
/// Words between the parts of a date, and before a clock.
const LINKS: [&str; 10] = ["at", "on", "um", "den", "à", "le", "de", "alle", "às", "om"];
/// The most bytes of a date in words.
const LONGEST: usize = 48;

/// The part of a date that a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatePart {
    Number,
    Month,
    ShortDay,
    Day,
    Link,
}

/// Returns the part of a date that a word is; `None` for any other word.
fn part_of(word: &str) -> Option<DatePart> {
    let word = word.trim_matches([',', '.', ' ']);
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        let is_number = digits <= 4 && matches!(&word[digits..], "" | "st" | "nd" | "rd" | "th");
        return is_number.then_some(DatePart::Number);
    }
    if word.is_empty() || word.len() > 12 {
        return None;
    }
    let word = word.to_lowercase();
    let is_in = |list: &str| list.split_ascii_whitespace().any(|known| known == word);
    if LINKS.contains(&&*word) {
        Some(DatePart::Link)
    } else if is_in(DAYS) {
        Some(DatePart::Day)
    } else {
        is_in(SHORT_DAYS).then_some(DatePart::ShortDay).or_else(|| is_in(MONTHS).then_some(DatePart::Month))
    }
}

/// Returns whether words are a date and nothing else; `is_set_apart` is whether a short form of a day needs no number.
fn is_date(words: &str, is_set_apart: bool) -> bool {
    let (mut has_number, mut has_month, mut has_day, mut has_short) = (false, false, false, false);
    for word in words.split_whitespace() {
        match part_of(word) {
            Some(DatePart::Number) => has_number = true,
            Some(DatePart::Month) => has_month = true,
            Some(DatePart::ShortDay) => has_short = true,
            Some(DatePart::Day) => has_day = true,
            Some(DatePart::Link) => {}
            None => return false,
        }
    }
    has_day || ((has_month || has_short) && has_number) || (has_short && is_set_apart)
}

/// Returns the text behind a date in words that a clock follows; `None` without one.
pub(super) fn after(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let near = &bytes[..bytes.len().min(LONGEST)];
    // Most lines have no clock, so that no word of theirs is compared.
    let is_digit = |at: usize| near.get(at).is_some_and(u8::is_ascii_digit);
    let mut colons = memchr::memchr_iter(b':', near);
    let colon = colons.find(|at| is_digit(at.wrapping_sub(1)) && is_digit(at + 1))?;
    let clock = near[..colon].iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    let words = text.get(..clock)?;
    let is_apart = words.ends_with([' ', '\u{a0}', '\u{202f}', ',']);
    (is_apart && is_date(words, false)).then(|| &text[clock..])
}

/// Returns a label without the date in words at its end: `Sam` for `Sam, Tue` and `Sam — Today at`.
pub(super) fn before(label: &str) -> &str {
    const SIGNS: [&str; 9] = [", ", " — ", " – ", " - ", " | ", " · ", "  ", "\t", " ("];
    let starts = SIGNS.iter().flat_map(|sign| label.match_indices(*sign));
    let found = starts
        .filter(|(at, sign)| *at > 0 && is_date(&label[at + sign.len()..], true))
        .map(|(at, _)| at)
        .min();
    found.map_or(label, |at| &label[..at])
}

/// Returns whether a line is a date in words, as chats have between days: `Tuesday, March 12th`.
pub(super) fn is_day(line: &str) -> bool {
    line.len() <= LONGEST && is_date(line.trim_matches(['-', '—', '–', ' ']), false)
}

#[cfg(test)]
mod tests {
    use super::{after, before, is_day};

    #[test]
    fn dates_in_words_are_found_before_clocks() {
        for text in ["Today at 10:15", "Mar 12, 2024 at 10:15", "12. März 2024, 10:15", "Tuesday 10:15"] {
            assert_eq!(after(text), Some("10:15"), "{text}");
        }
        for text in ["May 10:15", "Sun 0:03", "Ana Berg 10:15", "10:15", "Ana: at 10:15", "12 people 10:15"] {
            assert_eq!(after(text), None, "{text}");
        }
        for label in ["Sam — Today at", "Sam, Tue", "Sam, Mar 12, 2024", "Sam  12 March 2024"] {
            assert_eq!(before(label), "Sam", "{label}");
        }
        assert_eq!(["April May", "Tran, Mai"].map(before), ["April May", "Tran, Mai"]);
        assert!(
            is_day("Tuesday, March 12th") && is_day("12 March 2024") && !is_day("May") && !is_day("2024")
        );
    }
}
