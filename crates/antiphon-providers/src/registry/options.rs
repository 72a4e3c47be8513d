//! The options of a provider, as a configuration has them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

/// Options of one provider, from which [`Kind::build`](super::Kind::build) constructs it.
///
/// A field that is `None` or empty leaves the kind's own default. `Debug` output contains no key, no header and no extra field.
///
/// An option that the kind does not support is an error of [`Kind::build`](super::Kind::build), rather than ignored.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The provider's name in reports.
    pub name: String,
    /// The address; `None`: the kind's default.
    pub base_url: Option<String>,
    /// The key.
    pub key: Option<SecretString>,
    /// The environment variables in which the caller looked up the key. They are named in the error for a missing key; for the
    /// kind `compatible`, a name here also means that a key is needed.
    pub key_env: Vec<String>,
    /// The environment variable from which the key was read, which the error for a rejected key names. Default: none is named.
    pub key_variable: Option<String>,
    /// The maximum time to the first token, and between two tokens. Default: 120 s for clouds, 300 s for other servers.
    pub token_timeout: Option<Duration>,
    /// The maximum time of a whole call, from the request to the end of its answer. Default: three times the token time-out, plus
    /// 4 s for each received token; at most `max_tokens` tokens count, or 2,048 if the prompt sets no limit.
    pub call_timeout: Option<Duration>,
    /// The size of the connection pool: the maximum number of connections in use at a time. Default 100.
    pub max_connections: Option<usize>,
    /// The route of the API, where the kind has several: one of [`Kind::routes`](super::Kind::routes). Default: the first.
    pub route: Option<String>,
    /// The context window to request, in tokens of prompt and answer together, for servers that let callers set it.
    pub context: Option<u64>,
    /// The way in which the key is sent: `bearer` or `header:NAME`. Default `bearer`.
    pub auth: Option<String>,
    /// Additional headers of each request.
    pub headers: BTreeMap<String, String>,
    /// The strictest structured output mode that the server supports: `json_schema`, `json_object` or `words` (the schema is only
    /// put into the prompt).
    pub schema: Option<String>,
    /// The name of the request's field for the maximum number of tokens of an answer.
    pub token_limit: Option<String>,
    /// Additional fields of each request's body.
    pub extra: Map<String, Value>,
}

/// A predicate: whether one option is set.
type IsSet = fn(&Options) -> bool;

/// The options that only some kinds take, by their names in configuration.
/// [`Kind::check`](super::Kind::check) rejects those that are set and that the kind does not name.
pub(super) const SPECIAL: [(&str, IsSet); 7] = [
    ("route", |options| options.route.is_some()),
    ("context", |options| options.context.is_some()),
    ("auth", |options| options.auth.is_some()),
    ("headers", |options| !options.headers.is_empty()),
    ("schema", |options| options.schema.is_some()),
    ("token_limit", |options| options.token_limit.is_some()),
    ("extra", |options| !options.extra.is_empty()),
];

impl Options {
    /// Creates options with every default, for a provider of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets the address.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: SecretString) -> Self {
        self.key = Some(key);
        self
    }
}

impl fmt::Debug for Options {
    /// Formats the options without headers and extra fields: a caller may have put a key there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, key, key_env, route, context, .. } = self;
        f.debug_struct("Options")
            .field("name", name)
            .field("has_base_url", &self.base_url.is_some())
            .field("has_key", &key.is_some())
            .field("key_env", key_env)
            .field("route", route)
            .field("context", context)
            .finish_non_exhaustive()
    }
}
