//! The change of one setting in a configuration file: comments, order and blank lines stay as they are.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use crate::config_file::{ConfigFile, ConfigPlace};
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::flags::Flags;
use crate::setting_key::SettingKey;
use crate::settings::resolve;

/// The content of a new configuration file: each setting with its meaning, as a comment.
pub const CONFIG_TEMPLATE: &str = include_str!("template.toml");

/// An edit of a configuration file's text. Comments, order and blank lines are kept; a table that is missing is added at the end.
///
/// The result is checked as a run checks it, together with the other files that apply. To write it, use
/// [`ConfigPlace::write`].
///
/// ```
/// use antiphon_connect::{ConfigEdit, SettingKey};
///
/// let edit = ConfigEdit::new("antiphon.toml", "[defaults]\nmodel = \"small\" # cheap\n");
/// let text = edit.set(&"defaults.model".parse::<SettingKey>()?, "large")?;
/// assert_eq!(text, "[defaults]\nmodel = \"large\" # cheap\n");
/// # Ok::<(), antiphon_connect::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConfigEdit<'a> {
    path: &'a str,
    text: &'a str,
    nearer: &'a [ConfigFile],
    farther: &'a [ConfigFile],
}

impl<'a> ConfigEdit<'a> {
    /// Creates the edit of a file. `path` is only used in messages.
    #[must_use]
    pub fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, nearer: &[], farther: &[] }
    }

    /// Sets the files that override this one, and those that it overrides: the result has to fit to them.
    #[must_use]
    pub fn between(mut self, nearer: &'a [ConfigFile], farther: &'a [ConfigFile]) -> Self {
        (self.nearer, self.farther) = (nearer, farther);
        self
    }

    /// Returns the text with a changed setting.
    ///
    /// `value` is read as TOML (a number, `true`, a list in brackets, a text in quotes), else as the text itself. Where only a text is
    /// allowed, a number counts as one, too.
    ///
    /// # Errors
    /// The error of the changed file, with its line: an unknown setting, or a wrong value. The message never repeats the value.
    pub fn set(&self, key: &SettingKey, value: &str) -> Result<String, ConfigError> {
        let document: DocumentMut = self.text.parse().map_err(|_| self.invalid())?;
        let as_text = Value::from(value);
        let as_toml = value.parse::<Value>().ok().filter(|value| !value.is_str());
        let mut first = None;
        // A text in quotes is parsed, any other is taken as it is.
        let quoted = value.parse::<Value>().ok().filter(Value::is_str);
        for value in as_toml.into_iter().chain(quoted).chain([as_text]) {
            let mut changed = document.clone();
            if is_table(changed.as_table(), key.parts()) {
                return Err(self.a_table(key));
            }
            let comments = comments_at_end(&mut changed, key.parts());
            put(changed.as_table_mut(), key.parts(), value).ok_or_else(|| self.not_a_table(key))?;
            if let Some(comments) = comments {
                put_before(changed.as_table_mut(), key.parts(), &comments);
            }
            let text = changed.to_string();
            match self.check(&text) {
                Ok(()) => return Ok(self.with_line_ends(text)),
                Err(err) => first = first.or(Some(err)),
            }
        }
        Err(first.map_or_else(|| self.invalid(), |err| self.refused(key, &err)))
    }

    /// Returns the changed text with the line ends of the file, which its editor may depend on.
    fn with_line_ends(&self, text: String) -> String {
        let (all, crlf) = (self.text.matches('\n').count(), self.text.matches("\r\n").count());
        if crlf * 2 <= all { text } else { text.replace("\r\n", "\n").replace('\n', "\r\n") }
    }

    /// Checks the changed text together with the other files, as a run does.
    fn check(&self, text: &str) -> Result<(), ConfigError> {
        let changed = ConfigFile::parse(self.path, text)?;
        let mut files = self.nearer.to_vec();
        files.push(changed);
        files.extend_from_slice(self.farther);
        resolve(&Flags::default(), &Environment::default(), &files).map(|_| ())
    }

    /// Returns the error of the unchanged text, which is no valid TOML.
    fn invalid(&self) -> ConfigError {
        let err = ConfigFile::parse(self.path, self.text).err();
        err.unwrap_or_else(|| ConfigError::new(format!("{}: not valid TOML", self.path)))
    }

    /// Creates the error of a setting that the file cannot have. The line of the changed text is left out: it was not written.
    fn refused(&self, key: &SettingKey, err: &ConfigError) -> ConfigError {
        let (path, why) = (self.path, err.to_string());
        let line = why.strip_prefix(path).and_then(|rest| rest.strip_prefix(':'));
        let why = line.and_then(|rest| rest.split_once(": ")).map_or(&*why, |(_, why)| why);
        let advice = match key.parts() {
            [table, name, option] if table == "providers" && option == "api_key" => {
                format!(
                    ". A key is never in a file: set providers.{name}.key_env to the name of the environment variable that has it"
                )
            }
            _ => String::new(),
        };
        ConfigError::new(format!("cannot set {key} in {path}, and nothing was changed: {why}{advice}"))
    }

    /// Creates the error of a name whose value is a table in the file.
    fn a_table(&self, key: &SettingKey) -> ConfigError {
        let path = self.path;
        ConfigError::new(format!(
            "cannot set {key} in {path}: it is a table. Set its keys, such as {key}.NAME"
        ))
    }

    /// Creates the error of a name whose table is a value in the file.
    fn not_a_table(&self, key: &SettingKey) -> ConfigError {
        ConfigError::new(format!("cannot set {key} in {}: a part of the name is not a table", self.path))
    }
}

