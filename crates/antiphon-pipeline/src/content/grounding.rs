//! Grounding of portfolio copy: values that can be checked against the notes are checked, and removed if they are not
//! there.
//!
//! Texts cannot be checked word by word, since they are written in a voice. Addresses and star counts can: they are
//! what a model most often invents, and what does most harm on a page.
//!
//! | place | check | otherwise |
//! |---|---|---|
//! | `repos[].url`, `cta.url` | the notes contain it | set to none; `cta.url` to the notes' first mail address |
//! | `repos[].stars` | the notes contain the count next to the word for stars | set to none |
//! | `menu_items[].url` | the notes contain the address | the link is removed |
//! | `repos[]` | no earlier project has the same name, description and address | the project is removed |
//!
//! Addresses are compared without scheme, `www.` and trailing `/`, but as a whole: a prefix of an address in the notes
//! is not in the notes.

use std::collections::HashSet;

use serde::Serialize;
use url::Url;

use super::portfolio::{CallToAction, Content, Link, Project};

/// A value that grounding removed from an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Removed {
    /// The place in the answer, such as `repos[2].url`.
    pub at: String,
    /// The removed value; for a repeated project its name.
    pub value: String,
    /// The reason for the removal.
    pub why: Reason,
}

/// The reason why a value is removed from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The value is not in the notes: a hallucination.
    NotInNotes,
    /// An earlier project has the same name, description and address.
    Repeated,
}

/// Removes every address and star count that the notes do not contain, and repeated projects. A call to action without an
/// address gets the first mail address of the notes.
pub(super) fn remove_ungrounded(content: &mut Content, notes: &str) -> Vec<Removed> {
    let mut grounding = Grounder { facts: NoteFacts::of(notes), removed: Vec::new() };
    grounding.check_projects(&mut content.repos);
    if let Some(cta) = &mut content.cta {
        grounding.check_call_to_action(cta);
    }
    grounding.check_menu(&mut content.menu_items);
    // After the addresses: projects that differed only in an invented one are equal now.
    grounding.remove_repeated(&mut content.repos);
    grounding.removed
}

/// The facts of the notes, and the values that were removed so far.
struct Grounder {
    facts: NoteFacts,
    removed: Vec<Removed>,
}

impl Grounder {
    /// Records a value that is not in the notes.
    fn remove(&mut self, at: String, value: String) {
        self.removed.push(Removed { at, value, why: Reason::NotInNotes });
    }

    /// Removes the addresses and star counts of projects that are not in the notes.
    fn check_projects(&mut self, projects: &mut [Project]) {
        for (index, project) in projects.iter_mut().enumerate() {
            if let Some(url) = project.url.take_if(|url| !self.facts.has_address(url)) {
                self.remove(format!("repos[{index}].url"), url);
            }
            if let Some(stars) = project.stars.take_if(|stars| !self.facts.stars.contains(stars)) {
                self.remove(format!("repos[{index}].stars"), stars.to_string());
            }
        }
    }

    /// Removes the address of the call to action if it is not in the notes. Without one, it gets the notes' first mail
    /// address, which is better than no way to get in touch.
    fn check_call_to_action(&mut self, cta: &mut CallToAction) {
        if let Some(url) = cta.url.take_if(|url| !self.facts.has_address(url)) {
            self.remove("cta.url".to_owned(), url);
        }
        let mail = || Some(format!("mailto:{}", self.facts.first_mail.as_ref()?));
        cta.url = cta.url.take().or_else(mail);
    }

    /// Removes the links whose address is not in the notes.
    fn check_menu(&mut self, links: &mut Vec<Link>) {
        let mut index = 0..;
        links.retain(|link| {
            let at = index.next().unwrap_or(0_usize);
            let is_grounded = self.facts.has_address(&link.url);
            if !is_grounded {
                self.remove(format!("menu_items[{at}]"), link.url.clone());
            }
            is_grounded
        });
    }

