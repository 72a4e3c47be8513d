use std::time::Duration;

use antiphon_http::SecretString;
use antiphon_llm::{Error, ErrorKind};
use url::Url;

/// What makes one server differ from another.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) vendor: String,
    pub(crate) base_url: String,
    pub(crate) key: Option<SecretString>,
    /// The name under which the server takes the limit of the answer's tokens.
    pub(crate) token_limit: &'static str,
    /// JSON schema keywords that the server refuses.
    pub(crate) refused_keywords: &'static [&'static str],
    /// The time to the first token and between two of them.
    pub(crate) token_timeout: Duration,
    /// Connections in use at once.
    pub(crate) max_connections: usize,
}

/// An address to which paths can be added: without a slash at its end, and with `/v1` if it has no path at all.
pub(crate) fn checked_base_url(text: &str) -> Result<String, Error> {
    let invalid = |why: &str| {
        Error::new(ErrorKind::InvalidRequest, format!("the base URL {why}, as in http://localhost:8080/v1"))
    };
    let url = Url::parse(text).map_err(|err| invalid(&format!("cannot be read ({err})")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid("must begin with http:// or https:// and a host"));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(invalid(
            "must have no user, password, query or fragment: a key belongs into the environment",
        ));
    }
    let base = url.as_str().trim_end_matches('/');
    let base = base.strip_suffix("/chat/completions").unwrap_or(base);
    Ok(match url.path() {
        "/" => format!("{base}/v1"),
        _ => base.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::checked_base_url;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(checked_base_url(text).ok().as_deref(), expected, "{text}");
    }

    #[test]
    fn addresses_are_put_into_one_form() {
        check("http://localhost:8080", Some("http://localhost:8080/v1"));
        check("http://localhost:8080/v1/", Some("http://localhost:8080/v1"));
        check("https://h.example/api/v3/chat/completions", Some("https://h.example/api/v3"));
        for bad in [
            "",
            "localhost:8080",
            "ftp://h/",
            "http://",
            "http://u:p@h/v1",
            "http://h/v1?key=1",
            "http://h/#x",
        ] {
            check(bad, None);
        }
    }
}
