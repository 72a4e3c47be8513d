//! Themes: the appearance and the voice of a site, built in or from a folder.
//!
//! ```text
//! my-theme/
//!   theme.toml    title, description, [voice] and optionally [words]
//!   style.css     the style sheet, which is put into each page
//!   page.html     optional: a Jinja template (minijinja) in the place of the built-in one
//! ```
//!
//! All files are checked when a theme is loaded, so that a mistake is reported before a language model is paid for the
//! texts: unknown keys, rules of the voice, the syntax of the template, and everything by which a page would load or
//! run something. A template has to contain the Content-Security-Policy literally, since pages of earlier sites are
//! recognised by it, as the first element of its head that does anything: a browser applies it from there on.

use std::path::Path;

use antiphon_pipeline::content::Voice;
use antiphon_pipeline::{near_name, read_toml};
use serde::{Deserialize, Serialize};

use crate::error::{RenderError, RenderErrorKind};
use crate::policy::{self, POLICY};
use crate::site::environment;

/// A theme of a site: a style sheet, a voice, labels, and optionally a template.
///
/// A custom theme is a folder with `theme.toml`, `style.css` and optionally `page.html`: a Jinja template for another
/// page structure, with the same context as the built-in one. A style sheet must not load anything; the page's
/// Content-Security-Policy would forbid it.
///
/// Obtain one by [`built_in`](Self::built_in), [`load`](Self::load) or [`find`](Self::find), and pass it to
/// [`SiteBuilder::page`](crate::SiteBuilder::page).
///
/// # Examples
/// ```
/// use antiphon_render::Theme;
/// let theme = Theme::built_in("editorial")?;
/// assert_eq!((theme.title.as_str(), theme.words.work.as_str()), ("Editorial", "The work"));
/// assert_eq!(Theme::from_source(&theme.source())?.title, theme.title);
/// # Ok::<(), antiphon_render::RenderError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Theme {
    /// The name, for files and commands: lower-case letters, digits and `-`.
    pub name: String,
    /// The name to display.
    pub title: String,
    /// A description in one line.
    pub description: String,
    /// The voice of the texts: the tone for the prompt, and rules that are applied to each answer. Its name is the
    /// theme's.
    pub voice: Voice,
    /// The labels of the page, such as its headings.
    pub words: ThemeText,
    /// The text of `style.css`.
    pub(crate) css: String,
    /// The text of `page.html`; `None` for the built-in template.
    pub(crate) template: Option<String>,
    /// The text of `theme.toml`, for [`source`](Self::source).
    toml: String,
}

/// The complete text of a theme's files. A run stores it, so that another process can build the same site.
///
/// Converted by [`Theme::source`] and [`Theme::from_source`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThemeSource {
    /// The theme's name.
    pub name: String,
    /// The text of `theme.toml`.
    pub toml: String,
    /// The text of `style.css`.
    pub css: String,
    /// The text of `page.html`, if the theme has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// The labels of a page: the section `[words]` of `theme.toml`, for pages in other languages. Unknown keys are an
/// error.
///
/// ```toml
/// [words]
/// lang = "de"
/// work = "Arbeiten"
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ThemeText {
    /// The language of the page, as a BCP 47 tag for browsers and screen readers. Default: `en`.
    pub lang: String,
    /// The heading above the projects. Default: `Work`.
    pub work: String,
    /// The heading above the call to action. Default: `Contact`.
    pub contact: String,
    /// The link that skips the navigation. Default: `Skip to content`.
    pub skip: String,
    /// The word after a number of stars. Default: `stars`.
    pub stars: String,
}

impl Default for ThemeText {
    fn default() -> Self {
        Self {
            lang: "en".to_owned(),
            work: "Work".to_owned(),
            contact: "Contact".to_owned(),
            skip: "Skip to content".to_owned(),
            stars: "stars".to_owned(),
        }
    }
}

/// The content of `theme.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    description: String,
    voice: Voice,
    #[serde(default)]
    words: ThemeText,
}

/// Includes the files of a built-in theme.
macro_rules! built_in {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("themes/", $name, "/theme.toml")),
            include_str!(concat!("themes/", $name, "/style.css")),
        )
    };
}

/// The built-in themes: name, `theme.toml`, `style.css`.
const BUILT_IN: [(&str, &str, &str); 8] = [
    built_in!("brutalist"),
    built_in!("hacker"),
    built_in!("minimalist"),
    built_in!("enterprise"),
    built_in!("editorial"),
    built_in!("retro"),
    built_in!("academic"),
    built_in!("studio"),
];

/// Maximum bytes of a theme's file.
const MAX_BYTES: u64 = 256 << 10;

