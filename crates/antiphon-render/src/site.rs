//! Portfolio sites: pages of contents in themes, and an index over them.
//!
//! Content comes from answers and notes, and themes may come from others, so that neither is trusted:
//!
//! | threat | defence |
//! |---|---|
//! | markup in a text | every text is escaped; templates have no `safe` filter and cannot change the escaping |
//! | a link to a script | only addresses that [`safe_link`] accepts become links |
//! | a style sheet or a template that loads or sends something | the Content-Security-Policy, required in templates |
//! | a page that replaces a file of the user | [`SiteBuilder::write`] overwrites only files with that policy; [`build_portfolio`] replaces any |
//!
//! The structs of this module are the context of the template of a page, which is also the interface for templates of
//! custom themes: a field that is removed here breaks them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use antiphon_pipeline::content::{CallToAction, Content, Link, Project, SitePage};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use crate::blocking::blocking;
use crate::breakable::{breakable, formatted, isolated};
use crate::error::{RenderError, RenderErrorKind};
use crate::link::safe_link;
use crate::policy::{self, POLICY};
use crate::theme::{Theme, ThemeText};

/// The template of a page, for themes without one of their own.
const PAGE: &str = include_str!("site/page.html");
/// The template of the index.
const INDEX: &str = include_str!("site/index.html");
/// The base style sheet of all themes: no overflow, visible focus, reduced motion.
const BASE: &str = include_str!("site/base.css");
/// The style sheet of the index, with a swatch for each built-in theme.
const INDEX_CSS: &str = include_str!("site/index.css");

/// A builder of sites: a page for each content and theme, and an index over them if there are several.
///
/// Each page is one self-contained file: it has its style and no script, all text is escaped, links lead to http, https
/// and mailto addresses only, and its Content-Security-Policy forbids it to load or send anything. For a single page,
/// see [`build_portfolio`].
///
/// Building does no I/O: [`build`](Self::build) returns the texts, and [`write`](Self::write) writes them as files.
///
/// # Examples
/// ```
/// use antiphon_pipeline::content::Content;
/// use antiphon_render::{SiteBuilder, Theme};
///
/// let json = r#"{"brand_name": "Ada", "hero": {"title": "Looms & more", "subtitle": "I weave."}}"#;
/// let content = Content::parse("ada.json", json)?;
/// let site = SiteBuilder::new("Ada").page("ada", content, Theme::built_in("editorial")?);
/// let files = site.build()?;
/// assert_eq!(files[0].0, "index.html");
/// assert!(files[0].1.contains("Looms &amp; more"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SiteBuilder {
    title: String,
    pages: Vec<Page>,
}

/// A page that is not rendered yet.
#[derive(Debug, Clone)]
struct Page {
    /// The name, from which the file's name is made.
    name: String,
    content: Content,
    theme: Theme,
}

