//! Requests of runs that versions before `antiphon.request/1` stored as a command line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_data::{RowFormat, Strategy};
use antiphon_engine::{Order, RunLimits};
use antiphon_llm::Parameters;
use antiphon_pipeline::PersonaRecipe;
use antiphon_pipeline::experiment::{Drawn, Experiment};
use antiphon_render::Theme;
use antiphon_store::RunRecord;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{OperationError, OperationErrorKind};
use super::request::{Anonymise, RecipeSource, RunRequest};

/// What earlier versions stored.
#[derive(Deserialize)]
struct Note {
    #[serde(default)]
    input: String,
    #[serde(default)]
    model: Option<String>,
    arguments: Vec<String>,
    #[serde(default)]
    folder: PathBuf,
}

/// The words of an old command: what stands by itself, and the flags with their values.
struct Words {
    plain: Vec<String>,
    flags: HashMap<String, String>,
    folder: PathBuf,
}

/// Flags that take no value.
const SWITCHES: [&str; 15] = [
    "--fresh",
    "--dry-run",
    "--json",
    "--yes",
    "-y",
    "--no-input",
    "--quiet",
    "-q",
    "--offline",
    "--allow-local",
    "-v",
    "-vv",
    "-vvv",
    "--verbose",
    "--link",
];

/// Short flags by their long names.
const SHORT: [(&str, &str); 8] = [
    ("-r", "--recipe"),
    ("-o", "--out"),
    ("-p", "--provider"),
    ("-m", "--model"),
    ("-n", "--count"),
    ("-t", "--theme"),
    ("-s", "--site"),
    ("-f", "--format"),
];

/// What such a run is asked to do, as far as what it names is still there; `None` for a run that does not tell.
pub(super) async fn request(record: &RunRecord) -> Option<Result<RunRequest, OperationError>> {
    let note: Note = serde_json::from_str(&record.request).ok()?;
    let words = Words::of(note.arguments, note.folder);
    let command = words.plain.first()?.clone();
    let made = match command.as_str() {
        "map" => words.map().await,
        "generate" => words.personas(&note.input, &Drawn::default(), Path::new("")).await,
        "experiment" => words.experiment(&note.input).await,
        "content" => words.content().await,
        _ => return None,
    };
    Some(made.map(|mut request| {
        request.base = Some(words.folder.clone());
        request.stored_in = Some(words.folder.join(words.value("--dir").unwrap_or("antiphon-out")));
        request.limits = words.limits();
        request.provider = words.value("--provider").map(str::to_owned);
        if words.flags.contains_key("--offline") {
            request.provider = Some("offline".to_owned());
        }
        request.base_url = words.value("--base-url").map(str::to_owned);
        request.model = words.value("--model").map(str::to_owned).or(note.model);
        request
    }))
}

impl Words {
    fn of(arguments: Vec<String>, folder: PathBuf) -> Self {
        let (mut plain, mut flags) = (Vec::new(), HashMap::new());
        let mut words = arguments.into_iter();
        while let Some(word) = words.next() {
            let long = |flag: &str| {
                SHORT.iter().find(|(short, _)| *short == flag).map_or(flag, |(_, long)| *long).to_owned()
            };
            match word.split_once('=') {
                Some((flag, value)) if flag.starts_with('-') => {
                    flags.insert(long(flag), value.to_owned());
                }
                _ if SWITCHES.contains(&word.as_str()) => {
                    flags.insert(word, String::new());
                }
                _ if word.starts_with('-') && word.len() > 1 => {
                    flags.insert(long(&word), words.next().unwrap_or_default());
                }
                _ => plain.push(word),
            }
        }
        Self { plain, flags, folder }
    }

    fn value(&self, flag: &str) -> Option<&str> {
        self.flags.get(flag).map(String::as_str)
    }

    /// The value of a flag, as the type's own JSON has it.
    fn parsed<T: DeserializeOwned>(&self, flag: &str) -> Option<T> {
        let value = self.value(flag)?;
        let number = || serde_json::from_str(value).ok();
        serde_json::from_value(Value::from(value)).ok().or_else(number)
    }

