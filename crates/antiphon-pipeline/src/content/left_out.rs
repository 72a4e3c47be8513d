//! Parts of notes that a page does not have, so that the author learns of them.

use antiphon_text::{embeds, is_foreign, sentences, without_embeds};

use super::portfolio::{CallToAction, Content, Link, Project};

/// The origin of a page's copy, which decides on what can be missing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyOrigin {
    /// A language model wrote it in its own words.
    Model,
    /// The sentences of the notes were arranged without a model.
    Draft,
}

/// The characters of a sentence that are named.
const NAMED: usize = 60;
/// The words at both ends of a sentence by which it is found on a page.
const KEY: usize = 3;

/// Returns the parts of the notes that no page has: pictures, and links that run or embed something.
pub(super) fn embedded(notes: &str) -> Vec<String> {
    let found = embeds(notes);
    let named = |is_picture: bool| {
        let targets = found.iter().filter(|embed| embed.is_picture == is_picture);
        targets.map(|embed| shortened(&embed.target)).collect::<Vec<_>>()
    };
    let (pictures, links) = (named(true), named(false));
    let mut parts = Vec::new();
    if !pictures.is_empty() {
        parts.push(format!("pictures: {}", pictures.join(", ")));
    }
    if !links.is_empty() {
        parts.push(format!("links to scripts and embedded data: {}", links.join(", ")));
    }
    parts
}

/// Returns the parts of the notes that a draft does not have: sentences and links, and a note on the language of the draft's
/// words.
pub(super) fn missing(notes: &str, content: &Content) -> Vec<String> {
    let mut parts = Vec::new();
    let notes = without_embeds(notes);
    if is_foreign(&notes) {
        parts.push("a translation: the notes are not in English, but the draft's own words are. Use a language model".to_owned());
    }
    let (page, addresses) = (words_of(&texts_of(content)), addresses_of(content));
    for line in notes.lines().filter(|line| !is_heading(line)) {
        let line = without_marks(line);
        for sentence in sentences(&line).map(|span| &line[span]) {
            let words = words_of(sentence);
            let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
            let ends = [&words[..words.len().min(KEY)], &words[words.len().saturating_sub(KEY)..]];
            let is_on_page = |end: &[&str]| page.contains(&format!(" {} ", end.join(" ")));
            if !words.is_empty() && !ends.into_iter().all(is_on_page) {
                parts.push(format!("“{}”", shortened(sentence)));
            }
        }
    }
    let links = antiphon_llm::addresses(&notes).into_iter().map(|span| &notes[span]);
    let mut links: Vec<&str> =
        links.filter(|link| !addresses.iter().any(|address| address == link)).collect();
    links.dedup();
    parts.extend(links.into_iter().map(|link| format!("the link {}", shortened(link))));
    parts
}

/// Returns whether a line is a heading or has no words of the author: a quotation, a rule.
fn is_heading(line: &str) -> bool {
    let line = line.trim();
    line.starts_with(['#', '>']) || (line.ends_with(':') && line.chars().count() <= 100)
}

/// Returns a line without its Markdown, its addresses and the facts in its last brackets, which a page has in other places.
fn without_marks(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut from = 0;
    for span in antiphon_llm::addresses(line) {
        plain.push_str(&line[from..span.start]);
        from = span.end;
    }
    plain.push_str(&line[from..]);
    let plain: String = plain.chars().filter(|c| !matches!(c, '*' | '`' | '[' | ']' | '<' | '>')).collect();
    let plain = plain.replace("()", "");
    let plain = plain.trim().trim_start_matches(['-', '+', '•', ' ']);
    let plain = plain.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(['.', ')', ' ']);
    match plain.rsplit_once('(') {
        Some((before, _)) if plain.ends_with([')', '.']) => before.trim().to_owned(),
        _ => plain.to_owned(),
    }
}

/// Returns all texts of a page, one after the other.
fn texts_of(content: &Content) -> String {
    let Content { brand_name, tagline, hero, repos, menu_items, cta } = content;
    let mut all =
        vec![brand_name.as_str(), tagline.as_deref().unwrap_or_default(), &hero.title, &hero.subtitle];
    for Project { name, description, .. } in repos {
        all.extend([name.as_str(), description]);
    }
    all.extend(menu_items.iter().map(|link| link.label.as_str()));
    all.extend(cta.as_ref().map(|cta| cta.text.as_str()));
    all.join(" ")
}

/// Returns all addresses of a page.
fn addresses_of(content: &Content) -> Vec<&str> {
    let repos = content.repos.iter().filter_map(|project| project.url.as_deref());
    let links = content.menu_items.iter().map(|Link { url, .. }| url.as_str());
    let cta = content.cta.as_ref().and_then(|CallToAction { url, .. }| url.as_deref());
    repos.chain(links).chain(cta).collect()
}

/// Returns the words of a text in lower case, with a space before and after each.
fn words_of(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    format!(" {} ", words.join(" "))
}

/// Returns the beginning of a text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(NAMED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, embedded, missing};

    #[test]
    fn what_a_page_cannot_have_is_named() {
        let named = embedded("![a](me.png) [b](javascript:x()) [c](https://c.test)");
        assert_eq!(named, ["pictures: me.png", "links to scripts and embedded data: javascript:x()"]);
        assert_eq!(embedded("[c](https://c.test)"), Vec::<String>::new());
    }

    #[test]
    fn sentences_and_links_that_a_draft_lacks_are_named() {
        let text = r#"{ "brand_name": "Ada", "hero": { "title": "I weave cloth.", "subtitle": "On looms." },
            "repos": [{ "name": "Loom", "description": "Patterns in brass", "url": "https://a.test" }] }"#;
        let content = Content::parse("a.json", text).unwrap();
        let notes = "# Ada\n\nI weave cloth. On looms. It is all by hand.\n\n- **Loom** — patterns in brass (Rust, #x) https://a.test\n\nSee https://b.test/x\n";
        assert_eq!(missing(notes, &content), ["“It is all by hand.”", "“See”", "the link https://b.test/x"]);
        let german = "Ich webe und das ist mir wichtig, denn ich mag die Arbeit mit dem Stoff sehr.";
        assert!(missing(german, &content)[0].contains("not in English"));
    }
}