    /// Removes the projects that an earlier one repeats, ignoring case.
    fn remove_repeated(&mut self, projects: &mut Vec<Project>) {
        let mut seen = HashSet::new();
        let mut index = 0..;
        projects.retain(|project| {
            let at = index.next().unwrap_or(0_usize);
            let Project { name, description, url, .. } = project;
            let is_new = seen.insert((name.to_lowercase(), description.to_lowercase(), url.clone()));
            if !is_new {
                let (at, value) = (format!("repos[{at}]"), name.clone());
                self.removed.push(Removed { at, value, why: Reason::Repeated });
            }
            is_new
        });
    }
}

/// The facts of the notes that can be checked: addresses and star counts.
struct NoteFacts {
    /// Web addresses in canonical form.
    addresses: HashSet<String>,
    /// Mail addresses in lower case.
    mails: HashSet<String>,
    /// The first mail address as written.
    first_mail: Option<String>,
    stars: HashSet<u64>,
}

impl NoteFacts {
    /// Collects the facts of notes: addresses with a scheme anywhere in the text, the others by word.
    fn of(notes: &str) -> Self {
        let whole = antiphon_llm::addresses(notes).into_iter().filter_map(|span| canonical(&notes[span]));
        let mut addresses: HashSet<String> = whole.collect();
        let (mut mails, mut first_mail) = (HashSet::new(), None);
        let apart = |c: char| {
            c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | '"' | ',' | ';' | '`')
        };
        for word in notes.split(apart).map(|word| word.trim_matches(MARKS)) {
            let word = word.strip_prefix("mailto:").unwrap_or(word);
            match word.split_once('@') {
                Some((name, host)) if !name.is_empty() && host.contains('.') => {
                    first_mail.get_or_insert_with(|| word.to_owned());
                    mails.insert(word.to_lowercase());
                }
                // An address without a scheme, as people write it.
                None if !word.contains("://") && word.contains('.') => addresses.extend(canonical(word)),
                _ => {}
            }
        }
        Self { addresses, mails, first_mail, stars: stars(notes) }
    }

    /// Returns whether the notes contain this address. A fragment such as `#work` counts as absent: the page adds links to
    /// its own sections itself.
    fn has_address(&self, url: &str) -> bool {
        let url = url.trim();
        let mail = url.strip_prefix("mailto:").unwrap_or(url);
        match mail.split_once('@') {
            Some(_) if !mail.contains('/') => {
                let name = mail.split('?').next().unwrap_or(mail);
                self.mails.contains(&name.to_lowercase())
            }
            _ => canonical(url).is_some_and(|address| self.addresses.contains(&address)),
        }
    }
}

/// Punctuation and Markdown marks around a word.
const MARKS: [char; 10] = ['.', ':', '!', '?', '*', '_', '\'', '’', '“', '”'];

/// Returns an address in the form used for comparison: without scheme, `www.` and trailing `/`. Returns `None` for schemes
/// other than HTTP(S), for a host without a dot, and for an address with a user name.
fn canonical(address: &str) -> Option<String> {
    let rest = match address.split_once("://") {
        Some((scheme, rest)) => {
            ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)?
        }
        None => address,
    };
    let url = Url::parse(&format!("https://{rest}")).ok()?;
    let host = url.host_str()?.trim_start_matches("www.");
    if !host.contains('.') || !url.username().is_empty() {
        return None;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let after = url.as_str().split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    Some(format!("{host}{port}{}", after.unwrap_or_default().trim_end_matches('/')))
}

