//! One persona as Markdown.
//!
//! ```text
//! # Name
//!
//! Title
//!
//! **1 of 2 claims have evidence in a participant's words.**   only if some have none
//!
//! | | |                          demographics, if there are any
//! ## Goals                       likewise Pain points, Behaviours, Motivations
//! - Sleep longer (a.txt:3)       each claim with the sources of its evidence
//! - Eat *(no evidence)*          a claim without any
//! ## Quotes
//! > I bake.                      each with its speaker and source
//! ## Not verified                citations that were not found in any participant's words
//! ```
//!
//! A part without content has no heading. Texts are foreign, from answers, documents and files, and escaped by `line`.

use std::fmt::{self, Write};

use antiphon_pipeline::Persona;

use crate::support::{NO_EVIDENCE, Place, reason, support_note};
use crate::visible::visible;

/// Returns a persona as Markdown: claims with the sources of their evidence or a mark that they have none, quotes, and
/// unverified citations. All text is escaped. For several personas in one document, see [`personas_markdown`](crate::personas_markdown).
///
/// ```
/// use antiphon_pipeline::Persona;
/// let mut persona = Persona::default();
/// (persona.name, persona.title) = ("Ada".to_owned(), "Weaves *looms*".to_owned());
/// assert_eq!(antiphon_render::markdown(&persona), "# Ada\n\nWeaves \\*looms\\*\n");
/// ```
#[must_use]
pub fn markdown(persona: &Persona) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, persona);
    out
}

