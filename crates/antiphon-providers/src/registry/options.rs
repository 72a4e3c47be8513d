//! The options of a provider, as a configuration has them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
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
    /// The header in which the key is sent, such as `api-key`; `authorization` sends it as a bearer token. Default: the vendor's.
    pub key_header: Option<String>,
    /// Additional headers of each request, stored as a digest; those that carry keys are rejected. Their values are removed from the
    /// texts of the server, as [`Redactor`](antiphon_llm::Redactor) describes.
    pub headers: BTreeMap<String, String>,
    /// Additional headers whose values are secrets. One that authenticates, such as `authorization`, replaces the key.
    pub secret_headers: BTreeMap<String, SecretString>,
    /// Secrets in use that are not part of a request to the provider itself, such as the password of a proxy. Default: none. Like
    /// the key and the headers, they are removed from all texts of the server.
    pub other_secrets: Vec<SecretString>,
    /// Additional parameters of the query of each request, such as `api-version`.
    pub query: BTreeMap<String, String>,
    /// The strictest structured output mode that the server supports: `json_schema`, `json_object` or `words` (the schema is only
    /// put into the prompt).
    pub schema: Option<String>,
    /// The name of the request's field for the maximum number of tokens of an answer.
    pub token_limit: Option<String>,
    /// Additional fields of the body of each call of a model, merged into it at any depth. They cannot override a field that this
    /// crate sets.
    pub extra_body: Map<String, Value>,
}

/// A predicate: whether one option is set.
type IsSet = fn(&Options) -> bool;

/// The options that only some kinds take, by their names in configuration.
/// [`Kind::check`](super::Kind::check) rejects those that are set and that the kind does not name.
pub(super) const SPECIAL: [(&str, IsSet); 5] = [
    ("route", |options| options.route.is_some()),
    ("context", |options| options.context.is_some()),
    ("auth", |options| options.auth.is_some()),
    ("schema", |options| options.schema.is_some()),
    ("token_limit", |options| options.token_limit.is_some()),
];

/// The options that all kinds with a server take, by their names in configuration.
pub(super) const COMMON: [(&str, IsSet); 5] = [
    ("key_header", |options| options.key_header.is_some()),
    ("headers", |options| !options.headers.is_empty()),
    ("headers_env", |options| !options.secret_headers.is_empty()),
    ("query", |options| !options.query.is_empty()),
    ("extra_body", |options| !options.extra_body.is_empty()),
];

/// The headers that carry a key, by their names in lower case.
const OF_KEYS: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    // Azure's API Management and Functions.
    "ocp-apim-subscription-key",
    "x-functions-key",
];
/// The header of a session, which is a secret and replaces no key: a gateway asks for it beside the vendor's.
const OF_SESSION: &str = "cookie";
/// The headers that belong to the HTTP client.
const OF_CLIENT: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// The parameters of a query that are this crate's own, or that services read a key from.
const OF_QUERY: [(&str, &str); 8] = [
    ("alt", "is set by this program"),
    ("key", KEY_IN_ADDRESS),
    ("api_key", KEY_IN_ADDRESS),
    ("api-key", KEY_IN_ADDRESS),
    ("apikey", KEY_IN_ADDRESS),
    ("access_token", KEY_IN_ADDRESS),
    ("token", KEY_IN_ADDRESS),
    ("subscription-key", KEY_IN_ADDRESS),
];
const KEY_IN_ADDRESS: &str = "would put a key into an address. Use key_env, or headers_env";

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

    /// Returns whether a secret header authenticates, so that no key is needed, and none is sent.
    #[cfg(feature = "_http")]
    pub(crate) fn authenticates_by_header(&self) -> bool {
        self.secret_headers.keys().any(|name| self.carries_key(name))
    }

    /// Returns whether a header carries a key.
    fn carries_key(&self, name: &str) -> bool {
        let is_named = |known: &str| known.eq_ignore_ascii_case(name);
        OF_KEYS.into_iter().any(is_named) || self.key_header.as_deref().is_some_and(is_named)
    }

    /// Returns the mistake in the additional headers and the query, if there is one. It names the header, and never its value.
    pub(super) fn mistake(&self) -> Option<String> {
        let key_header = self.key_header.iter().map(|name| ("key_header", name.as_str()));
        let headers = self.headers.keys().map(|name| ("headers", name.as_str()));
        let secret = self.secret_headers.keys().map(|name| ("headers_env", name.as_str()));
        let named = key_header.chain(headers).chain(secret);
        let of_name = named.into_iter().find_map(|(option, name)| self.name_mistake(option, name));
        let is_text = |value: &str| value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        let of_value = || {
            let plain = self.headers.iter().find(|(_, value)| !is_text(value));
            let secret = self.secret_headers.iter().find(|(_, value)| !is_text(value.expose_secret()));
            let (option, name) = plain
                .map(|(name, _)| ("headers", name))
                .or_else(|| secret.map(|(name, _)| ("headers_env", name)))?;
            Some(format!(
                "{option} cannot send {name}: its value has a line break, or a character that is not ASCII"
            ))
        };
        of_name.or_else(of_value).or_else(|| self.query_mistake())
    }

    /// Returns the mistake in the name of a header, if there is one.
    fn name_mistake(&self, option: &str, name: &str) -> Option<String> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Some(format!("{option} has a name that no header can have: use letters, digits and -"));
        }
        let lower = name.to_ascii_lowercase();
        if OF_CLIENT.contains(&&*lower) {
            return Some(format!("{option} cannot set {name}: this program sets it itself. Leave it out"));
        }
        if option == "headers" && (self.carries_key(name) || lower == OF_SESSION) {
            return Some(format!(
                "headers cannot set {name}, which carries a key: use key_env, or headers_env = {{ {lower} = \"VARIABLE\" }}"
            ));
        }
        let is_twice = |names: &mut dyn Iterator<Item = &String>| {
            names.filter(|known| known.eq_ignore_ascii_case(name)).count() > 1
        };
        let all = || self.headers.keys().chain(self.secret_headers.keys());
        is_twice(&mut all()).then(|| format!("{option} sets {name} twice: leave one of them out"))
    }

    /// Returns the mistake in the query, if there is one.
    fn query_mistake(&self) -> Option<String> {
        if self.query.contains_key("") {
            return Some("query has a parameter without a name".to_owned());
        }
        let (name, why) = OF_QUERY
            .into_iter()
            .find(|(own, _)| self.query.keys().any(|name| name.eq_ignore_ascii_case(own)))?;
        Some(format!("query cannot set {name}: it {why}"))
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
