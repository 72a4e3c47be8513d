//! One persona as Markdown.
//!
//! ```text
//! # Name
//!
//! Title
//!
//! | | |                          demographics, if there are any
//! ## Goals                       likewise Pain points, Behaviours, Motivations
//! - Sleep longer (a.txt:3)       each claim with the sources of its evidence
//! ## Quotes
//! > I bake.                      each with its speaker and source
//! ## Not verified                citations that were not found in any participant's words
//! ```
//!
//! A part without content has no heading. Texts are foreign, from answers and documents, and escaped by `line`; names
//! of facts are written as they are, but for `_`.

use std::fmt::{self, Write};

use antiphon_pipeline::Persona;

/// Returns a persona as Markdown: claims with the sources of their evidence, quotes, and unverified citations. All text
/// is escaped. For several personas in one document, see [`personas_markdown`](crate::personas_markdown).
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
    writeln!(out, "# {}\n\n{}", line(&persona.name), line(&persona.title))?;
    write_demographics(out, persona)?;
    for (heading, claims) in [
        ("Goals", &persona.goals),
        ("Pain points", &persona.pain_points),
        ("Behaviours", &persona.behaviours),
        ("Motivations", &persona.motivations),
    ] {
        write_claims(out, persona, heading, claims)?;
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
        writeln!(out, "| {} | {} |", key.replace('_', " "), line(value).replace('|', "\\|"))?;
    }
    Ok(())
}

/// Writes a list of claims with the sources of their evidence.
fn write_claims(out: &mut String, persona: &Persona, heading: &str, claims: &[String]) -> fmt::Result {
    if !claims.is_empty() {
        writeln!(out, "\n## {heading}\n")?;
    }
    for claim in claims {
        writeln!(out, "- {}{}", line(claim), sources(persona, claim))?;
    }
    Ok(())
}

/// Returns the sources of a claim's evidence in brackets, after a space; empty for a claim without evidence.
fn sources(persona: &Persona, claim: &str) -> String {
    let places: Vec<String> = persona
        .evidence
        .iter()
        .filter(|evidence| evidence.claim == *claim)
        .map(|evidence| format!("{}:{}", line(&evidence.document), evidence.line))
        .collect();
    if places.is_empty() { String::new() } else { format!(" ({})", places.join(", ")) }
}

/// Writes the quotes, each with its speaker and source.
fn write_quotes(out: &mut String, persona: &Persona) -> fmt::Result {
    if !persona.quotes.is_empty() {
        writeln!(out, "\n## Quotes")?;
    }
    for quote in &persona.quotes {
        let place = format!("{}, {}:{}", quote.speaker, quote.document, quote.line);
        writeln!(out, "\n> {}\n>\n> — {}", line(&quote.text), line(&place))?;
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
        let field = unverified.field.replace('_', " ");
        writeln!(out, "- {field}{claim}: “{}” ({})", line(&unverified.quote), unverified.reason)?;
    }
    Ok(())
}

/// Returns foreign text on one line, escaped so that it cannot begin a heading, a link or a tag.
pub(crate) fn line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let mut escaped = String::with_capacity(text.len());
    for c in words.join(" ").chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
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
}
