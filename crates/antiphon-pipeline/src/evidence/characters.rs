//! The text beside a passage in scripts that are read by characters: whether it denies or limits the passage.
//!
//! Chinese and Thai deny before what they deny, Japanese and Korean at the end of the clause, where the verb is.

use super::sense::has;
use super::text::{Script, is_unseen};
use super::words;

/// Number of characters behind a passage in which the verb of its clause is looked for, in languages with the verb last.
const VERB: usize = 40;
/// Maximum bytes beside a passage that are looked at.
const BESIDE: usize = 150;

/// Returns whether a text has one of the words of a list.
fn contains(list: &str, text: &str) -> bool {
    list.split_whitespace().any(|known| text.contains(known))
}

/// Returns whether a text begins with one of the words of a list.
fn starts(list: &str, text: &str) -> bool {
    list.split_whitespace().any(|known| text.starts_with(known))
}

/// Returns whether a text ends with one of the words of a list.
fn ends(list: &str, text: &str) -> bool {
    list.split_whitespace().any(|known| text.ends_with(known))
}

/// Returns a text without the words of a list.
fn without(list: &str, text: &str) -> String {
    list.split_whitespace().fold(text.to_owned(), |text, word| text.replace(word, "\u{B7}"))
}

/// Returns the text behind the last word of a list.
fn behind_last<'t>(list: &str, text: &'t str) -> &'t str {
    let ends = list.split_whitespace().filter_map(|word| text.rfind(word).map(|at| at + word.len()));
    ends.max().map_or(text, |end| &text[end..])
}

/// Returns whether the text before a passage denies or limits it.
pub(super) fn characters_before(before: &str, passage: &str, script: Script) -> bool {
    let before = &before[before.ceil_char_boundary(before.len().saturating_sub(BESIDE))..];
    let start = before.rfind(is_clause_mark).map_or(0, |mark| before.ceil_char_boundary(mark + 1));
    let clause = &before[start..];
    let trimmed = clause.trim_end();
    match script {
        Script::Han | Script::Kana => {
            ends(words::BEFORE_CHARACTERS, trimmed) && !ends(words::NOT_BEFORE_CHARACTERS, trimmed)
                || is_denied_in_chinese(trimmed, passage)
        }
        Script::Hangul => {
            has(words::BEFORE_KOREAN, clause.split_whitespace().next_back().unwrap_or_default())
        }
        Script::Thai => {
            let last = trimmed.split_whitespace().next_back().unwrap_or_default();
            let is_answer = clause.ends_with(char::is_whitespace) && has(words::BEFORE_THAI, last);
            let near = if clause.ends_with(char::is_whitespace) { "" } else { last };
            let clause = without(words::NOT_THAI, behind_last(words::CONTRASTS_THAI, near));
            ends(words::BEFORE_THAI, trimmed) && !(is_answer && trimmed == last)
                || contains(words::DENYING_THAI, &clause)
        }
    }
}

/// Returns whether a negation of Chinese is anywhere in the clause before a passage. What begins with who acts is a clause of its
/// own, unless a verb of thinking is before it.
fn is_denied_in_chinese(clause: &str, passage: &str) -> bool {
    let is_japanese = clause.chars().chain(passage.chars()).any(|c| Script::of(c) == Some(Script::Kana));
    let is_own = starts(words::PRONOUNS_CHINESE, passage) && !ends(words::OPINIONS_CHINESE, clause);
    if is_japanese || is_own {
        return false;
    }
    let clause = behind_last(words::CONTRASTS_CHINESE, clause);
    contains(words::DENYING_CHINESE, &without(words::NOT_CHINESE, clause))
}

