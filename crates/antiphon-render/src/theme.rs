use std::path::Path;

use antiphon_pipeline::content::Voice;
use antiphon_pipeline::{near_name, read_toml};
use serde::{Deserialize, Serialize};

use crate::error::{RenderError, RenderErrorKind};
use crate::site::{POLICY, environment};

/// How a site looks and speaks: a style sheet, a voice, a few words, and perhaps a template of its own.
///
/// A theme of one's own is a folder with `theme.toml`, `style.css` and, if it wants another structure, `page.html`, a Jinja
/// template that is given the same as the built-in one. Style sheets may not load anything, and the page's own policy keeps
/// a browser from it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Theme {
    /// Its name, as files and commands have it: small letters, digits and `-`.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it is good for, in a line.
    pub description: String,
    /// How its texts sound.
    pub voice: Voice,
    /// The page's own words.
    pub words: ThemeText,
    pub(crate) css: String,
    pub(crate) template: Option<String>,
    toml: String,
}

/// The whole text of a theme: what a run stores, so that another process can build the same site.
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

/// Words that stand on every page.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ThemeText {
    /// The language of the page, as in `en`.
    pub lang: String,
    /// The heading above the work.
    pub work: String,
    /// The heading above what a visitor is asked to do.
    pub contact: String,
    /// What leads past the navigation.
    pub skip: String,
    /// What counts of stars are called.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    description: String,
    voice: Voice,
    #[serde(default)]
    words: ThemeText,
}

macro_rules! built_in {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("themes/", $name, "/theme.toml")),
            include_str!(concat!("themes/", $name, "/style.css")),
        )
    };
}

/// The themes that come with this crate: name, `theme.toml`, `style.css`.
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

/// The most bytes of a theme's file.
const MAX_BYTES: u64 = 256 << 10;

impl Theme {
    /// The names of the built-in themes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.into_iter().map(|(name, ..)| name)
    }

    /// A built-in theme.
    ///
    /// ```
    /// let err = antiphon_render::Theme::built_in("brutal").unwrap_err();
    /// assert!(err.to_string().contains("did you mean brutalist?"));
    /// ```
    ///
    /// # Errors
    /// `Theme` for a name that no theme has, with one that is near.
    pub fn built_in(name: &str) -> Result<Self, RenderError> {
        match BUILT_IN.into_iter().find(|(known, ..)| *known == name) {
            Some((name, toml, css)) => Self::parse(name, &format!("{name}/theme.toml"), toml, css, None),
            None => {
                let near = near_name(name, Self::names()).map(|near| format!("; did you mean {near}?"));
                let all = || format!("; there are {}", Self::names().collect::<Vec<_>>().join(", "));
                Err(wrong(format!("there is no theme {name}{}", near.unwrap_or_else(all))))
            }
        }
    }

    /// All built-in themes.
    ///
    /// # Errors
    /// `Theme` for one that is broken, which is a defect of this crate.
    pub fn all() -> Result<Vec<Self>, RenderError> {
        Self::names().map(Self::built_in).collect()
    }

    /// The theme in a folder, which has its name.
    ///
    /// # Errors
    /// `Files` for what cannot be read, `Theme` for what cannot be used, with file and line.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn load(folder: &Path) -> Result<Self, RenderError> {
        let read = async |name: &str| {
            let path = folder.join(name);
            let metadata = antiphon_fs::metadata(&path).await.map_err(RenderError::files)?;
            if !metadata.is_file || metadata.len > MAX_BYTES {
                return Err(wrong(format!("{}: it is no file of up to 256 KiB", path.display())));
            }
            antiphon_fs::read_to_string(&path)
                .await
                .map(|read| read.text.into_owned())
                .map_err(RenderError::files)
        };
        let toml = read("theme.toml").await?;
        let css = read("style.css").await?;
        let template = match antiphon_fs::exists(folder.join("page.html")).await {
            Ok(true) => Some(read("page.html").await?),
            _ => None,
        };
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let name = absolute.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let is_plain = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if !is_plain(&name) {
            let message = format!(
                "{}: a theme's folder is named with letters from a to z, digits and -, since pages are named after it",
                folder.display()
            );
            return Err(wrong(message));
        }
        let path = folder.join("theme.toml").display().to_string();
        Self::parse(&name, &path, &toml, &css, template)
    }

    /// Finds the themes of these names, of which one with a `/` is a folder's, and `all` is all that are built in.
    ///
    /// # Errors
    /// `Theme` for a name that no theme has, or a theme that cannot be read or used.
    ///
    /// # Cancel safety
    /// Nothing is changed, so nothing is lost.
    pub async fn find(names: &[String]) -> Result<Vec<Self>, RenderError> {
        let mut themes: Vec<Self> = Vec::new();
        for name in names.iter().map(|name| name.trim()) {
            for theme in Self::named(name).await? {
                match themes.iter().find(|known| known.name == theme.name) {
                    Some(_) if name.contains(['/', '\\']) => {
                        let message =
                            format!("two themes are called {}: pages are named after them", theme.name);
                        return Err(wrong(message));
                    }
                    Some(_) => {}
                    None => themes.push(theme),
                }
            }
        }
        Ok(themes)
    }

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
                Err(wrong(format!("there is no theme {name}; for the folder of that name say ./{name}/")))
            }
            Err(err) => Err(err),
        }
    }

    /// Returns the whole text of the theme.
    #[must_use]
    pub fn source(&self) -> ThemeSource {
        let Self { name, toml, css, template, .. } = self.clone();
        ThemeSource { name, toml, css, template }
    }

    /// Creates a theme from its whole text.
    ///
    /// # Errors
    /// `Theme` for what cannot be used, with file and line.
    pub fn from_source(source: &ThemeSource) -> Result<Self, RenderError> {
        let ThemeSource { name, toml, css, template } = source;
        Self::parse(name, &format!("{name}/theme.toml"), toml, css, template.clone())
    }

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
        if let Some(template) = &template {
            usable(name, template)?;
        }
        if let Some((line, what)) = loads_something(css) {
            let message = format!(
                "style.css:{line}: {what} would load something, or end the style sheet: a page needs nothing else"
            );
            return Err(wrong(format!("the theme {name}: {message}")));
        }
        let (name, css, toml) = (name.to_owned(), css.to_owned(), toml.to_owned());
        Ok(Self { name, title, description, voice, words, css, template, toml })
    }
}