/// Returns whether a name is that of a table with settings, which a value would replace with all comments.
fn is_table(table: &dyn TableLike, key: &[String]) -> bool {
    let Some((first, rest)) = key.split_first() else { return false };
    let Some(found) = table.get(first).and_then(Item::as_table_like) else { return false };
    if rest.is_empty() { !found.is_empty() } else { is_table(found, rest) }
}

/// Takes the comments at the end of a file to which a table is added: they belong to the table before it.
fn comments_at_end(document: &mut DocumentMut, key: &[String]) -> Option<String> {
    let (_, tables) = key.split_last()?;
    let mut table: Option<&dyn TableLike> = Some(document.as_table());
    for name in tables {
        table = table.and_then(|table| table.get(name)).and_then(Item::as_table_like);
    }
    let is_new = table.is_none();
    let comments = document.trailing().as_str().filter(|text| is_new && !text.is_empty())?.to_owned();
    document.set_trailing("");
    Some(comments)
}

/// Puts comments, and a blank line after them, before the header of a table that was added.
fn put_before(table: &mut dyn TableLike, key: &[String], comments: &str) {
    let [first, rest @ ..] = key else { return };
    let Some(item) = table.get_mut(first) else { return };
    match (rest.len(), item.as_table_mut()) {
        (1, Some(new)) => new.decor_mut().set_prefix(format!("{}\n\n", comments.trim_end())),
        (_, Some(table)) => put_before(table, rest, comments),
        (_, None) => {}
    }
}

/// Puts a value at its place; `None` if a part of the name before the last one is a value.
fn put(table: &mut dyn TableLike, key: &[String], value: Value) -> Option<()> {
    let (first, rest) = key.split_first()?;
    if rest.is_empty() {
        replace(table, first, value);
        return Some(());
    }
    if table.get(first).is_none() {
        let mut new = Table::new();
        // Only the innermost table has a header.
        new.set_implicit(rest.len() > 1);
        table.insert(first, Item::Table(new));
    }
    put(table.get_mut(first)?.as_table_like_mut()?, rest, value)
}

