use std::time::Duration;

use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use crate::completion::Completion;
use crate::context::CallContext;
use crate::error::{Error, ErrorKind, TruncationCause};
use crate::forward::forward;
use crate::genai;
use crate::prompt::{Output, Prompt};
use crate::provider::Provider;
use crate::sampling::SamplingParams;
use crate::streaming::Streaming;

/// A provider with a tracing span for each call, which records tokens and times. The span includes all attempts and ends with
/// the answer.
///
/// A [`Stack`](crate::Stack) contains this wrapper; use it alone for calls without retries and limits.
///
/// The names of the span and its fields are those of OpenTelemetry's conventions for generative AI; see [`genai`]. Prompts and
/// answers are recorded only with [`with_content`](Self::with_content).
///
/// With the feature `metrics`, durations (in seconds) and tokens are also recorded as histograms of the `metrics` facade.
///
/// ```
/// use antiphon_llm::{CallContext, Message, Observed, Prompt, ProviderExt};
/// # use antiphon_llm::{BlockingProvider, Completion, Error};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let provider = BlockingProvider::from_fn("echo", 1, |prompt| Ok(Completion::new(prompt.messages[0].rendered())));
/// // With a subscriber for `tracing`, the call appears as `chat m` with its tokens, and here with its text, too.
/// let provider = Observed::new(provider).with_content();
/// let prompt = Prompt::new("m", [Message::user("Hello")]);
/// assert_eq!(provider.complete(&prompt, &CallContext::default()).await?.text, "Hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Observed<P> {
    inner: P,
    content: bool,
}

impl<P> Observed<P> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: P) -> Self {
        Self { inner, content: false }
    }

    /// Records prompts and answers in the spans. They may contain PII, and every exporter of the spans receives them. Default:
    /// no content.
    #[must_use]
    pub fn with_content(mut self) -> Self {
        self.content = true;
        self
    }
}

impl<P: Provider> Observed<P> {
    async fn begin(&self, prompt: &Prompt, context: &CallContext) -> Result<Streaming, Error> {
        let call = Call::begin(prompt, &self.inner.scope(), self.content);
        let answer = self.inner.stream(prompt, context).instrument(call.span.clone()).await;
        match answer {
            Ok(streaming) => Ok(streaming.at_end(move |result| call.end(result))),
            Err(err) => {
                call.end(Err(&err));
                Err(err)
            }
        }
    }
}

forward!(Observed);

/// A call in progress. Dropping it without an end records it as cancelled.
struct Call {
    span: Span,
    started_at: tokio::time::Instant,
    provider: &'static str,
    vendor: String,
    model: String,
    content: bool,
    ended: bool,
}

impl Call {
    fn begin(prompt: &Prompt, scope: &crate::Scope, content: bool) -> Self {
        let provider = genai::provider_name(&scope.vendor);
        let name = provider.unwrap_or(&scope.vendor);
        let (address, port) = genai::server(scope.base_url.as_deref().unwrap_or_default());
        let span = info_span!(
            "chat",
            otel.name = format!("chat {}", prompt.model),
            otel.kind = "client",
            otel.status_code = Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = name,
            gen_ai.request.model = prompt.model,
            gen_ai.request.max_tokens = Empty,
            gen_ai.request.temperature = Empty,
            gen_ai.request.seed = Empty,
            gen_ai.request.top_p = Empty,
            gen_ai.request.top_k = Empty,
            gen_ai.request.presence_penalty = Empty,
            gen_ai.request.frequency_penalty = Empty,
            gen_ai.request.stop_sequences = Empty,
            gen_ai.request.stream = true,
            gen_ai.output.type = match prompt.output {
                Output::Text => "text",
                Output::Json(_) => "json",
            },
            server.address = (!address.is_empty()).then_some(address),
            server.port = port.map(i64::from),
            error.type = Empty,
            gen_ai.response.id = Empty,
            gen_ai.response.model = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_write.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.reasoning.output_tokens = Empty,
            gen_ai.system_instructions = Empty,
            gen_ai.input.messages = Empty,
            gen_ai.output.messages = Empty,
            antiphon.attempts = Empty,
        );
        if !span.is_disabled() {
            record_parameters(&span, &prompt.parameters);
            if content {
                record_prompt(&span, prompt);
            }
        }
        Self {
            span,
            started_at: tokio::time::Instant::now(),
            provider: provider.unwrap_or_default(),
            vendor: scope.vendor.clone(),
            model: prompt.model.clone(),
            content,
            ended: false,
        }
    }

    fn end(mut self, result: Result<&Completion, &Error>) {
        self.ended = true;
        let whole = result.ok().or_else(|| result.err().and_then(Error::partial));
        if !self.span.is_disabled() {
            if let Some(completion) = whole {
                self.record_answer(completion);
            }
            match result {
                Ok(completion) => {
                    let reasons = genai::list(completion.finish.name());
                    self.span.record(genai::RESPONSE_FINISH_REASONS, reasons);
                    record_number(&self.span, genai::ATTEMPTS, Some(completion.attempts.into()));
                }
                Err(err) => {
                    // `error` replaces a reason that never arrived.
                    let reason = match err.kind() {
                        ErrorKind::Filtered => "content_filter",
                        ErrorKind::Truncated { cause: TruncationCause::MaxTokens } => "length",
                        _ => "error",
                    };
                    self.span.record(genai::RESPONSE_FINISH_REASONS, genai::list(reason));
                    record_number(&self.span, genai::ATTEMPTS, Some(err.attempts().into()));
                    self.record_error(err.kind());
                }
            }
        }
        self.record_metrics(whole, result.err().map(Error::kind));
    }

