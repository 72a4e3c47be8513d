//! The list of all settings in effect, each with its origin: for a person who wants to know why a run behaves as it does.
//!
//! Each setting has the name by which `antiphon.toml` sets it, including those that no one set, so that the list also shows what
//! can be set. No value is a secret: of keys and secret headers only the variables are named, of other additions only the names.

use std::time::Duration;

use antiphon_llm::SamplingParams;
use antiphon_providers::prices::Prices;
use antiphon_providers::registry;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Value, json};

use crate::config_file::ConfigFile;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::fallback::FallbackSettings;
use crate::flags::Flags;
use crate::origin::{Origin, Sourced, in_entries, in_files};
use crate::provider::{ProviderSettings, known_names, named_provider, place_in};
use crate::setting_key::SettingKey;
use crate::settings::{Settings, resolve};

/// A setting in effect.
///
/// Serialised, it is an object with `key`, `value` (`null` if it is not set, or not shown), `note` and `origin`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListedSetting {
    /// The name. A setting that only a variable sets has the variable's name.
    pub key: SettingKey,
    /// The value as JSON; `Null` if it is not set or not shown.
    pub value: Value,
    /// Words for what applies without a value, for why a value is not shown, or for where the key is.
    pub note: Option<String>,
    /// The origin of the value.
    pub origin: Origin,
}

/// Lists all settings in effect: the general ones, then those of each provider, then the prices of the files.
///
/// Settings of a provider are listed as they are for a run that names it. Reads nothing from the system, and contacts no one.
///
/// ```
/// use antiphon_connect::{ConfigFile, Environment, Flags, list_settings};
///
/// let file = ConfigFile::parse("antiphon.toml", "[providers.openai]\nroute = \"responses\"\n")?;
/// let all = list_settings(&Flags::default(), &Environment::default(), &[file])?;
/// let route = all.iter().find(|setting| setting.key.to_string() == "providers.openai.route").ok_or("not listed")?;
/// assert_eq!((&route.value, route.origin.to_string()), (&"responses".into(), "antiphon.toml:2".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The errors of [`resolve`], so that a configuration which a run rejects is rejected here, too.
pub fn list_settings(
    flags: &Flags,
    env: &Environment,
    files: &[ConfigFile],
) -> Result<Vec<ListedSetting>, ConfigError> {
    let settings = resolve(flags, env, files)?;
    let mut all = general(&settings);
    all.extend(sampling_defaults(files));
    for name in known_names(files) {
        let named = named_provider(&name, env, files)?;
        all.extend(OfProvider { named: &named, settings: &settings, flags, env, files }.list());
    }
    all.extend(prices(files));
    Ok(all)
}

impl ListedSetting {
    /// Creates the entry of a setting that may have a value.
    fn of<T: Into<Value>>(key: &[&str], value: Option<Sourced<T>>, otherwise: &str) -> Self {
        let (value, origin) = match value {
            Some(Sourced { value, origin }) => (value.into(), origin),
            None => (Value::Null, Origin::Default),
        };
        let note = Some(otherwise.to_owned()).filter(|note| value.is_null() && !note.is_empty());
        Self { key: SettingKey::of(key), value, note, origin }
    }

    /// Returns the provider to which the setting belongs; `None` for a general one and for prices.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        match self.key.parts() {
            [table, name, ..] if table == "providers" => Some(name),
            _ => None,
        }
    }

    /// Returns whether someone set the value: a flag, a variable or a file.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.origin != Origin::Default
    }
}

impl Serialize for ListedSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ListedSetting", 4)?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("value", &self.value)?;
        fields.serialize_field("note", &self.note)?;
        fields.serialize_field("origin", &self.origin)?;
        fields.end()
    }
}

/// Converts the value of a setting, and keeps its origin.
fn json_of<T>(sourced: Option<&Sourced<T>>, value: impl Fn(&T) -> Value) -> Option<Sourced<Value>> {
    sourced.map(|sourced| Sourced::new(value(&sourced.value), sourced.origin.clone()))
}

