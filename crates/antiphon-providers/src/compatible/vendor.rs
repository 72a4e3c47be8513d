//! Descriptions of compatible servers, which are data: a TOML file each, shipped or written by a user.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon_http::SecretString;
use antiphon_llm::{Dialect, Error, ErrorKind, SamplingParams, redact};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::known_modes::known_mode;
use crate::chat::{PARAMS, Quirks, fault};
use crate::exchange::{Additions, Auth, Endpoint, OWN_TIMEOUT, ParamTable, StructuredMode, checked_base_url};
use crate::registry::{Options, RegistryEntry};

/// The description of a server that speaks chat completions, as it is read from a TOML file.
///
/// Precedence, from the highest: the registry's options, the description, the defaults. [`parse`](Self::parse)
/// reads a file, [`find`](Self::find) returns a shipped one, and [`new`](Self::new) needs only an address.
/// Unknown fields are errors, so that a misspelt one is noticed.
///
/// ```
/// let vendor = antiphon_providers::Vendor::parse(
///     "lab.toml",
///     r#"
///     name = "lab"
///     base_url = "https://lab.example.org/v1"
///     key_env = "LAB_KEY"
///     auth = "header:x-lab-key"
///     schema = "json_object"
///     [headers]
///     x-team = "research"
///     "#,
/// )?;
/// assert_eq!(vendor.key_env.as_deref(), Some("LAB_KEY"));
/// # Ok::<(), antiphon_llm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Vendor {
    /// The short name in reports.
    pub name: String,
    /// One line for help texts.
    #[serde(default)]
    pub help: Option<String>,
    /// The server's address; one without a path gets `/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The environment variable for the key; `None` if no key is needed.
    #[serde(default)]
    pub key_env: Option<String>,
    /// The way in which the key is sent: `bearer` or `header:NAME`. It is never part of the address. Default: `bearer`.
    #[serde(default)]
    pub auth: Option<String>,
    /// Additional headers of each request. They are not secrets, so a key must not be among them; their values are removed from
    /// the texts of the server nevertheless.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The strictest structured output mode that the server supports: `json_schema`, `json_object` or `words` (the schema is only
    /// put into the prompt). Default: `json_schema`. If the server rejects a mode, the next weaker one is tried.
    #[serde(default)]
    pub schema: Option<String>,
    /// The request's field for the maximum number of tokens of an answer. Default `max_tokens`, which all but OpenAI itself
    /// support.
    #[serde(default)]
    pub token_limit: Option<String>,
    /// The maximum time to the first token, and between two tokens, in seconds. Default: 300.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// The maximum time of a whole call, in seconds. Default: three times `timeout`, plus 4 s for each received token.
    #[serde(default)]
    pub call_timeout: Option<f64>,
    /// The default model, for a caller that names none.
    #[serde(default)]
    pub default_model: Option<String>,
    /// Additional parameters of the query of each request.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Additional fields of the body of each call, merged into it at any depth. Earlier name: `extra`.
    #[serde(default, alias = "extra")]
    pub extra_body: Map<String, Value>,
    /// The sampling parameters, as far as the server differs from others: `false` for one that it does not have, or the path of its
    /// field in the request, such as `reasoning.effort`. Default: all but `reasoning_budget`, under their own names.
    #[serde(default)]
    pub parameters: BTreeMap<String, ParamField>,
    /// Whether answers cost nothing, as on the user's own machine. Default: `false`.
    #[serde(default)]
    pub free: bool,
    /// Whether the server is vLLM or built on it: it batches hundreds of calls, and shows its load under `/metrics`. Default: `false`.
    #[serde(default)]
    pub batches: bool,
}

/// The field of a sampling parameter in a [`Vendor`]'s requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ParamField {
    /// With `false`, the server does not have the parameter; with `true`, it has it under its own name.
    Has(bool),
    /// The path of the field, with dots between the fields.
    Path(String),
}

/// The descriptions that are shipped with this crate.
const SHIPPED: [(&str, &str); 4] = [
    ("lmstudio.toml", include_str!("vendors/lmstudio.toml")),
    ("vllm.toml", include_str!("vendors/vllm.toml")),
    ("huggingface.toml", include_str!("vendors/huggingface.toml")),
    ("openrouter.toml", include_str!("vendors/openrouter.toml")),
];

impl Vendor {
    /// Creates the description of a server of which only the name and the address are known, with defaults for the rest.
    ///
    /// # Errors
    /// `InvalidRequest` for a text that is not an HTTP address, or one with a user, password, query or fragment.
    pub fn new(name: &str, base_url: &str) -> Result<Self, Error> {
        let vendor = Self {
            name: name.to_owned(),
            help: None,
            base_url: Some(base_url.to_owned()),
            key_env: None,
            auth: None,
            headers: BTreeMap::new(),
            schema: None,
            token_limit: None,
            timeout: None,
            call_timeout: None,
            default_model: None,
            query: BTreeMap::new(),
            extra_body: Map::new(),
            parameters: BTreeMap::new(),
            free: false,
            batches: false,
        };
        vendor.checked()
    }

