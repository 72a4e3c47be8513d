//! The outline of notes: headings, lists and paragraphs, in Markdown or in plain text.

use super::item::without_addresses;

/// A block of the notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    Heading(String),
    Item(String),
    Paragraph(String),
}

/// A heading and the blocks below it.
#[derive(Debug, Default)]
pub(super) struct Section {
    heading: String,
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug)]
pub(super) struct Outline {
    /// The sections; the first has no heading but the title of the notes.
    sections: Vec<Section>,
    title: Option<String>,
    /// The level of headings that begin sections; deeper ones are inside them.
    level: usize,
}

/// A line by its kind.
enum Line<'a> {
    Empty,
    /// A heading with its level, from 1.
    Heading(usize, &'a str),
    Item(&'a str),
    /// A line that continues the one before, or begins a paragraph.
    Text(&'a str),
}

/// Words in the headings of sections with pieces of work, in several languages.
const WORK: &str = "
    work works project projects portfolio repo repos repositories products cases built made source publications commissions
    experience case clients arbeit arbeiten projekt projekte werke referenzen kunden projet projets travaux réalisations
    références proyecto proyectos trabajos obras progetto progetti lavori projeto projetos trabalhos projecten werk opdrachten
    projekty prace realizacje projekter arbeten uppdrag projektit työt práce projektek munkák проекты работы проєкти роботи";

/// Words in the headings of sections with ways to reach the author.
const CONTACT: &str = "
    contact touch links elsewhere hire reach find social profiles write kontakt kontakte erreichbar contacto contactar enlaces
    contactez liens contatto contatti contato contatos kontakty kontakter yhteystiedot kapcsolat контакты контакти";

/// Words in the headings of sections about the author.
const ABOUT: &str = "
    about bio profile who über ueber wer propos qui sobre perfil quién quien chi mnie om minusta обо про rólam mij";

impl Section {
    pub(super) fn is_of_work(&self) -> bool {
        self.has_word(WORK)
    }

    pub(super) fn is_of_contact(&self) -> bool {
        self.has_word(CONTACT)
    }

    pub(super) fn is_about(&self) -> bool {
        self.has_word(ABOUT)
    }

    /// Returns the heading as it is written, with its links; empty for the first section.
    pub(super) fn heading(&self) -> &str {
        &self.heading
    }

    fn has_word(&self, words: &str) -> bool {
        let heading = without_addresses(&self.heading).to_lowercase();
        heading
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| !word.is_empty() && words.split_whitespace().any(|known| known == word))
    }
}

impl Outline {
    /// Parses notes line by line. A title is a heading of the first level, or a short first line, before any
    /// other block.
    pub(super) fn of(text: &str) -> Self {
        let mut outline = Self { sections: vec![Section::default()], title: None, level: usize::MAX };
        let mut is_open = false;
        for line in text.lines() {
            let line = read(line);
            let was_open = std::mem::replace(&mut is_open, matches!(line, Line::Item(_) | Line::Text(_)));
            match line {
                Line::Empty => {}
                Line::Heading(depth, words) => outline.add_heading(depth, words),
                Line::Item(words) => outline.add(Block::Item(words.to_owned())),
                Line::Text(words) => is_open = outline.add_text(words, was_open),
            }
        }
        outline
    }

    fn is_empty(&self) -> bool {
        self.sections.len() == 1 && self.sections[0].blocks.is_empty()
    }

    /// Adds a heading: as the title, as the beginning of a section, or inside the current section.
    fn add_heading(&mut self, depth: usize, words: &str) {
        if depth == 1 && self.title.is_none() && self.is_empty() {
            self.title = Some(words.to_owned());
            return;
        }
        self.level = self.level.min(depth);
        let heading = words.to_owned();
        if depth > self.level {
            self.add(Block::Heading(heading));
        } else {
            self.sections.push(Section { heading, blocks: Vec::new() });
        }
    }

    fn add(&mut self, block: Block) {
        if let Some(section) = self.sections.last_mut() {
            section.blocks.push(block);
        }
    }

    /// Adds a line to the open block, or as a new paragraph; returns whether the next line may continue it.
    fn add_text(&mut self, words: &str, continues: bool) -> bool {
        // Plain notes begin with a name on a separate line.
        if self.title.is_none() && self.is_empty() && is_short(words) && !words.ends_with(',') {
            self.title = Some(words.to_owned());
            return false;
        }
        let last = self.sections.last_mut().and_then(|section| section.blocks.last_mut());
        match last {
            Some(Block::Item(text) | Block::Paragraph(text)) if continues => {
                text.push(' ');
                text.push_str(words);
            }
            _ => self.add(Block::Paragraph(words.to_owned())),
        }
        true
    }

    /// Returns the name in the title, and the line about it; `None` for empty notes.
    pub(super) fn title(&self) -> Option<(String, Option<String>)> {
        let Some(title) = &self.title else {
            let mut texts = self.sections.iter().flat_map(|section| &section.blocks).map(|block| {
                let (Block::Heading(text) | Block::Item(text) | Block::Paragraph(text)) = block;
                text
            });
            let first = texts.next()?;
            // A letter begins with a greeting or a long sentence, and neither is a name.
            let is_name = |text: &&String| is_short(text) && !text.ends_with(',');
            return Some((Some(first).filter(is_name).map(|text| plain(text)).unwrap_or_default(), None));
        };
        let title = &without_addresses(title);
        for tie in [" — ", " – ", " - ", " | ", ": "] {
            if let Some((brand, line)) = title.split_once(tie) {
                return Some((plain(brand), Some(plain(line))));
            }
        }
        Some((plain(title), self.motto()))
    }

    /// Returns a short paragraph directly below the title, if more follows.
    fn motto(&self) -> Option<String> {
        match self.sections[0].blocks.first() {
            Some(Block::Paragraph(text)) if is_short(text) && self.sections[0].blocks.len() > 1 => {
                Some(plain(text.trim_end_matches('.')))
            }
            _ => None,
        }
    }

    /// Returns the title as it is written, with its links.
    pub(super) fn written_title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Returns the introductory paragraphs: those below the title and in sections such as "About", without addresses. The
    /// items of their lists count as well, unless they are a piece of work.
    pub(super) fn intro(&self, is_work: impl Fn(&str) -> bool) -> Vec<String> {
        let about = self.sections.iter().skip(1).filter(|section| section.is_about());
        let skipped = usize::from(
            self.motto().is_some() && !self.title.as_ref().is_some_and(|title| title.contains(" — ")),
        );
        let first = self.sections[0].blocks.iter().skip(skipped);
        let blocks = first.chain(about.flat_map(|section| &section.blocks));
        let paragraphs = blocks.filter_map(|block| match block {
            Block::Paragraph(text) => Some(plain(&without_addresses(text))),
            Block::Item(text) if !is_work(text) => Some(plain(&without_addresses(text))),
            _ => None,
        });
        paragraphs.filter(|text| !text.is_empty()).collect()
    }

    pub(super) fn sections(&self) -> &[Section] {
        &self.sections
    }
}

/// Classifies a line by its marks; rules, quotations and empty lines count as empty.
fn read(line: &str) -> Line<'_> {
    let words = line.trim();
    // A quotation is not the author's own text.
    if words.is_empty() || words.starts_with('>') || words.chars().all(|c| matches!(c, '-' | '=' | '*' | '_'))
    {
        return Line::Empty;
    }
    if let Some((level, heading)) = hash_heading(words) {
        return Line::Heading(level, heading);
    }
    let item = ["- ", "* ", "+ ", "• "].iter().find_map(|mark| words.strip_prefix(mark));
    if let Some(item) = item.or_else(|| numbered(words)) {
        return Line::Item(item.trim());
    }
    let is_indented = line.starts_with(char::is_whitespace);
    let heading = words.strip_suffix(':').filter(|heading| is_short(heading) && !is_indented);
    heading.map_or(Line::Text(words), |heading| Line::Heading(2, heading))
}

