//! The portfolio recipe: the notes' own sentences, arranged as the parts of a site.

use antiphon_llm::{CancellationToken, DocumentPart, Error, ErrorKind, Schema};
use serde_json::{Value, json};

use super::item::{Item, addresses, email_in, host_of, without_addresses};
use super::outline::{Block, Outline, Section};
use super::text::{cut, sentences};

/// Returns whether the schema is that of the recipe.
pub(super) fn is_wanted(schema: &Schema) -> bool {
    schema.name() == "portfolio" && schema.value().pointer("/properties/brand_name").is_some()
}

/// The schema's limits of each text, in characters.
const BRAND: usize = 100;
const LINE: usize = 200;
const SUBTITLE: usize = 500;
const LABEL: usize = 60;
/// The schema's limits of each list.
const MOST_PROJECTS: usize = 20;
const MOST_LINKS: usize = 8;

/// Drafts an answer that fits the recipe's schema.
///
/// # Errors
/// `InvalidRequest` for empty notes, `Cancelled` after a cancellation.
pub(super) fn draft(documents: &[DocumentPart], cancel: &CancellationToken) -> Result<Value, Error> {
    let text = documents.iter().map(|document| document.text.as_ref()).collect::<Vec<_>>().join("\n\n");
    let text = antiphon_text::without_embeds(&text);
    let outline = Outline::of(&text);
    if cancel.is_cancelled() {
        return Err(Error::new(ErrorKind::Cancelled, "the call was cancelled"));
    }
    let (brand, tagline) = names(&outline, documents)?;
    let hero = Hero::of(&outline, &brand, tagline);
    Ok(json!({
        "brand_name": cut(&brand, BRAND),
        "tagline": hero.tagline.map(|tagline| cut(&tagline, LINE)),
        "hero": { "title": cut(&hero.title, LINE), "subtitle": cut(&hero.subtitle, SUBTITLE) },
        "repos": projects(&outline),
        "menu_items": links(&outline),
        "cta": call_to_action(&text, &outline),
    }))
}

/// Returns the author's name and the line about it, if there is one.
///
/// # Errors
/// `InvalidRequest` for empty notes.
fn names(outline: &Outline, documents: &[DocumentPart]) -> Result<(String, Option<String>), Error> {
    let Some((brand, tagline)) = outline.title() else {
        return Err(Error::new(ErrorKind::InvalidRequest, "the notes are empty: write some text"));
    };
    // For notes whose first line has only marks, the document's name is used.
    let named = documents.first().map(|document| document.name.clone());
    let brand = [Some(brand), named].into_iter().flatten().find(|name| has_words(name));
    Ok((brand.unwrap_or_else(|| "Untitled".to_owned()), tagline.filter(|tagline| has_words(tagline))))
}

/// Returns whether a text has more than marks.
fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// The first screen of a site.
struct Hero {
    title: String,
    subtitle: String,
    /// The line about the author, unless it is the title.
    tagline: Option<String>,
}

impl Hero {
    /// Arranges the sentences of the introduction: one of them is the title, the others are the subtitle.
    fn of(outline: &Outline, brand: &str, tagline: Option<String>) -> Self {
        let paragraphs = outline.intro(is_work);
        let said = paragraphs.iter().flat_map(|paragraph| sentences(paragraph));
        let mut intro: Vec<String> = said.filter(|sentence| has_words(sentence)).collect();
        let headline = intro.iter().enumerate().find_map(|(at, sentence)| Some((at, headline(sentence)?)));
        let title = match headline.filter(|_| intro.len() > 1) {
            Some((at, title)) => {
                drop(intro.remove(at));
                title
            }
            None => tagline.clone().unwrap_or_else(|| brand.to_owned()),
        };
        // The tagline does not repeat the title.
        let tagline = tagline.filter(|tagline| *tagline != title);
        let subtitle = subtitle(&intro).or_else(|| tagline.clone()).unwrap_or_else(|| brand.to_owned());
        Self { title, subtitle, tagline }
    }
}

/// Joins the first sentences that fit into a subtitle, and at least one; `None` without any.
fn subtitle(said: &[String]) -> Option<String> {
    let (first, more) = said.split_first()?;
    let mut subtitle = first.clone();
    for sentence in more {
        if subtitle.chars().count() + sentence.chars().count() >= SUBTITLE {
            break;
        }
        subtitle.push(' ');
        subtitle.push_str(sentence);
    }
    Some(subtitle)
}

/// Returns the headline of a sentence: all of it, or the text before its colon, if that has a fitting length.
fn headline(sentence: &str) -> Option<String> {
    let says =
        |text: &str| (4..=14).contains(&text.split_whitespace().count()) && text.chars().count() <= LINE;
    let before = sentence.split(": ").next().unwrap_or(sentence);
    [sentence, before].into_iter().find(|text| says(text)).map(str::to_owned)
}

