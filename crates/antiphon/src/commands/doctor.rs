use antiphon_llm::{ErrorKind, Health};
use antiphon_providers::registry;
use serde_json::json;

use super::cli::DoctorArgs;
use super::error::{CONFIG, CommandError, OK, SOME_FAILED};
use super::front::Front;
use super::output::{self, Talk};
use super::progress::counted;
use crate::operations::{self, Checkup, CheckupResult};
use crate::runtime::{Flags, ProviderSettings, known_providers};

pub(super) async fn run(args: &DoctorArgs, talk: &Talk) -> Result<u8, CommandError> {
    let Front { settings, environment, files } = Front::new(&Flags::default()).await?;
    let mut providers = known_providers(&environment, &files);
    // Skips providers that have no address until the user names one, and offline, which needs none.
    let is_somewhere = |named: &ProviderSettings| {
        named.base_url.is_some() || registry::entry(&named.name).is_none_or(|entry| entry.base_url.is_some())
    };
    providers.retain(|(_, named)| {
        named.as_ref().map_or(true, |named| !named.kind.is_offline && is_somewhere(named))
    });
    talk.line(&format!("checking {} providers, for at most 5 seconds", providers.len()));
    let checkups = operations::doctor(&settings, &providers).await;
    let document = || json!({ "schema": "antiphon.doctor/1", "providers": checkups });
    output::print(args.json.then(document), || as_list(&checkups))?;
    if checkups.iter().all(|checkup| checkup.result.health().is_none()) {
        talk.hint("try it without a provider: antiphon generate examples/interviews --offline");
    }
    Ok(checkups.iter().filter_map(code).min().unwrap_or(OK))
}

/// Returns the exit code of a failed checkup: configuration for a wrong file or key, else that of a partial failure.
fn code(checkup: &Checkup) -> Option<u8> {
    let CheckupResult::Failed(err) = &checkup.result else { return None };
    let of_configuration =
        matches!(err.kind(), ErrorKind::InvalidRequest | ErrorKind::Auth | ErrorKind::Quota);
    Some(if of_configuration { CONFIG } else { SOME_FAILED })
}

fn as_list(checkups: &[Checkup]) -> String {
    let width = checkups.iter().map(|checkup| checkup.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Checkup { name, base_url, result, advice, .. } in checkups {
        let mark = match result.status() {
            "ok" => "ok",
            "absent" => "--",
            _ => "!!",
        };
        let found = result.health().map(described).or(result.message()).unwrap_or_default();
        let base_url = base_url
            .as_ref()
            .filter(|_| mark != "!!")
            .map(|base_url| format!(" at {base_url}"))
            .unwrap_or_default();
        text.push_str(&format!("{mark}  {name:<width$}  {found}{base_url}\n"));
        if let Some(advice) = advice {
            text.push_str(&format!("    {:<width$}  {advice}\n", ""));
        }
    }
    text
}

fn described(health: &Health) -> String {
    let mut parts = vec![format!("{} ms", health.latency.as_millis())];
    parts.extend(health.http_version.map(str::to_owned));
    parts.extend(health.models.map(|models| counted(models, "model")));
    parts.extend(health.parallel.map(|slots| counted(slots as usize, "slot")));
    parts.extend(health.version.clone());
    parts.join(", ")
}
