//! `config`: shows, reads and changes the settings, on stdout.
//!
//! The settings are resolved as for any other command, from flags, environment, files and defaults; each line of `show` ends with
//! the origin of its value. A configuration that a run rejects is rejected here as well, by the same message. Keys are never
//! printed, and an address with a user name or a password is hidden. Nothing is sent and no model is called.
//!
//! | command | stdout | with `--json` |
//! |---|---|---|
//! | `show` | all settings, by table | `antiphon.config/1` |
//! | `get` | a value, or the settings of a table | `antiphon.config/1` |
//! | `path` | the files, and whether they exist | `antiphon.config_files/1` |
//! | `set`, `init` | the path of the file | - |
//!
//! Exit codes: 0; 2 for an unknown name, or a file that exists; 3 if a setting is wrong or a file cannot be used.

use serde_json::{Value, json};

use super::cli::{ConfigArgs, ConfigCommand, FileArgs};
use super::error::{CONFIG, CommandError, OK, USAGE};
use super::front::Front;
use super::output::{self, Talk};
use crate::runtime::{
    CONFIG_TEMPLATE, ConfigEdit, ConfigFile, ConfigPlace, Environment, Flags, ListedSetting, Origin,
    SettingKey, list_settings,
};

/// Runs the subcommand.
pub(super) async fn run(args: &ConfigArgs, talk: &Talk) -> Result<u8, CommandError> {
    match &args.command {
        ConfigCommand::Show { all, json, .. } => {
            let settings = listed(&args.command.flags(), talk).await?;
            output::print(json.then(|| document(&settings)), || shown(&settings, *all))?;
        }
        ConfigCommand::Get { key, json } => {
            let found = with_name(listed(&args.command.flags(), talk).await?, key)?;
            output::print(json.then(|| document(&found)), || values(&found, key))?;
        }
        ConfigCommand::Set { key, value, file } => set(key, value, *file, *talk).await?,
        ConfigCommand::Init { file, overwrite } => init(*file, *overwrite, *talk).await?,
        ConfigCommand::Path { json } => paths(*json).await?,
    }
    Ok(OK)
}

/// Lists the settings in effect.
async fn listed(flags: &Flags, talk: &Talk) -> Result<Vec<ListedSetting>, CommandError> {
    let Front { environment, files, .. } = Front::new(flags, talk).await?;
    Ok(list_settings(flags, &environment, &files)?)
}

/// Returns the settings as one document.
fn document(settings: &[ListedSetting]) -> Value {
    json!({ "schema": "antiphon.config/1", "settings": settings })
}

/// Formats the settings by table. Providers that no one has set up are only named, unless `all` is set.
fn shown(settings: &[ListedSetting], all: bool) -> String {
    let is_set_up = |name: &str| settings.iter().any(|one| one.provider() == Some(name) && is_set(one));
    let is_shown = |one: &&ListedSetting| all || one.provider().is_none_or(is_set_up);
    let widths = settings.iter().filter(is_shown).map(|one| value_of(one).chars().count());
    let width = widths.max().unwrap_or_default();
    let mut text = String::new();
    let mut table = None;
    for setting in settings.iter().filter(is_shown) {
        let (above, name) = split(&setting.key);
        if table.as_ref() != Some(&above) {
            let blank = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{blank}[{above}]\n"));
            table = Some(above);
        }
        text.push_str(&line(setting, &name, width));
    }
    let mut hidden: Vec<&str> = settings.iter().filter_map(ListedSetting::provider).collect();
    hidden.dedup();
    hidden.retain(|name| !all && !is_set_up(name));
    if !hidden.is_empty() {
        text.push_str(&format!("\nnot set up: {} (--all)\n", hidden.join(", ")));
    }
    text
}

/// Whether someone set a setting of a provider, or its key. A variable for all providers sets up none of them.
fn is_set(setting: &ListedSetting) -> bool {
    let is_of_all = setting.origin == Origin::Environment("ANTIPHON_TIMEOUT".to_owned());
    setting.is_set() && !is_of_all
}

/// Splits a name into that of its table and the rest. Variables have a table of their own, and so has each provider and each model
/// with a price.
fn split(key: &SettingKey) -> (String, String) {
    let depth = match key.parts() {
        [_] => return ("environment".to_owned(), key.to_string()),
        [prices, _, _, ..] if prices == "prices" => 3,
        [_, _, _, ..] => 2,
        _ => 1,
    };
    let (above, name) = key.split_at(depth);
    (above.to_string(), name.to_string())
}

/// Formats a setting: name, value in a column of `width` characters, and origin.
fn line(setting: &ListedSetting, name: &str, width: usize) -> String {
    format!("{name:<19} {:<width$} {}\n", value_of(setting), setting.origin)
}