/// Returns the star counts in notes: `1,240 stars`, `1.2k stars`, `★ 96`, `stars: 96`.
fn stars(notes: &str) -> HashSet<u64> {
    let bare = |word: &str| {
        word.trim_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '★' | '⭐'))).to_lowercase()
    };
    let is_star = |word: &str| matches!(bare(word).as_str(), "star" | "stars" | "★" | "⭐");
    // A label for the number after it, not for the one before it.
    let leads = |word: &str| is_star(word) && (word.ends_with(':') || word.ends_with(['★', '⭐']));
    let spaced = notes.replace('★', " ★ ").replace('⭐', " ⭐ ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let pairs = words.windows(2).flat_map(|pair| {
        let before = is_star(pair[1]).then(|| number(&bare(pair[0])));
        let after = leads(pair[0]).then(|| number(&bare(pair[1])));
        [before.flatten(), after.flatten()]
    });
    pairs.flatten().collect()
}

/// Parses a count: `1240`, `1,240`, or `1.2k` as 1200.
fn number(word: &str) -> Option<u64> {
    let word = word.replace(',', "").to_lowercase();
    let Some(thousands) = word.strip_suffix('k') else { return word.parse().ok() };
    let (whole, part) = thousands.split_once('.').unwrap_or((thousands, ""));
    let part = format!("{part:0<3}");
    let part: u64 = part.get(..3).filter(|_| part.len() == 3)?.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::{NoteFacts, remove_ungrounded};
    use crate::content::{CallToAction, Content, Link, Project};

    const NOTES: &str = "Ada (ada@example.com). Code: https://www.github.com/ada/loom, 1,240 stars; 2.5k stars on the other.\n\
        Blog: example.com/blog. See example.com.au, [x](https://c.test/Loom_(weaving)) and GitHubはhttps://github.com/tanaka\n\
        _https://e.test/z_ Zürich: https://z.test/Zürich since 2017";

    #[test]
    fn only_whole_addresses_are_grounded() {
        let grounds = NoteFacts::of(NOTES);
        for address in [
            "https://github.com/ada/loom",
            "github.com/ada/loom/",
            "HTTPS://WWW.GitHub.com/ada/loom",
            "mailto:ada@example.com",
            "mailto:ada@example.com?subject=Hi",
            "http://example.com/blog",
            "https://c.test/Loom_(weaving)",
            "https://github.com/tanaka",
            "https://e.test/z",
            "https://z.test/Z%C3%BCrich",
        ] {
            assert!(grounds.has_address(address), "{address}");
        }
        for invented in [
            "https://github.com/ada",
            "https://github.com/ada/lo",
            "https://github.com/ADA/loom",
            "https://github.www.com/ada/loom",
            "https://githttp://hub.com/ada/loom",
            "https://example.com",
            "https://blog/",
            "mailto:da@example.com",
            "#work",
            "",
            "https://",
            "ftp://example.com/blog",
        ] {
            assert!(!grounds.has_address(invented), "{invented}");
        }
    }

    #[test]
    fn a_star_count_is_next_to_its_word() {
        let mut found: Vec<u64> =
            super::stars("★ 96, 12 stars. stars: 7; 1.25k stars, 180 ms and since 2017")
                .into_iter()
                .collect();
        found.sort_unstable();
        assert_eq!(found, [7, 12, 96, 1_250]);
    }

    #[test]
    fn ungrounded_values_are_removed_and_listed() {
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
        let removed = remove_ungrounded(&mut content, NOTES);
        let places: Vec<&str> = removed.iter().map(|removed| removed.at.as_str()).collect();
        assert_eq!(
            places,
            [
                "repos[1].url",
                "repos[1].stars",
                "repos[2].url",
                "repos[2].stars",
                "cta.url",
                "menu_items[1]",
                "repos[2]"
            ]
        );
        assert_eq!(removed[6].why, super::Reason::Repeated);
        let mail = content.cta.as_ref().and_then(|cta| cta.url.as_deref());
        assert_eq!(mail, Some("mailto:ada@example.com"));
        let stars: Vec<_> = content.repos.iter().map(|project| project.stars).collect();
        assert_eq!((stars, content.menu_items.len()), (vec![Some(1_240), None, Some(2_500)], 1));
    }
}
