//! The check of configuration files as a whole, so that each command rejects the same mistakes, whichever provider it uses.
//!
//! The options of an entry are checked by the registry, which constructs the provider with one option at a time: so the rules are
//! those of a run, and the message has the line of the option that breaks one. Nothing is sent and no key is needed.

use antiphon_llm::{InvalidParam, SamplingParams};
use antiphon_providers::SecretString;
use antiphon_providers::registry::{self, BuildError, Kind, Options};

use crate::config_file::{ConfigFile, origin_of};
use crate::entry::{ProviderEntry, json_fields};
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::fallback::fallback;
use crate::origin::Origin;
use crate::provider::{ProviderSettings, entry_of, known_names, named_provider, place_in, place_of, similar};

/// Checks all entries, fallbacks and prices of the files, also of providers that are not used.
///
/// # Errors
/// The first mistake, with file and line, and with a similar name that is known.
pub(crate) fn check(files: &[ConfigFile]) -> Result<(), ConfigError> {
    let mut names = files.iter().flat_map(|file| file.content.providers.keys());
    names.try_for_each(|name| check_entry(name, files))?;
    files.iter().try_for_each(|file| check_fallbacks(file, files))?;
    files.iter().try_for_each(|file| check_prices(file, files))
}

/// Checks the merged entry of a provider: its kind, its timeouts, and each option.
fn check_entry(name: &str, files: &[ConfigFile]) -> Result<(), ConfigError> {
    // The environment is not part of the files.
    let kind = named_provider(name, &Environment::default(), files)?.kind;
    let Some(entry) = entry_of(name, files) else { return Ok(()) };
    if let Some(field) = entry.field_without_json() {
        let message = "a date, or a number that is not finite, has no form in JSON. Write it in quotes";
        let place = place_in(name, "extra_body", Some(field), files);
        return Err(place.error(format!("the field {field} of extra_body cannot be sent: {message}")));
    }
    check_additions(name, kind, &entry, files)?;
    check_parameters(name, kind, &entry, files)?;
    for (option, set) in OPTIONS {
        if let Some(err) = wrong_option(name, kind, &entry, set) {
            let near = entry
                .route
                .as_deref()
                .filter(|_| option == "route")
                .and_then(|route| near_route(kind, route));
            return Err(place_of(name, option, files).error(near.unwrap_or_else(|| err.to_string())));
        }
    }
    Ok(())
}

/// A function that copies one option of an entry.
type CopyOption = fn(&ProviderEntry, &mut Options);

/// The options of an entry that a kind may reject, by their names in configuration.
const OPTIONS: [(&str, CopyOption); 7] = [
    ("base_url", |entry, options| {
        if entry.base_url.is_some() {
            options.base_url.clone_from(&entry.base_url);
        }
    }),
    ("route", |entry, options| options.route.clone_from(&entry.route)),
    ("context", |entry, options| options.context = entry.context),
    ("auth", |entry, options| options.auth.clone_from(&entry.auth)),
    ("key_header", |entry, options| options.key_header.clone_from(&entry.key_header)),
    ("schema", |entry, options| options.schema.clone_from(&entry.schema)),
    ("token_limit", |entry, options| options.token_limit.clone_from(&entry.token_limit)),
];

/// Checks each header, parameter of the query and additional field of an entry.
fn check_additions(
    name: &str,
    kind: &Kind,
    entry: &ProviderEntry,
    files: &[ConfigFile],
) -> Result<(), ConfigError> {
    for (option, key, alone) in entry.additions() {
        if let Some(err) = wrong_option(name, kind, &alone, |entry, options| {
            entry.set(options);
            let secret = entry.headers_env.keys();
            options.secret_headers =
                secret.map(|name| (name.clone(), SecretString::from("no-key"))).collect();
        }) {
            return Err(place_in(name, option, Some(&key), files).error(err));
        }
    }
    Ok(())
}

/// Checks the sampling parameters of an entry: that the provider has them, on its route.
fn check_parameters(
    name: &str,
    kind: &Kind,
    entry: &ProviderEntry,
    files: &[ConfigFile],
) -> Result<(), ConfigError> {
    match wrong_parameter(name, kind, entry, &entry.sampling()) {
        Some(err) => Err(place_of(name, err.name, files).error(&err)),
        None => Ok(()),
    }
}

/// Checks the sampling parameters of the files for the provider that is used: those of its entry, and of the defaults.
///
/// # Errors
/// A parameter that the provider does not have, with file and line.
pub(crate) fn check_sampling(
    named: &ProviderSettings,
    parameters: &SamplingParams,
    files: &[ConfigFile],
) -> Result<(), ConfigError> {
    let Some(err) = wrong_parameter(&named.name, named.kind, &named.entry, parameters) else { return Ok(()) };
    let place = match origin_of(files, &["providers", &named.name, err.name]) {
        Origin::Default => origin_of(files, &["defaults", err.name]),
        exact => exact,
    };
    Err(place.error(&err))
}

/// Returns the first sampling parameter that a provider does not have, or that its additional fields override.
fn wrong_parameter(
    name: &str,
    kind: &Kind,
    entry: &ProviderEntry,
    parameters: &SamplingParams,
) -> Option<InvalidParam> {
    let mut options = minimal(name, kind);
    (options.route, options.context) = (entry.route.clone(), entry.context);
    options.extra_body = json_fields(&entry.extra_body);
    // What else is wrong with the options is reported elsewhere.
    kind.build(&options).ok()?.check(parameters).err()
}

