use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;

use crate::completion::Completion;
use crate::context::CallContext;
use crate::error::{Error, ErrorKind, TruncationCause};
use crate::finish::FinishReason;
use crate::json::{self, Extracted, JsonError, JsonErrorKind, Repair, Strictness};
use crate::prompt::{Message, Output, Prompt};
use crate::provider::{Provider, ProviderExt};
use crate::schema::Schema;
use crate::shortened::{first_lines, shortened};
use crate::spent::Spent;

/// A checked value from an answer (structured output), with the answer and its cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Structured<T> {
    /// The value, which fits the schema.
    pub value: T,
    /// The answer from which the value was parsed.
    pub completion: Completion,
    /// The number and usage of all calls, including retries and schema retries.
    pub spent: Spent,
    /// The repairs to the answer's text that were needed to parse it. A repair never changes a value.
    pub repairs: Vec<Repair>,
}

/// The options of structured output: the number of schema retries after invalid answers, and the strictness of parsing.
///
/// [`ProviderExt::complete_json`](crate::ProviderExt::complete_json) and
/// [`ProviderExt::complete_as`](crate::ProviderExt::complete_as) use the default; use this type for other options. To process
/// many rows, use the engine, which also keeps the valid elements of a partially valid answer.
///
/// ```
/// use antiphon_llm::{SchemaRetryPolicy, CallContext, Message, Prompt, Schema};
/// # use antiphon_llm::{BlockingProvider, Completion};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), antiphon_llm::Error> {
/// # let provider = BlockingProvider::from_fn("m", 1, |prompt| match prompt.messages.len() {
/// #     1 => Ok(Completion::new("Paris, of course.")),
/// #     _ => Ok(Completion::new(r#"{"name": "Paris"}"#)),
/// # });
/// let schema = Schema::new("city", serde_json::json!({"type": "object", "required": ["name"]}))?;
/// let prompt = Prompt::new("m", [Message::user("The capital of France?")]);
/// let policy = SchemaRetryPolicy::default().max_schema_retries(3).strict();
/// let city = policy.json(&provider, &prompt, &schema, &CallContext::default()).await?;
/// assert_eq!(city.value["name"], "Paris");
/// assert_eq!(city.spent.calls, 2, "the first answer was not JSON, so there was one schema retry");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SchemaRetryPolicy {
    /// The maximum number of schema retries: further calls after an invalid answer, with the violations in the prompt. Each is
    /// billed. Default 1.
    pub max_schema_retries: u32,
    /// The strictness of the parser for the answer's text. Default [`Strictness::Lenient`].
    pub strictness: Strictness,
}

impl<T> Structured<T> {
    fn new(value: T, repairs: Vec<Repair>, completion: Completion, spent: Spent) -> Self {
        Self { value, completion, spent, repairs }
    }
}

impl Default for SchemaRetryPolicy {
    fn default() -> Self {
        Self { max_schema_retries: 1, strictness: Strictness::Lenient }
    }
}

impl SchemaRetryPolicy {
    /// The maximum number of bytes of an invalid answer that a schema retry repeats: about 8,000 tokens, more than nearly all
    /// answers have. Of a longer one, the head and the tail are repeated.
    pub const MAX_REPEATED: usize = 32 << 10;

    /// The maximum number of bytes of the violations in the prompt of a schema retry, and in messages.
    pub const MAX_COMPLAINT: usize = 2 << 10;

    /// The maximum number of bytes of one violation.
    const MAX_VIOLATION: usize = 300;

    /// The maximum number of bytes that a schema retry adds to its prompt, for estimates of what it may cost.
    pub const MAX_ADDED: usize = Self::MAX_REPEATED + Self::MAX_COMPLAINT + 512;

    /// Sets the maximum number of schema retries after invalid answers. Default 1; 0 turns them off.
    #[must_use]
    pub fn max_schema_retries(mut self, retries: u32) -> Self {
        self.max_schema_retries = retries;
        self
    }