    fn limits(&self) -> RunLimits {
        let dollars: Option<f64> =
            self.value("--max-cost").and_then(|cost| cost.trim_start_matches('$').parse().ok());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, which is no limit"
        )]
        let micros = dollars.map(|dollars| (dollars * 1e6).round() as u64);
        let deadline =
            self.parsed::<f64>("--deadline").and_then(|time| Duration::try_from_secs_f64(time).ok());
        RunLimits::default()
            .max_cost(micros)
            .max_concurrency(self.parsed::<usize>("--concurrency"))
            .deadline(deadline)
            .max_rows(self.parsed::<u64>("--limit"))
    }

    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.temperature = self.parsed("--temperature");
        parameters.max_tokens = self.parsed("--max-tokens");
        parameters.seed = self.parsed("--seed");
        parameters
    }

    async fn map(&self) -> Result<RunRequest, OperationError> {
        let name = self.value("--recipe").unwrap_or_default();
        let recipe = read(&self.folder.join(name), name).await?;
        let rows = self.plain.get(1).map_or("-", String::as_str);
        let mut request = RunRequest::map(rows, recipe.name, recipe.text);
        request.format = self.parsed::<RowFormat>("--format");
        request.output.order = self.parsed::<Order>("--order").unwrap_or_default();
        request.output.results = self.value("--out").map(PathBuf::from);
        Ok(request)
    }

    async fn personas(
        &self,
        input: &str,
        below: &Drawn,
        folder: &Path,
    ) -> Result<RunRequest, OperationError> {
        let drawn = Drawn {
            recipe: self.value("--recipe").map(|file| match file.ends_with(".toml") {
                true => self.folder.join(file).display().to_string(),
                false => file.to_owned(),
            }),
            count: self.parsed("--count"),
            complexity: self.parsed("--complexity"),
            detail: self.parsed("--detail"),
            evidence: self.parsed("--evidence"),
        };
        let mut recipe: PersonaRecipe = drawn.or(below).recipe(folder).await?;
        let flags = self.parameters();
        recipe.parameters.temperature = flags.temperature.or(recipe.parameters.temperature);
        recipe.parameters.max_tokens = flags.max_tokens.or(recipe.parameters.max_tokens);
        recipe.parameters.seed = flags.seed.or(recipe.parameters.seed);
        let mut request = RunRequest::personas(input, &recipe)?;
        request.distil = self.parsed("--distil").unwrap_or_default();
        if let Some(mode) = self.parsed::<Strategy>("--anonymise") {
            let names = match self.value("--names") {
                Some(file) => read(&self.folder.join(file), file).await?.text,
                None => String::new(),
            };
            let names = names.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            request.anonymise = Some(Anonymise::new(mode, names.collect()));
        }
        Ok(request)
    }

    async fn experiment(&self, input: &str) -> Result<RunRequest, OperationError> {
        let root = self.folder.join(input);
        let experiment = Experiment::load(root.parent().unwrap_or(&root)).await?;
        self.personas(input, &experiment.definition().personas, experiment.root()).await
    }

    async fn content(&self) -> Result<RunRequest, OperationError> {
        let named = self.value("--theme").unwrap_or("minimalist").split(',');
        let whole = |name: &str| match name.contains(['/', '\\']) {
            true => self.folder.join(name).display().to_string(),
            false => name.to_owned(),
        };
        let themes = Theme::find(&named.map(whole).collect::<Vec<_>>()).await?;
        let inputs = self.plain.iter().skip(1).map(PathBuf::from).collect();
        let mut request = RunRequest::content(inputs, &themes, self.parameters())?;
        request.output.site = self.value("--site").map(PathBuf::from);
        request.output.title = self.value("--title").map(str::to_owned);
        if let Some(file) = self.value("--fallback") {
            request.output.fallback = Some(read(&self.folder.join(file), file).await?);
        }
        Ok(request)
    }
}

async fn read(path: &Path, name: &str) -> Result<RecipeSource, OperationError> {
    let text = antiphon_fs::read_to_string(path).await;
    let text = text.map_err(|err| OperationError::new(OperationErrorKind::Configuration, err.to_string()))?;
    Ok(RecipeSource { name: name.to_owned(), text: text.text.into_owned() })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::Words;

    #[test]
    fn an_old_command_is_read_word_by_word() {
        let line =
            "map rows.csv -r r.toml --max-cost=$0.5 --limit 9 --fresh -y --deadline 1.5 --concurrency 3";
        let words = Words::of(line.split(' ').map(str::to_owned).collect(), PathBuf::from("/a"));
        assert_eq!(
            (&words.plain[..], words.value("--recipe")),
            (&["map".to_owned(), "rows.csv".to_owned()][..], Some("r.toml"))
        );
        let limits = words.limits();
        assert_eq!(
            (limits.max_cost, limits.max_rows, limits.max_concurrency),
            (Some(500_000), Some(9), Some(3))
        );
        assert_eq!(limits.deadline, Some(Duration::from_millis(1_500)));
    }
}