/// Returns the name of a persona's file: its number (`index` + 1) and its name in ASCII letters and digits, as in
/// `01-ada.md`.
///
/// The number has at least two digits, so that the files of up to 99 personas sort in their order, and files differ
/// even if names are equal. At most 48 characters of the name are used; a name without ASCII letters and digits becomes
/// `persona`.
#[must_use]
pub fn file_name(index: usize, persona: &Persona) -> String {
    let mut slug = String::new();
    for c in persona.name.chars().filter(|c| *c != '\'' && *c != '’') {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug: String = slug.trim_matches('-').chars().take(48).collect();
    match slug.trim_end_matches('-') {
        "" => format!("{:02}-persona.md", index + 1),
        slug => format!("{:02}-{slug}.md", index + 1),
    }
}

/// Writes all parts of a persona in their order.
fn write(out: &mut String, persona: &Persona) -> fmt::Result {
    writeln!(out, "# {}\n\n{}", line(&persona.name), block(&persona.title))?;
    if let Some(note) = support_note(persona) {
        writeln!(out, "\n**{note}**")?;
    }
    write_demographics(out, persona)?;
    for (heading, field) in [
        ("Goals", "goals"),
        ("Pain points", "pain_points"),
        ("Behaviours", "behaviours"),
        ("Motivations", "motivations"),
    ] {
        write_claims(out, persona, heading, field)?;
    }
    write_quotes(out, persona)?;
    write_unverified(out, persona)
}

/// Writes the facts about the people as a table without a header.
fn write_demographics(out: &mut String, persona: &Persona) -> fmt::Result {
    if !persona.demographics.is_empty() {
        writeln!(out, "\n| | |\n|---|---|")?;
    }
    for (key, value) in &persona.demographics {
        writeln!(out, "| {} | {} |", cell(&key.replace('_', " ")), cell(value))?;
    }
    Ok(())
}

/// Writes the claims of a field with the sources of their evidence.
fn write_claims(out: &mut String, persona: &Persona, heading: &str, field: &str) -> fmt::Result {
    let claims = persona.claims_by_field().filter(|(of, _)| *of == field).map(|(_, claim)| claim);
    for (index, claim) in claims.enumerate() {
        if index == 0 {
            writeln!(out, "\n## {heading}\n")?;
        }
        writeln!(out, "- {}{}", block(claim), sources(persona, field, claim))?;
    }
    Ok(())
}

/// Returns the sources of a claim's evidence in brackets, after a space, or a mark that there is no evidence.
fn sources(persona: &Persona, field: &str, claim: &str) -> String {
    let places: Vec<String> = persona
        .evidence_of(field, claim)
        .map(Place::of_evidence)
        .map(|place| format!("{}{}", line(&place.short(", ")), similar(place)))
        .collect();
    if places.is_empty() { format!(" *({NO_EVIDENCE})*") } else { format!(" ({})", places.join("; ")) }
}

/// Returns the remark on a citation of which some words differ; empty for one in the same words.
fn similar(place: Place<'_>) -> &'static str {
    if place.is_fuzzy() { ", similar words" } else { "" }
}

/// Writes the quotes, each with its speaker and source.
fn write_quotes(out: &mut String, persona: &Persona) -> fmt::Result {
    if !persona.quotes.is_empty() {
        writeln!(out, "\n## Quotes")?;
    }
    for quote in &persona.quotes {
        let place = Place::of_quote(quote);
        let source = format!("{}{}", place.full(", "), similar(place));
        writeln!(out, "\n> {}\n>\n> — {}", block(&quote.text), line(&source))?;
    }
    Ok(())
}

/// Writes the citations that were not found, each with the field, the claim and the reason.
fn write_unverified(out: &mut String, persona: &Persona) -> fmt::Result {
    if !persona.unverified.is_empty() {
        writeln!(out, "\n## Not verified\n")?;
    }
    for unverified in &persona.unverified {
        let claim =
            unverified.claim.as_deref().map(|claim| format!(" for “{}”", line(claim))).unwrap_or_default();
        let field = block(&unverified.field.replace('_', " "));
        let (quote, reason) = (line(&unverified.quote), line(&reason(unverified)));
        writeln!(out, "- {field}{claim}: “{quote}” ({reason})")?;
    }
    Ok(())
}

/// Returns foreign text as a cell of a table, escaped like [`line`].
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// Returns foreign text on one line, escaped so that it cannot begin a heading, a link, an image, a tag or a character reference.
/// Characters that are not seen are visible.
pub(crate) fn line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let text = words.join(" ");
    let text = visible(&text);
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let is_escaped = match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' => true,
            // `&lt;` and `&#60;`; a lone ampersand is text.
            '&' => rest.starts_with(|c: char| c == '#' || c.is_ascii_alphabetic()),
            // Addresses become links without brackets, too (GitHub Flavored Markdown, 6.9).
            ':' => rest.starts_with("//"),
            '.' => text[..at].get(at.saturating_sub(3)..).is_some_and(|www| www.eq_ignore_ascii_case("www")),
            _ => false,
        };
        if is_escaped {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Returns foreign text at the beginning of a line, escaped like [`line`], and so that it cannot begin a list or be a rule.
fn block(text: &str) -> String {
    let text = line(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_marked = |rest: &str| rest.is_empty() || rest.starts_with(' ');
    let is_rule = text.len() > 2 && text.bytes().all(|byte| byte == b'-' || byte == b' ');
    if is_rule || text.strip_prefix(['-', '+']).is_some_and(is_marked) {
        return format!("\\{text}");
    }
    match text[digits..].strip_prefix(['.', ')']) {
        Some(rest) if digits > 0 && is_marked(rest) => format!("{}\\{}", &text[..digits], &text[digits..]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use antiphon_pipeline::Persona;

    use super::{file_name, markdown};

    fn named(name: &str) -> Persona {
        let mut persona = Persona::default();
        persona.name = name.to_owned();
        persona
    }

    #[test]
    fn file_names_are_ascii() {
        assert_eq!(file_name(0, &named("P01 & P05: milk’s")), "01-p01-p05-milks.md");
        assert_eq!(file_name(11, &named("../../etc/passwd")), "12-etc-passwd.md");
        assert_eq!(file_name(0, &named("日本")), "01-persona.md");
    }

    #[test]
    fn foreign_text_is_escaped() {
        let text = markdown(&named("# A <b>x</b>\n[y](javascript:z)"));
        assert!(text.starts_with("# \\# A \\<b\\>x\\</b\\> \\[y\\](javascript:z)\n"), "{text}");
    }

    #[test]
    fn foreign_text_stays_in_its_place() {
        for (text, expected) in [
            ("![x](https://a.test)", "!\\[x\\](https\\://a.test)"),
            ("see WWW.a.test, ftp://b", "see WWW\\.a.test, ftp\\://b"),
            ("&lt;b&#62; A & B", "\\&lt;b\\&\\#62; A & B"),
            ("\u{1b}[2J\u{202e}x\u{9b}\0", "\\\\u{1b}\\[2J\\\\u{202e}x\\\\u{9b}\\\\u{0}"),
            ("- x", "\\- x"),
            ("+ x", "\\+ x"),
            ("---", "\\---"),
            ("-5 °C", "-5 °C"),
            ("12. x", "12\\. x"),
            ("1) x", "1\\) x"),
            ("1.5 hours", "1.5 hours"),
        ] {
            let mut persona = named("Ada");
            persona.title = text.to_owned();
            assert_eq!(markdown(&persona), format!("# Ada\n\n{expected}\n"));
        }
    }

    #[test]
    fn names_of_facts_and_fields_are_escaped() {
        let mut persona = named("Ada");
        persona.demographics.insert("a|b\n# c_d".to_owned(), "x|y".to_owned());
        let open =
            serde_json::json!({ "field": "go\n# als", "claim": null, "quote": "q", "reason": "no\n> *one*" });
        persona.unverified.push(serde_json::from_value(open).unwrap());
        let text = markdown(&persona);
        assert!(text.contains("\n| a\\|b \\# c d | x\\|y |\n"), "{text}");
        assert!(text.ends_with("\n- go \\# als: “q” (no \\> \\*one\\*)\n"), "{text}");
    }

    #[test]
    fn claims_without_evidence_are_marked() {
        let mut persona = named("Ada");
        persona.goals = vec!["Sleep".to_owned(), "Eat".to_owned()];
        let found = serde_json::json!({ "claim": "Eat", "document": "a.txt", "line": 3, "start": 0, "end": 1, "quote": "I eat", "match": "fuzzy" });
        persona.evidence.push(serde_json::from_value(found).unwrap());
        let text = markdown(&persona);
        assert!(text.contains("\n\n**1 of 2 claims have evidence in a participant's words.**\n"), "{text}");
        assert!(text.contains("- Sleep *(no evidence)*\n- Eat (a.txt:3, similar words)\n"), "{text}");
    }
}