    /// Accepts only an answer that is JSON as a whole, without repairs: [`Strictness::Strict`].
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strictness = Strictness::Strict;
        self
    }

    /// Makes a call and returns the answer as JSON that fits `schema`, after schema retries if necessary.
    ///
    /// # Errors
    /// `SchemaMismatch` if all answers were invalid, `Truncated` for an answer that was cut, or the provider's error.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the text that has arrived is lost.
    pub async fn json<P: Provider + ?Sized>(
        self,
        provider: &P,
        prompt: &Prompt,
        schema: &Schema,
        context: &CallContext,
    ) -> Result<Structured<Value>, Error> {
        let asked = prompt.clone().output(Output::Json(schema.clone()));
        self.complete_valid(provider, asked, context, |answer| self.read(answer, schema)).await
    }

    /// Makes a call and returns the answer as a `T`, after schema retries if necessary. The schema is generated from `T`.
    ///
    /// # Errors
    /// As [`json`](Self::json), and `SchemaMismatch` if the answers fit the schema but cannot be deserialised as a `T`.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the text that has arrived is lost.
    pub async fn typed<P: Provider + ?Sized, T: DeserializeOwned + JsonSchema + 'static>(
        self,
        provider: &P,
        prompt: &Prompt,
        context: &CallContext,
    ) -> Result<Structured<T>, Error> {
        let schema = Schema::of::<T>()?;
        let asked = prompt.clone().output(Output::Json(schema.clone()));
        let read = |answer: &Completion| {
            let (value, repairs) = self.read(answer, &schema)?;
            let typed = serde_json::from_value(value);
            typed.map(|value| (value, repairs)).map_err(|err| InvalidAnswer::Invalid(err.to_string()))
        };
        self.complete_valid(provider, asked, context, read).await
    }

    async fn complete_valid<P: Provider + ?Sized, T>(
        self,
        provider: &P,
        mut prompt: Prompt,
        context: &CallContext,
        read: impl Fn(&Completion) -> Result<(T, Vec<Repair>), InvalidAnswer> + Send,
    ) -> Result<Structured<T>, Error> {
        let (mut spent, mut retries) = (Spent::default(), 0);
        loop {
            let answer = provider.complete(&prompt, context).await;
            let completion = answer.map_err(|err| err.after(spent))?;
            spent += completion.spent();
            let complaint = match read(&completion) {
                Ok((value, repairs)) => return Ok(Structured::new(value, repairs, completion, spent)),
                Err(InvalidAnswer::Truncated) => return Err(truncated(completion).with_spent(spent)),
                Err(InvalidAnswer::Invalid(complaint)) => Self::complaint(&complaint),
            };
            warn!("the answer does not fit: {}", complaint.lines().next().unwrap_or_default());
            if retries == self.max_schema_retries {
                let message = format!("the answer does not fit its schema: {complaint}");
                let err = Error::new(ErrorKind::SchemaMismatch, message);
                return Err(err.with_spent(spent).with_partial(completion));
            }
            retries += 1;
            prompt = Self::again(prompt, completion.text, &complaint);
        }
    }

    /// Returns the first violations of an answer, one per line, in a form that fits into a prompt or a message: at most
    /// [`MAX_COMPLAINT`](Self::MAX_COMPLAINT) bytes, with a mark where any are left out. They may quote the answer, whose size no
    /// one has bounded.
    ///
    /// ```
    /// use antiphon_llm::SchemaRetryPolicy;
    /// let complaint = SchemaRetryPolicy::complaint(&"/n: is not an integer\n".repeat(1_000_000));
    /// assert!(complaint.len() <= SchemaRetryPolicy::MAX_COMPLAINT && complaint.ends_with(" more"));
    /// ```
    #[must_use]
    pub fn complaint(violations: &str) -> String {
        first_lines(violations, Self::MAX_VIOLATION, Self::MAX_COMPLAINT)
    }

    /// Returns the prompt of a schema retry: `prompt`, followed by the invalid answer `said` and a message with the violations
    /// `complaint`.
    ///
    /// It has at most [`MAX_ADDED`](Self::MAX_ADDED) bytes more than `prompt`: of a long answer the head and the tail are repeated,
    /// and of many violations the first.
    ///
    /// ```
    /// use antiphon_llm::{Message, Prompt, SchemaRetryPolicy};
    /// let prompt = Prompt::new("m", [Message::user("A number?")]);
    /// let said = "a very long answer ".repeat(1_000_000);
    /// let again = SchemaRetryPolicy::again(prompt.clone(), said, "it is no number");
    /// assert!(again.bytes().total() - prompt.bytes().total() <= SchemaRetryPolicy::MAX_ADDED as u64);
    /// ```
    #[must_use]
    pub fn again(prompt: Prompt, said: String, complaint: &str) -> Prompt {
        let said = match shortened(&said, Self::MAX_REPEATED) {
            Cow::Borrowed(_) => said,
            Cow::Owned(shortened) => shortened,
        };
        let complaint = Self::complaint(complaint);
        let what = match &prompt.output {
            Output::Json(_) => "the whole corrected JSON",
            Output::Text => "the whole corrected text",
        };
        let again =
            format!("That answer cannot be used:\n{complaint}\nAnswer again with {what} and nothing else.");
        // Some vendors refuse an empty turn.
        let prompt = if said.trim().is_empty() { prompt } else { prompt.message(Message::assistant(said)) };
        prompt.message(Message::user(again))
    }

    /// Parses the JSON of an answer and checks it against `schema`. Returns the value and the repairs that its text needed.
    ///
    /// Of several values the one that fits is taken, and a text, a number, a Boolean or `null` where the schema accepts it: see
    /// [`extract_for`](json::extract_for).
    ///
    /// # Errors
    /// [`InvalidAnswer::Truncated`] for an answer that was cut, [`InvalidAnswer::Invalid`] with the violations otherwise.
    pub fn read(
        self,
        completion: &Completion,
        schema: &Schema,
    ) -> Result<(Value, Vec<Repair>), InvalidAnswer> {
        let found = json::extract_for(&completion.text, self.strictness, |value| schema.is_valid(value));
        let found = found.map_err(|err| invalid(completion, &err))?;
        // The digits behind the limit may be missing.
        if found.value.is_number() && completion.finish == FinishReason::Length {
            return Err(InvalidAnswer::Truncated);
        }
        schema.check(&found.value)?;
        Ok((found.value, found.repairs))
    }

    /// Parses the JSON of an answer without a check against a schema.
    ///
    /// Use it to check one answer against several schemas with [`Schema::check`], since parsing is more expensive than a check.
    /// Otherwise use [`read`](Self::read).
    ///
    /// ```
    /// use antiphon_llm::{SchemaRetryPolicy, Completion, InvalidAnswer, Schema};
    /// use serde_json::json;
    /// let found = SchemaRetryPolicy::default().parse(&Completion::new("Sure: {\"names\": [\"Ada\"]}"))?;
    /// let schema = |most: u32| Schema::new("names", json!({"properties": {"names": {"maxItems": most}}})).unwrap();
    /// schema(2).check(&found.value)?;
    /// assert!(schema(0).check(&found.value).is_err());
    /// # Ok::<(), InvalidAnswer>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidAnswer::Truncated`] for an answer that was cut, [`InvalidAnswer::Invalid`] for one without usable JSON.
    pub fn parse(self, completion: &Completion) -> Result<Extracted, InvalidAnswer> {
        json::extract_with(&completion.text, self.strictness).map_err(|err| invalid(completion, &err))
    }
}