impl Theme {
    /// Returns the names of the built-in themes, as [`built_in`](Self::built_in) accepts them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.into_iter().map(|(name, ..)| name)
    }

    /// Returns a built-in theme.
    ///
    /// ```
    /// let err = antiphon_render::Theme::built_in("brutal").unwrap_err();
    /// assert!(err.to_string().contains("did you mean brutalist?"));
    /// ```
    ///
    /// # Errors
    /// `Theme` for an unknown name; the message has a similar name or the list of names.
    pub fn built_in(name: &str) -> Result<Self, RenderError> {
        match BUILT_IN.into_iter().find(|(known, ..)| *known == name) {
            Some((name, toml, css)) => Self::parse(name, &format!("{name}/theme.toml"), toml, css, None),
            None => {
                let near = near_name(name, Self::names()).map(|near| format!("; did you mean {near}?"));
                let all = || format!("; use one of {}", Self::names().collect::<Vec<_>>().join(", "));
                Err(wrong(format!("unknown theme {name}{}", near.unwrap_or_else(all))))
            }
        }
    }

    /// Returns all built-in themes.
    ///
    /// # Errors
    /// `Theme` for one that is broken, which is a defect of this crate.
    pub fn all() -> Result<Vec<Self>, RenderError> {
        Self::names().map(Self::built_in).collect()
    }

    /// Loads the theme in a folder, whose name is the theme's name. Each file may have up to 256 KiB.
    ///
    /// # Errors
    /// `Files` for a file that cannot be read; `Theme` and `Template` for one that cannot be used, with file and line.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn load(folder: &Path) -> Result<Self, RenderError> {
        let toml = read_text(&folder.join("theme.toml")).await?;
        let css = read_text(&folder.join("style.css")).await?;
        let page = folder.join("page.html");
        let template = match antiphon_fs::exists(&page).await {
            Ok(true) => Some(read_text(&page).await?),
            _ => None,
        };
        let name = folder_name(folder)?;
        let path = folder.join("theme.toml").display().to_string();
        Self::parse(&name, &path, &toml, &css, template)
    }

    /// Loads the themes with these names, each once. A name with a `/` or `\` is the path of a folder; `all` selects
    /// all built-in themes. The themes are in the order of the names; none for no names.
    ///
    /// # Errors
    /// `Theme` for an unknown name, for a theme that cannot be read or used, and for two different themes of the same
    /// name.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn find(names: &[String]) -> Result<Vec<Self>, RenderError> {
        let mut themes: Vec<Self> = Vec::new();
        for name in names.iter().map(|name| name.trim()) {
            for theme in Self::named(name).await? {
                match themes.iter().find(|known| known.name == theme.name) {
                    Some(_) if name.contains(['/', '\\']) => {
                        let message =
                            format!("two themes have the name {}. Rename the folder of one", theme.name);
                        return Err(wrong(message));
                    }
                    Some(_) => {}
                    None => themes.push(theme),
                }
            }
        }
        Ok(themes)
    }

    /// Returns the theme of a name or a path, or all built-in themes for `all`.
    async fn named(name: &str) -> Result<Vec<Self>, RenderError> {
        if name == "all" {
            return Self::all();
        }
        let folder = Path::new(name);
        if name.contains(['/', '\\']) {
            return Ok(vec![Self::load(folder).await.map_err(RenderError::of_theme)?]);
        }
        match Self::built_in(name) {
            Ok(theme) => Ok(vec![theme]),
            Err(_) if antiphon_fs::exists(folder.join("theme.toml")).await.is_ok_and(|there| there) => {
                Err(wrong(format!("unknown theme {name}; for the folder of that name use ./{name}/")))
            }
            Err(err) => Err(err),
        }
    }

    /// Returns the complete text of the theme's files, for example to store it with a run.
    #[must_use]
    pub fn source(&self) -> ThemeSource {
        let Self { name, toml, css, template, .. } = self.clone();
        ThemeSource { name, toml, css, template }
    }

    /// Creates a theme from the complete text of its files, as [`source`](Self::source) returns it.
    ///
    /// # Errors
    /// `Theme` and `Template` for a text that cannot be used, with file and line.
    pub fn from_source(source: &ThemeSource) -> Result<Self, RenderError> {
        let ThemeSource { name, toml, css, template } = source;
        Self::parse(name, &format!("{name}/theme.toml"), toml, css, template.clone())
    }

    /// Parses and checks the files of a theme; `path` is that of `theme.toml`, for messages.
    fn parse(
        name: &str,
        path: &str,
        toml: &str,
        css: &str,
        template: Option<String>,
    ) -> Result<Self, RenderError> {
        let file: File = read_toml(path, toml).map_err(|err| wrong(err.to_string()))?;
        let File { title, description, mut voice, words } = file;
        voice.name = name.to_owned();
        if let Some(mistake) = voice.mistake() {
            return Err(wrong(format!("{path}: {mistake}")));
        }
        template.iter().try_for_each(|template| usable(name, template))?;
        check_style(name, css)?;
        let (name, css, toml) = (name.to_owned(), css.to_owned(), toml.to_owned());
        Ok(Self { name, title, description, voice, words, css, template, toml })
    }
}

