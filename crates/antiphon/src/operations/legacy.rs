//! Requests of runs that were stored as a command line, by versions before `antiphon.request/1`.
//!
//! Such a run has the names of its files and not their content, so it can be resumed only while they exist, and only if
//! its fingerprint shows that they are unchanged. The parser is a copy of the old command line, kept apart from the
//! current one so that flags can change.
//!
//! ```json
//! { "input": "rows.csv", "model": "gpt-4.1", "folder": "…", "arguments": ["map", "rows.csv", "-r", "towns.toml"] }
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_data::{RowFormat, Strategy};
use antiphon_engine::{Order, RunLimits, usd_micros};
use antiphon_llm::SamplingParams;
use antiphon_pipeline::PersonaRecipe;
use antiphon_pipeline::experiment::{Experiment, PersonaDefaults};
use antiphon_render::Theme;
use antiphon_store::RunRecord;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{OperationError, OperationErrorKind};
use super::request::{Anonymise, RecipeSource, RunRequest};

/// The note that earlier versions stored.
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

/// The words of an old command: positional arguments, and flags with their values.
struct LegacyArgs {
    /// The command, and its positional arguments after it.
    plain: Vec<String>,
    /// The values of flags by their long names with `--`.
    flags: HashMap<String, String>,
    /// The working folder of the command, to which its paths refer.
    folder: PathBuf,
}

/// Long flags that take no value.
const SWITCHES: [&str; 9] = [
    "--fresh",
    "--dry-run",
    "--json",
    "--yes",
    "--no-input",
    "--quiet",
    "--offline",
    "--allow-local",
    "--verbose",
];

/// Short flags that take a value, with their long names; all others are switches.
const SHORT_FLAGS: [(&str, &str); 7] = [
    ("-r", "--recipe"),
    ("-o", "--out"),
    ("-p", "--provider"),
    ("-m", "--model"),
    ("-n", "--count"),
    ("-t", "--theme"),
    ("-s", "--site"),
];

/// Returns the request of a run of an earlier version, if the files that it names still exist; `None` if the note is not valid
/// or the command is unknown.
pub(super) async fn request(record: &RunRecord) -> Option<Result<RunRequest, OperationError>> {
    let note: Note = serde_json::from_str(&record.request).ok()?;
    let words = LegacyArgs::of(note.arguments, note.folder);
    let command = words.plain.first()?.clone();
    let made = match command.as_str() {
        "map" => words.map().await,
        "generate" => words.personas(&note.input, &PersonaDefaults::default(), Path::new("")).await,
        "experiment" => words.experiment(&note.input).await,
        "content" => words.content().await,
        _ => return None,
    };
    Some(made.map(|request| words.complete(request, &note.input, note.model)))
}