/// Returns the reason why an answer without usable JSON cannot be used.
fn invalid(completion: &Completion, err: &JsonError) -> InvalidAnswer {
    let is_truncated = err.kind() == JsonErrorKind::Truncated || completion.finish == FinishReason::Length;
    if is_truncated { InvalidAnswer::Truncated } else { InvalidAnswer::Invalid(err.to_string()) }
}

/// The reason why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidAnswer {
    /// An answer whose JSON was cut, at the token limit or by a broken connection.
    Truncated,
    /// An answer without usable JSON, or one that does not fit its schema. The text has one violation per line, as in the
    /// prompt of a schema retry.
    Invalid(String),
}

impl fmt::Display for InvalidAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the JSON of the answer ends in the middle"),
            Self::Invalid(complaint) => f.write_str(complaint),
        }
    }
}

impl std::error::Error for InvalidAnswer {}

fn truncated(completion: Completion) -> Error {
    let cause = match completion.finish {
        FinishReason::Length => TruncationCause::MaxTokens,
        FinishReason::Stop | FinishReason::Filtered | FinishReason::Failed | FinishReason::Unknown(_) => {
            TruncationCause::Disconnected
        }
    };
    let message = format!("the JSON of the answer ends in the middle{}", completion.end_in_words());
    Error::new(ErrorKind::Truncated { cause }, message).with_partial(completion)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        CallContext, Completion, Error, ErrorKind, FinishReason, Message, Prompt, ProviderExt, Schema, Spent,
        TruncationCause,
    };
    use crate::scripted::Scripted;
    use crate::{Billed, Usage};

    fn said(text: &str) -> Completion {
        Completion::new(text).usage(Usage::new(Some(10), Some(5)))
    }

    async fn ask(
        script: Vec<Result<Completion, Error>>,
    ) -> (Scripted, Result<super::Structured<super::Value>, Error>) {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let schema = Schema::new("number", schema).unwrap();
        let provider = Scripted::new(script);
        let prompt = Prompt::new("m", [Message::user("A number, please.")]);
        let answer = provider.complete_json(&prompt, &schema, &CallContext::default()).await;
        (provider, answer)
    }

    #[tokio::test]
    async fn a_valid_answer_needs_no_schema_retry() {
        let (provider, answer) = ask(vec![Ok(said("{\"n\": 1}"))]).await;
        assert_eq!((answer.unwrap().value, provider.calls()), (json!({"n": 1}), 1));
    }

    #[tokio::test]
    async fn an_invalid_answer_has_one_schema_retry_with_the_violation() {
        let (provider, answer) = ask(vec![Ok(said("{\"n\": \"one\"}")), Ok(said("{\"n\": 1}"))]).await;
        let answer = answer.unwrap();
        assert_eq!((answer.value, answer.spent.calls), (json!({"n": 1}), 2));
        assert_eq!(answer.spent.usage, Some(Usage::new(Some(20), Some(10))));
        let asked = provider.asked.lock().unwrap();
        assert!(asked[1].contains("/n: ") && asked[1].contains("integer"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_scalar_keeps_its_digits_and_is_not_completed() {
        let schema = Schema::new("number", json!({"type": "integer"})).unwrap();
        let answer = |completion: Completion| {
            let (schema, provider) = (schema.clone(), Scripted::new(vec![Ok(completion)]));
            let prompt = Prompt::new("m", [Message::user("2 to the power of 53, plus 1?")]);
            async move { provider.complete_json(&prompt, &schema, &CallContext::default()).await }
        };
        let long = "9007199254740993";
        assert_eq!(answer(said(long)).await.unwrap().value.to_string(), long);
        let cut = answer(said("90071992").finish(FinishReason::Length)).await.unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Truncated { cause: TruncationCause::MaxTokens });
    }

    #[tokio::test]
    async fn calls_before_an_answer_are_counted_in_every_outcome() {
        let (lost, counted) = (Spent::call(Billed::Maybe), Billed::Yes(Usage::new(Some(1), Some(1))));
        let sum = Usage::new(Some(11), Some(6));
        let earlier = lost + Spent::call(counted);
        let (_, answer) = ask(vec![Ok(said("{\"n\": 1}").after(earlier))]).await;
        let answer = answer.unwrap();
        assert_eq!(answer.spent, Spent { calls: 3, possibly_billed: 1, usage: Some(sum) });
        let (_, answer) = ask(vec![Ok(said("{").after(earlier))]).await;
        assert_eq!(answer.unwrap_err().spent(), Spent { calls: 3, possibly_billed: 1, usage: Some(sum) });
        let (_, answer) = ask(vec![Ok(said("{\"n\": 1}").without_calls())]).await;
        let answer = answer.unwrap();
        assert_eq!(answer.spent, Spent::default());
    }

    #[tokio::test]
    async fn a_second_invalid_answer_is_an_error_with_answer_and_cost() {
        let (provider, answer) = ask(vec![Ok(said("no")), Ok(said("still no"))]).await;
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.attempts(), provider.calls()), (ErrorKind::SchemaMismatch, 2, 2));
        assert_eq!(err.partial().unwrap().text, "still no");
        assert_eq!(err.billed(), Billed::Yes(Usage::new(Some(20), Some(10))));
    }

    #[tokio::test]
    async fn a_truncated_answer_has_no_schema_retry() {
        let by_limit = said("{\"n\": ").finish(FinishReason::Length);
        for (answer, cause) in
            [(by_limit, TruncationCause::MaxTokens), (said("{\"n\": "), TruncationCause::Disconnected)]
        {
            let (provider, answer) = ask(vec![Ok(answer)]).await;
            let err = answer.unwrap_err();
            assert_eq!((err.kind(), provider.calls()), (ErrorKind::Truncated { cause }, 1));
            assert_eq!(err.partial().unwrap().text, "{\"n\": ");
        }
    }

    #[tokio::test]
    async fn a_failed_schema_retry_reports_the_cost_of_the_first_call() {
        let (_, answer) = ask(vec![Ok(said("no")), Err(Error::new(ErrorKind::Auth, "no key"))]).await;
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.attempts()), (ErrorKind::Auth, 2));
        assert_eq!(err.billed(), Billed::Yes(Usage::new(Some(10), Some(5))));
    }
}
