use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_fs::{ErrorKind as FsErrorKind, Writer};
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::OnceCell;
use tracing::warn;

use super::line::{Asked, Cassette, HeaderLine, ModelLine};
use crate::cache_key::CacheKey;
use crate::completion::Completion;
use crate::context::CallContext;
use crate::error::{Error, ErrorKind};
use crate::finish::FinishReason;
use crate::prompt::Prompt;
use crate::provider::{Capabilities, Health, Model, Provider, Scope};
use crate::spent::Spent;
use crate::streaming::{Delta, Streaming};

/// A provider that records each answer in a cassette: a file from which [`Replayed`](crate::Replayed) answers without a
/// network.
///
/// Use it to make a run repeatable, for tests, bug reports and demonstrations. To avoid paying twice for equal prompts, use
/// [`Cached`](crate::Cached) instead, which calls the provider if it has no answer. Wrap the provider itself and put the
/// [`Stack`](crate::Stack) around the wrapper, so that the cassette has the answers of the provider and not those of a cache or
/// a fallback.
///
/// The folder and the file are created before the first call is sent, so that a file that cannot be written costs nothing. An
/// answer is written and flushed before the end of the stream is reported; if that fails, the call returns an error with the
/// text of the answer. Concurrent calls, even from several processes, append whole lines. Answers that were cut at the token
/// limit or filtered are recorded, too; other errors are not, since a retry may help.
///
/// ```
/// use antiphon_llm::{CallContext, Message, Prompt, ProviderExt, Recorded, Replayed};
/// # use antiphon_llm::{BlockingProvider, Completion};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = BlockingProvider::from_fn("echo", 1, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
/// # let folder = antiphon_fs::temp_dir()?;
/// # let dir = folder.path().join("cassettes");
/// let (prompt, context) = (Prompt::new("m", [Message::user("Hello")]), CallContext::default());
/// let recorded = Recorded::in_dir(provider, &dir);
/// let answer = recorded.complete(&prompt, &context).await?;
///
/// let replayed = Replayed::open(&dir).await?;
/// assert_eq!(replayed.complete(&prompt, &context).await?.text, answer.text);
/// # Ok(())
/// # }
/// ```
///
/// # Format of a cassette
/// A cassette is a UTF-8 file of JSON lines (NDJSON).
/// - The first line names format and provider: `{"schema": "antiphon.cassette/1", "scope": {"vendor", "base_url",
///   "variant"}}`. The digest of the key is left out: it identifies the account and does not change the answers.
/// - A line `{"model", "capabilities"}` has the capabilities that the provider reported of a model; the last one for a model
///   counts.
/// - Each other line is an answer: `key` is the [`CacheKey`] of the prompt in hexadecimal, with the vendor `cassette` in
///   place of the provider; `prompt` is the readable form of the prompt; `text`, `finish`, `usage`, `model`, `other_model`
///   and `weakened` are the answer, and so are `raw_finish`, `finish_detail`, `reasoning` and `marks` where it has them.
///
/// A line that was cut by a crash is ignored. Text that looks like an API key is replaced in all lines, as by
/// [`redact`](crate::redact).
#[derive(Debug, Clone)]
pub struct Recorded<P> {
    inner: P,
    tape: Tape,
}

impl<P> Recorded<P> {
    /// Wraps `inner`; new answers are appended to the file at `path`, which may already have answers of the same provider.
    #[must_use]
    pub fn new(inner: P, path: impl Into<PathBuf>) -> Self {
        Self { inner, tape: Tape { path: path.into(), opened: Arc::default(), models: Arc::default() } }
    }

    /// Returns the path of the cassette.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.tape.path
    }
}

impl<P: Provider> Recorded<P> {
    /// Wraps `inner`; new answers are appended to a file in the folder `dir` that is named after the provider, such as
    /// `openai-1f3a5b7c.jsonl`. Each provider has a separate file in the folder.
    #[must_use]
    pub fn in_dir(inner: P, dir: impl AsRef<Path>) -> Self {
        let path = dir.as_ref().join(file_name(&inner.scope()));
        Self::new(inner, path)
    }

    /// Creates the folder and the file before the first call does. A caller that makes many calls can thus report an error
    /// once, before any of them.
    ///
    /// # Errors
    /// `InvalidRequest` for a file that cannot be written, or that has the answers of another provider.
    ///
    /// # Cancel safety
    /// A dropped call may leave a file with its first line, to which later calls append.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.tape.begin(&self.inner.scope()).await
    }

    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        self.tape.begin(&self.inner.scope()).await?;
        let asked = Asked::of(prompt);
        let answer = match self.inner.stream(prompt, context).await {
            Ok(answer) => answer,
            Err(err) => return Err(self.tape.append_partial(&asked, err).await),
        };
        let (head, attempts) = (answer.head().clone(), answer.attempts());
        let tape = self.tape.clone();
        let written = answer.then(move |item| {
            let (tape, asked) = (tape.clone(), asked.clone());
            async move {
                match item {
                    Ok(Delta::End(answer)) => tape.append_answer(&asked, *answer).await,
                    Err(err) => Err(tape.append_partial(&asked, err).await),
                    words => words,
                }
            }
        });
        Ok(Streaming::start(head, written).await?.with_attempts(attempts))
    }
}