    /// Parses a description in TOML; `path` is used in errors only.
    ///
    /// # Errors
    /// `InvalidRequest` with path and line of the mistake.
    pub fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let vendor: Self = toml::from_str(text).map_err(|err| {
            let line = err.span().map_or(0, |span| text[..span.start].matches('\n').count()) + 1;
            Error::new(ErrorKind::InvalidRequest, format!("{path}:{line}: {}", redact(err.message(), &[])))
        })?;
        vendor.checked().map_err(|err| Error::new(err.kind(), format!("{path}: {err}")))
    }

    /// Returns the vendors that are shipped with this crate: `lmstudio`, `vllm`, `huggingface`, `openrouter`.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        SHIPPED.iter().filter_map(|(path, text)| Self::parse(path, text).ok()).collect()
    }

    /// Returns the shipped vendor of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::shipped().into_iter().find(|vendor| vendor.name == name)
    }

    /// Sets the address. One without a path gets `/v1`.
    ///
    /// # Errors
    /// `InvalidRequest` for a text that is not an HTTP address, or one with a user, password, query or fragment.
    pub fn base_url(mut self, url: &str) -> Result<Self, Error> {
        self.base_url = Some(checked_base_url(url, "/v1")?);
        Ok(self)
    }

    /// Sets the name in reports.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Validates the description and normalises its address.
    ///
    /// # Errors
    /// `InvalidRequest` for an invalid address, `auth`, `schema`, `timeout` or `call_timeout`.
    pub fn checked(mut self) -> Result<Self, Error> {
        if let Some(url) = &self.base_url {
            self.base_url = Some(checked_base_url(url, "/v1")?);
        }
        let mistake = self.auth_mistake().or_else(|| self.schema_mistake()).or_else(|| self.time_mistake());
        match mistake.or_else(|| self.parameter_mistake()) {
            Some(why) => Err(Error::new(ErrorKind::InvalidRequest, why)),
            None => Ok(self),
        }
    }

    /// Returns the mistake in `auth`, if there is one.
    fn auth_mistake(&self) -> Option<String> {
        // Without the value: someone may have put the key there.
        let auth = self.auth.as_deref().filter(|auth| *auth != "bearer" && header_of(auth).is_none());
        let message = "auth must be \"bearer\" or \"header:NAME\": a key is never sent in an address";
        auth.map(|_| message.to_owned())
    }

    /// Returns the mistake in `schema`, if there is one.
    fn schema_mistake(&self) -> Option<String> {
        let schema = self.schema.as_deref().filter(|schema| modes_of(schema).is_none())?;
        Some(format!("schema is {schema:?}, and must be \"json_schema\", \"json_object\" or \"words\""))
    }

    /// Returns the mistake in the names of `parameters`, if there is one.
    fn parameter_mistake(&self) -> Option<String> {
        let unknown = self.parameters.keys().find(|name| param_name(name).is_none())?;
        Some(format!("parameters has {unknown}, and must have names of sampling parameters, such as top_k"))
    }

    /// Returns the mistake in `timeout` or `call_timeout`, if there is one.
    fn time_mistake(&self) -> Option<String> {
        let is_positive =
            |seconds: f64| Duration::try_from_secs_f64(seconds).is_ok_and(|time| !time.is_zero());
        [("timeout", self.timeout), ("call_timeout", self.call_timeout)].into_iter().find_map(
            |(name, seconds)| {
                let seconds = seconds.filter(|seconds| !is_positive(*seconds))?;
                Some(format!("{name} is {seconds}, and must be a positive number of seconds"))
            },
        )
    }

    /// Applies options over the description, and validates it.
    ///
    /// The additions, such as headers, are applied to the endpoint; any other option replaces the description's value.
    ///
    /// # Errors
    /// Those of [`checked`](Self::checked).
    pub(super) fn with(mut self, options: &Options) -> Result<Self, Error> {
        self.auth = options.auth.clone().or(self.auth);
        self.schema = options.schema.clone().or(self.schema);
        self.token_limit = options.token_limit.clone().or(self.token_limit);
        if options.auth.is_some() && options.key_header.is_some() {
            let message = "auth and key_header exclude each other: set one of them";
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        self.checked()
    }

    /// Returns the endpoint that is described, with a key.
    ///
    /// # Errors
    /// `InvalidRequest` without an address.
    pub(super) fn endpoint(&self, key: Option<SecretString>) -> Result<Endpoint, Error> {
        let base_url = self.base_url.clone().ok_or_else(|| {
            let message = format!("{} has no default address: set its base URL", self.name);
            Error::new(ErrorKind::InvalidRequest, message)
        })?;
        let auth = Auth { header: self.auth.as_deref().and_then(header_of).map(str::to_owned), key };
        let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
        let token_timeout = self.timeout.and_then(duration).unwrap_or(OWN_TIMEOUT);
        Ok(Endpoint {
            auth,
            additions: Additions {
                body: self.extra_body.clone(),
                headers: self.headers.clone().into_iter().collect(),
                secret_headers: Vec::new(),
                query: self.query.clone().into_iter().collect(),
            },
            call_timeout: self.call_timeout.and_then(duration),
            ..Endpoint::new(&self.name, base_url, token_timeout, fault)
        })
    }

    /// Returns the name of the strictest mode: the one that is described, else that of a service that is known by its address.
    fn strictest_mode(&self) -> Option<&str> {
        self.schema.as_deref().or_else(|| known_mode(self.base_url.as_deref()?))
    }

    /// Returns the differences that are described. Every JSON schema is sent as it is, since the dialect of the
    /// server is not known.
    pub(super) fn quirks(&self) -> Quirks {
        Quirks {
            params: self.params(),
            dialect: Dialect::default(),
            modes: self.strictest_mode().and_then(modes_of).unwrap_or(&ALL_MODES),
        }
    }

    /// Returns the sampling parameters that the server has.
    fn params(&self) -> ParamTable {
        let mut params = PARAMS.clone();
        if let Some(field) = &self.token_limit {
            params = params.with("max_tokens", field.clone());
        }
        let named = self.parameters.iter().filter_map(|(name, field)| Some((param_name(name)?, field)));
        named.fold(params, |params, (name, field)| match field {
            ParamField::Has(false) => params.without(name),
            ParamField::Has(true) => params.with(name, name),
            ParamField::Path(path) => params.with(name, path.clone()),
        })
    }
}