/// Lists the settings that are not of one provider.
fn general(settings: &Settings) -> Vec<ListedSetting> {
    let of = ListedSetting::of::<Value>;
    let provider = json_of(settings.provider.as_ref(), |provider| json!(provider.name));
    let names = |all: &Vec<FallbackSettings>| {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        json!(names)
    };
    let fallback = Some(&settings.fallback).filter(|fallback| !fallback.value.is_empty());
    // Millionths of a dollar are converted as millionths of a second are.
    let dollars = |micros: &u64| json!(Duration::from_micros(*micros).as_secs_f64());
    let seconds = settings
        .timeout_of_all()
        .map(|timeout| Sourced::new(json!(timeout.as_secs_f64()), Origin::of_variable("ANTIPHON_TIMEOUT")));
    vec![
        of(&["defaults", "provider"], provider, "a local engine that answers, else offline drafts"),
        of(&["defaults", "model"], json_of(settings.model.as_ref(), |model| json!(model)), "the provider's"),
        of(&["defaults", "fallback"], json_of(fallback, names), "none"),
        of(
            &["defaults", "max_concurrency"],
            json_of(settings.max_concurrency.as_ref(), |most| json!(most)),
            "auto",
        ),
        of(&["defaults", "max_cost"], json_of(settings.max_cost.as_ref(), dollars), "no limit"),
        of(&["retry", "max_retries"], json_of(Some(&settings.max_retries), |most| json!(most)), ""),
        of(&["output", "dir"], json_of(Some(&settings.out), |out| json!(out.display().to_string())), ""),
        of(&["ANTIPHON_TIMEOUT"], seconds, "each provider's timeout"),
        of(&["ANTIPHON_POOL_SIZE"], json_of(Some(&settings.pool_size), |size| json!(size)), ""),
    ]
}

/// Lists the sampling parameters of all providers.
fn sampling_defaults(files: &[ConfigFile]) -> Vec<ListedSetting> {
    let listed = SamplingParams::NAMES.into_iter().map(|name| {
        let key = ["defaults", name];
        let value = in_files(files, &key, |file| {
            let parameters = file.content.defaults.sampling();
            parameters.set().find(|(known, _)| *known == name).map(|(_, value)| value)
        });
        ListedSetting::of(&key, value, "the recipe's, else the provider's")
    });
    listed.collect()
}

/// A provider whose settings are listed.
struct OfProvider<'a> {
    named: &'a ProviderSettings,
    settings: &'a Settings,
    flags: &'a Flags,
    env: &'a Environment,
    files: &'a [ConfigFile],
}

