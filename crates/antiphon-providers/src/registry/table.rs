//! The table of kinds, the one place in which all vendors are named.

use std::sync::LazyLock;

use super::entry::RegistryEntry;
use super::kind::Kind;
use super::server::LocalServer;

/// The kinds, in the order in which they are listed. One line adds a vendor.
static KINDS: [&Kind; 7] = [
    &crate::openai::KIND,
    &crate::anthropic::KIND,
    &crate::gemini::KIND,
    &crate::ollama::KIND,
    &crate::llamacpp::KIND,
    &crate::compatible::KIND,
    &crate::offline::KIND,
];

/// The names of kinds and shipped vendors; built at the first use.
static ENTRIES: LazyLock<Vec<RegistryEntry>> = LazyLock::new(|| {
    let of_kinds = KINDS.iter().copied().map(RegistryEntry::of_kind);
    let of_vendors = KINDS.iter().filter_map(|kind| kind.vendors).flat_map(|vendors| vendors());
    of_kinds.chain(of_vendors).collect()
});

/// Returns all kinds, compiled in or not.
///
/// For the names by which a user can choose a provider, which include shipped vendors, use [`entries`].
#[must_use]
pub fn kinds() -> &'static [&'static Kind] {
    &KINDS
}

/// Returns all names by which providers can be chosen: the kinds, then the shipped vendors of kinds that are compiled in.
///
/// ```
/// let names = antiphon_providers::registry::entries().iter().map(|entry| &*entry.name);
/// println!("providers: {}", names.collect::<Vec<_>>().join(", "));
/// ```
#[must_use]
pub fn entries() -> &'static [RegistryEntry] {
    &ENTRIES
}

/// Returns the entry of this name.
#[must_use]
pub fn entry(name: &str) -> Option<&'static RegistryEntry> {
    entries().iter().find(|entry| entry.name == name)
}

/// Returns the engines that users run themselves, with those that are started on purpose first.
pub fn servers() -> impl Iterator<Item = &'static LocalServer> {
    let of_kinds = |is_service| {
        KINDS.iter().flat_map(|kind| kind.servers).filter(move |server| server.is_service == is_service)
    };
    of_kinds(false).chain(of_kinds(true))
}

