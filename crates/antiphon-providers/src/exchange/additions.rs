//! The additions of a user to each request: fields of the body, headers, and parameters of the query.

use std::fmt;

use antiphon_llm::{InvalidParam, Message, Prompt, SamplingParams};
#[cfg(feature = "schema")]
use antiphon_llm::{Output, Schema};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::own_fields::refused;

/// The additions to each request.
///
/// Everything but the values of secret headers may change the answers, and is a part of the scope as a digest.
#[derive(Clone, Default)]
pub(crate) struct Additions {
    /// Fields of the body of each call of a model, merged into it at any depth.
    pub(crate) body: Map<String, Value>,
    /// Headers of each request.
    pub(crate) headers: Vec<(String, String)>,
    /// Headers whose values are secrets.
    pub(crate) secret_headers: Vec<(String, SecretString)>,
    /// Parameters of the query of each request.
    pub(crate) query: Vec<(String, String)>,
}

/// Parts of the names of headers, parameters and fields that have secrets, in lower case.
const OF_SECRETS: [&str; 11] = [
    "auth",
    "api-key",
    "apikey",
    "api_key",
    "access-key",
    "access_key",
    "cookie",
    "credential",
    "passw",
    "secret",
    "token",
];
/// Parts of the names of headers and parameters whose values are public, in lower case.
const PUBLIC: [&str; 11] = [
    "accept",
    "agent",
    "beta",
    "content-type",
    "deployment",
    "language",
    "model",
    "referer",
    "region",
    "title",
    "version",
];

/// Returns whether a name is one of a secret. A name such as `max_tokens` or `prompt_cache_key` is not.
fn is_of_secret(name: &str) -> bool {
    if name.contains("cache_key") {
        return false;
    }
    let is_key = name == "key" || name.ends_with("-key") || name.ends_with("_key") || name.starts_with("sig");
    let is_named = OF_SECRETS.iter().any(|part| name.contains(part)) && !name.contains("tokens");
    (is_key || is_named) && !name.contains("author") || name.contains("authorization")
}

/// Adds the texts in fields whose names are of secrets, at any depth.
fn add_secret_fields<'v>(fields: &'v Map<String, Value>, found: &mut Vec<&'v str>) {
    for (name, value) in fields {
        match value {
            Value::String(text) if is_of_secret(&name.to_ascii_lowercase()) => found.push(text),
            Value::Object(fields) => add_secret_fields(fields, found),
            _ => {}
        }
    }
}

impl fmt::Debug for Additions {
    /// Formats the names alone: a value may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Additions")
            .field("body", &self.body.keys().collect::<Vec<_>>())
            .field("headers", &names(&self.headers))
            .field("secret_headers", &self.secret_headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("query", &names(&self.query))
            .finish()
    }
}

impl Additions {
    /// Returns the text whose digest distinguishes these additions in a scope, with the variant of the provider; `None` without
    /// any. Secret headers are left out, since a new key is no other run.
    pub(crate) fn identity(&self, variant: Option<&str>) -> Option<String> {
        let Self { body, headers, secret_headers: _, query } = self;
        if body.is_empty() && headers.is_empty() && query.is_empty() {
            return None;
        }
        // Without query and variant, the text is that of earlier versions, so that their runs are found.
        Some(match (variant, query.is_empty()) {
            (None, true) => json!([body, headers]).to_string(),
            _ => json!([body, headers, query, variant]).to_string(),
        })
    }

    /// Returns the texts that a server should not repeat: those whose names are of secrets, and those of other headers and
    /// parameters. Names such as `user-agent` and `api-version` have values that are public.
    pub(crate) fn values(&self) -> (Vec<&str>, Vec<&str>) {
        let (mut named, mut values) = (Vec::new(), Vec::new());
        for (name, value) in self.headers.iter().chain(&self.query) {
            let name = name.to_ascii_lowercase();
            if is_of_secret(&name) {
                named.push(value.as_str());
            } else if !PUBLIC.iter().any(|public| name.contains(public)) {
                values.push(value.as_str());
            }
        }
        add_secret_fields(&self.body, &mut named);
        (named, values)
    }

    /// Merges the fields into a body.
    ///
    /// # Errors
    /// The path of the first field that the body has already, since what this crate sets is never overridden; of one that would
    /// make a call cost more than a budget counts on; or of one whose answer would be no text.
    pub(crate) fn merge_into(&self, body: &mut Value) -> Result<(), InvalidParam> {
        let Value::Object(body) = body else { return Ok(()) };
        let wrong = |path: &str, why: &str| {
            InvalidParam::new("extra_body", format!("extra_body cannot set {path}: {why}"))
        };
        if let Some((path, why)) = refused(&self.body) {
            return Err(wrong(&path, why));
        }
        merge(body, &self.body, "").map_err(|path| {
            let setting = if path.ends_with("num_ctx") { "context" } else { "the setting of its own" };
            wrong(&path, &format!("this program sets it itself. Leave it out, or use {setting}"))
        })
    }

    /// Checks that the fields override none of a request, whatever the prompt: `requests` builds the bodies of a prompt.
    ///
    /// # Errors
    /// As [`merge_into`](Self::merge_into).
    pub(crate) fn check(
        &self,
        parameters: &SamplingParams,
        requests: impl Fn(&Prompt) -> Vec<Value>,
    ) -> Result<(), InvalidParam> {
        if self.body.is_empty() {
            return Ok(());
        }
        let bodies = probes(parameters).into_iter().flat_map(|prompt| requests(&prompt));
        bodies.into_iter().try_for_each(|mut body| self.merge_into(&mut body))
    }

