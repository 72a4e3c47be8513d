//! Links: addresses from answers and notes, made safe or rejected.
//!
//! Escaping alone does not make a link safe, since `javascript:alert(1)` has no character to escape. Therefore
//! addresses are parsed as a browser parses them (WHATWG URL Standard), and only known schemes are accepted.

use url::Url;

/// Returns an address in a form that is safe to link to: http, https or mailto. `None` for anything else, such as an
/// address that a browser would run.
///
/// Addresses in model answers and notes often lack a scheme: to a host name, `https://` is added, to an e-mail address
/// `mailto:`. An address with a user name before the host, or of more than 2,000 bytes, is rejected.
///
/// ```
/// use antiphon_render::safe_link;
/// assert_eq!(safe_link("github.com/ada").as_deref(), Some("https://github.com/ada"));
/// assert_eq!(safe_link("ada@example.com").as_deref(), Some("mailto:ada@example.com"));
/// assert_eq!(safe_link("javascript:alert(1)"), None);
/// ```
#[must_use]
pub fn safe_link(address: &str) -> Option<String> {
    let address = address.trim();
    if address.is_empty() || address.len() > MAX_BYTES || has_ignored(address) {
        return None;
    }
    let url = Url::parse(&completed(address)?).ok()?;
    // `Url` leaves this quote as it is.
    is_allowed(&url).then(|| url.as_str().replace('\'', "%27"))
}

/// The longest address that is accepted, in bytes.
const MAX_BYTES: usize = 2_000;

/// Returns whether an address has characters that browsers ignore, as in `java\nscript:`.
fn has_ignored(address: &str) -> bool {
    address.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Returns an address with its scheme; `None` for text that is no address.
fn completed(address: &str) -> Option<String> {
    match Url::parse(address) {
        // example.com:8080 is read as a scheme.
        Ok(url) if url.scheme().contains('.') => Some(format!("https://{address}")),
        Ok(_) => Some(address.to_owned()),
        Err(_) if is_mail(address) => Some(format!("mailto:{address}")),
        Err(_) if is_host(address) => Some(format!("https://{address}")),
        Err(_) => None,
    }
}

/// Returns whether an address leads to a web page or an e-mail address, and nowhere else.
fn is_allowed(url: &Url) -> bool {
    match url.scheme() {
        // A user name before the host can imitate another host: https://bank.com@evil.test.
        "http" | "https" => {
            url.host_str().is_some_and(|host| !host.is_empty())
                && url.username().is_empty()
                && url.password().is_none()
        }
        "mailto" => is_mail(url.path()),
        _ => false,
    }
}

/// Returns whether a text is a plain e-mail address: letters, digits and `.-_+`, `@`, and a host.
fn is_mail(address: &str) -> bool {
    let Some((name, host)) = address.split_once('@') else { return false };
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    !name.is_empty() && name.chars().all(allowed) && is_host(host) && !host.contains('/')
}

/// Returns whether an address begins with a host such as `example.com`.
fn is_host(address: &str) -> bool {
    let host = address.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let mut labels = host.split('.');
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    host.contains('.') && labels.all(is_label)
}

#[cfg(test)]
mod tests {
    use super::safe_link;

    #[test]
    fn unsafe_addresses_are_refused() {
        for address in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\nscript:alert(1)",
            " \u{1}javascript:alert(1)",
            "data:text/html,<script>",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:https://a.test/x",
            "//evil.test",
            "/etc/passwd",
            "https://bank.com@evil.test/",
            "https:// a.test",
            "mailto:",
            "mailto:a@b.test?body=x y",
            "ftp://a.test",
            "about:blank",
            "#x",
            "",
            "just words",
        ] {
            assert_eq!(safe_link(address), None, "{address:?}");
        }
    }

    #[test]
    fn safe_addresses_are_completed() {
        for (address, link) in [
            ("https://a.test/o'clock?x='", "https://a.test/o%27clock?x=%27"),
            ("https://a.test/x?y=z#w", "https://a.test/x?y=z#w"),
            ("http://a.test", "http://a.test/"),
            ("HTTPS://A.test/B", "https://a.test/B"),
            ("www.a.test/x", "https://www.a.test/x"),
            ("a.test:8080/x", "https://a.test:8080/x"),
            ("mailto:a.b@c.test", "mailto:a.b@c.test"),
            ("https://a.test/\"><script>", "https://a.test/%22%3E%3Cscript%3E"),
        ] {
            assert_eq!(safe_link(address).as_deref(), Some(link), "{address}");
        }
    }
}