/// Returns the kind of engine that can pull models, whether it is compiled in or not.
#[must_use]
pub fn puller() -> Option<&'static Kind> {
    kinds().iter().copied().find(|kind| kind.pull.is_some())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use antiphon_llm::ErrorKind;
    use secrecy::SecretString;
    use serde_json::json;

    use super::{entries, entry, kinds, servers};
    use crate::prices::Prices;
    use crate::registry::options::SPECIAL;
    use crate::registry::{BuildError, Kind, Options};

    /// Returns options in which everything is set that only some kinds take.
    fn special() -> Options {
        let mut options =
            Options::new("lab").base_url("http://127.0.0.1:1").key(SecretString::from("sk-planted"));
        let text = || Some("any".to_owned());
        (options.route, options.auth, options.schema, options.token_limit) = (text(), text(), text(), text());
        options.context = Some(1);
        options.headers.insert("x-team".to_owned(), "sk-planted-header".to_owned());
        options.extra_body.insert("field".to_owned(), json!("sk-planted-field"));
        options
    }

    #[test]
    fn names_are_unique_and_have_a_help_text() {
        let names: BTreeSet<&str> = entries().iter().map(|entry| &*entry.name).collect();
        assert_eq!(names.len(), entries().len());
        for entry in entries() {
            let first = entry.help.chars().next().unwrap();
            assert!(entry.help.lines().count() == 1 && !first.is_whitespace(), "{}", entry.name);
        }
        assert!(kinds().iter().all(|kind| entry(kind.name).is_some_and(|entry| entry.kind == *kind)));
    }

    #[test]
    fn environment_variables_have_valid_names() {
        let is_variable = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        };
        assert!(entries().iter().flat_map(|entry| &entry.key_env).all(|name| is_variable(name)));
        for kind in kinds() {
            assert!(kind.base_url_env.is_none_or(|variable| is_variable(variable.name)), "{kind}");
        }
        let keys = |name: &str| Kind::find(name).unwrap().key_env;
        assert_eq!(keys("openai"), ["OPENAI_API_KEY"]);
        assert_eq!(keys("anthropic"), ["ANTHROPIC_API_KEY"]);
        assert_eq!(keys("gemini"), ["GEMINI_API_KEY", "GOOGLE_API_KEY"]);
        assert!(["ollama", "llamacpp", "compatible", "offline"].iter().all(|name| keys(name).is_empty()));
    }

    #[test]
    fn descriptions_are_consistent() {
        let prices = Prices::shipped();
        for kind in kinds() {
            let takes = |option: &&str| SPECIAL.iter().any(|(known, _)| known == option);
            assert!(kind.options.iter().all(takes), "{kind}: {:?}", kind.options);
            assert_eq!(kind.routes.is_empty(), !kind.options.contains(&"route"), "{kind}");
            if let (Some(vendor), Some(model)) = (kind.price_vendor, kind.default_model) {
                assert!(prices.price(vendor, model, 0).is_some(), "{kind}: {model} has no price");
            }
            let runs_here = !kind.servers.is_empty() || kind.is_offline;
            assert_ne!(runs_here, kind.price_vendor.is_some(), "{kind} is either a cloud or local");
            assert!(kind.pull.is_none() || kind.server(kind.name).is_some(), "{kind}");
        }
        assert!(servers().all(|server| !server.title.is_empty() && !server.start.is_empty()));
        assert!(servers().all(|server| !server.is_discoverable() || !server.ports.is_empty()));
    }

    #[test]
    fn a_kind_that_is_not_compiled_in_names_its_feature() {
        let err = Kind { name: "lab", ..Kind::EMPTY }.build(&Options::new("lab")).unwrap_err();
        assert!(matches!(err, BuildError::NotBuilt { feature: "lab" }));
        assert_eq!(err.to_string(), "this build has no provider lab: its cargo feature lab is off");
        for kind in kinds().iter().filter(|kind| !kind.is_built()) {
            let err = kind.build(&Options::new(kind.name)).unwrap_err();
            assert!(err.to_string().contains(kind.name), "{kind}: {err}");
        }
    }

    #[test]
    fn unused_options_are_rejected_by_name() {
        for kind in kinds() {
            let err = kind.check(&special()).unwrap_err();
            let BuildError::UnusedOption { option, .. } = err else { panic!("{kind}: {err}") };
            assert!(!kind.options.contains(&option), "{kind}: {option}");
            assert_eq!(
                err.to_string(),
                format!("the provider lab is of the kind {kind} and has no {option}")
            );
            assert!(kind.check(&Options::new("lab")).is_ok(), "{kind}");
        }
    }

    #[test]
    fn clouds_need_a_key_and_name_its_variables() {
        let clouds = || kinds().iter().filter(|kind| kind.price_vendor.is_some() && kind.is_built());
        for kind in clouds() {
            let mut options = Options::new(kind.name);
            assert_eq!(kind.build(&options).unwrap_err().to_string(), "the key is missing");
            options.key_env = kind.key_env.iter().map(|&name| name.to_owned()).collect();
            let expected = format!("the environment variable {} is not set", kind.key_env.join(" or "));
            assert_eq!(kind.build(&options).unwrap_err().to_string(), expected);
            let built = kind.build(&options.key(SecretString::from("sk-planted"))).unwrap();
            assert_eq!(built.provider.scope().base_url.as_deref(), kind.base_url, "{kind}");
            assert_eq!(built.default_model.as_deref(), kind.default_model, "{kind}");
            assert_eq!(built.price_vendor.as_deref(), kind.price_vendor, "{kind}");
        }
    }

    #[test]
    fn a_cloud_at_another_address_has_prices_only_under_a_custom_name() {
        let at = |name: &str, kind: &Kind| {
            let options = Options::new(name).base_url("http://127.0.0.1:1/v1").key(SecretString::from("k"));
            kind.build(&options).unwrap().price_vendor
        };
        for kind in kinds().iter().filter(|kind| kind.price_vendor.is_some() && kind.is_built()) {
            assert_eq!(at(kind.name, kind), None, "{kind}");
            assert_eq!(at("mine", kind).as_deref(), Some("mine"), "{kind}");
        }
    }

    #[test]
    fn servers_without_a_key_are_built_at_their_default_address() {
        for kind in kinds().iter().filter(|kind| kind.server(kind.name).is_some() && kind.is_built()) {
            let built = kind.build(&Options::new(kind.name)).unwrap();
            assert!(built.is_local && built.lists_what_it_has && built.default_model.is_none(), "{kind}");
            let elsewhere = kind.build(&Options::new(kind.name).base_url("http://box:1")).unwrap();
            assert!(!elsewhere.is_local, "{kind}");
            let mut options = Options::new("lab");
            options.route = Some("nowhere".to_owned());
            let err = kind.build(&options).unwrap_err().to_string();
            let known = format!("it is \"{}\" or \"{}\"", kind.routes[0], kind.routes[1]);
            assert_eq!(err, format!("the provider lab has no route \"nowhere\": {known}"));
        }
    }

    #[test]
    fn printing_shows_no_secret() {
        let options = special();
        assert!(!format!("{options:?}").contains("planted"));
        for kind in kinds() {
            let err = kind.build(&options).unwrap_err();
            assert!(!format!("{err:?} {err}").contains("planted"), "{kind}: {err:?}");
        }
    }

    #[tokio::test]
    async fn pull_is_unsupported_by_kinds_that_fetch_no_models() {
        for kind in kinds().iter().filter(|kind| kind.pull.is_none()) {
            let err = kind.pull(&Options::new(kind.name), "m", |_| {}).await.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Unsupported, "{kind}");
        }
    }

    #[test]
    fn kinds_are_deserialised_from_their_names() {
        #[derive(Debug, serde::Deserialize)]
        struct Entry {
            kind: &'static Kind,
        }
        let read = |text: &str| toml::from_str::<Entry>(text).map(|entry| entry.kind.name);
        assert_eq!(read("kind = \"gemini\""), Ok("gemini"));
        let err = read("kind = \"gemni\"").unwrap_err().to_string();
        assert!(err.contains("expected one of `openai`, `anthropic`"), "{err}");
    }
}