/// Returns the shipped vendors as entries of the registry.
pub(super) fn entries() -> Vec<RegistryEntry> {
    let entry = |vendor: Vendor| RegistryEntry {
        help: vendor.help.unwrap_or_else(|| vendor.name.clone()),
        name: vendor.name,
        kind: &super::KIND,
        key_env: vendor.key_env.into_iter().collect(),
        base_url: vendor.base_url,
    };
    Vendor::shipped().into_iter().map(entry).collect()
}

/// The fallback order of a server of which nothing is known.
const ALL_MODES: [StructuredMode; 3] =
    [StructuredMode::JsonSchema, StructuredMode::JsonObject, StructuredMode::PromptOnly];

/// Returns the modes from the one that a name in `schema` selects to the weakest; `None` for an unknown name.
fn modes_of(schema: &str) -> Option<&'static [StructuredMode]> {
    Some(match schema {
        "json_schema" => &ALL_MODES,
        "json_object" => &ALL_MODES[1..],
        "words" => &ALL_MODES[2..],
        _ => return None,
    })
}

/// Returns the name of a sampling parameter; `None` for another name.
fn param_name(name: &str) -> Option<&'static str> {
    SamplingParams::NAMES.into_iter().find(|known| *known == name)
}

/// Returns the header that `header:NAME` in `auth` names.
fn header_of(auth: &str) -> Option<&str> {
    auth.strip_prefix("header:").map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{SHIPPED, Vendor};

    #[test]
    fn shipped_vendors_can_be_parsed() {
        assert_eq!(Vendor::shipped().len(), SHIPPED.len());
        let names: Vec<_> = Vendor::shipped().into_iter().map(|vendor| vendor.name).collect();
        assert_eq!(names, ["lmstudio", "vllm", "huggingface", "openrouter"]);
        assert_eq!(Vendor::find("openrouter").unwrap().key_env.as_deref(), Some("OPENROUTER_API_KEY"));
        assert_eq!(Vendor::find("no-such-vendor"), None);
    }

    #[test]
    fn mistakes_are_reported_with_their_place() {
        let check = |text: &str, expected: &str| {
            let err = Vendor::parse("v.toml", text).unwrap_err().to_string();
            assert!(err.starts_with("v.toml") && err.contains(expected), "{err}");
        };
        check("name = 'x'\n\nurl = 'http://h'", "v.toml:3: unknown field `url`");
        check("name = 'x'\nbase_url = 'h'", "the base URL");
        check("name = 'x'\nauth = 'query'", "never sent in an address");
        check("name = 'x'\nschema = 'xml'", "\"json_object\"");
        check("name = 'x'\ntimeout = -1.0", "positive");
        check("name = 'x'\ncall_timeout = 0.0", "call_timeout is 0, and must be a positive");
    }
}
