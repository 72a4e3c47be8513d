//! The structured output modes of hosted services that are known by their address.
//!
//! A service that rejects a mode is noticed by its error. One that accepts a schema and ignores it is not, so that it is listed
//! here; and so are those of which one error for each schema would be known beforehand.

use url::Url;

/// The strictest mode of services, by the end of their host.
///
/// | service | `json_schema` | source |
/// |---|---|---|
/// | Anthropic's compatible route | ignored, as `response_format` is as a whole | <https://platform.claude.com/docs/en/api/openai-sdk> |
/// | DeepSeek | rejected | <https://api-docs.deepseek.com/guides/json_mode> |
/// | Zhipu | JSON mode only | <https://docs.z.ai/guides/capabilities/struct-output> |
const KNOWN: [(&str, &str); 4] = [
    ("api.anthropic.com", "words"),
    ("deepseek.com", "json_object"),
    ("bigmodel.cn", "json_object"),
    ("api.z.ai", "json_object"),
];

/// Returns the strictest mode that the service at an address is known to support; `None` for any other service.
pub(super) fn known_mode(base_url: &str) -> Option<&'static str> {
    let url = Url::parse(base_url).ok()?;
    let host = url.host_str()?.to_lowercase();
    let is_of = |end: &str| host == end || host.ends_with(&format!(".{end}"));
    KNOWN.iter().find(|(end, _)| is_of(end)).map(|(_, mode)| *mode)
}

#[cfg(test)]
mod tests {
    use super::known_mode;

    #[test]
    fn services_are_known_by_their_host() {
        assert_eq!(known_mode("https://api.anthropic.com/v1"), Some("words"));
        assert_eq!(known_mode("https://api.DeepSeek.com/beta"), Some("json_object"));
        assert_eq!(known_mode("https://notdeepseek.com/v1"), None);
        assert_eq!(known_mode("http://127.0.0.1:8000/v1"), None);
    }
}
