//! Parts that all commands with a run share: the workspace, the request and the progress.
//!
//! A command begins with a `Front`: environment and files are read once, and resolved with its flags to settings. The
//! order of precedence is flags, environment, files, defaults. From it come the workspace, whose store opens at the
//! first use, and the `Watch` by which the events of a run reach stderr.
//!
//! Two messages are printed here because only the choice of a provider shows whether they apply: a warning if the limit
//! of open files keeps calls below the requested concurrency, and a hint at a cloud provider that is not used although
//! its key is set.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_engine::{Lines, RunEvent};

use super::cli::{OutArgs, RunArgs, file_of_out};
use super::error::{CommandError, USAGE};
use super::log;
use super::output::{self, Talk};
use super::progress::{Live, cost, counted};
use crate::operations::{OperationError, RecipeSource, RunRequest, Watch, Workspace};
use crate::runtime::{ConfigFile, Environment, FewConnections, Flags, Kind, Settings, resolve};

/// The configuration of a command, and the workspace that it names.
pub(super) struct Front {
    /// The settings, resolved from flags, environment and files.
    pub(super) settings: Settings,
    /// The environment, as it was when the command began.
    pub(super) environment: Environment,
    /// The configuration files; the first that sets a value wins.
    pub(super) files: Vec<ConfigFile>,
}

impl Front {
    /// Reads environment and files, and resolves the settings. Warns of variables that look like settings and are none.
    ///
    /// # Errors
    /// A configuration error for a file that cannot be read or a value that is wrong; a usage error for a wrong flag.
    pub(super) async fn new(flags: &Flags, talk: &Talk) -> Result<Self, CommandError> {
        let environment = Environment::read();
        let files = ConfigFile::load_all(&environment).await?;
        environment.unknown_variables(&files).iter().for_each(|unknown| talk.warning(&unknown.to_string()));
        Ok(Self { settings: resolve(flags, &environment, &files)?, environment, files })
    }

    /// Creates the workspace of the output folder. Neither folder nor store is created before the first run.
    pub(super) fn workspace(&self) -> Workspace {
        let workspace =
            Workspace::new(self.environment.clone(), self.files.clone(), &self.settings.out.value);
        workspace.cassette(self.settings.cassette.clone())
    }
}

/// Sets the provider, the limits and the fresh start of a request from the flags. The working directory is stored as
/// well, since the request may name relative paths and can be resumed from another directory.
pub(super) fn fill(request: &mut RunRequest, args: &RunArgs) {
    (request.provider, request.base_url, request.model) = args.provider.named();
    request.fallback = args.provider.fallbacks();
    request.limits = args.limits.limits();
    request.fresh = args.fresh;
    request.follow_links = args.follow_links;
    request.base = std::env::current_dir().ok();
}

/// Reads a file that a flag names, such as a recipe. Its path becomes the name by which errors refer to it.
///
/// # Errors
/// A usage error for a file that cannot be read.
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
            warn_of_earlier_out(file, talk);
            (out.dir.clone(), Some(file.clone()))
        }
        // As a file it would also get the summary, in between the results.
        (_, Some(stdout)) if is_stdout(stdout) => (out.folder(), Some(PathBuf::from("-"))),
        (_, results) => (out.folder(), results.cloned()),
    }
}