/// Formats the value of a setting, or what applies without one.
fn value_of(setting: &ListedSetting) -> String {
    match (&setting.value, &setting.note) {
        (Value::Null, note) => note.clone().unwrap_or_default(),
        (value, Some(note)) => format!("{} ({note})", plain(value)),
        (value, None) => plain(value),
    }
}

/// Formats a value as a person would write it: a text without quotes, and a list without brackets.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        // Without the ".0" of whole seconds.
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        other => other.to_string(),
    }
}

/// Returns the setting of a name, or the settings of the table with that name.
///
/// # Errors
/// A usage error for an unknown name, with a similar one.
fn with_name(settings: Vec<ListedSetting>, key: &SettingKey) -> Result<Vec<ListedSetting>, CommandError> {
    let names: Vec<String> = settings.iter().map(|setting| setting.key.to_string()).collect();
    let found: Vec<_> = settings.into_iter().filter(|one| one.key == *key || one.key.is_below(key)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let err = CommandError::new(USAGE, format!("cannot get {key}: there is no such setting"));
    let near = antiphon_engine::near_name(&key.to_string(), names.iter().map(String::as_str));
    Err(match near {
        Some(near) => err.hint(format!("did you mean {near}?")),
        None => err.hint("list the names: antiphon config show --all"),
    })
}

/// Formats the value of one setting, or the settings of a table with their names. A setting without a value is an empty line.
fn values(found: &[ListedSetting], key: &SettingKey) -> String {
    let value = |one: &ListedSetting| if one.value.is_null() { String::new() } else { plain(&one.value) };
    match found {
        [one] if one.key == *key => format!("{}\n", value(one)),
        all => all.iter().map(|one| format!("{} {}\n", one.key, value(one))).collect(),
    }
}

/// Returns the place of the file that the flags name.
///
/// # Errors
/// A configuration error if the user has no home.
fn place(file: FileArgs, environment: &Environment) -> Result<ConfigPlace, CommandError> {
    let found = ConfigFile::places(environment).into_iter().find(|place| place.is_users == file.user);
    found.ok_or_else(|| {
        CommandError::new(
            CONFIG,
            "cannot find the user's configuration: neither XDG_CONFIG_HOME nor HOME is set",
        )
        .hint("set HOME, or leave --user out")
    })
}

/// Sets a setting in a file. The other file is read as well, since both have to fit together.
async fn set(key: &SettingKey, value: &str, file: FileArgs, talk: Talk) -> Result<(), CommandError> {
    let environment = Environment::read();
    let place = place(file, &environment)?;
    let path = place.path.display().to_string();
    let mut others = Vec::new();
    for other in ConfigFile::places(&environment).into_iter().filter(|other| *other != place) {
        if let Some(text) = other.read().await? {
            others.push(ConfigFile::parse(&other.path.display().to_string(), &text)?);
        }
    }
    let text = place.read().await?.unwrap_or_default();
    let edit = ConfigEdit::new(&path, &text);
    let edit = if place.is_users { edit.between(&others, &[]) } else { edit.between(&[], &others) };
    place.write(edit.set(key, value)?).await?;
    talk.line(&format!("set {key}"));
    output::result(&format!("{path}\n"))
}

/// Writes a new file with a comment for each setting.
async fn init(file: FileArgs, overwrite: bool, talk: Talk) -> Result<(), CommandError> {
    let place = place(file, &Environment::read())?;
    let path = place.path.display().to_string();
    if !overwrite && place.exists().await? {
        return Err(CommandError::new(USAGE, format!("cannot create {path}: the file exists"))
            .hint("use --overwrite to replace it, or antiphon config set to change a setting"));
    }
    place.write(CONFIG_TEMPLATE.to_owned()).await?;
    output::result(&format!("{path}\n"))?;
    talk.hint("set a provider: antiphon config set defaults.provider ollama");
    Ok(())
}

/// Prints the files that are looked up, and whether they exist.
async fn paths(json: bool) -> Result<(), CommandError> {
    let mut found = Vec::new();
    for place in ConfigFile::places(&Environment::read()) {
        let exists = place.exists().await?;
        found.push((place, exists));
    }
    let document = || {
        let file = |(place, exists): &(ConfigPlace, bool)| {
            let scope = if place.is_users { "user" } else { "project" };
            json!({ "path": place.path.display().to_string(), "scope": scope, "exists": exists })
        };
        json!({ "schema": "antiphon.config_files/1", "files": found.iter().map(file).collect::<Vec<_>>() })
    };
    let line = |(place, exists): &(ConfigPlace, bool)| {
        let state = if *exists { "exists" } else { "missing" };
        format!("{state:<8} {}\n", place.path.display())
    };
    output::print(json.then(document), || found.iter().map(line).collect())
}