/// Replaces a value, and keeps the comment behind the old one.
fn replace(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

impl ConfigPlace {
    /// Writes the file atomically, and creates the user's folder if it is missing.
    ///
    /// # Errors
    /// An error with the path, such as for a lack of permission; an older file is then intact.
    ///
    /// # Cancel safety
    /// If the future is dropped, either the whole file is written or the older one stays.
    pub async fn write(&self, text: String) -> Result<(), ConfigError> {
        let folder = self.path.parent().filter(|folder| self.is_users && !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            antiphon_fs::create_dir(folder).await.map_err(|err| ConfigError::unusable(&err))?;
        }
        antiphon_fs::write(&self.path, text).await.map_err(|err| ConfigError::unusable(&err))
    }
}

#[cfg(test)]
mod tests {
    use super::{CONFIG_TEMPLATE, ConfigEdit};
    use crate::config_file::ConfigFile;
    use crate::settings::resolve;

    const TEXT: &str = "# mine\n[defaults]\nmodel = \"small\"   # cheap\n\n# the lab's\n[providers.lab]\nkind = \"compatible\"\n\
                        base_url = \"http://h/v1\"\n";

    #[track_caller]
    fn set(key: &str, value: &str) -> Result<String, crate::error::ConfigError> {
        ConfigEdit::new("a.toml", TEXT).set(&key.parse().unwrap(), value)
    }

    #[test]
    fn comments_and_order_are_kept() {
        let text = set("defaults.model", "large").unwrap();
        assert_eq!(text, TEXT.replace("\"small\"", "\"large\""));
        let text = set("providers.lab.timeout", "30").unwrap();
        assert_eq!(text, format!("{TEXT}timeout = 30\n"));
        let text = set("retry.max_retries", "2").unwrap();
        assert!(text.starts_with(TEXT) && text.ends_with("[retry]\nmax_retries = 2\n"), "{text}");
        let text = set("providers.openai.route", "responses").unwrap();
        assert!(text.contains("[providers.openai]\nroute = \"responses\"\n"), "{text}");
        let text = set("defaults.fallback", "[\"lab/a\", \"openai/b\"]").unwrap();
        assert!(text.contains("fallback = [\"lab/a\", \"openai/b\"]\n"), "{text}");
    }

    #[test]
    fn line_ends_are_kept() {
        let set = |text: &str| {
            ConfigEdit::new("a.toml", text).set(&"retry.max_retries".parse().unwrap(), "2").unwrap()
        };
        let windows = TEXT.replace('\n', "\r\n");
        let changed = set(&windows);
        assert_eq!(changed, set(TEXT).replace('\n', "\r\n"));
        assert_eq!(
            ConfigEdit::new("a.toml", &windows).set(&"defaults.model".parse().unwrap(), "large").unwrap(),
            windows.replace("small", "large")
        );
        assert!(!set("").contains('\r'));
    }

    #[test]
    fn comments_at_the_end_stay_before_a_new_table() {
        let text = "[output]\n# the folder\n# dir = \"out\"\n";
        let edit = ConfigEdit::new("a.toml", text);
        let changed = edit.set(&"retry.max_retries".parse().unwrap(), "2").unwrap();
        assert_eq!(changed, format!("{text}\n[retry]\nmax_retries = 2\n"));
        let changed = edit.set(&"providers.openai.model".parse().unwrap(), "m").unwrap();
        assert_eq!(changed, format!("{text}\n[providers.openai]\nmodel = \"m\"\n"));
        let changed = edit.set(&"output.dir".parse().unwrap(), "b").unwrap();
        assert!(
            changed.starts_with("[output]\ndir = \"b\"\n") && changed.contains("# the folder"),
            "{changed}"
        );
    }

    #[test]
    fn a_value_is_read_as_the_type_that_fits() {
        assert!(set("defaults.model", "7").unwrap().contains("model = \"7\""));
        assert!(set("defaults.model", "\"a b\"").unwrap().contains("model = \"a b\""));
        assert!(set("defaults.max_cost", "2.5").unwrap().contains("max_cost = 2.5\n"));
        assert!(set("providers.lab.headers.x-team", "a").unwrap().contains("x-team = \"a\""));
    }

    #[test]
    fn a_wrong_setting_changes_nothing_and_shows_no_value() {
        let error = |key: &str, value: &str| set(key, value).unwrap_err().to_string();
        assert_eq!(
            error("defaults.modle", "sk-planted"),
            "cannot set defaults.modle in a.toml, and nothing was changed: unknown key modle; did you mean model?"
        );
        assert_eq!(
            error("defaults.max_concurrency", "sk-planted"),
            "cannot set defaults.max_concurrency in a.toml, and nothing was changed: wrong value: expected a whole number"
        );
        assert!(error("providers.lab.key_env", "sk-planted").contains("a key does not belong here"));
        assert!(error("providers.lab.route", "chat").contains("has no route"));
        assert!(error("defaults.model.name", "x").contains("a part of the name is not a table"));
        assert!(error("providers.lba.base_url", "http://h").contains("needs a kind"));
        let secret = error("providers.openai.api_key", "sk-planted");
        assert!(secret.contains("A key is never in a file: set providers.openai.key_env"), "{secret}");
        assert!(secret.contains("nothing was changed") && !secret.contains("planted"), "{secret}");
        for (key, value) in [("defaults.modle", "planted"), ("providers.lab.key_env", "planted")] {
            assert!(!error(key, value).contains("planted"));
        }
    }

    #[test]
    fn the_template_is_valid_with_and_without_its_comments() {
        ConfigFile::parse("antiphon.toml", CONFIG_TEMPLATE).unwrap();
        let is_setting = |line: &str| {
            line.strip_prefix("# ").is_some_and(|line| line.starts_with('[') || line.contains(" = "))
        };
        let lines = CONFIG_TEMPLATE.lines().map(|line| if is_setting(line) { &line[2..] } else { line });
        let text = lines.collect::<Vec<_>>().join("\n");
        let file = ConfigFile::parse("antiphon.toml", &text).unwrap();
        let settings = resolve(&crate::Flags::default(), &crate::Environment::default(), &[file]).unwrap();
        assert_eq!(settings.provider.map(|provider| provider.value.name).as_deref(), Some("lab"));
    }
}