/// Returns the level and the text of a heading such as `## Work`.
fn hash_heading(words: &str) -> Option<(usize, &str)> {
    let hashes = words.bytes().take_while(|byte| *byte == b'#').count();
    let text = words[hashes..].strip_prefix(' ').filter(|_| (1..=6).contains(&hashes))?.trim();
    // A heading may be closed by hashes after a space.
    let bare = text.trim_end_matches('#');
    Some((hashes, if bare.ends_with(' ') { bare.trim_end() } else { text }))
}

/// Returns the text after `1.` or `1)`.
fn numbered(words: &str) -> Option<&str> {
    let digits = words.bytes().take_while(u8::is_ascii_digit).count();
    let rest = words[digits..].strip_prefix(['.', ')'])?;
    (digits > 0 && digits < 4).then_some(rest.strip_prefix(' ')?)
}

/// Returns whether a text is short enough for a title: at most 100 characters and 12 words.
fn is_short(text: &str) -> bool {
    text.chars().count() <= 100 && text.split_whitespace().count() <= 12
}

/// Returns a text without Markdown emphasis and code marks.
pub(super) fn plain(text: &str) -> String {
    text.replace('*', "").replace("__", "").replace("~~", "").replace('`', "").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Block, Outline};

    #[test]
    fn continued_lines_belong_to_one_block() {
        let outline = Outline::of("# T\n\none\ntwo\n\n- a\n  b\n1. c\n\n---\nthree\n");
        let blocks: Vec<Block> =
            outline.sections().iter().flat_map(|section| section.blocks.clone()).collect();
        let (item, paragraph) =
            (|text: &str| Block::Item(text.into()), |text: &str| Block::Paragraph(text.into()));
        assert_eq!(blocks, [paragraph("one two"), item("a b"), item("c"), paragraph("three")]);
    }

    #[test]
    fn a_title_has_a_name_and_an_optional_line() {
        let title = |text: &str| Outline::of(text).title();
        assert_eq!(title("# Ada - weaver"), Some(("Ada".into(), Some("weaver".into()))));
        assert_eq!(title("Ada\nWeaver.\n\nMore text."), Some(("Ada".into(), Some("Weaver".into()))));
        assert_eq!(title("- a list"), Some(("a list".into(), None)));
        assert_eq!(title("Hi Tom,\n\nHere is what I do."), Some((String::new(), None)));
        assert_eq!(title(""), None);
    }
}
