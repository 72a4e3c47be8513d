//! Parts that all commands with a run share: the workspace, the request and the progress.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use antiphon_engine::{Lines, RunEvent};

use super::cli::{OutArgs, RunArgs, file_of_out};
use super::error::{CommandError, USAGE};
use super::log;
use super::output::{self, Talk};
use super::progress::{Live, cost, counted};
use crate::operations::{OperationError, RecipeSource, RunRequest, Watch, Workspace};
use crate::runtime::{ConfigFile, Environment, Flags, Kind, Settings, resolve};

/// The configuration of a command, and the workspace that it names.
pub(super) struct Front {
    pub(super) settings: Settings,
    pub(super) environment: Environment,
    pub(super) files: Vec<ConfigFile>,
}

impl Front {
    pub(super) async fn new(flags: &Flags) -> Result<Self, CommandError> {
        let environment = Environment::read();
        let files = ConfigFile::load_all(&environment).await?;
        Ok(Self { settings: resolve(flags, &environment, &files)?, environment, files })
    }

    pub(super) fn workspace(&self) -> Workspace {
        let workspace =
            Workspace::new(self.environment.clone(), self.files.clone(), &self.settings.out.value);
        workspace.cassette(self.settings.cassette.clone())
    }
}

/// Sets the provider, the limits and the fresh start of a request from the flags.
pub(super) fn fill(request: &mut RunRequest, args: &RunArgs) {
    (request.provider, request.base_url, request.model) = args.provider.named();
    request.fallback = args.provider.fallbacks();
    request.limits = args.limits.limits();
    request.fresh = args.fresh;
    request.base = std::env::current_dir().ok();
}

/// Reads a file that a flag names.
pub(super) async fn source(path: &Path) -> Result<RecipeSource, CommandError> {
    let text = antiphon_fs::read_to_string(path).await;
    let text = text.map_err(|err| CommandError::new(USAGE, err.to_string()))?;
    Ok(RecipeSource { name: path.display().to_string(), text: text.text.into_owned() })
}

/// Returns the output folder and the file for results. `--out` named that file before it named the folder, which is still
/// accepted for one release.
pub(super) async fn results(
    out: &OutArgs,
    results: Option<&PathBuf>,
    endings: &[&str],
    talk: Talk,
) -> (Option<PathBuf>, Option<PathBuf>) {
    match (&out.out, results) {
        (Some(file), None) if out.dir.is_some() || file_of_out(file, endings).await => {
            talk.warning(&format!(
                "--out now names the folder of runs: {0} is used as the file for results; use --results {0} instead",
                file.display()
            ));
            (out.dir.clone(), Some(file.clone()))
        }
        // As a file it would also get the summary, in between the results.
        (_, Some(stdout)) if stdout == Path::new("/dev/stdout") => (out.folder(), Some(PathBuf::from("-"))),
        (_, results) => (out.folder(), results.cloned()),
    }
}

/// Closes the workspace after success and after failure, so that its store is one file.
pub(super) async fn closed<T>(
    workspace: Workspace,
    done: Result<T, OperationError>,
) -> Result<T, CommandError> {
    workspace.close().await;
    done.map_err(CommandError::from)
}

/// Returns a watch that shows events, and names each provider once.
pub(super) fn watch(live: &Live, talk: Talk, settings: &Settings) -> Watch {
    let (live, hint) = (live.clone(), CloudHint::of(settings));
    let few = settings.few_connections();
    // The providers that were named, and whether the last one was chosen by default.
    let seen = Mutex::new((HashSet::new(), false));
    Watch::default().results(Lines::new(output::stdout)).on_event(move |event| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &event {
            RunEvent::Connected { provider, by_default, offline } => {
                seen.1 = *by_default;
                if seen.0.insert(provider.clone()) {
                    live.aside(|| talk.line(&format!("provider: {provider}")));
                    if let Some(few) = few.as_ref().filter(|_| !offline && seen.0.len() == 1) {
                        live.aside(|| talk.warning(&few.to_string()));
                    }
                }
            }
            RunEvent::Started { run_id, .. } => log::run_started(run_id),
            RunEvent::Loaded { documents, bytes, .. } => {
                if let Some(hint) = hint.as_ref().filter(|_| seen.1) {
                    live.aside(|| talk.hint(&hint.text(*documents, *bytes)));
                }
            }
            _ => {}
        }
        drop(seen);
        live.event(&event);
    })
}

/// A hint at what the cloud provider of a key in the environment would be sent, where, and at what cost. The key alone is no
/// consent to send anything.
#[derive(Debug, Clone)]
struct CloudHint {
    place: Option<String>,
}

impl CloudHint {
    fn of(settings: &Settings) -> Option<Self> {
        let place = settings
            .openai_url
            .as_deref()
            .map(|url| output::address(url).unwrap_or_else(|| "the address in OPENAI_BASE_URL".to_owned()));
        settings.has_openai_key.then_some(Self { place })
    }

    fn text(&self, documents: u64, bytes: u64) -> String {
        let tokens = bytes.div_ceil(4);
        let model = Kind::find("openai").and_then(|kind| kind.default_model).unwrap_or("its default model");
        let answer = antiphon_llm::Usage::new(Some(tokens), Some(3_000));
        // Another address may have other prices.
        let price = match &self.place {
            None => antiphon_providers::prices::price("openai", model, tokens),
            Some(_) => None,
        };
        let place = self.place.as_deref().unwrap_or("api.openai.com");
        let micros = price.and_then(|price| price.cost_usd_micros(answer));
        let about = if micros.is_some() { "about " } else { "" };
        let (documents, cost) = (counted(documents, "document"), cost(micros));
        format!(
            "OPENAI_API_KEY is set; --provider openai would send {documents}, about {tokens} tokens, to \
             {place} ({model}, {about}{cost})"
        )
    }
}