/// Returns the least options with which a provider is built.
fn minimal(name: &str, kind: &Kind) -> Options {
    let mut options = Options::new(name).key(SecretString::from("no-key"));
    if kind.base_url.is_none() && !kind.is_offline {
        options.base_url = Some("http://127.0.0.1".to_owned());
    }
    options
}

/// Constructs a provider with one option of an entry, and returns the error; `None` if the option is right.
fn wrong_option(name: &str, kind: &Kind, entry: &ProviderEntry, set: CopyOption) -> Option<BuildError> {
    // What the other options lack is no mistake of this one.
    let mut options = minimal(name, kind);
    set(entry, &mut options);
    match kind.build(&options) {
        Ok(_) | Err(BuildError::NotBuilt { .. } | BuildError::MissingKey { .. }) => None,
        Err(err) => Some(err),
    }
}

/// Formats the error of a route that a kind with several does not have; `None` for a kind without routes.
fn near_route(kind: &Kind, route: &str) -> Option<String> {
    let has_routes = !kind.routes.is_empty();
    has_routes.then(|| format!("the kind {kind} has no such route; {}", similar(route, kind.routes)))
}

/// Checks all fallbacks that a file names.
fn check_fallbacks(file: &ConfigFile, files: &[ConfigFile]) -> Result<(), ConfigError> {
    let of_entry = |(name, entry): (&String, &ProviderEntry)| {
        let place = file.origin(&["providers", name, "fallback"]);
        Some((place, entry.fallback.clone()?))
    };
    let defaults = file.content.defaults.fallback.clone();
    let defaults = defaults.map(|named| (file.origin(&["defaults", "fallback"]), named));
    for (place, named) in file.content.providers.iter().filter_map(of_entry).chain(defaults) {
        for name in named {
            fallback(&name, &place, &Environment::default(), files)?;
        }
    }
    Ok(())
}

/// Checks that the prices of a file are of known providers: others have no effect.
fn check_prices(file: &ConfigFile, files: &[ConfigFile]) -> Result<(), ConfigError> {
    let mut known = known_names(files);
    let of_kinds = registry::kinds().iter().filter_map(|kind| kind.price_vendor);
    let further: Vec<String> =
        of_kinds.filter(|vendor| !known.iter().any(|known| known == vendor)).map(str::to_owned).collect();
    known.extend(further);
    let mut vendors = file.price_tables.keys().filter(|vendor| *vendor != "as_of");
    match vendors.find(|vendor| !known.contains(vendor)) {
        Some(vendor) => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let message = format!("prices of an unknown provider {vendor}; {}", similar(vendor, &known));
            Err(file.origin(&["prices", vendor]).error(message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::config_file::ConfigFile;

    #[track_caller]
    fn error_of(text: &str) -> String {
        check(&[ConfigFile::parse("a.toml", text).unwrap()]).unwrap_err().to_string()
    }

    const LAB: &str = "[providers.lab]\nkind = \"compatible\"\nbase_url = \"http://h/v1\"\n";

    #[test]
    fn options_are_rejected_at_their_line() {
        let lab = |more: &str| error_of(&format!("{LAB}{more}\n"));
        assert_eq!(
            error_of("[providers.openai]\nmodel = \"m\"\nroute = \"respnses\"\n"),
            "a.toml:3: the kind openai has no such route; did you mean responses?"
        );
        assert_eq!(
            error_of("[providers.openai]\ncontext = 3\n"),
            "a.toml:2: the provider openai is of the kind openai and has no context"
        );
        assert_eq!(
            lab("route = \"chat\""),
            "a.toml:4: the provider lab is of the kind compatible and has no route"
        );
        assert!(lab("auth = \"sk-secret\"").starts_with("a.toml:4: auth "));
        assert!(!lab("auth = \"sk-secret\"").contains("secret"));
        assert!(
            error_of(&LAB.replace("http://h/v1", "h:80"))
                .starts_with("a.toml:3: cannot use the base URL \"h:80\": ")
        );
    }

    #[test]
    fn extra_fields_without_a_form_in_json_are_rejected() {
        let lab = |value: &str| error_of(&format!("{LAB}[providers.lab.extra]\na = {value}\n"));
        for value in ["inf", "nan", "[1, -inf]", "{ b = nan }", "2026-11-21"] {
            let err = lab(value);
            assert!(err.starts_with("a.toml:5: the field a of extra_body cannot be sent"), "{value}: {err}");
        }
        let fine = format!("{LAB}[providers.lab.extra]\na = {{ b = [1, 2.5, true, \"x\"] }}\n");
        check(&[ConfigFile::parse("a.toml", &fine).unwrap()]).unwrap();
    }

    #[test]
    fn entries_need_a_kind_that_fits_their_name() {
        assert_eq!(
            error_of("[providers.opanai]\nmodel = \"m\"\n"),
            "a.toml:1: the provider opanai needs a kind, such as kind = \"compatible\", or did you mean openai?"
        );
        assert_eq!(
            error_of("[providers.openai]\nkind = \"compatible\"\n"),
            "a.toml:2: the name openai is taken: a provider of another kind needs another name"
        );
    }

    #[test]
    fn prices_are_of_known_providers() {
        let price = |vendor: &str| format!("{LAB}[prices.{vendor}.m]\ninput = 1\noutput = 2\n");
        assert_eq!(
            error_of(&price("opnai")),
            "a.toml:4: prices of an unknown provider opnai; did you mean openai?"
        );
        check(&[ConfigFile::parse("a.toml", &price("lab")).unwrap()]).unwrap();
    }
}
