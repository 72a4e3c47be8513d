use std::fmt::{self, Write};

use antiphon_pipeline::Persona;

/// Returns a persona as Markdown: claims with the sources of their evidence, quotes, and unverified citations. All text is
/// escaped.
#[must_use]
pub fn markdown(persona: &Persona) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, persona);
    out
}

/// Returns the name of a persona's file: its number (`index` + 1) and its name in ASCII letters and digits, as in `01-ada.md`.
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

fn write(out: &mut String, persona: &Persona) -> fmt::Result {
    writeln!(out, "# {}\n\n{}", line(&persona.name), line(&persona.title))?;
    if !persona.demographics.is_empty() {
        writeln!(out, "\n| | |\n|---|---|")?;
        for (key, value) in &persona.demographics {
            writeln!(out, "| {} | {} |", key.replace('_', " "), line(value).replace('|', "\\|"))?;
        }
    }
    for (heading, claims) in [
        ("Goals", &persona.goals),
        ("Pain points", &persona.pain_points),
        ("Behaviours", &persona.behaviours),
        ("Motivations", &persona.motivations),
    ] {
        write_claims(out, persona, heading, claims)?;
    }
    if !persona.quotes.is_empty() {
        writeln!(out, "\n## Quotes")?;
    }
    for quote in &persona.quotes {
        let place = format!("{}, {}:{}", quote.speaker, quote.document, quote.line);
        writeln!(out, "\n> {}\n>\n> — {}", line(&quote.text), line(&place))?;
    }
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

fn write_claims(out: &mut String, persona: &Persona, heading: &str, claims: &[String]) -> fmt::Result {
    if claims.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## {heading}\n")?;
    for claim in claims {
        let places: Vec<String> = persona
            .evidence
            .iter()
            .filter(|evidence| evidence.claim == *claim)
            .map(|evidence| format!("{}:{}", line(&evidence.document), evidence.line))
            .collect();
        if places.is_empty() {
            writeln!(out, "- {}", line(claim))?
        } else {
            writeln!(out, "- {} ({})", line(claim), places.join(", "))?
        }
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