/// Reads a file of a theme, up to 256 KiB.
///
/// # Errors
/// `Files` if the file cannot be read; `Theme` if it is too large, or not a regular file.
async fn read_text(path: &Path) -> Result<String, RenderError> {
    let metadata = antiphon_fs::metadata(path).await.map_err(RenderError::files)?;
    if !metadata.is_file || metadata.len > MAX_BYTES {
        return Err(wrong(format!("{}: not a file of up to 256 KiB", path.display())));
    }
    let read = antiphon_fs::read_to_string(path).await.map_err(RenderError::files)?;
    Ok(read.text.into_owned())
}

/// Returns the name of a theme's folder in lower case. The path may be relative, such as `.`.
///
/// # Errors
/// `Theme` for a name that is not fit for a file name and a class of a style sheet.
fn folder_name(folder: &Path) -> Result<String, RenderError> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = absolute.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(is_plain) {
        let message = format!(
            "{}: the name of a theme's folder may have letters from a to z, digits and - only. Rename the folder",
            folder.display()
        );
        return Err(wrong(message));
    }
    Ok(name)
}

/// Checks that a style sheet loads nothing and does not end the element that contains it.
fn check_style(name: &str, css: &str) -> Result<(), RenderError> {
    let Some((line, what)) = loads_something(css) else { return Ok(()) };
    let message = format!("style.css:{line}: {what} would load something, or end the style sheet. Remove it");
    Err(wrong(format!("the theme {name}: {message}")))
}

/// Checks that a template can be parsed, keeps escaping on, and has the policy that forbids to load or run anything.
fn usable(name: &str, template: &str) -> Result<(), RenderError> {
    let mut environment = environment();
    environment
        .add_template_owned(format!("{name}/page.html"), template.to_owned())
        .map_err(RenderError::template)?;
    if let Some(at) = template.find("autoescape") {
        let line = template[..at].matches('\n').count() + 1;
        let message =
            format!("{name}/page.html:{line}: autoescape must not change: text is never markup. Remove it");
        return Err(wrong(message));
    }
    // Pages of earlier sites are recognised by the policy as it is written here.
    if !template.contains(POLICY) {
        let message = format!("{name}/page.html: the policy is missing. Add this line to its head: {POLICY}");
        return Err(wrong(message));
    }
    match policy::mistake(&policy::without_statements(template)) {
        Some((line, mistake)) => Err(wrong(format!("{name}/page.html:{line}: {mistake}"))),
        None => Ok(()),
    }
}

/// Returns the first text in a style sheet that would load something or end it, with its line from 1. The text is
/// searched for literally, so that one in a comment counts as well.
fn loads_something(css: &str) -> Option<(usize, &'static str)> {
    const FORBIDDEN: [&str; 7] = ["</", "<!--", "@import", "url(", "src(", "image-set(", "@font-face"];
    let css = css.to_lowercase();
    let found = FORBIDDEN.into_iter().filter_map(|what| css.find(what).map(|at| (at, what))).min()?;
    Some((css[..found.0].matches('\n').count() + 1, found.1))
}

/// Creates the error of a theme that cannot be used.
fn wrong(message: String) -> RenderError {
    RenderError::new(RenderErrorKind::Theme, message)
}

#[cfg(test)]
mod tests {
    use super::{Theme, loads_something};

    #[test]
    fn built_in_themes_are_valid() {
        let themes = Theme::all().unwrap();
        assert_eq!(themes.len(), 8);
        for theme in &themes {
            let again = Theme::from_source(&theme.source()).unwrap();
            assert_eq!((again.source(), &again.title), (theme.source(), &theme.title));
            assert!(!theme.voice.tone.is_empty() && theme.voice.name == theme.name, "{}", theme.name);
            assert!(
                theme.css.contains("@media print") && theme.css.contains(":focus-visible"),
                "{}",
                theme.name
            );
        }
    }

    #[test]
    fn style_sheets_that_load_something_are_refused() {
        assert_eq!(loads_something("a {}\nb { background: URL(http://x) }"), Some((2, "url(")));
        assert_eq!(loads_something("@import 'x';"), Some((1, "@import")));
        assert_eq!(loads_something("</style><script>"), Some((1, "</")));
        assert_eq!(loads_something("a > b { color: red }"), None);
    }
}
