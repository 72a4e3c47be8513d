use std::path::PathBuf;

use antiphon_fs::ErrorKind;

use super::cli::{ConfigArgs, ConfigCommand};
use super::error::{CONFIG, CommandError, OK};
use super::output;
use crate::runtime::{
    ConfigError, ConfigFile, Environment, Flags, Origin, ProviderSettings, Settings, Sourced,
    known_providers, resolve,
};

pub(super) async fn run(args: &ConfigArgs) -> Result<u8, CommandError> {
    let ConfigCommand::Show { origin } = &args.command;
    let env = Environment::read();
    let files = files(&env).await?;
    let settings = resolve(&Flags::default(), &env, &files)?;
    let providers: Vec<_> =
        known_providers(&env, &files).into_iter().filter(|(_, named)| is_told_of(named)).collect();
    output::result(&(shown(&settings, *origin) + &of_providers(&providers)))?;
    Ok(OK)
}

type Named = Result<ProviderSettings, ConfigError>;

/// Whether somebody has said something of a provider, or it is in the way of all others.
fn is_told_of(named: &Named) -> bool {
    named.as_ref().map_or(true, |named| named.is_entered || named.is_configured)
}

/// What holds of the providers that somebody set up; of keys, only whether they are there.
fn of_providers(providers: &[(String, Named)]) -> String {
    let told = |named: &ProviderSettings| {
        let place = named.base_url.as_deref().map(|url| {
            output::address(url)
                .map_or_else(|| " at an address of its own".to_owned(), |place| format!(" at {place}"))
        });
        let key = match (&named.key, &named.key_env[..]) {
            (Some(_), _) => ", has a key".to_owned(),
            (None, []) => String::new(),
            (None, variables) => format!(", no key in {}", variables.join(" or ")),
        };
        format!("{}{}{key}", named.kind, place.unwrap_or_default())
    };
    let line = |(name, named): &(String, Named)| match named {
        Ok(named) => format!("  {name:<12} {}\n", told(named)),
        Err(err) => format!("  {name:<12} {err}\n"),
    };
    let lines: String = providers.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("providers\n{lines}") }
}

/// The files that hold: ./antiphon.toml, and the user's own.
pub(super) async fn files(env: &Environment) -> Result<Vec<ConfigFile>, CommandError> {
    let home = || env.get("HOME").map(|home| PathBuf::from(home).join(".config"));
    let user = env.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let user = user.map(|folder| folder.join("antiphon").join("antiphon.toml"));
    let mut files = Vec::new();
    for path in std::iter::once(PathBuf::from("antiphon.toml")).chain(user) {
        let name = path.display().to_string();
        match antiphon_fs::read(&path).await {
            Ok(bytes) => files.push(ConfigFile::parse(&name, &String::from_utf8_lossy(&bytes))?),
            Err(err) if err.kind() == ErrorKind::NotFound => {}
            Err(err) => return Err(CommandError::new(CONFIG, err.to_string())),
        }
    }
    Ok(files)
}

fn shown(settings: &Settings, with_origin: bool) -> String {
    fn told<T>(
        sourced: Option<&Sourced<T>>,
        text: impl Fn(&T) -> String,
        otherwise: &str,
    ) -> (String, Origin) {
        match sourced {
            Some(sourced) => (text(&sourced.value), sourced.origin.clone()),
            None => (otherwise.to_owned(), Origin::Default),
        }
    }
    let seconds = |timeout: &std::time::Duration| format!("{} s", timeout.as_secs_f64());
    let provider =
        told(settings.provider.as_ref(), |provider| provider.name.clone(), "a local engine, else offline");
    let fallback = match &settings.fallback {
        Sourced { value, origin, .. } if value.is_empty() => ("none".to_owned(), origin.clone()),
        named => {
            told(Some(named), |all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), "")
        }
    };
    let rows = [
        ("provider", provider),
        ("model", told(settings.model.as_ref(), String::clone, "the provider's default")),
        ("fallback", fallback),
        ("concurrency", told(Some(&settings.concurrency), ToString::to_string, "")),
        (
            "max_cost",
            told(settings.max_cost.as_ref(), |cost| format!("${:.2}", *cost as f64 / 1e6), "no limit"),
        ),
        ("max_retries", told(Some(&settings.max_retries), ToString::to_string, "")),
        ("pool_size", told(Some(&settings.pool_size), ToString::to_string, "")),
        ("timeout", told(settings.token_timeout.as_ref(), seconds, "the provider's default")),
        ("out", told(Some(&settings.out), |out| out.display().to_string(), "")),
    ];
    let line = |(name, (value, origin)): &(&str, (String, Origin))| match with_origin {
        true => format!("{name:<12} {value:<32} {origin}\n"),
        false => format!("{name:<12} {value}\n"),
    };
    rows.iter().map(line).collect()
}