impl SiteBuilder {
    /// Creates a site without pages; `title` is the heading of the index, which only a site of several pages has.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), pages: Vec::new() }
    }

    /// Adds a page. Pages may share a name, for example in several themes: their files get different names. The order
    /// of the pages is that of the index.
    pub fn page(mut self, name: impl Into<String>, content: Content, theme: Theme) -> Self {
        self.pages.push(Page { name: name.into(), content, theme });
        self
    }

    /// Adds the pages that have content, each in the theme that it names; pages whose theme is missing are left out.
    pub fn pages(mut self, pages: &[SitePage], themes: &[Theme]) -> Self {
        for page in pages {
            let theme = themes.iter().find(|theme| theme.name == page.theme);
            if let (Some(content), Some(theme)) = (&page.content, theme) {
                self = self.page(&page.notes, content.clone(), theme.clone());
            }
        }
        self
    }

    /// Returns whether the site has no page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Renders the files, each as its name and its text: a single page is `index.html`; several are `NAME-THEME.html`
    /// each, with an index in `index.html`. This method is CPU-bound and blocks for large sites: in async code use
    /// [`write`](Self::write).
    ///
    /// In `NAME`, letters and digits are kept in lower case and everything else becomes `-`, so that a name cannot lead
    /// out of the folder. A name that is taken gets a number, as in `ada-editorial-2.html`. A site without pages has an
    /// index without entries.
    ///
    /// # Errors
    /// `Template` for a theme with a broken template.
    pub fn build(&self) -> Result<Vec<(String, String)>, RenderError> {
        if let [only] = &self.pages[..] {
            return Ok(vec![("index.html".to_owned(), only.render()?)]);
        }
        let mut taken = HashSet::from(["index.html".to_owned()]);
        let mut files = Vec::with_capacity(self.pages.len() + 1);
        let mut entries = Vec::with_capacity(self.pages.len());
        for page in &self.pages {
            let file = file_name(&page.name, &page.theme.name, &mut taken);
            files.push((file.clone(), page.render()?));
            entries.push(Entry::new(page, file));
        }
        files.push(("index.html".to_owned(), index(&self.title, &entries)?));
        Ok(files)
    }

    /// Builds the site on tokio's blocking pool, and writes each file into a folder atomically. Returns the paths.
    /// Files that an earlier build wrote under other names are kept, and a file that is not a page of a site is never
    /// overwritten. All files are checked before the first one is written. The folder is created if necessary.
    ///
    /// # Errors
    /// The errors of [`build`](Self::build); `Files` for a file that cannot be written, or must not be overwritten.
    ///
    /// # Cancel safety
    /// A dropped call may have written some of the files; each of them is complete.
    pub async fn write(self, folder: &Path) -> Result<Vec<PathBuf>, RenderError> {
        let files = blocking(move || self.build()).await?;
        antiphon_fs::create_dir(folder).await.map_err(RenderError::files)?;
        for (name, _) in &files {
            is_ours_to_write(&folder.join(name)).await?;
        }
        let mut written = Vec::with_capacity(files.len());
        for (name, html) in files {
            let path = folder.join(&name);
            antiphon_fs::write_below(folder, &name, html).await.map_err(RenderError::files)?;
            written.push(path);
        }
        Ok(written)
    }
}

/// The name and the theme of a page, from which the name of its file is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageName {
    /// The name, such as that of the notes.
    pub name: String,
    /// The theme's name.
    pub theme: String,
}

/// Checks, before the contents of pages exist, that [`SiteBuilder::write`] can write them into a folder: that files can be created
/// in it, and that no file of theirs would replace one that is not a page of a site. The folder is created if necessary.
///
/// # Errors
/// `Files` for a folder that cannot be written, or a file that must not be overwritten.
///
/// # Cancel safety
/// A dropped call may still create the folder.
pub async fn check_site_folder(folder: &Path, pages: &[PageName]) -> Result<(), RenderError> {
    antiphon_fs::check_writable(folder).await.map_err(RenderError::files)?;
    let mut taken = HashSet::from(["index.html".to_owned()]);
    for page in pages {
        file_name(&page.name, &page.theme, &mut taken);
    }
    for name in taken {
        is_ours_to_write(&folder.join(name)).await?;
    }
    Ok(())
}

/// Returns a file name for a page that is not yet taken, and takes it.
fn file_name(name: &str, theme: &str, taken: &mut HashSet<String>) -> String {
    let stem = format!("{}-{theme}", slug(name));
    let names = std::iter::once(format!("{stem}.html")).chain((2..).map(|n| format!("{stem}-{n}.html")));
    let mut free = names.skip_while(|name| taken.contains(name));
    let name = free.next().unwrap_or(stem);
    taken.insert(name.clone());
    name
}

/// Writes one page; creates its folder if necessary.
pub(crate) async fn write_page(path: &Path, html: String) -> Result<(), RenderError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        antiphon_fs::create_dir(folder).await.map_err(RenderError::files)?;
    }
    antiphon_fs::write(path, html).await.map_err(RenderError::files)
}