    fn record_error(&self, kind: ErrorKind) {
        self.span.record("otel.status_code", "error");
        self.span.record(genai::ERROR_TYPE, kind.name());
    }

    fn record_answer(&self, completion: &Completion) {
        let (span, usage) = (&self.span, completion.usage);
        if let Some(id) = &completion.head.response_id {
            span.record(genai::RESPONSE_ID, id.as_str());
        }
        if let Some(model) = &completion.head.model {
            span.record(genai::RESPONSE_MODEL, model.as_str());
        }
        if let Some(first) = completion.timing.first_token {
            span.record(genai::RESPONSE_TIME_TO_FIRST_CHUNK, first.as_secs_f64());
        }
        record_number(span, genai::USAGE_INPUT, usage.input);
        record_number(span, genai::USAGE_CACHE_READ, usage.cached);
        record_number(span, genai::USAGE_CACHE_WRITE, usage.cache_write);
        record_number(span, genai::USAGE_OUTPUT, usage.output);
        record_number(span, genai::USAGE_REASONING, usage.reasoning);
        if self.content {
            span.record(
                genai::OUTPUT_MESSAGES,
                genai::output_message(&completion.text, completion.finish.name()),
            );
        }
    }

    #[cfg(feature = "metrics")]
    fn record_metrics(&self, whole: Option<&Completion>, error: Option<ErrorKind>) {
        let name = if self.provider.is_empty() { self.vendor.clone() } else { self.provider.to_owned() };
        let mut labels = vec![
            metrics::Label::new(genai::OPERATION_NAME, "chat"),
            metrics::Label::new(genai::PROVIDER_NAME, name),
            metrics::Label::new(genai::REQUEST_MODEL, self.model.clone()),
        ];
        if let Some(model) = whole.and_then(|completion| completion.head.model.clone()) {
            labels.push(metrics::Label::new(genai::RESPONSE_MODEL, model));
        }
        if let Some(completion) = whole {
            let usage = completion.usage;
            for (kind, tokens) in [("input", usage.input), ("output", usage.output)] {
                let Some(tokens) = tokens else { continue };
                let mut labels = labels.clone();
                labels.push(metrics::Label::new(genai::TOKEN_TYPE, kind));
                #[expect(clippy::cast_precision_loss, reason = "no call has 2^52 tokens")]
                metrics::histogram!(genai::METRIC_TOKENS, labels).record(tokens as f64);
            }
            if let Some(first) = completion.timing.first_token {
                metrics::histogram!(genai::METRIC_FIRST_CHUNK, labels.clone()).record(first);
            }
        }
        if let Some(error) = error {
            labels.push(metrics::Label::new(genai::ERROR_TYPE, error.name()));
        }
        metrics::histogram!(genai::METRIC_DURATION, labels).record(self.elapsed());
    }

    #[cfg(not(feature = "metrics"))]
    fn record_metrics(&self, _: Option<&Completion>, error: Option<ErrorKind>) {
        let (provider, vendor, model) = (self.provider, &self.vendor, &self.model);
        tracing::trace!(provider, vendor, model, elapsed = ?self.elapsed(), ?error, "the call ended");
    }

    fn elapsed(&self) -> Duration {
        self.started_at.elapsed()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            self.record_error(ErrorKind::Cancelled);
            self.record_metrics(None, Some(ErrorKind::Cancelled));
        }
    }
}

/// Records the sampling parameters that the conventions have.
fn record_parameters(span: &Span, parameters: &SamplingParams) {
    record_number(span, genai::REQUEST_MAX_TOKENS, parameters.max_tokens);
    record_number(span, genai::REQUEST_SEED, parameters.seed);
    record_number(span, genai::REQUEST_TOP_K, parameters.top_k);
    let numbers = [
        (genai::REQUEST_TEMPERATURE, parameters.temperature),
        (genai::REQUEST_TOP_P, parameters.top_p),
        (genai::REQUEST_PRESENCE_PENALTY, parameters.presence_penalty),
        (genai::REQUEST_FREQUENCY_PENALTY, parameters.frequency_penalty),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            span.record(name, number);
        }
    }
    if let Some(stop) = &parameters.stop {
        span.record(genai::REQUEST_STOP_SEQUENCES, serde_json::json!(stop).to_string());
    }
}

/// Records a number as a signed one, as OpenTelemetry's integers are; its bridge for `tracing` writes others as text.
fn record_number(span: &Span, field: &'static str, value: Option<u64>) {
    if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
        span.record(field, value);
    }
}

/// Records the content of a prompt in the span.
fn record_prompt(span: &Span, prompt: &Prompt) {
    if let Some(system) = &prompt.system {
        span.record(genai::SYSTEM_INSTRUCTIONS, genai::parts(system).to_string());
    }
    let messages = prompt.messages.iter().map(|message| {
        serde_json::json!({ "role": message.role.name(), "parts": genai::parts(&message.rendered()) })
    });
    span.record(genai::INPUT_MESSAGES, messages.collect::<serde_json::Value>().to_string());
}