/// Returns a file name of a vendor's name and a digest of everything else that changes its answers.
fn file_name(scope: &Scope) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let vendor: String = scope.vendor.chars().map(plain).collect();
    let digest = CacheKey::of(scope, &Prompt::new("", [])).to_string();
    format!("{vendor}-{}.jsonl", digest.get(..8).unwrap_or(&digest))
}

/// The file of a cassette that is being recorded. Clones are handles to the same one.
#[derive(Debug, Clone)]
struct Tape {
    path: PathBuf,
    opened: Arc<OnceCell<()>>,
    /// The models whose capabilities are in the file.
    models: Arc<Mutex<HashSet<String>>>,
}

impl Tape {
    /// Makes the file ready for appending, once.
    async fn begin(&self, scope: &Scope) -> Result<(), Error> {
        let opened = self.opened.get_or_try_init(|| self.open(scope)).await;
        // Nothing was sent.
        opened.copied().map_err(|err| err.with_spent(Spent::default()))
    }

    async fn open(&self, scope: &Scope) -> Result<(), Error> {
        if let Some(folder) = self.path.parent() {
            antiphon_fs::create_dir(folder).await.map_err(|err| self.failed(&err))?;
        }
        let text = match antiphon_fs::read_to_string(&self.path).await {
            Ok(text) => text.text.into_owned(),
            Err(err) if err.kind() == FsErrorKind::NotFound => String::new(),
            Err(err) => return Err(self.failed(&err)),
        };
        // Ends a line that a crash has cut. Nothing is rewritten, since another process may be appending.
        if !text.is_empty() && !text.ends_with('\n') {
            self.append_line("").await?;
        }
        match Cassette::parse(&self.path, &text)? {
            None => self.append(&HeaderLine::of(scope)).await,
            Some(cassette) if cassette.is_of(scope) => Ok(()),
            Some(Cassette { scope: recorded, .. }) => {
                let is_same_server = recorded.vendor == scope.vendor && recorded.base_url == scope.base_url;
                let settings = if is_same_server { " with these settings" } else { "" };
                let why =
                    format!("it has answers of {recorded}, not of {scope}{settings}. Choose another file");
                Err(self.failed(&why))
            }
        }
    }

    /// Appends an answer and returns it as the end of the stream.
    async fn append_answer(&self, asked: &Asked, answer: Completion) -> Result<Delta, Error> {
        match self.append(&asked.answered(&answer)).await {
            Ok(()) => answer.into_complete(&asked.output).map(|answer| Delta::End(Box::new(answer))),
            // The answer was paid for, although it is not recorded.
            Err(err) => Err(err.with_spent(answer.spent()).with_partial(answer)),
        }
    }

    /// Appends the partial answer of an error, if it was cut at the token limit, filtered, or stopped for another reason.
    async fn append_partial(&self, asked: &Asked, err: Error) -> Error {
        let ended = |answer: &&Completion| {
            matches!(answer.finish, FinishReason::Length | FinishReason::Filtered | FinishReason::Unknown(_))
                && (*answer).clone().into_complete(&asked.output).is_err_and(|own| own.kind() == err.kind())
        };
        let Some(cut) = err.partial().filter(ended) else { return err };
        match self.append(&asked.answered(cut)).await {
            Ok(()) => err,
            Err(why) => why.with_spent(err.spent()).with_partial(cut.clone()),
        }
    }

    /// Appends a model's capabilities, once.
    async fn append_capabilities(&self, model: &str, capabilities: Capabilities) -> Result<(), Error> {
        let is_new = {
            let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
            models.insert(model.to_owned())
        };
        // The form of requests is not recorded.
        let recorded = Capabilities { dialect: None, schema_in_prompt: false, ..capabilities };
        if !is_new || recorded == Capabilities::default() {
            return Ok(());
        }
        self.append(&ModelLine { model: model.to_owned(), capabilities }).await
    }

    /// Appends a line with one write, which the operating system does not interleave with another process's.
    async fn append(&self, line: &(impl Serialize + Sync)) -> Result<(), Error> {
        let line = serde_json::to_string(line).map_err(|err| self.failed(&err))?;
        self.append_line(&line).await
    }

    async fn append_line(&self, line: &str) -> Result<(), Error> {
        let mut writer = Writer::append(&self.path).await.map_err(|err| self.failed(&err))?;
        writer.write_line(line).await.map_err(|err| self.failed(&err))?;
        writer.finish().await.map_err(|err| self.failed(&err))
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> Error {
        let message = format!("cannot record into {}: {why}", self.path.display());
        Error::new(ErrorKind::InvalidRequest, message)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: Provider> Provider for Recorded<P> {
    fn scope(&self) -> Scope {
        self.inner.scope()
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        self.begin(prompt, context).await
    }

    async fn models(&self, context: &CallContext) -> Result<Vec<Model>, Error> {
        self.inner.models(context).await
    }

    async fn health(&self, context: &CallContext) -> Result<Health, Error> {
        self.inner.health(context).await
    }

    /// Returns the inner provider's capabilities and records them. A file that cannot be written is only logged here; the next
    /// call reports it.
    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities {
        let capabilities = self.inner.capabilities(model, context).await;
        let known = async {
            self.tape.begin(&self.inner.scope()).await?;
            self.tape.append_capabilities(model, capabilities).await
        };
        if let Err(err) = known.await {
            warn!("the capabilities of {model} are not recorded: {err}");
        }
        capabilities
    }
}