/// Refuses to overwrite a file that no site has written. A page of an earlier site is recognised by its policy.
async fn is_ours_to_write(path: &Path) -> Result<(), RenderError> {
    match antiphon_fs::read(path).await {
        Err(err) if err.kind() == antiphon_fs::ErrorKind::NotFound => Ok(()),
        Err(err) => Err(RenderError::files(err)),
        Ok(bytes) if bytes.windows(POLICY.len()).any(|part| part == POLICY.as_bytes()) => Ok(()),
        Ok(_) => {
            let message =
                format!("will not overwrite {}: no site has written it. Use another folder", path.display());
            Err(RenderError::new(RenderErrorKind::Files, message))
        }
    }
}

/// Renders one page, a content in a theme, and writes it to `output` atomically. An existing file is replaced, whatever
/// it is. For several pages, or to keep files that are no pages of a site, use [`SiteBuilder`].
///
/// # Errors
/// `Template` for a theme with a broken template; `Files` for a file that cannot be written.
///
/// # Cancel safety
/// The file is written atomically: after a dropped call it is complete or absent.
pub async fn build_portfolio(content: Content, theme: Theme, output: &Path) -> Result<(), RenderError> {
    let page = Page { name: String::new(), content, theme };
    write_page(output, blocking(move || page.render()).await?).await
}

impl Page {
    /// Renders the page with the template of its theme, or with the built-in one. The style sheets are part of the
    /// page.
    fn render(&self) -> Result<String, RenderError> {
        let theme = &self.theme;
        let mut environment = environment();
        let (name, source) = match &theme.template {
            Some(source) => (format!("{}/page.html", theme.name), source.as_str()),
            None => ("page.html".to_owned(), PAGE),
        };
        environment.add_template(&name, source).map_err(RenderError::template)?;
        let template = environment.get_template(&name).map_err(RenderError::template)?;
        let css = format!("{BASE}\n{}", theme.css);
        let context = minijinja::context! {
            css => minijinja::Value::from_safe_string(css),
            ..minijinja::Value::from(Serde(&View::new(&self.content, theme)))
        };
        let page = template.render(context).map_err(RenderError::template)?;
        match policy::mistake(&page).filter(|_| theme.template.is_some()) {
            Some((_, mistake)) => {
                Err(RenderError::new(RenderErrorKind::Template, format!("{name}: {mistake}")))
            }
            None => Ok(page),
        }
    }
}

/// Creates a template environment in which all text is escaped: the `safe` filter is removed, and `breakable` escapes
/// as well. An undefined variable is an error.
pub(crate) fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.remove_filter("safe");
    environment.add_filter("breakable", breakable);
    environment.add_filter("isolated", isolated);
    environment.set_formatter(formatted);
    environment
}

/// Renders the index. Its template is part of the crate.
fn index(title: &str, entries: &[Entry<'_>]) -> Result<String, RenderError> {
    let mut environment = environment();
    environment.add_template("index.html", INDEX).map_err(RenderError::template)?;
    let template = environment.get_template("index.html").map_err(RenderError::template)?;
    let context = minijinja::context! {
        css => minijinja::Value::from_safe_string(format!("{BASE}\n{INDEX_CSS}")),
        title => title,
        ..minijinja::Value::from(Serde(&Entries { entries }))
    };
    template.render(context).map_err(RenderError::template)
}

/// The context of the index's template.
#[derive(Serialize)]
struct Entries<'a> {
    entries: &'a [Entry<'a>],
}

/// A page in the index.
#[derive(Serialize)]
struct Entry<'a> {
    file: String,
    brand: &'a str,
    title: &'a str,
    theme: &'a str,
    about: &'a str,
    /// The name of the theme, as a class for its swatch.
    swatch: &'a str,
}

