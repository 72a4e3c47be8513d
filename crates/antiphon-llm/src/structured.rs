use serde_json::Value;
use tracing::warn;

use crate::completion::{Completion, FinishReason, Usage};
use crate::context::CallContext;
use crate::error::{Billed, Cut, Error, ErrorKind};
use crate::json::{self, JsonErrorKind, Repair};
use crate::prompt::{Message, Output, Prompt};
use crate::provider::{Provider, ProviderExt};
use crate::schema::Schema;

/// An answer that was read as data, and what it took.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Structured<T> {
    /// The data.
    pub value: T,
    /// The answer it was read from.
    pub completion: Completion,
    /// Tokens of all calls together.
    pub usage: Usage,
    /// Calls made in all: attempts, and asking again.
    pub calls: u32,
    /// What had to be done to the answer's text; nothing of its content is changed by it.
    pub repairs: Vec<Repair>,
}

/// How often an answer that does not fit is asked for again.
const MAX_REASKS: u32 = 1;
/// How many violations the model is told of; the first few tell the rest.
const MAX_VIOLATIONS: usize = 10;

pub(crate) async fn complete_json<P: Provider + ?Sized>(
    provider: &P,
    prompt: &Prompt,
    schema: &Schema,
    context: &CallContext,
) -> Result<Structured<Value>, Error> {
    let mut prompt = prompt.clone().output(Output::Json(schema.clone()));
    let mut usage: Option<Usage> = None;
    let mut calls = 0;
    for reask in 0..=MAX_REASKS {
        let completion =
            provider.complete(&prompt, context).await.map_err(|err| with_earlier(err, usage, calls))?;
        let usage = match &mut usage {
            Some(sum) => {
                *sum += completion.usage;
                *sum
            }
            None => *usage.insert(completion.usage),
        };
        calls += completion.attempts;
        let complaint = match read(&completion, schema) {
            Ok((value, repairs)) => return Ok(Structured { value, completion, usage, calls, repairs }),
            Err(Rejected::Cut) => return Err(cut(completion, usage, calls)),
            Err(Rejected::Misfit(complaint)) => complaint,
        };
        warn!("the answer does not fit: {}", complaint.lines().next().unwrap_or_default());
        if reask == MAX_REASKS {
            let message = format!("the answer does not fit the schema {}: {complaint}", schema.name());
            let err = Error::new(ErrorKind::SchemaMismatch, message);
            return Err(err.with_billed(Billed::Yes(usage)).with_attempts(calls).with_partial(completion));
        }
        let again = format!(
            "That answer cannot be used:\n{complaint}\nAnswer again with the whole corrected JSON and nothing else."
        );
        prompt = prompt.message(Message::assistant(completion.text)).message(Message::user(again));
    }
    // The loop's last round returns.
    Err(Error::new(ErrorKind::SchemaMismatch, "the answer does not fit the schema"))
}

enum Rejected {
    Cut,
    Misfit(String),
}

fn read(completion: &Completion, schema: &Schema) -> Result<(Value, Vec<Repair>), Rejected> {
    let found = match json::extract(&completion.text) {
        Ok(found) => found,
        Err(err) if err.kind() == JsonErrorKind::Truncated || completion.finish == FinishReason::Length => {
            return Err(Rejected::Cut);
        }
        Err(err) => return Err(Rejected::Misfit(err.to_string())),
    };
    let violations = schema.violations(&found.value);
    if violations.is_empty() {
        return Ok((found.value, found.repairs));
    }
    let lines: Vec<_> = violations.iter().take(MAX_VIOLATIONS).map(ToString::to_string).collect();
    Err(Rejected::Misfit(lines.join("\n")))
}

fn cut(completion: Completion, usage: Usage, calls: u32) -> Error {
    let cause = match completion.finish {
        FinishReason::Length => Cut::MaxTokens,
        _ => Cut::Disconnected,
    };
    Error::new(ErrorKind::Truncated { cause }, "the JSON of the answer ends in the middle")
        .with_billed(Billed::Yes(usage))
        .with_attempts(calls)
        .with_partial(completion)
}

/// An error of asking again has cost the first answer, too.
fn with_earlier(err: Error, earlier: Option<Usage>, calls: u32) -> Error {
    let Some(mut usage) = earlier else { return err };
    let billed = match err.billed() {
        Billed::No => Billed::Yes(usage),
        Billed::Maybe => Billed::Maybe,
        Billed::Yes(more) => {
            usage += more;
            Billed::Yes(usage)
        }
    };
    let attempts = err.attempts() + calls;
    err.with_billed(billed).with_attempts(attempts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        CallContext, Completion, Cut, Error, ErrorKind, FinishReason, Message, Prompt, ProviderExt, Schema,
        Usage,
    };
    use crate::scripted::Scripted;

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
        assert_eq!((answer.value, answer.calls), (json!({"n": 1}), 2));
        assert_eq!(answer.usage, Usage::new(Some(20), Some(10)));
        let asked = provider.asked.lock().unwrap();
        assert!(asked[1].contains("/n: ") && asked[1].contains("integer"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_second_misfit_is_an_error_that_keeps_answer_and_cost() {
        let (provider, answer) = ask(vec![Ok(said("no")), Ok(said("still no"))]).await;
        let err = answer.unwrap_err();
        assert_eq!((err.kind(), err.attempts(), provider.calls()), (ErrorKind::SchemaMismatch, 2, 2));
        assert_eq!(err.partial().unwrap().text, "still no");
        assert_eq!(err.billed(), super::Billed::Yes(Usage::new(Some(20), Some(10))));
    }

    #[tokio::test]
    async fn a_cut_answer_is_never_asked_for_again() {
        let by_limit = said("{\"n\": ").finish(FinishReason::Length);
        for (answer, cause) in [(by_limit, Cut::MaxTokens), (said("{\"n\": "), Cut::Disconnected)] {
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
        assert_eq!(err.billed(), super::Billed::Yes(Usage::new(Some(10), Some(5))));
    }
}