/// Returns the pieces of work, at most as many as the schema allows. Sections whose headings are not known, such as those in
/// other languages, become pieces as well, so that no part of the notes is lost.
fn projects(outline: &Outline) -> Vec<Value> {
    let mut found: Vec<Item> = Vec::new();
    // In notes without a heading for work, list items with an address or a separator count as work.
    let (first, others) =
        outline.sections().split_first().map_or((None, &[][..]), |(first, others)| (Some(first), others));
    let has_work = others.iter().any(Section::is_of_work);
    let about = others.iter().filter(|section| section.is_about());
    let blocks = first.into_iter().chain(about).flat_map(|section| &section.blocks);
    found.extend(blocks.filter_map(|block| match block {
        Block::Item(text) if is_tied(text) || (!has_work && is_work(text)) => Some(Item::read(text)),
        _ => None,
    }));
    let kept = |section: &&Section| section.is_of_work() || !(section.is_about() || section.is_of_contact());
    for section in others.iter().filter(kept) {
        found.extend(projects_of(section));
    }
    found.into_iter().take(MOST_PROJECTS).map(Item::into_value).collect()
}

/// Returns whether an item of a list is a piece of work: it has an address, or a name and a description.
fn is_work(text: &str) -> bool {
    !addresses(text).is_empty() || is_tied(text)
}

/// Returns whether an item is a name and a description with a separator.
fn is_tied(text: &str) -> bool {
    [" — ", " – ", " - "].iter().any(|tie| text.contains(tie))
}

/// Returns the projects of a section: the items of its lists, and the parts below its headings. What is loose is a piece
/// named by the section's heading, and comes first.
fn projects_of(section: &Section) -> Vec<Item> {
    let mut found: Vec<Item> = Vec::new();
    let mut loose: Vec<&str> = Vec::new();
    for block in &section.blocks {
        match block {
            Block::Item(text) if section.is_of_work() || is_work(text) => found.push(Item::read(text)),
            Block::Heading(name) => found.push(Item::named(name)),
            Block::Paragraph(text) | Block::Item(text) => {
                match found.last_mut().filter(|last| last.is_open) {
                    Some(last) => last.describe(text),
                    None => loose.push(text),
                }
            }
        }
    }
    let is_linked = !addresses(section.heading()).is_empty();
    if !loose.is_empty() || is_linked || found.is_empty() && has_words(section.heading()) {
        found.insert(0, Item::of_section(section.heading(), &loose));
    }
    found
}

/// Returns the addresses in the title, in the introduction and in sections about contact, each once.
fn links(outline: &Outline) -> Vec<Value> {
    let mut links: Vec<Value> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let about = |(at, section): &(usize, &Section)| *at == 0 || section.is_about();
    let of_contact = outline.sections().iter().filter(|section| section.is_of_contact());
    let introducing = outline.sections().iter().enumerate().filter(about).map(|(_, section)| section);
    let texts =
        of_contact.flat_map(texts_of).chain(outline.written_title()).chain(introducing.flat_map(texts_of));
    for text in texts {
        for address in addresses(text) {
            if seen.contains(&address) || links.len() == MOST_LINKS {
                continue;
            }
            let label = label_of(text, &address);
            links.push(json!({ "label": cut(&label, LABEL), "url": address }));
            seen.push(address);
        }
    }
    links
}

/// Returns the texts of a section, with its heading.
fn texts_of(section: &Section) -> impl Iterator<Item = &str> {
    let blocks = section.blocks.iter().map(|block| {
        let (Block::Item(text) | Block::Paragraph(text) | Block::Heading(text)) = block;
        text.as_str()
    });
    std::iter::once(section.heading()).chain(blocks)
}

/// Returns the label of a link: the text about it, or its host where the text is a whole sentence.
fn label_of(text: &str, address: &str) -> String {
    let words = without_addresses(text);
    let label = words.trim_end_matches([':', '-', '–', '—', ' ']).trim();
    let is_label = !label.is_empty() && label.chars().count() <= 30 && !label.contains(['.', ':', ',']);
    if is_label { label.to_owned() } else { host_of(address).to_owned() }
}

/// Returns the main link: the first e-mail address of the notes, or else the first address in a section about
/// contact.
fn call_to_action(text: &str, outline: &Outline) -> Value {
    if let Some(address) = email_in(text) {
        return json!({ "text": cut(&format!("Write to {address}"), BRAND), "url": format!("mailto:{address}") });
    }
    let contacts = outline.sections().iter().filter(|section| section.is_of_contact());
    let mut texts = contacts.flat_map(texts_of);
    let address = texts.find_map(|text| addresses(text).into_iter().next());
    address.map_or(
        Value::Null,
        |address| json!({ "text": cut(&format!("Go to {}", host_of(&address)), BRAND), "url": address }),
    )
}

#[cfg(test)]
mod tests {
    use antiphon_llm::{CancellationToken, DocumentPart};
    use serde_json::{Value, json};

    use super::draft;

    fn drawn(text: &str) -> Value {
        draft(&[DocumentPart::new("d1", "notes.md", text)], &CancellationToken::new()).unwrap()
    }

