use std::collections::HashSet;

use serde::Serialize;

use super::portfolio::Content;

/// Something in an answer that was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Removed {
    /// Where it stood, such as `repos[2].url`.
    pub at: String,
    /// What it was.
    pub value: String,
    /// Why it is not there.
    pub why: Ungrounded,
}

/// Why something does not stay in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ungrounded {
    /// The notes do not have it.
    NotInNotes,
    /// It was said before.
    Repeated,
}

/// Takes out work that is there twice, and every address and every count of stars that the notes do not have.
pub(super) fn keep_to(content: &mut Content, notes: &str) -> Vec<Removed> {
    let grounds = Grounds::of(notes);
    let mut removed = Vec::new();
    let mut seen = HashSet::new();
    let mut index = 0..;
    content.repos.retain(|project| {
        let at = index.next().unwrap_or(0_usize);
        let is_new = seen.insert((project.name.to_lowercase(), project.description.to_lowercase()));
        if !is_new {
            let (at, value) = (format!("repos[{at}]"), project.name.clone());
            removed.push(Removed { at, value, why: Ungrounded::Repeated });
        }
        is_new
    });
    let why = Ungrounded::NotInNotes;
    let mut hold = |at: String, url: &mut Option<String>| {
        if let Some(value) = url.take_if(|url| !grounds.has_address(url)) {
            removed.push(Removed { at, value, why });
        }
    };
    for (index, project) in content.repos.iter_mut().enumerate() {
        hold(format!("repos[{index}].url"), &mut project.url);
    }
    if let Some(cta) = &mut content.cta {
        hold("cta.url".to_owned(), &mut cta.url);
    }
    let mut index = 0..;
    content.menu_items.retain(|link| {
        let at = index.next().map(|index| format!("menu_items[{index}]")).unwrap_or_default();
        let is_told = grounds.has_address(&link.url);
        if !is_told {
            removed.push(Removed { at, value: link.url.clone(), why });
        }
        is_told
    });
    for (index, project) in content.repos.iter_mut().enumerate() {
        if let Some(stars) = project.stars.take_if(|stars| !grounds.numbers.contains(stars)) {
            removed.push(Removed { at: format!("repos[{index}].stars"), value: stars.to_string(), why });
        }
    }
    removed
}

/// What the notes have of what can be checked.
struct Grounds {
    text: String,
    numbers: HashSet<u64>,
}

impl Grounds {
    fn of(notes: &str) -> Self {
        Self { text: plain(notes), numbers: numbers(notes) }
    }

    /// Whether the notes give this address. Parts of the page itself need no grounds.
    fn has_address(&self, url: &str) -> bool {
        let url = url.trim();
        if url.starts_with('#') {
            return true;
        }
        let address = plain(url);
        let address = address.strip_prefix("mailto:").unwrap_or(&address).trim_end_matches('/');
        if address.is_empty() {
            return false;
        }
        // A whole address: example.com is not told by example.com.au, nor a path by the one that begins so.
        self.text.match_indices(address).any(|(start, found)| {
            let (before, after) = (&self.text[..start], &self.text[start + found.len()..]);
            !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@'))
                && ends_an_address(after)
        })
    }
}

/// Whether what follows an address cannot belong to it.
fn ends_an_address(rest: &str) -> bool {
    let mut rest = rest.chars().skip_while(|c| *c == '/');
    match rest.next() {
        None => true,
        // A full stop ends a sentence, unless more follows at once.
        Some('.' | ',' | ':' | ';' | '?' | '!') => rest.next().is_none_or(|c| !c.is_alphanumeric()),
        Some(c) => !(c.is_alphanumeric() || matches!(c, '-' | '_' | '@' | '#' | '%' | '~' | '=' | '&' | '+')),
    }
}

/// Lower case, and without what addresses are written with or without.
fn plain(text: &str) -> String {
    text.trim().to_lowercase().replace("https://", "").replace("http://", "").replace("www.", "")
}

/// Every number of the notes: 1240, 1,240, and 1.2k as 1200.
fn numbers(notes: &str) -> HashSet<u64> {
    let mut found = HashSet::new();
    for word in notes.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ',' | '.'))) {
        let word = word.trim_matches(|c| c == ',' || c == '.').replace(',', "").to_lowercase();
        let (digits, unit) = match word.strip_suffix('k') {
            Some(digits) => (digits, 1_000.0),
            None => (word.as_str(), 1.0),
        };
        if let Ok(number) = digits.parse::<u64>()
            && unit == 1.0
        {
            found.insert(number);
        } else if let Ok(number) = digits.parse::<f64>()
            && (0.0..1e12).contains(&number)
            && unit > 1.0
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 10^15"
            )]
            found.insert((number * unit).round() as u64);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Grounds, keep_to};
    use crate::content::{CallToAction, Content, Link, Project};

    const NOTES: &str = "Ada (ada@example.com). Code: https://www.github.com/ada/loom, 1,240 stars; 2.5k on the other.\n\
        Blog: example.com/blog. See example.com.au";

    #[test]
    fn an_address_is_told_whole_or_not_at_all() {
        let grounds = Grounds::of(NOTES);
        for told in [
            "https://github.com/ada/loom",
            "github.com/ada/loom/",
            "mailto:ada@example.com",
            "#work",
            "http://example.com/blog",
        ] {
            assert!(grounds.has_address(told), "{told}");
        }
        for invented in [
            "https://github.com/ada",
            "https://github.com/ada/lo",
            "https://example.com",
            "mailto:da@example.com",
            "",
            "https://",
        ] {
            assert!(!grounds.has_address(invented), "{invented}");
        }
    }

    #[test]
    fn what_the_notes_do_not_have_is_taken_out_and_named() {
        let project = |url: &str, stars: u64| Project {
            name: format!("n{}", stars.min(9_001)),
            url: Some(url.to_owned()),
            stars: Some(stars),
            ..Project::default()
        };
        let mut content = Content {
            repos: vec![
                project("https://github.com/ada/loom", 1_240),
                project("https://evil.test", 9_000),
                project("https://evil.test", 9_000),
                project("https://github.com/ada/loom", 2_500),
            ],
            menu_items: vec![
                Link { label: "Blog".to_owned(), url: "https://example.com/blog".to_owned() },
                Link { label: "X".to_owned(), url: "https://x.com/ada".to_owned() },
            ],
            cta: Some(CallToAction { text: "Write".to_owned(), url: Some("mailto:a@b.c".to_owned()) }),
            ..Content::default()
        };
        let removed = keep_to(&mut content, NOTES);
        let places: Vec<&str> = removed.iter().map(|removed| removed.at.as_str()).collect();
        assert_eq!(places, ["repos[2]", "repos[1].url", "cta.url", "menu_items[1]", "repos[1].stars"]);
        assert_eq!(removed[0].why, super::Ungrounded::Repeated);
        let stars: Vec<_> = content.repos.iter().map(|project| project.stars).collect();
        assert_eq!((stars, content.menu_items.len()), (vec![Some(1_240), None, Some(2_500)], 1));
    }
}
