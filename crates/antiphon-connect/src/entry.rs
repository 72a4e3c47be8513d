//! The entry of a provider in a configuration file, as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use antiphon_llm::with_sampling_params;
use antiphon_providers::registry::{self, Kind, Options};
use serde::{Deserialize, Deserializer, de};

use crate::provider::similar;

with_sampling_params! {
/// `[providers.NAME]` of a configuration file.
///
/// All fields are optional, so that entries of several files can be merged by [`over`](Self::over). An option that the kind does
/// not have is found only when the provider is built, since the kind may be set in another file.
///
/// ```text
/// [providers.lab]
/// kind = "compatible"
/// base_url = "http://lab:8080/v1"
/// key_env = "LAB_KEY"
/// timeout = 60
/// headers = { x-team = "research" }
/// headers_env = { x-proxy-key = "PROXY_KEY" }
/// top_p = 0.9
/// ```
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderEntry {
    /// The kind: the format of the API. Default: the registry's, for a name that it has.
    #[serde(default, deserialize_with = "kind_by_name")]
    pub(crate) kind: Option<&'static Kind>,
    /// The server's address. Default: the environment's, else the kind's usual one.
    pub(crate) base_url: Option<String>,
    /// The environment variable that has the key, in place of the usual ones. Never the key itself.
    pub(crate) key_env: Option<String>,
    /// The model to ask when no flag names one.
    pub(crate) model: Option<String>,
    /// The fallbacks, each as `provider/model`.
    pub(crate) fallback: Option<Vec<String>>,
    /// The timeout for the first token, and between two tokens. Seconds.
    pub(crate) timeout: Option<f64>,
    /// The timeout for a whole call. Seconds.
    pub(crate) call_timeout: Option<f64>,
    /// The route of a kind that has several: `chat` or `responses`, `chat` or `generate`, `chat` or `native`.
    pub(crate) route: Option<String>,
    /// The context size, prompt and answer together, for a server that takes it from its callers. Tokens.
    pub(crate) context: Option<u64>,
    /// The scheme in which the key is sent, for the kind `compatible`.
    pub(crate) auth: Option<String>,
    /// The header in which the key is sent, if it is not the vendor's usual one.
    pub(crate) key_header: Option<String>,
    /// The headers that are added to each request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The headers that are added to each request and whose values are secrets: each with the environment variable that has it.
    #[serde(default)]
    pub(crate) headers_env: BTreeMap<String, String>,
    /// The parameters that are added to the query of each request.
    #[serde(default)]
    pub(crate) query: BTreeMap<String, String>,
    /// The strictest structured output mode that the server supports: `json_schema`, `json_object` or `words`.
    #[serde(default, deserialize_with = "schema_by_name")]
    pub(crate) schema: Option<String>,
    /// The name of the request's field for the maximum number of tokens of an answer.
    pub(crate) token_limit: Option<String>,
    /// The fields that are added to the body of each call of a model. Earlier name: `extra`.
    #[serde(default, alias = "extra")]
    pub(crate) extra_body: toml::Table,
}
}

impl fmt::Debug for ProviderEntry {
    /// Formats the entry without its headers and extra fields, which may contain a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, base_url, key_env, model, route, .. } = self;
        f.debug_struct("ProviderEntry")
            .field("kind", kind)
            .field("base_url", base_url)
            .field("key_env", key_env)
            .field("model", model)
            .field("route", route)
            .finish_non_exhaustive()
    }
}

impl ProviderEntry {
    /// Sets the timeout of a whole call, and the options that only some kinds take.
    pub(crate) fn set(&self, options: &mut Options) {
        options.call_timeout = self.call_timeout.and_then(|time| Duration::try_from_secs_f64(time).ok());
        options.route.clone_from(&self.route);
        options.context = self.context;
        options.auth.clone_from(&self.auth);
        options.key_header.clone_from(&self.key_header);
        options.headers.clone_from(&self.headers);
        options.query.clone_from(&self.query);
        options.schema.clone_from(&self.schema);
        options.token_limit.clone_from(&self.token_limit);
        options.extra_body = json_fields(&self.extra_body);
    }

    /// Returns the additions of this entry, each in an entry of its own with what it is judged by: with its option and its key.
    pub(crate) fn additions(&self) -> Vec<(&'static str, String, Self)> {
        let entry = self;
        let alone = || Self {
            key_header: entry.key_header.clone(),
            route: entry.route.clone(),
            context: entry.context,
            ..Self::default()
        };
        let mut all = Vec::new();
        for (key, value) in &entry.headers {
            let headers = [(key.clone(), value.clone())].into();
            all.push(("headers", key.clone(), Self { headers, ..alone() }));
        }
        for (key, value) in &entry.headers_env {
            let headers_env = [(key.clone(), value.clone())].into();
            // Of a header that is in both, the second one is reported.
            all.push((
                "headers_env",
                key.clone(),
                Self { headers_env, headers: entry.headers.clone(), ..alone() },
            ));
        }
        for (key, value) in &entry.query {
            let query = [(key.clone(), value.clone())].into();
            all.push(("query", key.clone(), Self { query, ..alone() }));
        }
        for (key, value) in &entry.extra_body {
            let extra_body = toml::Table::from_iter([(key.clone(), value.clone())]);
            all.push(("extra_body", key.clone(), Self { extra_body, ..alone() }));
        }
        all
    }

