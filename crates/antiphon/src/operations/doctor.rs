use std::time::Duration;

use antiphon_llm::{CallContext, Error, ErrorKind, Health, Provider};
use antiphon_providers::registry::SlotSetting;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::runtime::{ConfigError, ConnectError, ProviderSettings, Settings, build, located};

/// What the doctor found of one provider.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checkup {
    /// The provider's name.
    pub name: String,
    /// Where it is.
    pub place: Option<String>,
    /// What was found.
    pub finding: Finding,
    /// What to do about it.
    pub advice: Option<String>,
}

/// What was found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finding {
    /// It answers.
    Well(Health),
    /// It is not set up, or does not run, which is nobody's fault.
    Absent(String),
    /// It is set up and does not work.
    Ill(Error),
}

/// Each provider has so long to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks every provider at once how it is: keys, addresses, models, slots. No model works for it.
///
/// # Cancel safety
/// Nothing is changed, so nothing is lost.
pub async fn doctor(
    settings: &Settings,
    providers: &[(String, Result<ProviderSettings, ConfigError>)],
) -> Vec<Checkup> {
    let each = providers.iter().map(|(name, named)| async move {
        match named {
            Ok(named) => examined(settings, &located(settings, named).await).await,
            Err(err) => Checkup {
                name: name.clone(),
                place: None,
                finding: Finding::Ill(Error::new(ErrorKind::InvalidRequest, err.to_string())),
                advice: Some("look at antiphon.toml".to_owned()),
            },
        }
    });
    join_all(each).await
}

async fn examined(settings: &Settings, named: &ProviderSettings) -> Checkup {
    let found =
        |place, finding, advice: Option<String>| Checkup { name: named.name.clone(), place, finding, advice };
    let built = match build(settings, named) {
        Ok(built) => built,
        Err(ConnectError::MissingKey(variables)) => {
            let advice = format!("export {}=…", variables.first().map_or("", String::as_str));
            // One that is chosen needs its key; of the others nobody expects one.
            let is_chosen = settings.provider.as_ref().is_some_and(|chosen| chosen.value.name == named.name);
            let finding = match is_chosen {
                true => Finding::Ill(Error::new(
                    ErrorKind::Auth,
                    "it is the provider of antiphon.toml, and has no key",
                )),
                false => Finding::Absent("no key".to_owned()),
            };
            return found(None, finding, Some(advice));
        }
        Err(err @ ConnectError::NotBuilt(_)) => return found(None, Finding::Absent(err.to_string()), None),
        Err(err) => {
            let err = Error::new(ErrorKind::InvalidRequest, err.to_string());
            return found(
                None,
                Finding::Ill(err),
                Some("look at antiphon.toml and the environment".to_owned()),
            );
        }
    };
    let place = built.provider.scope().base_url;
    let health = timeout(PATIENCE, built.provider.health(&CallContext::default())).await;
    let health = health.unwrap_or_else(|_| {
        let kind = ErrorKind::Timeout { phase: antiphon_llm::Phase::Total };
        Err(Error::new(kind, format!("no answer within {} s", PATIENCE.as_secs())))
    });
    match health {
        Ok(health) => {
            let advice = advice_for(named, &health);
            found(place, Finding::Well(health), advice)
        }
        // An engine that does not run is not ill, nor is another program on its port, unless somebody said that it is there.
        Err(err) if err.kind() == ErrorKind::Connect && !named.is_configured => {
            found(place, Finding::Absent("nobody answers".to_owned()), start_of(named))
        }
        Err(err) if !named.is_configured => {
            let (what, advice) = match err.kind() {
                ErrorKind::Auth => ("something answers that asks for a key", advice_against(&err, named)),
                ErrorKind::Overloaded { .. } => ("it is not ready", advice_against(&err, named)),
                ErrorKind::Timeout { .. } => ("something answers too slowly", None),
                _ => ("something else answers", None),
            };
            found(place, Finding::Absent(what.to_owned()), advice)
        }
        Err(err) => {
            let advice = advice_against(&err, named);
            found(place, Finding::Ill(err), advice)
        }
    }
}

fn advice_against(err: &Error, named: &ProviderSettings) -> Option<String> {
    match err.kind() {
        ErrorKind::Auth if named.key_env.is_empty() => {
            Some("it asks for a key: name its variable with key_env in antiphon.toml".to_owned())
        }
        ErrorKind::Auth => Some(format!("look at the key in {}", named.key_env.join(" or "))),
        ErrorKind::Quota => Some("look at the account's billing page".to_owned()),
        ErrorKind::Connect if !named.kind.servers.is_empty() => {
            Some(start_of(named).unwrap_or_else(|| "is it running, and is that its address?".to_owned()))
        }
        ErrorKind::Connect => Some("is there a network, or does it need a proxy (HTTPS_PROXY)?".to_owned()),
        ErrorKind::InvalidResponse | ErrorKind::Unsupported => {
            Some("something else answers there: look at the address".to_owned())
        }
        ErrorKind::Overloaded { .. } => Some("it is starting, or busy: ask again in a moment".to_owned()),
        _ => None,
    }
}

fn advice_for(named: &ProviderSettings, health: &Health) -> Option<String> {
    let slots = named.kind.server(&named.name).and_then(|server| server.slots);
    match (&named.kind.pull, slots) {
        (Some(pull), _) if health.models == Some(0) => {
            Some(format!("it has no model: antiphon local pull {}", pull.example))
        }
        _ if health.models == Some(0) => Some("it lists no model: load one".to_owned()),
        (_, Some(SlotSetting::Flag(flag))) if health.parallel == Some(1) => {
            Some(format!("it works on one call at a time: start it with {flag} for more"))
        }
        (_, Some(SlotSetting::Variable(variable))) => {
            Some(format!("how many calls it works on at once is up to {variable}, 1 where nobody sets it"))
        }
        _ => None,
    }
}

/// The way to start an engine.
fn start_of(named: &ProviderSettings) -> Option<String> {
    let server = named.kind.server(&named.name)?;
    Some(format!("start it: {}", server.start))
}
