use std::fmt;

use antiphon_data::{Document, Failure, Format, Skipped, Strategy};
use antiphon_llm::{SamplingParams, Usage};
use serde::{Deserialize, Serialize};

use crate::config::{Complexity, Detail, Grounding};
use crate::persona::{Count, Coverage, Duplicate, Validation};

/// The content of `run.json`: what was asked of whom, with what, and what came of it. Unknown values are `null`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Always `antiphon.run/1`.
    pub schema: String,
    /// The run's id, a UUID of version 7.
    pub run_id: String,
    /// How it ended.
    pub status: ReportStatus,
    /// The same for the same recipe, parameters, provider, model and documents.
    pub fingerprint: String,
    /// What was made.
    pub recipe: String,
    /// When it began, in UTC.
    pub started_at: String,
    /// When it ended, in UTC.
    pub finished_at: String,
    /// The provider's short name.
    pub provider: String,
    /// Where the provider was reached; `null` where nothing left the process.
    pub base_url: Option<String>,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered, as the provider names it.
    pub served_model: Option<String>,
    /// Whether a language model was used at all.
    pub model_used: bool,
    /// How answers were drawn.
    pub parameters: serde_json::Value,
    /// How many personas were asked for: a number, or a text such as `3-5`.
    pub count: Count,
    /// The name of the recipe they were drawn by.
    #[serde(default)]
    pub preset: String,
    /// How many claims each could have.
    #[serde(default)]
    pub complexity: Complexity,
    /// How much was said in each claim.
    pub detail: Detail,
    /// What became of claims that could not be verified.
    #[serde(default)]
    pub evidence: Grounding,
    /// The documents that were used.
    pub documents: Vec<DocumentReport>,
    /// What failed: files, and the job.
    pub failures: Vec<FailureReport>,
    /// Files of other kinds.
    pub skipped: Vec<String>,
    /// Calls made, failed ones included.
    pub calls: u32,
    /// Tokens of all calls.
    pub usage: UsageReport,
    /// What they cost, in millionths of a US dollar; `null` if that is not known.
    pub cost_usd_micros: Option<u64>,
    /// Whether a call that gave no answer may have been billed on top.
    #[serde(default)]
    pub may_cost_more: bool,
    /// Where the time went.
    pub timings: Timings,
    /// What was taken out of the documents before anything was asked.
    #[serde(default)]
    pub anonymised: Option<Anonymised>,
    /// What was made of documents that did not fit into the model's context.
    #[serde(default)]
    pub distilled: Option<Distilled>,
    /// Personas that were too much like another one.
    #[serde(default, rename = "refused")]
    pub duplicates: Vec<Duplicate>,
    /// What the personas rest on.
    #[serde(default)]
    pub coverage: Coverage,
    /// What rules say of them.
    #[serde(default)]
    pub validation: Validation,
}

/// What was taken out of documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Anonymised {
    /// What stands in its place.
    pub strategy: Strategy,
    /// Names, addresses and numbers that were found, each counted once.
    pub replaced: usize,
}

/// How documents were distilled before personas were drawn from what was found in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Distilled {
    /// Parts of the documents, each asked about by itself.
    pub parts: usize,
    /// Findings that participants are known to have said.
    pub findings: usize,
    /// Those that personas were drawn from: the most telling ones, where not all fitted.
    pub used: usize,
    /// Findings that nobody is known to have said; they were left out.
    pub unverified: usize,
    /// Calls for it, by whatever run made them.
    pub calls: u32,
    /// What they cost, in millionths of a US dollar; `null` if that is not known. Not counted again below, where an earlier
    /// run paid for it.
    pub cost_usd_micros: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReportStatus {
    /// With a result.
    Finished,
    /// Without one.
    Failed,
    /// Given up by the user.
    Interrupted,
}

impl ReportStatus {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A document of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DocumentReport {
    /// The path from the input's root.
    pub name: String,
    /// What it was read as.
    pub format: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file's bytes.
    pub sha256: String,
    /// The encoding it was read in.
    pub encoding: String,
    /// Stretches of speech in it.
    pub turns: usize,
}

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailureReport {
    /// The file; `null` for the job.
    pub document: Option<String>,
    /// The line, where there is one.
    pub line: Option<u32>,
    /// What is wrong.
    pub reason: String,
}

/// Tokens of a run's calls.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageReport {
    /// Tokens of the prompts, cached ones included.
    pub input_tokens: Option<u64>,
    /// Those that came from the provider's cache.
    pub cached_tokens: Option<u64>,
    /// Tokens of the answers, reasoning included.
    pub output_tokens: Option<u64>,
    /// Those of hidden reasoning.
    pub reasoning_tokens: Option<u64>,
}

/// Where a run's time went, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timings {
    /// Reading files.
    pub load_ms: u64,
    /// Waiting for the provider, retries and asking again included.
    pub generate_ms: u64,
    /// Until the first words of the answer; `null` if none came.
    pub first_token_ms: Option<u64>,
    /// Looking quotes up.
    pub verify_ms: u64,
}

impl From<&Document> for DocumentReport {
    fn from(document: &Document) -> Self {
        Self {
            name: document.name.clone(),
            format: format_name(document.format),
            bytes: document.bytes,
            sha256: document.sha256.clone(),
            encoding: document.encoding.to_string(),
            turns: document.turns.len(),
        }
    }
}

impl From<&Failure> for FailureReport {
    fn from(failure: &Failure) -> Self {
        let document = Some(failure.document.clone());
        Self { document, line: failure.line, reason: failure.reason.clone() }
    }
}

impl fmt::Display for FailureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.document, self.line) {
            (Some(document), Some(line)) => write!(f, "{document}:{line}: {}", self.reason),
            (Some(document), None) => write!(f, "{document}: {}", self.reason),
            (None, _) => f.write_str(&self.reason),
        }
    }
}

impl FailureReport {
    pub(crate) fn of_job(reason: String) -> Self {
        Self { document: None, line: None, reason }
    }
}

impl From<Usage> for UsageReport {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input,
            cached_tokens: usage.cached,
            output_tokens: usage.output,
            reasoning_tokens: usage.reasoning,
        }
    }
}

pub(crate) fn names(skipped: &[Skipped]) -> Vec<String> {
    skipped.iter().map(|skipped| skipped.file.clone()).collect()
}

pub(crate) fn parameters(parameters: SamplingParams) -> serde_json::Value {
    serde_json::to_value(parameters).unwrap_or_default()
}

fn format_name(format: Format) -> String {
    serde_json::to_value(format).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