    /// Returns the name of an extra field that JSON cannot represent: a date, or a number that is not finite; `None` if there is
    /// none.
    pub(crate) fn field_without_json(&self) -> Option<&str> {
        self.extra_body.iter().find(|(_, value)| json_of(value).is_none()).map(|(name, _)| name.as_str())
    }

    /// Returns the header of `headers_env` whose value cannot be a variable's name, if there is one: it may be the secret itself.
    pub(crate) fn header_without_variable(&self) -> Option<&str> {
        let unnamed = self.headers_env.iter().find(|(_, variable)| !is_variable(variable));
        unnamed.map(|(name, _)| name.as_str())
    }

    /// Returns whether `key_env`, if it is set, can be a variable's name: upper-case letters, digits and `_`, unlike a key.
    pub(crate) fn names_a_variable(&self) -> bool {
        self.key_env.as_deref().is_none_or(is_variable)
    }

    /// Returns this entry, with the options that it leaves open from another one.
    /// Maps are merged by key, so that a project can add one header to those of the user's file.
    pub(crate) fn over(self, below: &Self) -> Self {
        let sampling = self.sampling().or(below.sampling());
        let over = |nearer: BTreeMap<String, String>, below: &BTreeMap<String, String>| {
            let mut all = below.clone();
            all.extend(nearer);
            all
        };
        Self {
            kind: self.kind.or(below.kind),
            base_url: self.base_url.or(below.base_url.clone()),
            key_env: self.key_env.or(below.key_env.clone()),
            model: self.model.or(below.model.clone()),
            fallback: self.fallback.or(below.fallback.clone()),
            timeout: self.timeout.or(below.timeout),
            call_timeout: self.call_timeout.or(below.call_timeout),
            route: self.route.or(below.route.clone()),
            context: self.context.or(below.context),
            auth: self.auth.or(below.auth.clone()),
            schema: self.schema.or(below.schema.clone()),
            token_limit: self.token_limit.or(below.token_limit.clone()),
            key_header: self.key_header.or(below.key_header.clone()),
            headers: over(self.headers, &below.headers),
            headers_env: over(self.headers_env, &below.headers_env),
            query: over(self.query, &below.query),
            extra_body: merged_over(self.extra_body, below.extra_body.clone()),
            ..Self::from(sampling)
        }
    }
}

/// Returns whether a text can be a variable's name: upper-case letters, digits and `_`, unlike a key.
fn is_variable(name: &str) -> bool {
    let is_of_names = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_of_names)
}

/// Merges the fields of a nearer file over those of another one, at any depth.
fn merged_over(nearer: toml::Table, mut below: toml::Table) -> toml::Table {
    for (name, value) in nearer {
        let value = match (below.remove(&name), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(nearer)) => {
                toml::Value::Table(merged_over(nearer, below))
            }
            (_, value) => value,
        };
        below.insert(name, value);
    }
    below
}

/// Returns fields as JSON, without those that JSON cannot represent.
pub(crate) fn json_fields(fields: &toml::Table) -> serde_json::Map<String, serde_json::Value> {
    fields.iter().filter_map(|(name, value)| Some((name.clone(), json_of(value)?))).collect()
}

/// Returns a value as JSON; `None` for one that has a date, which JSON does not know, or a number that is not finite, which would
/// become `null`.
fn json_of(value: &toml::Value) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    Some(match value {
        toml::Value::String(text) => Json::String(text.clone()),
        toml::Value::Integer(number) => Json::from(*number),
        toml::Value::Float(number) => Json::Number(serde_json::Number::from_f64(*number)?),
        toml::Value::Boolean(is_true) => Json::Bool(*is_true),
        toml::Value::Datetime(_) => return None,
        toml::Value::Array(values) => Json::Array(values.iter().map(json_of).collect::<Option<_>>()?),
        toml::Value::Table(fields) => {
            let field = |(name, value): (&String, &toml::Value)| Some((name.clone(), json_of(value)?));
            Json::Object(fields.iter().map(field).collect::<Option<_>>()?)
        }
    })
}

/// The modes of structured output that an entry can name.
pub(crate) const SCHEMA_MODES: [&str; 3] = ["json_schema", "json_object", "words"];

/// Reads the name of a kind. The error does not repeat it, since a secret may be in the wrong line.
fn kind_by_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'static Kind>, D::Error> {
    let name = String::deserialize(from)?;
    let known: Vec<&str> = registry::kinds().iter().map(|kind| kind.name).collect();
    let unknown = || de::Error::custom(format!("unknown kind; {}", similar(&name, &known)));
    Kind::find(&name).map(Some).ok_or_else(unknown)
}

/// Reads the name of a mode of structured output.
fn schema_by_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    if SCHEMA_MODES.contains(&name.as_str()) {
        return Ok(Some(name));
    }
    Err(de::Error::custom(format!("unknown mode in schema; {}", similar(&name, &SCHEMA_MODES))))
}