/// Returns whether the text behind a passage denies it.
pub(super) fn characters_behind(passage: &str, behind: &str, script: Script) -> bool {
    let behind = &behind[..behind.floor_char_boundary(BESIDE)];
    let clause = rest_of_clause(passage, behind, script);
    let rest: String = clause.chars().filter(|c| !c.is_whitespace() && !is_unseen(*c)).take(VERB).collect();
    match script {
        Script::Thai => starts(words::AFTER_THAI, &rest),
        Script::Hangul => is_denied_in_korean(passage, clause, &rest),
        Script::Han | Script::Kana => {
            let is_broken = starts(words::BREAKS_JAPANESE, &rest)
                && (!rest.starts_with("から") || passage.ends_with(is_end_of_verb));
            // As the subject or the object of what follows, the passage belongs to the last verb.
            let is_argument = starts("のは のが のを のも ことは ことが ことを ことも は が を も", &rest);
            let end = if is_argument { rest.len() } else { first_of(words::INNER_BREAKS_JAPANESE, &rest) };
            let verb = &rest[..end];
            starts(words::AFTER_CHINESE, &rest)
                || !is_broken && contains(words::AFTER_JAPANESE, &without(words::NOT_AFTER_JAPANESE, verb))
        }
    }
}

/// Returns the place at which the first word of a list is; the end of the text if there is none.
fn first_of(list: &str, text: &str) -> usize {
    list.split_whitespace().filter_map(|word| text.find(word)).min().unwrap_or(text.len())
}

/// Returns the rest of the clause behind a passage. A comma behind a particle does not end it, since the verb is still to come.
fn rest_of_clause<'t>(passage: &str, behind: &'t str, script: Script) -> &'t str {
    let is_end = |c: char| is_clause_mark(c) || script == Script::Thai && c.is_whitespace();
    let particles = match script {
        Script::Kana => "を に で は が と の も へ",
        Script::Hangul => "을 를 은 는 에서 에게",
        Script::Han | Script::Thai => "",
    };
    let next = behind.trim_start();
    let is_open = ends(particles, passage) && next.starts_with([',', '、', '，']);
    let behind = if is_open { next.trim_start_matches([',', '、', '，']) } else { behind };
    behind.split(is_end).next().unwrap_or_default()
}

/// Returns whether a character is the end of a verb in Japanese.
fn is_end_of_verb(c: char) -> bool {
    matches!(c, 'う' | 'く' | 'す' | 'つ' | 'ぬ' | 'む' | 'る' | 'ぐ' | 'ぶ' | 'た' | 'だ' | 'い')
}

/// Returns whether the rest of a clause denies a passage in Korean. `rest` is `clause` without white space.
fn is_denied_in_korean(passage: &str, clause: &str, rest: &str) -> bool {
    if starts(words::BREAKS_KOREAN, rest) || begins_clause_in_korean(passage, clause) {
        return false;
    }
    let verb = &rest[..first_of(words::INNER_BREAKS_KOREAN, rest)];
    contains(words::AFTER_KOREAN, verb)
        || clause.split_whitespace().take_while(|word| !contains(words::INNER_BREAKS_KOREAN, word)).any(
            |word| {
                has("안 못", word)
                    || word.starts_with('안') && word.chars().count() > 1 && !starts(words::NOT_KOREAN, word)
            },
        )
}

/// Returns whether a clause of its own begins behind a passage that ends with the Korean "and": what follows has its own subject
/// or object. After "that", and before "want" and "be doing", the sentence continues.
fn begins_clause_in_korean(passage: &str, clause: &str) -> bool {
    let (said, next) = (passage.trim_end(), clause.split_whitespace().next().unwrap_or_default());
    let is_and = said.ends_with('고') && !ends("다고 라고 냐고 자고", said);
    is_and
        && clause.starts_with(char::is_whitespace)
        && !starts("싶 있 나 말", next)
        && ends("는 은 를 을 이 가 도", next)
}

/// Returns whether a character ends a clause, in full or half width.
fn is_clause_mark(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '!'
            | '?'
            | '…'
            | '—'
            | '–'
            | '('
            | ')'
            | '、'
            | '。'
            | '，'
            | '；'
            | '：'
            | '！'
            | '？'
            | '．'
            | '（'
            | '）'
            | '「'
            | '」'
    )
}