    #[test]
    fn markdown_with_a_list_of_projects() {
        let made = drawn(
            "# Ada Byron — weaver of engines\n\nI weave. I make engines dance: to cards of brass, to drums of tin, to anything that has holes.\n\n## Projects\n\n\
             - **Loom** — patterns in brass. (Rust, 1,240 stars, #cards) https://github.com/ada/loom\n\
             - [Notes](https://ada.test/notes): on the engine\n\n## Contact\n- ada@ada.test\n- Blog: https://ada.test/blog\n",
        );
        assert_eq!(
            (&made["brand_name"], &made["tagline"]),
            (&json!("Ada Byron"), &json!("weaver of engines"))
        );
        assert_eq!(made["hero"], json!({ "title": "I make engines dance", "subtitle": "I weave." }));
        assert_eq!(
            made["repos"],
            json!([
                { "name": "Loom", "description": "Patterns in brass.", "url": "https://github.com/ada/loom",
                  "stars": 1240, "language": "Rust", "tags": ["cards"] },
                { "name": "Notes", "description": "On the engine", "url": "https://ada.test/notes",
                  "stars": null, "language": null, "tags": [] },
            ])
        );
        assert_eq!(made["menu_items"], json!([{ "label": "Blog", "url": "https://ada.test/blog" }]));
        assert_eq!(made["cta"], json!({ "text": "Write to ada@ada.test", "url": "mailto:ada@ada.test" }));
    }

    #[test]
    fn plain_text_and_a_heading_for_each_project() {
        let made = drawn(
            "Studio\nSmall rooms\n\nWe build.\n\nWork:\n\n* Box bed: a bed and a stair.\n\nContact:\n\nhttps://studio.test/x\n",
        );
        assert_eq!((&made["brand_name"], &made["tagline"]), (&json!("Studio"), &Value::Null));
        assert_eq!(made["hero"], json!({ "title": "Small rooms", "subtitle": "We build." }));
        assert_eq!(made["repos"][0]["name"], "Box bed");
        assert_eq!(made["cta"]["text"], "Go to studio.test");
        let made = drawn(
            "# North\n\n## Our work\n\n### Beds\n\nA forecast in Python. https://n.test/b\n\n### Small\n\nA course.\n",
        );
        assert_eq!(
            made["repos"][0],
            json!({ "name": "Beds", "description": "A forecast in Python.", "url": "https://n.test/b", "stars": null,
                    "language": "Python", "tags": [] })
        );
        assert_eq!(made["repos"][1]["description"], "A course.");
        assert_eq!(made["hero"], json!({ "title": "North", "subtitle": "North" }));
    }

    #[test]
    fn missing_parts_stay_empty() {
        assert!(draft(&[DocumentPart::new("d1", "n", " \n\n")], &CancellationToken::new()).is_err());
        let odd = drawn("# **\n\n...\n\n## Links\n\n- https://\n");
        assert_eq!((&odd["brand_name"], &odd["menu_items"]), (&json!("notes.md"), &json!([])));
        assert_eq!(
            drawn("# Ada\n\n## Work\n\n### A parser in C#\n\nIt parses.\n")["repos"][0]["name"],
            "A parser in C#"
        );
        let made = drawn("just one line");
        assert_eq!(
            (&made["brand_name"], &made["repos"], &made["cta"]),
            (&json!("just one line"), &json!([]), &Value::Null)
        );
    }

    #[test]
    fn sections_in_other_languages_and_links_in_headings_stay() {
        let made = drawn(
            "# [Ada](https://ada.test)\n\nIch webe. Ich baue Maschinen aus Messing.\n\n## Projekte\n\n- Webstuhl — Muster in Messing\n\n\
             ## Auszeichnungen\n\nPreis der Stadt.\n\n- Beste Weberin\n\n## [Presse](https://p.test/x)\n\n### [Artikel](https://p.test/a)\n\nLang.\n\n## Kontakt\n\nhttps://k.test\n",
        );
        let names: Vec<_> = made["repos"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (&item["name"], &item["description"], &item["url"]))
            .collect();
        assert_eq!(
            json!(names),
            json!([
                ["Webstuhl", "Muster in Messing", null],
                ["Auszeichnungen", "Preis der Stadt. Beste Weberin", null],
                ["Presse", "", "https://p.test/x"],
                ["Artikel", "Lang.", "https://p.test/a"],
            ])
        );
        assert_eq!(made["brand_name"], "Ada");
        assert_eq!(
            made["menu_items"],
            json!([{ "label": "k.test", "url": "https://k.test" }, { "label": "Ada", "url": "https://ada.test" }])
        );
    }

    #[test]
    fn pictures_and_scripts_are_left_out() {
        let made = drawn(
            "# Ada\n\nI weave ![loom](loom.png)and [sell](javascript:sell()) cloth.\n\n## Work\n\n- [Loom](data:text/html,x) — brass\n",
        );
        let text = made.to_string();
        assert!(
            !text.contains("javascript") && !text.contains("loom.png") && !text.contains("data:"),
            "{text}"
        );
        assert_eq!((&made["repos"][0]["name"], &made["repos"][0]["url"]), (&json!("Loom"), &Value::Null));
    }
}
