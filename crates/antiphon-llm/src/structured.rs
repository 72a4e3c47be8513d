use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;

use crate::completion::{Completion, FinishReason};
use crate::context::CallContext;
use crate::error::{Error, ErrorKind, TruncationCause};
use crate::json::{self, Extracted, JsonErrorKind, Repair, Strictness};
use crate::prompt::{Message, Output, Prompt};
use crate::provider::{Provider, ProviderExt};
use crate::schema::Schema;
use crate::spent::Spent;

/// An answer that was read as data, and what it took.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Structured<T> {
    /// The data.
    pub value: T,
    /// The answer it was read from.
    pub completion: Completion,
    /// All calls, attempts and schema retries, and what they cost.
    pub spent: Spent,
    /// What had to be done to the answer's text; nothing of its content is changed by it.
    pub repairs: Vec<Repair>,
}

/// The options of structured output: how often an invalid answer is asked for again, and how much is forgiven in its text.
///
/// [`ProviderExt::complete_json`](crate::ProviderExt::complete_json) and
/// [`ProviderExt::complete_as`](crate::ProviderExt::complete_as) use the default; use this type for other options. Runs over
/// many rows belong to the engine, which also keeps what is valid of a partially valid answer.
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
/// let asking = SchemaRetryPolicy::default().max_schema_retries(3).strict();
/// let city = asking.json(&provider, &prompt, &schema, &CallContext::default()).await?;
/// assert_eq!(city.value["name"], "Paris");
/// assert_eq!(city.spent.calls, 2, "the first answer was no JSON, and was asked for again with the reason");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SchemaRetryPolicy {
    /// How often an answer that does not fit is asked for again, with the reasons; each is a call that costs. Default 1.
    pub max_schema_retries: u32,
    /// What is forgiven in an answer's text. Default [`Strictness::Lenient`].
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
    /// Sets how often an answer that does not fit is asked for again.
    #[must_use]
    pub fn max_schema_retries(mut self, retries: u32) -> Self {
        self.max_schema_retries = retries;
        self
    }

    /// Takes nothing but JSON, as it was asked for.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strictness = Strictness::Strict;
        self
    }

    /// The answer as JSON that fits `schema`.
    ///
    /// # Errors
    /// `SchemaMismatch` when none did, `Truncated` for an answer that was cut, or why there is none.
    ///
    /// # Cancel safety
    /// Hangs up; the words so far are lost.
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

    /// The answer as a `T`, whose schema it has to fit.
    ///
    /// # Errors
    /// As [`json`](Self::json); and `SchemaMismatch` for an answer that fits the schema and is no `T`.
    ///
    /// # Cancel safety
    /// Hangs up; the words so far are lost.
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
                Err(InvalidAnswer::Invalid(complaint)) => complaint,
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

    /// The prompt that asks once more after an answer that did not fit, and says why it did not.
    #[must_use]
    pub fn again(prompt: Prompt, said: String, complaint: &str) -> Prompt {
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

    /// The JSON of an answer, which fits `schema`, and what had to be done to its text: [`parse`](Self::parse), and then
    /// [`Schema::check`].
    ///
    /// # Errors
    /// Whether the answer was cut, or why it does not fit.
    pub fn read(
        self,
        completion: &Completion,
        schema: &Schema,
    ) -> Result<(Value, Vec<Repair>), InvalidAnswer> {
        let found = self.parse(completion)?;
        schema.check(&found.value)?;
        Ok((found.value, found.repairs))
    }

    /// The JSON of an answer, whatever its schema, for a caller that checks one answer more than once: parsing is the
    /// expensive part, and [`Schema::check`] takes the value.
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
    /// Whether the answer was cut, or why it has no JSON.
    pub fn parse(self, completion: &Completion) -> Result<Extracted, InvalidAnswer> {
        json::extract_with(&completion.text, self.strictness).map_err(|err| {
            let is_truncated =
                err.kind() == JsonErrorKind::Truncated || completion.finish == FinishReason::Length;
            if is_truncated { InvalidAnswer::Truncated } else { InvalidAnswer::Invalid(err.to_string()) }
        })
    }
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidAnswer {
    /// It ends in the middle.
    Truncated,
    /// It does not fit, for these reasons, a line each: the model can be told.
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
    Error::new(ErrorKind::Truncated { cause }, "the JSON of the answer ends in the middle")
        .with_partial(completion)
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
    async fn an_answer_that_fits_is_taken_at_once() {
        let (provider, answer) = ask(vec![Ok(said("{\"n\": 1}"))]).await;
        assert_eq!((answer.unwrap().value, provider.calls()), (json!({"n": 1}), 1));
    }

    #[tokio::test]
    async fn a_misfit_is_asked_for_once_more_with_the_reason() {
        let (provider, answer) = ask(vec![Ok(said("{\"n\": \"one\"}")), Ok(said("{\"n\": 1}"))]).await;
        let answer = answer.unwrap();
        assert_eq!((answer.value, answer.spent.calls), (json!({"n": 1}), 2));
        assert_eq!(answer.spent.usage, Some(Usage::new(Some(20), Some(10))));
        let asked = provider.asked.lock().unwrap();
        assert!(asked[1].contains("/n: ") && asked[1].contains("integer"), "{asked:?}");
    }

    #[tokio::test]
    async fn calls_before_an_answer_are_counted_whatever_comes_of_it() {
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
    async fn a_second_misfit_is_an_error_that_keeps_answer_and_cost() {
        let (provider, answer) = ask(vec![Ok(said("no")), Ok(said("still no"))]).await;
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.attempts(), provider.calls()), (ErrorKind::SchemaMismatch, 2, 2));
        assert_eq!(err.partial().unwrap().text, "still no");
        assert_eq!(err.billed(), Billed::Yes(Usage::new(Some(20), Some(10))));
    }

    #[tokio::test]
    async fn a_cut_answer_is_never_asked_for_again() {
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
    async fn a_failed_second_call_still_tells_the_cost_of_the_first() {
        let (_, answer) = ask(vec![Ok(said("no")), Err(Error::new(ErrorKind::Auth, "no key"))]).await;
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.attempts()), (ErrorKind::Auth, 2));
        assert_eq!(err.billed(), Billed::Yes(Usage::new(Some(10), Some(5))));
    }
}
