//! The address form of `OLLAMA_HOST`, which Ollama's server and its clients share.

/// Converts a value of `OLLAMA_HOST` to a URL (<https://github.com/ollama/ollama/blob/main/envconfig/config.go>).
///
/// The default port depends on the scheme: 80 for `http://`, 443 for `https://` and for `ollama.com`, and 11434
/// without a scheme.
pub(super) fn url_of_host(host: &str) -> String {
    let host = host.trim().trim_matches(['"', '\'']).trim();
    let (scheme, rest, port) = match host.split_once("://") {
        Some(("https", rest)) => ("https", rest, 443),
        Some((_, rest)) => ("http", rest, 80),
        None if host == "ollama.com" => ("https", host, 443),
        None => ("http", host, 11_434),
    };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    let (name, explicit) = split_port(authority);
    let url = format!("{scheme}://{}:{}/{path}", reachable(name), explicit.unwrap_or(port));
    url.trim_end_matches('/').to_owned()
}

/// Splits a host from its port; a port that is not a number counts as none.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().ok()),
        _ => (authority, None),
    }
}

/// Returns the host by which a server is reached: the loopback address for one that listens on every address.
fn reachable(name: &str) -> &str {
    match name {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" | "::" => "[::1]",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::url_of_host;

    #[test]
    fn hosts_are_parsed_as_the_server_parses_them() {
        for (host, url) in [
            ("", "http://127.0.0.1:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            (":8000", "http://127.0.0.1:8000"),
            ("box", "http://box:11434"),
            ("ollama.com", "https://ollama.com:443"),
            ("box:99", "http://box:99"),
            ("http://box", "http://box:80"),
            ("https://box/prefix/", "https://box:443/prefix"),
            ("[::]:1", "http://[::1]:1"),
            ("\"box:77x\"", "http://box:11434"),
        ] {
            assert_eq!(url_of_host(host), url, "{host}");
        }
    }
}