impl<'a> Entry<'a> {
    /// Creates the entry of a page that is in this file.
    fn new(page: &'a Page, file: String) -> Self {
        Self {
            file,
            brand: &page.content.brand_name,
            title: &page.content.hero.title,
            theme: &page.theme.title,
            about: &page.theme.description,
            swatch: &page.theme.name,
        }
    }
}

/// The context of a page's template.
#[derive(Serialize)]
struct View<'a> {
    /// The theme's name, as a class.
    theme: &'a str,
    /// The labels of the page.
    words: &'a ThemeText,
    brand: &'a str,
    /// The line below the brand; `None` for an empty one.
    tagline: Option<&'a str>,
    hero: HeroView<'a>,
    projects: Vec<ProjectView<'a>>,
    /// Links with a safe address.
    menu: Vec<LinkView<'a>>,
    /// The call to action, with or without a link.
    action: Option<LinkView<'a>>,
}

/// The top section of a page.
#[derive(Serialize)]
struct HeroView<'a> {
    title: &'a str,
    subtitle: &'a str,
}

/// A label with a safe link, or without one.
#[derive(Serialize)]
struct LinkView<'a> {
    label: &'a str,
    url: Option<String>,
}

/// A project on a page. Empty texts are left out.
#[derive(Serialize)]
struct ProjectView<'a> {
    name: &'a str,
    description: &'a str,
    /// The safe address, if there is one.
    url: Option<String>,
    /// The number of stars, as text: `1,240`.
    stars: Option<String>,
    language: Option<&'a str>,
    tags: Vec<&'a str>,
}

impl<'a> View<'a> {
    /// Creates the context of a content in a theme.
    fn new(content: &'a Content, theme: &'a Theme) -> Self {
        Self {
            theme: &theme.name,
            words: &theme.words,
            brand: &content.brand_name,
            tagline: content.tagline.as_deref().filter(|line| !line.trim().is_empty()),
            hero: HeroView { title: &content.hero.title, subtitle: &content.hero.subtitle },
            projects: content.repos.iter().map(ProjectView::new).collect(),
            menu: content.menu_items.iter().filter_map(LinkView::of_menu).collect(),
            action: content.cta.as_ref().map(LinkView::of_action),
        }
    }
}

impl<'a> LinkView<'a> {
    /// Creates an entry of the menu; `None` without a safe address, since an entry that leads nowhere is of no use.
    fn of_menu(link: &'a Link) -> Option<Self> {
        Some(Self { label: &link.label, url: Some(safe_link(&link.url)?) })
    }

    /// Creates the call to action, which is also shown without a link.
    fn of_action(action: &'a CallToAction) -> Self {
        Self { label: &action.text, url: action.url.as_deref().and_then(safe_link) }
    }
}

impl<'a> ProjectView<'a> {
    /// Creates the view of a project.
    fn new(project: &'a Project) -> Self {
        Self {
            name: &project.name,
            description: &project.description,
            url: project.url.as_deref().and_then(safe_link),
            stars: project.stars.map(grouped),
            language: project.language.as_deref().filter(|language| !language.trim().is_empty()),
            tags: project.tags.iter().map(String::as_str).filter(|tag| !tag.trim().is_empty()).collect(),
        }
    }
}

/// Returns a number with a comma before each group of three digits: `1,240`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns a name in a form that is fit for file names: letters and digits of any script in lower case, and `-` for
/// everything else. `page` if nothing remains.
fn slug(name: &str) -> String {
    /// Leaves space for a theme and a number within the limit of file systems (255 bytes).
    const MAX_BYTES: usize = 150;
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if slug.len() > MAX_BYTES {
            break;
        }
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "page".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{grouped, slug};

    #[test]
    fn numbers_are_grouped_and_names_fit_for_files() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_240), grouped(1_000_000)],
            ["0", "999", "1,240", "1,000,000"]
        );
        assert_eq!([slug("Mira Okafor.md"), slug("../x"), slug("…")], ["mira-okafor-md", "x", "page"]);
        assert!(slug(&"𠀀".repeat(300)).len() < 160);
    }
}