impl OfProvider<'_> {
    /// Lists the settings of the provider: those of all kinds, then the options that its kind has.
    fn list(&self) -> Vec<ListedSetting> {
        let mut all = self.common();
        all.extend(self.named.kind.options.iter().flat_map(|option| self.option(option)));
        if !self.named.kind.is_offline {
            all.extend(self.additions());
            all.extend(self.sampling());
        }
        all
    }

    /// Lists the settings that all kinds have.
    fn common(&self) -> Vec<ListedSetting> {
        let (name, kind) = (self.named.name.as_str(), self.named.kind);
        let kind_name = in_entries(self.files, name, "kind", |entry| entry.kind.map(|kind| kind.name));
        let kind_name = kind_name.unwrap_or(Sourced::new(kind.name, Origin::Default));
        let mut all = vec![self.of("kind", Some(kind_name), "")];
        if kind.is_offline {
            return all;
        }
        let entry = in_entries(self.files, name, "model", |entry| entry.model.clone());
        let default = kind.default_model.map(|model| Sourced::new(model.to_owned(), Origin::Default));
        let fallback = in_entries(self.files, name, "fallback", |entry| entry.fallback.clone());
        let call = in_entries(self.files, name, "call_timeout", |entry| entry.call_timeout);
        all.extend([
            self.base_url(),
            self.key_env(),
            self.of("model", entry.or(default), "the run's, or the first that is listed"),
            self.of("fallback", fallback, "that of [defaults]"),
            self.timeout(),
            self.of("call_timeout", call, "3 x timeout, and 4 s for each token"),
        ]);
        all
    }

    /// Creates the entry of one setting of the provider.
    fn of<T: Into<Value>>(&self, field: &str, value: Option<Sourced<T>>, otherwise: &str) -> ListedSetting {
        ListedSetting::of(&["providers", &self.named.name, field], value, otherwise)
    }

    /// Lists the address, with its origin: the flag's, that of the kind's variable, the entry's, else the usual one. An address that
    /// may have a secret is not shown.
    fn base_url(&self) -> ListedSetting {
        let name = self.named.name.as_str();
        let is_chosen = self.settings.provider.as_ref().is_some_and(|chosen| chosen.value.name == name);
        let flag = self.flags.base_url.clone().filter(|_| is_chosen);
        let flag = flag.map(|url| Sourced::new(url, Origin::Flag("--base-url")));
        let variable = self.named.kind.base_url_env.filter(|_| name == self.named.kind.name);
        let of_env = variable.and_then(|variable| {
            let url = self.env.get(variable.name)?.to_owned();
            Some(Sourced::new(url, Origin::of_variable(variable.name)))
        });
        let of_entry = in_entries(self.files, name, "base_url", |entry| entry.base_url.clone());
        let usual = registry::entry(name).and_then(|entry| entry.base_url.clone());
        let usual = usual.map(|url| Sourced::new(url, Origin::Default));
        let url = flag.or(of_env).or(of_entry).or(usual);
        let is_shown = url.as_ref().is_none_or(|url| !url.value.contains(['@', '?', '#']));
        if is_shown {
            return self.of("base_url", url, "none: name one");
        }
        let hidden = url.map(|url| Sourced::new(Value::Null, url.origin));
        self.of("base_url", hidden, "not shown: it has a user, a password, a query or a fragment")
    }

    /// Lists the variables of the key, and in words whether one of them is set. Its origin is then that variable, unless an entry
    /// names it.
    fn key_env(&self) -> ListedSetting {
        let name = self.named.name.as_str();
        let of_entry = in_entries(self.files, name, "key_env", |entry| entry.key_env.clone());
        let origin = self.named.key_variable.as_deref().map_or(Origin::Default, Origin::of_variable);
        let variables = match (of_entry, &self.named.key_env[..]) {
            (None, []) => return self.of("key_env", None::<Sourced<Value>>, "no key is needed"),
            (Some(variable), _) => Sourced::new(json!(variable.value), variable.origin),
            (None, [only]) => Sourced::new(json!(only), origin),
            (None, several) => Sourced::new(json!(several), origin),
        };
        let state = match &self.named.key_variable {
            Some(variable) => format!("the key is in {variable}"),
            None => "no key is set".to_owned(),
        };
        ListedSetting { note: Some(state), ..self.of("key_env", Some(variables), "") }
    }

    /// Lists the timeout: that of the variable, which is for all providers, else the entry's, else the kind's.
    fn timeout(&self) -> ListedSetting {
        let of_all = self
            .settings
            .timeout_of_all()
            .map(|timeout| Sourced::new(timeout.as_secs_f64(), Origin::of_variable("ANTIPHON_TIMEOUT")));
        let of_entry = in_entries(self.files, &self.named.name, "timeout", |entry| entry.timeout);
        let default = Sourced::new(self.named.kind.default_token_timeout().as_secs_f64(), Origin::Default);
        self.of("timeout", of_all.or(of_entry).or(Some(default)), "")
    }

    /// Lists an option that only some kinds have.
    fn option(&self, option: &str) -> Vec<ListedSetting> {
        let (files, name) = (self.files, self.named.name.as_str());
        let one = match option {
            "route" => {
                let default = self.named.kind.routes.first().map(|&route| route.to_owned());
                let default = default.map(|route| Sourced::new(route, Origin::Default));
                self.of(option, in_entries(files, name, option, |entry| entry.route.clone()).or(default), "")
            }
            "context" => {
                self.of(option, in_entries(files, name, option, |entry| entry.context), "the server's")
            }
            "auth" => self.of(option, in_entries(files, name, option, |entry| entry.auth.clone()), "bearer"),
            "schema" => {
                let mode = in_entries(files, name, option, |entry| entry.schema.clone());
                self.of(option, mode, "the strictest that the server accepts")
            }
            "token_limit" => {
                let field = in_entries(files, name, option, |entry| entry.token_limit.clone());
                self.of(option, field, "max_tokens")
            }
            _ => return Vec::new(),
        };
        vec![one]
    }

    /// Lists the header of the key and what is added to each request: an entry for each name.
    fn additions(&self) -> Vec<ListedSetting> {
        let entry = &self.named.entry;
        let header = in_entries(self.files, &self.named.name, "key_header", |entry| entry.key_header.clone());
        let mut all = vec![self.of("key_header", header, "the vendor's")];
        all.extend(self.names("headers", entry.headers.keys()));
        all.extend(self.secret_headers());
        all.extend(self.names("query", entry.query.keys()));
        all.extend(self.names("extra_body", entry.extra_body.keys()));
        all
    }

    /// Lists the variables of secret headers, and in words whether they are set.
    fn secret_headers(&self) -> Vec<ListedSetting> {
        let listed = self.named.secret_headers.iter().map(|(header, value)| {
            let variable = self.named.entry.headers_env.get(header).cloned().unwrap_or_default();
            let state = if value.is_some() { "it is set" } else { "it is not set" };
            let origin = place_in(&self.named.name, "headers_env", Some(header), self.files);
            let key = ["providers", &self.named.name, "headers_env", header];
            let listed = ListedSetting::of(&key, Some(Sourced::new(json!(variable), origin)), "");
            ListedSetting { note: Some(state.to_owned()), ..listed }
        });
        let listed: Vec<ListedSetting> = listed.collect();
        if listed.is_empty() { vec![self.of("headers_env", None::<Sourced<Value>>, "none")] } else { listed }
    }

    /// Lists the sampling parameters that the entry sets. The defaults list all that there are.
    fn sampling(&self) -> Vec<ListedSetting> {
        let name = self.named.name.as_str();
        let parameters = self.named.entry.sampling();
        let listed = parameters.set().map(|(field, value)| {
            let origin = place_in(name, field, None, self.files);
            self.of(field, Some(Sourced::new(value, origin)), "")
        });
        listed.collect()
    }

    /// Lists the names in a table of the entry, without their values, which may be secret.
    fn names<'k>(&self, option: &str, names: impl Iterator<Item = &'k String>) -> Vec<ListedSetting> {
        let listed: Vec<ListedSetting> = names
            .map(|name| {
                let key = ["providers", &self.named.name, option, name];
                let origin = place_in(&self.named.name, option, Some(name), self.files);
                ListedSetting { origin, ..ListedSetting::of(&key, None::<Sourced<Value>>, "set, not shown") }
            })
            .collect();
        if listed.is_empty() { vec![self.of(option, None::<Sourced<Value>>, "none")] } else { listed }
    }
}

/// Lists the prices of the files, each with its origin, and the date of the shipped table, which has all others.
fn prices(files: &[ConfigFile]) -> Vec<ListedSetting> {
    let as_of = Sourced::new(Prices::shipped().as_of, Origin::Default);
    let mut all = vec![ListedSetting::of(&["prices", "as_of"], Some(as_of), "")];
    for file in files {
        let vendors =
            file.price_tables.iter().filter_map(|(vendor, models)| Some((vendor, models.as_table()?)));
        for (vendor, models) in vendors {
            let models = models.iter().filter_map(|(model, entry)| Some((model, entry.as_table()?)));
            for (model, field, value) in models
                .flat_map(|(model, entry)| entry.iter().map(move |(field, value)| (model, field, value)))
            {
                let key = ["prices", vendor.as_str(), model.as_str(), field.as_str()];
                let value = serde_json::to_value(value).unwrap_or_default();
                let listed = ListedSetting::of(&key, Some(Sourced::new(value, file.origin(&key))), "");
                // A nearer file replaces the field.
                if !all.iter().any(|nearer| nearer.key == listed.key) {
                    all.push(listed);
                }
            }
        }
    }
    all
}