    /// Returns a path with the parameters of the query, which may have a query already.
    pub(crate) fn with_query(&self, path: &str) -> String {
        let mut whole = path.to_owned();
        for (name, value) in &self.query {
            whole.push(if whole.contains('?') { '&' } else { '?' });
            whole.extend(url::form_urlencoded::byte_serialize(name.as_bytes()));
            whole.push('=');
            whole.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
        }
        whole
    }
}

/// Merges objects at any depth; the error is the path of a field that both have.
fn merge(body: &mut Map<String, Value>, extra: &Map<String, Value>, above: &str) -> Result<(), String> {
    for (name, value) in extra {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match (body.get_mut(name), value) {
            (None, value) => drop(body.insert(name.clone(), value.clone())),
            (Some(Value::Object(body)), Value::Object(extra)) => merge(body, extra, &path)?,
            (Some(_), _) => return Err(path),
        }
    }
    Ok(())
}

/// Merges fields over others at any depth: of two values, that of `over` counts.
pub(crate) fn merged_over(over: Map<String, Value>, mut below: Map<String, Value>) -> Map<String, Value> {
    for (name, value) in over {
        let value = match (below.remove(&name), value) {
            (Some(Value::Object(below)), Value::Object(over)) => Value::Object(merged_over(over, below)),
            (_, value) => value,
        };
        below.insert(name, value);
    }
    below
}

/// Returns prompts in whose requests each field occurs that a prompt can have: a text and a JSON answer, with a token limit,
/// which a budget sets.
fn probes(parameters: &SamplingParams) -> Vec<Prompt> {
    let mut parameters = parameters.clone();
    parameters.max_tokens.get_or_insert(1);
    let prompt = Prompt::new("model", [Message::user("?")]).system("!").parameters(parameters);
    let with_schema = as_json(&prompt);
    std::iter::once(prompt).chain(with_schema).collect()
}

/// Returns a prompt for an answer as JSON.
#[cfg(feature = "schema")]
fn as_json(prompt: &Prompt) -> Option<Prompt> {
    let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    Some(prompt.clone().output(Output::Json(Schema::new("probe", schema).ok()?)))
}

/// Returns no prompt: without the feature there is no schema.
#[cfg(not(feature = "schema"))]
fn as_json(_: &Prompt) -> Option<Prompt> {
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Additions, merged_over};

    fn additions(body: Value) -> Additions {
        Additions { body: body.as_object().cloned().unwrap_or_default(), ..Additions::default() }
    }

    #[test]
    fn fields_are_merged_at_any_depth_and_override_none() {
        let check = |extra: Value, expected: Result<Value, &str>| {
            let mut body = json!({ "model": "m", "options": { "seed": 7 }, "messages": [] });
            let merged = additions(extra).merge_into(&mut body).map(|()| body);
            match (merged, expected) {
                (Ok(body), Ok(expected)) => assert_eq!(body, expected),
                (Err(err), Err(path)) => {
                    assert!(err.to_string().starts_with(&format!("extra_body cannot set {path}:")), "{err}");
                }
                (merged, expected) => assert_eq!(format!("{merged:?}"), format!("{expected:?}")),
            }
        };
        let merged =
            json!({ "model": "m", "options": { "seed": 7, "mirostat": 2 }, "messages": [], "a": [1] });
        check(json!({ "options": { "mirostat": 2 }, "a": [1] }), Ok(merged));
        check(json!({ "model": "other" }), Err("model"));
        check(json!({ "options": { "seed": 8 } }), Err("options.seed"));
        check(json!({ "options": null }), Err("options"));
        check(json!({ "messages": [1] }), Err("messages"));
    }

    #[test]
    fn a_key_of_a_cache_is_no_secret() {
        let additions = additions(json!({ "prompt_cache_key": "summaries", "a": { "api_key": "hunter22" } }));
        assert_eq!(additions.values().0, ["hunter22"]);
    }

    #[test]
    fn a_query_is_added_to_a_path_and_encoded() {
        let query =
            vec![("api-version".to_owned(), "2024-10-21".to_owned()), ("a&b".to_owned(), "c d".to_owned())];
        let additions = Additions { query, ..Additions::default() };
        assert_eq!(additions.with_query("/models"), "/models?api-version=2024-10-21&a%26b=c+d");
        assert_eq!(additions.with_query("/m?alt=sse"), "/m?alt=sse&api-version=2024-10-21&a%26b=c+d");
        assert_eq!(Additions::default().with_query("/m"), "/m");
    }

    #[test]
    fn nearer_fields_are_merged_over_others() {
        let map = |value: Value| value.as_object().cloned().unwrap();
        let over = map(json!({ "provider": { "order": ["a"] }, "x": 1 }));
        let below = map(json!({ "provider": { "require_parameters": true }, "x": { "y": 2 } }));
        let expected = json!({ "provider": { "require_parameters": true, "order": ["a"] }, "x": 1 });
        assert_eq!(Value::Object(merged_over(over, below)), expected);
    }
}