impl LegacyArgs {
    /// Parses the arguments of a command line, without checking them: the command was valid when it was stored.
    fn of(arguments: Vec<String>, folder: PathBuf) -> Self {
        let (mut plain, mut flags) = (Vec::new(), HashMap::new());
        let mut words = arguments.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--" => plain.extend(words.by_ref()),
                "-" => plain.push(word),
                switch if SWITCHES.contains(&switch) => {
                    flags.insert(word, String::new());
                }
                flag if flag.starts_with("--") => add_long(word, &mut words, &mut flags),
                letters if letters.starts_with('-') => add_short(letters, &mut words, &mut flags),
                _ => plain.push(word),
            }
        }
        Self { plain, flags, folder }
    }

    /// Completes a request by what all commands have in common: folders, limits, provider and model. `model` is the one
    /// that the run used, for a command that named none.
    fn complete(&self, mut request: RunRequest, input: &str, model: Option<String>) -> RunRequest {
        request.base = Some(self.folder.clone());
        request.stored_in = Some(self.folder.join(self.out(input)));
        request.limits = request.limits.overridden_by(&self.limits());
        request.provider = self.value("--provider").map(str::to_owned).or(request.provider);
        if self.flags.contains_key("--offline") {
            request.provider = Some("offline".to_owned());
        }
        request.base_url = self.value("--base-url").map(str::to_owned);
        request.model = self.value("--model").map(str::to_owned).or(model);
        request
    }

    /// Returns the folder of runs that the command named; the configuration of that time is not known.
    fn out(&self, input: &str) -> PathBuf {
        let flag = match self.plain.first().map(String::as_str) {
            Some("experiment") => return Path::new(input).with_file_name("outputs"),
            Some("generate") => "--out",
            _ => "--dir",
        };
        PathBuf::from(self.value(flag).unwrap_or("antiphon-out"))
    }

    /// Returns the value of a flag; empty for a switch.
    fn value(&self, flag: &str) -> Option<&str> {
        self.flags.get(flag).map(String::as_str)
    }

    /// Parses the value of a flag as a JSON string or number of the type.
    fn parsed<T: DeserializeOwned>(&self, flag: &str) -> Option<T> {
        let value = self.value(flag)?;
        let number = || serde_json::from_str(value).ok();
        serde_json::from_value(Value::from(value)).ok().or_else(number)
    }

    /// Returns the limits that the command named; a cost may have a dollar sign.
    fn limits(&self) -> RunLimits {
        let dollars: Option<f64> =
            self.value("--max-cost").and_then(|cost| cost.trim_start_matches('$').parse().ok());
        let deadline =
            self.parsed::<f64>("--deadline").and_then(|time| Duration::try_from_secs_f64(time).ok());
        RunLimits::default()
            .max_cost(dollars.map(usd_micros))
            .max_concurrency(self.parsed::<usize>("--concurrency"))
            .deadline(deadline)
            .max_rows(self.parsed::<u64>("--limit"))
    }

    /// Returns the sampling parameters that the command named.
    fn parameters(&self) -> SamplingParams {
        let mut parameters = SamplingParams::default();
        parameters.temperature = self.parsed("--temperature");
        parameters.max_tokens = self.parsed("--max-tokens");
        parameters.seed = self.parsed("--seed");
        parameters
    }

    /// Returns the request of `map`: a recipe over the rows of a file or of stdin.
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

    /// Returns the request of `generate`. `below` has the settings where the command named none, and `folder` their
    /// recipes.
    async fn personas(
        &self,
        input: &str,
        below: &PersonaDefaults,
        folder: &Path,
    ) -> Result<RunRequest, OperationError> {
        let mut recipe: PersonaRecipe = self.persona_settings().or(below).recipe(folder).await?;
        recipe.parameters = self.parameters().or(recipe.parameters);
        let mut request = RunRequest::personas(input, &recipe)?;
        request.distil = self.parsed("--distil").unwrap_or_default();
        request.anonymise = self.anonymise().await?;
        Ok(request)
    }

    /// Returns the settings of personas that the command named. A recipe is a file if it ends in `.toml`, else a
    /// built-in one.
    fn persona_settings(&self) -> PersonaDefaults {
        let is_file = |name: &str| name.ends_with(".toml");
        PersonaDefaults {
            recipe: self.value("--recipe").map(|name| self.file_or_name(name, is_file)),
            count: self.parsed("--count"),
            complexity: self.parsed("--complexity"),
            detail: self.parsed("--detail"),
            evidence: self.parsed("--evidence"),
            ..PersonaDefaults::default()
        }
    }

    /// Returns the anonymisation that the command named, with the names in its file, one a line.
    async fn anonymise(&self) -> Result<Option<Anonymise>, OperationError> {
        let Some(mode) = self.parsed::<Strategy>("--anonymise") else { return Ok(None) };
        let names = match self.value("--names") {
            Some(file) => read(&self.folder.join(file), file).await?.text,
            None => String::new(),
        };
        let names = names.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Some(Anonymise::new(mode, names.collect())))
    }

    /// Returns the path of a file below the folder of the command, or the name of something built in.
    fn file_or_name(&self, name: &str, is_file: impl Fn(&str) -> bool) -> String {
        if is_file(name) { self.folder.join(name).display().to_string() } else { name.to_owned() }
    }

    /// Returns the request of `experiment`: personas with the settings of its definition as it is now.
    async fn experiment(&self, input: &str) -> Result<RunRequest, OperationError> {
        let root = self.folder.join(input);
        let experiment = Experiment::load(root.parent().unwrap_or(&root)).await?;
        let definition = experiment.definition();
        let mut request = self.personas(input, &definition.personas, experiment.root()).await?;
        let of = |key: &str| definition.defaults.get(key);
        request.provider = of("provider").and_then(toml::Value::as_str).map(str::to_owned);
        let dollars =
            of("max_cost").and_then(|cost| cost.as_float().or(cost.as_integer().map(|cost| cost as f64)));
        let concurrency = of("concurrency").and_then(toml::Value::as_integer);
        request.limits = request
            .limits
            .max_cost(dollars.map(usd_micros))
            .max_concurrency(concurrency.and_then(|calls| usize::try_from(calls).ok()));
        Ok(request)
    }

    /// Returns the request of `content`: sites from notes, in the themes that the command named.
    async fn content(&self) -> Result<RunRequest, OperationError> {
        let named = self.value("--theme").unwrap_or("minimalist").split(',');
        let is_path = |name: &str| name.contains(['/', '\\']);
        let whole = |name: &str| self.file_or_name(name, is_path);
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

/// Adds a long flag with its value, which is in the same word after `=`, or is the next word.
fn add_long(word: String, words: &mut impl Iterator<Item = String>, flags: &mut HashMap<String, String>) {
    let (flag, value) = match word.split_once('=') {
        Some((flag, value)) => (flag.to_owned(), value.to_owned()),
        None => (word, words.next().unwrap_or_default()),
    };
    flags.insert(flag, value);
}

/// Adds the short flags of one word: switches, and a last one with its value in the word or in the next one.
fn add_short(word: &str, words: &mut impl Iterator<Item = String>, flags: &mut HashMap<String, String>) {
    let mut letters = word.get(1..).unwrap_or_default().chars();
    while let Some(letter) = letters.next() {
        let short = format!("-{letter}");
        let Some((_, long)) = SHORT_FLAGS.iter().find(|(known, _)| *known == short) else {
            flags.insert(short, String::new());
            continue;
        };
        let rest = letters.as_str();
        let value = match rest.strip_prefix('=').unwrap_or(rest) {
            "" => words.next().unwrap_or_default(),
            value => value.to_owned(),
        };
        flags.insert((*long).to_owned(), value);
        return;
    }
}

/// Reads a file that the command named; the store has only its name.
async fn read(path: &Path, name: &str) -> Result<RecipeSource, OperationError> {
    let text = antiphon_fs::read_to_string(path).await.map_err(|err| {
        let message = format!("an earlier version stored this run without the text of {name}: {err}");
        OperationError::new(OperationErrorKind::Configuration, message)
    })?;
    Ok(RecipeSource { name: name.to_owned(), text: text.text.into_owned() })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::LegacyArgs;

    fn words(line: &str) -> LegacyArgs {
        LegacyArgs::of(line.split(' ').map(str::to_owned).collect(), PathBuf::from("/a"))
    }

    #[test]
    fn an_old_command_is_parsed() {
        let words = words(
            "map rows.csv -r r.toml --max-cost=$0.5 --limit 9 --fresh -y --deadline 1.5 --concurrency 3",
        );
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

    #[test]
    fn short_flags_can_be_combined_in_one_word() {
        let found = words("generate in -vvqn3 -pollama -m=tiny --concurrency auto -- -odd");
        assert_eq!(found.plain, ["generate", "in", "-odd"]);
        let named = ["--count", "--provider", "--model"].map(|flag| found.value(flag));
        assert_eq!(named, [Some("3"), Some("ollama"), Some("tiny")]);
        assert_eq!(found.limits().max_concurrency, None);
        assert_eq!(words("map - -r r.toml").plain, ["map", "-"]);
    }

    #[test]
    fn the_folder_of_runs_depends_on_the_command() {
        let check = |line: &str, input: &str, expected: &str| {
            assert_eq!(words(line).out(input), PathBuf::from(expected), "{line}");
        };
        check("generate in --out made", "in", "made");
        check("map rows.csv -r r.toml --out results.jsonl", "rows.csv", "antiphon-out");
        check("map rows.csv -r r.toml --dir made", "rows.csv", "made");
        check("experiment generate goats", "experiments/goats/data", "experiments/goats/outputs");
    }
}
