use std::fmt;

use antiphon_data::{Document, Failure, Format, PossibleMiss, Skipped, Speaker, Strategy};
use antiphon_llm::{CallWarning, SamplingParams, Usage};
use serde::{Deserialize, Serialize};

use crate::config::{Complexity, Detail, Grounding};
use crate::persona::{Count, Coverage, Duplicate, Validation};

/// The content of `run.json`: the request of a run, its documents, calls and cost, and its outcome. Unknown values are `null`.
///
/// The report is complete for failed runs, too: calls, tokens and cost are those up to the failure. The corresponding report of a
/// run over rows is [`antiphon_engine::MapReport`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Always `antiphon.run/1`.
    pub schema: String,
    /// The run's id, a UUID of version 7.
    pub run_id: String,
    /// The status at the end.
    pub status: ReportStatus,
    /// The fingerprint: the same for the same recipe, parameters, provider, model and documents.
    pub fingerprint: String,
    /// The name and version of the prompt and schema, such as `persona/1`.
    pub recipe: String,
    /// Time of the start, in UTC.
    pub started_at: String,
    /// Time of the end, in UTC.
    pub finished_at: String,
    /// The provider's short name.
    pub provider: String,
    /// The address of the provider; `null` if nothing left the process.
    pub base_url: Option<String>,
    /// The requested model.
    pub model: String,
    /// The model that answered, as the provider names it.
    pub served_model: Option<String>,
    /// Whether a language model was used at all.
    pub model_used: bool,
    /// The sampling parameters.
    pub parameters: serde_json::Value,
    /// The requested number of personas: a number, or a text such as `3-5`.
    pub count: Count,
    /// The name of the recipe.
    #[serde(default)]
    pub preset: String,
    /// The maximum number of claims.
    #[serde(default)]
    pub complexity: Complexity,
    /// The length of claims and quotes.
    pub detail: Detail,
    /// The grounding mode.
    #[serde(default)]
    pub evidence: Grounding,
    /// The documents that were used.
    pub documents: Vec<DocumentReport>,
    /// Failures of files and of the job.
    pub failures: Vec<FailureReport>,
    /// Files that were skipped, since they are of other kinds.
    pub skipped: Vec<String>,
    /// Number of calls, failed ones included.
    pub calls: u32,
    /// Tokens of all calls.
    pub usage: UsageReport,
    /// Cost of all calls in millionths of a US dollar; `null` if that is not known.
    pub cost_usd_micros: Option<u64>,
    /// Whether a call without an answer was possibly billed in addition.
    #[serde(default)]
    pub may_cost_more: bool,
    /// The parts of the schema that the provider did not enforce, as JSON pointers; `[""]` if it enforced none of it. The answer is
    /// always checked against the whole schema.
    #[serde(default)]
    pub weakened: Vec<String>,
    /// Warnings: whatever was not as was requested in calls that were answered, such as a prompt that the server has probably cut.
    #[serde(default)]
    pub warnings: Vec<CallWarning>,
    /// The time of each step.
    pub timings: Timings,
    /// The PII that was removed from the documents before any call; `null` without an anonymiser.
    #[serde(default)]
    pub anonymised: Option<Anonymised>,
    /// The distillation of documents that did not fit into the model's context; `null` if no distillation was needed.
    #[serde(default)]
    pub distilled: Option<Distilled>,
    /// Personas that were rejected as near duplicates.
    #[serde(default, rename = "refused")]
    pub duplicates: Vec<Duplicate>,
    /// Number of personas that were left out, since the answer had more than were asked for.
    #[serde(default)]
    pub left_out: usize,
    /// The evidence of the personas, and the documents that it covers.
    #[serde(default)]
    pub coverage: Coverage,
    /// The findings of the rules, and the score.
    #[serde(default)]
    pub validation: Validation,
}

/// The PII that was removed from documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Anonymised {
    /// The kind of replacement.
    pub strategy: Strategy,
    /// Number of different names, addresses and numbers that were replaced.
    pub replaced: usize,
    /// The words that may be names and were kept, and the place of each. They are part of the text that was sent.
    #[serde(default)]
    pub possible_misses: Vec<PossibleMiss>,
}

impl Anonymised {
    /// Creates the report of an anonymisation with this number of replacements.
    #[must_use]
    pub fn new(strategy: Strategy, replaced: usize, possible_misses: Vec<PossibleMiss>) -> Self {
        Self { strategy, replaced, possible_misses }
    }
}

/// The distillation of documents into findings, from which the personas were drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Distilled {
    /// Number of parts of the documents, each with its own call.
    pub parts: usize,
    /// Number of verified findings.
    pub findings: usize,
    /// The number of findings from which the personas were generated: the most representative ones, if not all of them fitted
    /// into the context.
    pub used: usize,
    /// The number of findings that were left out, since they are in no participant's words.
    pub unverified: usize,
    /// Number of calls for the distillation, including those of earlier runs.
    pub calls: u32,
    /// Cost of those calls in millionths of a US dollar; `null` if that is not known. If an earlier run paid for them, the
    /// report's own cost does not include it.
    pub cost_usd_micros: Option<u64>,
}

/// The status at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReportStatus {
    /// The run has a result.
    Finished,
    /// The run has no result.
    Failed,
    /// The run was cancelled.
    Interrupted,
}

impl ReportStatus {
    /// Returns the name that is written to `run.json`.
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
    /// The format that it was read as.
    pub format: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file's bytes.
    pub sha256: String,
    /// The character encoding as which the file was decoded.
    pub encoding: String,
    /// The number of turns: uninterrupted passages of one speaker.
    pub turns: usize,
    /// The speakers, and whether they ask or answer. Empty in reports of earlier versions.
    #[serde(default)]
    pub speakers: Vec<Speaker>,
}

/// A failure of a file or of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailureReport {
    /// The file; `null` for the job.
    pub document: Option<String>,
    /// The line, if known.
    pub line: Option<u32>,
    /// The reason.
    pub reason: String,
}

/// Tokens of a run's calls.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageReport {
    /// Tokens of the prompts, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens of the prompts that came from the provider's cache (prompt caching).
    pub cached_tokens: Option<u64>,
    /// Tokens of the answers, reasoning included.
    pub output_tokens: Option<u64>,
    /// Tokens of hidden reasoning.
    pub reasoning_tokens: Option<u64>,
}

/// The time of each step of a run, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timings {
    /// Time to read and anonymise the documents.
    pub load_ms: u64,
    /// The time to generate, including retries and schema retries.
    pub generate_ms: u64,
    /// The time from the start of the call to the first token of its answer; `null` if none was received.
    pub first_token_ms: Option<u64>,
    /// Time to verify quotes.
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
            speakers: document.speakers(),
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

pub(crate) fn parameters(parameters: &SamplingParams) -> serde_json::Value {
    serde_json::to_value(parameters).unwrap_or_default()
}

fn format_name(format: Format) -> String {
    serde_json::to_value(format).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