/// A template can be read, keeps escaping on, and has the policy that keeps a browser from loading or running anything.
fn usable(name: &str, template: &str) -> Result<(), RenderError> {
    let mut environment = environment();
    environment
        .add_template_owned(format!("{name}/page.html"), template.to_owned())
        .map_err(RenderError::template)?;
    if let Some(at) = template.find("autoescape") {
        let line = template[..at].matches('\n').count() + 1;
        let message = format!("{name}/page.html:{line}: autoescape stays as it is: texts are never markup");
        return Err(wrong(message));
    }
    if template.contains(POLICY) {
        return Ok(());
    }
    let message =
        format!("{name}/page.html: it needs the line {POLICY} in its head, so that nothing is loaded or run");
    Err(wrong(message))
}

/// What a style sheet may not have, and in which line.
fn loads_something(css: &str) -> Option<(usize, &'static str)> {
    const FORBIDDEN: [&str; 7] = ["</", "<!--", "@import", "url(", "src(", "image-set(", "@font-face"];
    let css = css.to_lowercase();
    let found = FORBIDDEN.into_iter().filter_map(|what| css.find(what).map(|at| (at, what))).min()?;
    Some((css[..found.0].matches('\n').count() + 1, found.1))
}

fn wrong(message: String) -> RenderError {
    RenderError::new(RenderErrorKind::Theme, message)
}

#[cfg(test)]
mod tests {
    use super::{Theme, loads_something};

    #[test]
    fn the_themes_of_this_crate_are_in_order() {
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
    fn a_style_sheet_loads_nothing() {
        assert_eq!(loads_something("a {}\nb { background: URL(http://x) }"), Some((2, "url(")));
        assert_eq!(loads_something("@import 'x';"), Some((1, "@import")));
        assert_eq!(loads_something("</style><script>"), Some((1, "</")));
        assert_eq!(loads_something("a > b { color: red }"), None);
    }
}