/// Whether a path is one of the names of stdout.
fn is_stdout(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

/// Warns that `--out` was used in its earlier meaning, which a later release will not accept.
fn warn_of_earlier_out(file: &Path, talk: Talk) {
    talk.warning(&format!(
        "--out now names the folder of runs: {0} is used as the file for results; use --results {0} instead",
        file.display()
    ));
}

/// Closes the workspace after success and after failure, so that its store is one file.
pub(super) async fn closed<T>(
    workspace: Workspace,
    done: Result<T, OperationError>,
) -> Result<T, CommandError> {
    workspace.close().await;
    done.map_err(CommandError::from)
}

/// Returns a watch that shows events, and names each provider once. Results for `-` go to stdout.
///
/// The watch may be cloned for several runs, whose events arrive from several tasks; they share what was announced.
pub(super) fn watch(live: &Live, talk: Talk, settings: &Settings) -> Watch {
    announcing(live, &Arc::new(Mutex::new(Announcements::new(talk, settings))))
}

/// Returns a watch as [`watch`] does, for several runs: each event is shown with the input of its run.
pub(super) fn watch_several(live: &Live, talk: Talk, settings: &Settings) -> Watch {
    let announcements = Arc::new(Mutex::new(Announcements::new(talk, settings)));
    let (shared, several) = (announcements.clone(), live.clone());
    announcing(live, &announcements).on_input_event(move |input, event| {
        if shared.lock().unwrap_or_else(PoisonError::into_inner).is_news(&event) {
            several.event_of(Some(input), &event);
        }
    })
}

/// Returns a watch that shows the events that are news.
fn announcing(live: &Live, announcements: &Arc<Mutex<Announcements>>) -> Watch {
    let (announcements, live) = (announcements.clone(), live.clone());
    Watch::default().results(Lines::new(output::json_lines)).on_event(move |event| {
        if announcements.lock().unwrap_or_else(PoisonError::into_inner).is_news(&event) {
            live.event(&event);
        }
    })
}

/// The messages about providers that accompany the events of runs.
struct Announcements {
    talk: Talk,
    /// The hint at a cloud provider, for a provider that was chosen by default.
    hint: Option<CloudHint>,
    /// The warning about the connection pool, for the first provider.
    few: Option<FewConnections>,
    /// The providers that were named.
    seen: HashSet<String>,
    /// The warnings that were printed.
    warned: HashSet<String>,
    /// Whether the last provider was chosen by default.
    by_default: bool,
}

impl Announcements {
    /// Creates the announcements of runs with these settings, of which none was made yet.
    fn new(talk: Talk, settings: &Settings) -> Self {
        Self {
            talk,
            hint: CloudHint::of(settings),
            few: settings.few_connections(),
            seen: HashSet::new(),
            warned: HashSet::new(),
            by_default: false,
        }
    }

    /// Prints what an event calls for: the provider at its connection, the hint once the size of the input is known.
    /// Returns `false` for a connection to a provider that was named.
    fn is_news(&mut self, event: &RunEvent) -> bool {
        match event {
            RunEvent::Connected { provider, by_default, offline } => {
                self.by_default = *by_default;
                return self.connected(provider, *offline);
            }
            // A provider is connected for the expected cost, and for the run.
            RunEvent::Warning { message } => return self.warned.insert(message.clone()),
            RunEvent::Started { run_id, .. } => log::run_started(run_id),
            RunEvent::Loaded { documents, bytes, .. } => {
                if let Some(hint) = self.hint.as_ref().filter(|_| self.by_default) {
                    self.talk.hint(&hint.text(*documents, *bytes));
                }
            }
            _ => {}
        }
        true
    }

    /// Names a provider, and returns whether it is new. Text statistics need no connections, so the warning about them is for models only.
    fn connected(&mut self, provider: &str, offline: bool) -> bool {
        if !self.seen.insert(provider.to_owned()) {
            return false;
        }
        // As an event, the connection itself is printed.
        if !self.talk.sends_events() {
            self.talk.line(&format!("provider: {provider}"));
        }
        if let Some(few) = self.few.as_ref().filter(|_| !offline && self.seen.len() == 1) {
            self.talk.warning(&few.to_string());
        }
        true
    }
}

/// A hint at what the cloud provider of a key in the environment would be sent, where, and at what cost. The key alone is no
/// consent to send anything.
#[derive(Debug, Clone)]
struct CloudHint {
    /// The address, if it is not the vendor's own.
    place: Option<String>,
}

impl CloudHint {
    /// Returns the hint; `None` if the environment has no key.
    fn of(settings: &Settings) -> Option<Self> {
        let place = settings
            .openai_url
            .as_deref()
            .map(|url| output::address(url).unwrap_or_else(|| "the address in OPENAI_BASE_URL".to_owned()));
        settings.has_openai_key.then_some(Self { place })
    }

    /// Formats the hint for an input of a size, at about four bytes a token and with an answer of 3,000 tokens.
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
