//! The construction of providers: from settings to the registry's options, and from these to providers.

use antiphon_llm::{Error, ErrorKind};
use antiphon_providers::local::{discover, engines};
use antiphon_providers::registry::{self, BuildError, Built, Options};
use secrecy::ExposeSecret;

use crate::connect::ConnectError;
use crate::provider::ProviderSettings;
use crate::settings::Settings;

/// Returns the settings with the server's address: a kind with several default ports is discovered if no address is configured.
pub(crate) async fn located(settings: &Settings, named: &ProviderSettings) -> ProviderSettings {
    let mut named = named.clone();
    if named.kind.has_several_ports() && named.base_url.is_none() {
        let found = found(settings).await.into_iter().find(|found| found.kind == named.kind);
        named.base_url = found.and_then(|found| found.base_url);
    }
    named
}

/// Builds the provider that settings describe.
///
/// # Errors
/// A missing key, a provider that this build lacks, and an option that the kind does not have. If a file has an entry for the
/// provider, a wrong setting is an error of the configuration and names the entry.
pub(crate) fn build(settings: &Settings, named: &ProviderSettings) -> Result<Built, ConnectError> {
    check_key(named)?;
    check_headers(named)?;
    let built = named.kind.build(&options(settings, named)).map_err(ConnectError::from);
    built.map_err(|err| match err {
        ConnectError::Setting(message) if named.is_entered => {
            ConnectError::Config(format!("{message}. Check [providers.{}] in antiphon.toml", named.name))
        }
        err => err,
    })
}

/// Checks that a key can be sent in a header: a copied key may have a line break or a space in it. The error names the variable
/// and never the key.
pub(crate) fn check_key(named: &ProviderSettings) -> Result<(), ConnectError> {
    let Some((key, variable)) = named.key.as_ref().zip(named.key_variable.as_ref()) else { return Ok(()) };
    let key = key.expose_secret();
    let why = if key.contains(['\n', '\r']) {
        "a line break"
    } else if key.contains(char::is_whitespace) {
        "a space"
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        "a character that is not ASCII"
    } else {
        return Ok(());
    };
    Err(ConnectError::Config(format!(
        "cannot use the key in {variable}: it has {why} in it. Copy the key again, and set {variable} to the key alone"
    )))
}

/// Checks that the variables of secret headers are set.
///
/// # Errors
/// `MissingKey` with the first variable that is not.
pub(crate) fn check_headers(named: &ProviderSettings) -> Result<(), ConnectError> {
    let unset = named.secret_headers.iter().find(|(_, value)| value.is_none());
    match unset.and_then(|(name, _)| named.entry.headers_env.get(name)) {
        Some(variable) => Err(ConnectError::MissingKey(vec![variable.clone()])),
        None => Ok(()),
    }
}

/// Returns the settings of one provider as options of the registry.
pub(crate) fn options(settings: &Settings, named: &ProviderSettings) -> Options {
    let mut options = Options::new(&named.name);
    options.base_url.clone_from(&named.base_url);
    options.key.clone_from(&named.key);
    options.key_env.clone_from(&named.key_env);
    options.key_variable.clone_from(&named.key_variable);
    options.other_secrets.clone_from(&settings.secrets);
    options.token_timeout = settings.timeout_of(named);
    options.max_connections = Some(settings.connections_to_models());
    named.entry.set(&mut options);
    let secret = named.secret_headers.iter();
    options.secret_headers =
        secret.filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
    options
}

/// Builds the offline provider, which has no model.
pub(crate) fn offline() -> Result<Built, ConnectError> {
    let kind = registry::kinds().iter().find(|kind| kind.is_offline);
    let kind = kind.ok_or(ConnectError::NotBuilt("offline"))?;
    Ok(kind.build(&Options::new(kind.name))?)
}

/// Builds the engines on this machine that answer and identify themselves, each with its settings.
pub(crate) async fn local(settings: &Settings) -> Result<Vec<(ProviderSettings, Built)>, ConnectError> {
    let found = found(settings).await.into_iter();
    found.map(|named| build(settings, &named).map(|built| (named, built))).collect()
}

/// Finds the engines that answer at the configured addresses or at their usual ports.
async fn found(settings: &Settings) -> Vec<ProviderSettings> {
    let place = |name: &str| settings.engines.get(name).and_then(|named| named.base_url.as_deref());
    let found = discover(engines(place)).await;
    found.iter().filter_map(|engine| ProviderSettings::of_engine(engine, settings)).collect()
}

/// An unused option can only come from a file, so it is an error of the configuration.
impl From<BuildError> for ConnectError {
    fn from(err: BuildError) -> Self {
        match err {
            BuildError::NotBuilt { feature } => Self::NotBuilt(feature),
            BuildError::MissingKey { variables } => Self::MissingKey(variables),
            err @ BuildError::UnusedOption { .. } => Self::Config(err.to_string()),
            err => Self::Setting(err.to_string()),
        }
    }
}

/// Keeps the whole message, so that a checkup reports a wrong setting as a run does.
impl From<ConnectError> for BuildError {
    fn from(err: ConnectError) -> Self {
        match err {
            ConnectError::NotBuilt(feature) => Self::NotBuilt { feature },
            ConnectError::MissingKey(variables) => Self::MissingKey { variables },
            ConnectError::Provider(err) => Self::Invalid(err),
            err @ ConnectError::Fallback { .. } => {
                Self::Invalid(Error::new(ErrorKind::InvalidRequest, err.to_string()))
            }
            ConnectError::Setting(message)
            | ConnectError::Config(message)
            | ConnectError::Cassette(message) => {
                Self::Invalid(Error::new(ErrorKind::InvalidRequest, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::build;
    use crate::environment::Environment;
    use crate::flags::Flags;
    use crate::settings::resolve;

    #[track_caller]
    fn check(key: &str, expected: Option<&str>) {
        let env = Environment::from_iter([("GOOGLE_API_KEY", key)]);
        let settings = resolve(&Flags::default().provider("gemini"), &env, &[]).unwrap();
        let err =
            build(&settings, &settings.provider.as_ref().unwrap().value).err().map(|err| err.to_string());
        let Some(expected) = expected else { return assert_eq!(err, None) };
        let err = err.unwrap();
        assert!(
            err.starts_with(&format!("cannot use the key in GOOGLE_API_KEY: it has {expected} in it")),
            "{err}"
        );
        assert!(!err.contains("planted"), "{err}");
    }

    #[cfg(feature = "gemini")]
    #[test]
    fn a_key_that_was_copied_badly_is_rejected_by_its_variable() {
        check(" sk-planted\n", None);
        check("sk-planted\nsk-planted", Some("a line break"));
        check("sk planted", Some("a space"));
        check("sk-plantéd", Some("a character that is not ASCII"));
    }
}
