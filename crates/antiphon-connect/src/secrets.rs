//! The secrets of an environment, which are removed from the texts of each server, whichever of them it was sent.

use antiphon_providers::registry;
use secrecy::SecretString;
use url::{Url, form_urlencoded};

use crate::config_file::ConfigFile;
use crate::environment::Environment;

/// The variables with the address of a proxy, which may have a user name and a password.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Returns the keys and secret headers of all providers that are known, and the credentials of proxies.
pub(crate) fn secrets_in(env: &Environment, files: &[ConfigFile]) -> Vec<SecretString> {
    let entries = registry::entries().iter();
    let registered = entries.flat_map(|entry| entry.key_env.iter().map(String::as_str));
    let of_files = files.iter().flat_map(ConfigFile::secret_variables);
    let keys = registered.chain(of_files).filter_map(|variable| env.secret(variable));
    let proxies = PROXIES.into_iter().filter_map(|name| env.get(name));
    keys.chain(proxies.flat_map(credentials)).collect()
}

/// Returns the user name with the password of an address, as they are written and decoded. A redactor removes the password
/// without the name, too.
fn credentials(address: &str) -> Vec<SecretString> {
    let parsed = Url::parse(address).ok().filter(Url::has_host);
    let Some(url) = parsed.or_else(|| Url::parse(&format!("http://{address}")).ok()) else {
        return Vec::new();
    };
    let Some(password) = url.password() else { return Vec::new() };
    let written = format!("{}:{password}", url.username());
    let decoded: String = form_urlencoded::parse(written.replace('+', "%2B").replace('&', "%26").as_bytes())
        .map(|(text, value)| if value.is_empty() { text.into_owned() } else { format!("{text}={value}") })
        .collect();
    vec![SecretString::from(written), SecretString::from(decoded)]
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::secrets_in;
    use crate::config_file::ConfigFile;
    use crate::environment::Environment;

    #[track_caller]
    fn check(variable: &str, value: &str, expected: &[&str]) {
        let lab = "[providers.lab]\nkind = \"compatible\"\nkey_env = \"LAB_KEY\"\nheaders_env = { x-a = \"LAB_TOKEN\" }\n";
        let files = [ConfigFile::parse("a.toml", lab).unwrap()];
        let mut found = secrets_in(&Environment::from_iter([(variable, value)]), &files);
        found.dedup_by(|a, b| a.expose_secret() == b.expose_secret());
        let found: Vec<&str> = found.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(found, expected, "{variable}={value}");
    }

    #[test]
    fn keys_headers_and_the_credentials_of_proxies_are_found() {
        check("OPENAI_API_KEY", " planted ", &["planted"]);
        check("LAB_KEY", "planted", &["planted"]);
        check("LAB_TOKEN", "planted", &["planted"]);
        check("PATH", "planted", &[]);
        check("HTTPS_PROXY", "http://proxy:3128", &[]);
        check("HTTPS_PROXY", "http://ada:planted@proxy:3128", &["ada:planted"]);
        check("all_proxy", "ada:planted@proxy:3128", &["ada:planted"]);
        check("http_proxy", "http://ada:pl%40n+t=ed@proxy", &["ada:pl%40n+t%3Ded", "ada:pl@n+t=ed"]);
    }
}
