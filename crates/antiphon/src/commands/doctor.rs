use antiphon_llm::{ErrorKind, Health};
use antiphon_providers::registry;
use serde::Serialize;

use super::cli::DoctorArgs;
use super::config;
use super::error::{CONFIG, CommandError, OK, SOME_FAILED};
use super::output::{self, Talk};
use crate::operations::{self, Checkup, Finding};
use crate::runtime::{Environment, Flags, ProviderSettings, known_providers, resolve};

pub(super) async fn run(args: &DoctorArgs, talk: &Talk) -> Result<u8, CommandError> {
    let env = Environment::read();
    let files = config::files(&env).await?;
    let settings = resolve(&Flags::default(), &env, &files)?;
    let mut providers = known_providers(&env, &files);
    // Those that are nowhere until somebody says where, and the one that is always there.
    let is_somewhere = |named: &ProviderSettings| {
        named.base_url.is_some() || registry::entry(&named.name).is_none_or(|entry| entry.base_url.is_some())
    };
    providers.retain(|(_, named)| {
        named.as_ref().map_or(true, |named| !named.kind.is_offline && is_somewhere(named))
    });
    talk.line(&format!("asking {} providers, for 5 seconds at most", providers.len()));
    let checkups = operations::doctor(&settings, &providers).await;
    output::result(&if args.json { as_json(&checkups)? } else { as_list(&checkups) })?;
    if !checkups.iter().any(|checkup| matches!(checkup.finding, Finding::Well(_))) {
        talk.hint("nothing is needed for a first look: antiphon generate examples/interviews --offline");
    }
    Ok(code(&checkups))
}

/// What is wrong in a file, and a key that is wrong, are matters of configuration; other illnesses are failures of some.
fn code(checkups: &[Checkup]) -> u8 {
    let ill = checkups.iter().filter_map(|checkup| match &checkup.finding {
        Finding::Ill(err) => Some(err.kind()),
        _ => None,
    });
    ill.map(|kind| {
        if matches!(kind, ErrorKind::InvalidRequest | ErrorKind::Auth | ErrorKind::Quota) {
            CONFIG
        } else {
            SOME_FAILED
        }
    })
    .min()
    .unwrap_or(OK)
}

fn as_list(checkups: &[Checkup]) -> String {
    let width = checkups.iter().map(|checkup| checkup.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Checkup { name, place, finding, advice, .. } in checkups {
        let (mark, found) = match finding {
            Finding::Well(health) => ("ok", told(health)),
            Finding::Absent(why) => ("--", why.clone()),
            Finding::Ill(err) => ("!!", err.to_string()),
        };
        let place = match (place, finding) {
            (Some(place), Finding::Well(_) | Finding::Absent(_)) => format!(" at {place}"),
            _ => String::new(),
        };
        text.push_str(&format!("{mark}  {name:<width$}  {found}{place}\n"));
        if let Some(advice) = advice {
            text.push_str(&format!("    {:<width$}  {advice}\n", ""));
        }
    }
    text
}

fn told(health: &Health) -> String {
    let mut parts = vec![format!("{} ms", health.latency.as_millis())];
    parts.extend(health.http_version.map(str::to_owned));
    parts.extend(health.models.map(|models| super::progress::counted(models, "model")));
    parts.extend(health.parallel.map(|slots| super::progress::counted(slots as usize, "slot")));
    parts.extend(health.version.clone());
    parts.join(", ")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    providers: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    base_url: Option<&'a str>,
    status: &'static str,
    message: Option<String>,
    advice: Option<&'a str>,
    latency_ms: Option<u64>,
    http_version: Option<&'static str>,
    models: Option<usize>,
    parallel: Option<u32>,
    version: Option<&'a str>,
}

fn as_json(checkups: &[Checkup]) -> Result<String, CommandError> {
    let entry = |checkup| {
        let Checkup { name, place, finding, advice, .. }: &Checkup = checkup;
        let (status, message, health) = match finding {
            Finding::Well(health) => ("ok", None, Some(health)),
            Finding::Absent(why) => ("absent", Some(why.clone()), None),
            Finding::Ill(err) => ("failed", Some(err.to_string()), None),
        };
        Entry {
            name,
            base_url: place.as_deref(),
            status,
            message,
            advice: advice.as_deref(),
            latency_ms: health.and_then(|health| u64::try_from(health.latency.as_millis()).ok()),
            http_version: health.and_then(|health| health.http_version),
            models: health.and_then(|health| health.models),
            parallel: health.and_then(|health| health.parallel),
            version: health.and_then(|health| health.version.as_deref()),
        }
    };
    output::json(&Document { schema: "antiphon.doctor/1", providers: checkups.iter().map(entry).collect() })
}
