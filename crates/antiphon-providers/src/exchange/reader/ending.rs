//! The end of an answer: a completion, or an error with the partial answer.

use std::task::Poll;

use antiphon_llm::{
    AnswerMark, Billed, Completion, Delta, Error, ErrorKind, FinishReason, Head, Timing, TruncationCause,
    json,
};

use serde_json::Value;

use super::{PolledDelta, Reader};
use crate::exchange::answer::Decode;
use crate::exchange::fault::{Fault, cleaned};

impl<D: Decode> Reader<D> {
    /// Ends the answer. Only a finish reason makes it complete: some servers end a failed stream like a complete one.
    ///
    /// An answer that the schema's form or the filter makes unusable is an error, too: see
    /// `Completion::into_complete`.
    pub(super) fn end(&mut self) -> PolledDelta {
        self.settle();
        if let Some(words) = self.new_text() {
            self.answer.is_over = true;
            return Poll::Ready(Some(Ok(Delta::Text(words))));
        }
        if !self.answer.refusal.is_empty() {
            return self.refuse();
        }
        let Some(finish) = self.answer.finish.take() else {
            let err = self.truncated();
            return self.fail(err);
        };
        self.ended = true;
        let finish = self.real_finish(finish);
        if finish == FinishReason::Stop {
            // A filter may have found something and not intervened.
            self.answer.details.clear();
        }
        let mut completion = self.completion().finish(finish);
        let ignored = self.facts.schema.check(&completion.text, &completion.finish);
        completion.head.warnings.extend(ignored);
        let completion = completion.into_complete(&self.facts.output);
        Poll::Ready(Some(match completion {
            Ok(answer) => Ok(Delta::End(Box::new(answer))),
            Err(err) => Err(self.with_request_id(err)),
        }))
    }

    /// Assigns the rest of the output to text and reasoning, once no more arrives.
    pub(super) fn settle(&mut self) {
        if self.is_settled {
            return;
        }
        self.is_settled = true;
        self.split();
        if self.spoken.finish() {
            // What has been handed to the caller was reasoning; the completion has the right text.
            self.emitted = self.spoken.text.len();
        }
        self.read_reasoning();
    }

    /// Takes JSON from the reasoning where the text of the answer is empty. Some servers put the whole output of a model into
    /// its reasoning if the closing tag is missing (<https://github.com/vllm-project/vllm/issues/16243>).
    fn read_reasoning(&mut self) {
        let Some(schema) = self.facts.output.schema() else { return };
        if !self.spoken.text.trim().is_empty() || self.answer.finish.is_none() || self.answer.tool.is_some() {
            return;
        }
        let fits = |reasoning: &String| {
            let is_valid = |value: &Value| schema.is_valid(value);
            let found = json::extract_for(reasoning, json::Strictness::Lenient, is_valid).ok()?.value;
            // A word or a number of the prose is no answer.
            ((found.is_object() || found.is_array()) && is_valid(&found)).then(|| found.to_string())
        };
        if let Some(found) = [&self.spoken.reasoning, &self.answer.reasoning].into_iter().find_map(fits) {
            self.spoken.text.push_str(&found);
            self.is_from_reasoning = true;
        }
    }

    /// Returns the finish reason of the answer: that of the server, unless the answer contradicts it.
    fn real_finish(&mut self, finish: FinishReason) -> FinishReason {
        let is_empty = self.spoken.text.trim().is_empty();
        if let Some(tool) = self.answer.tool.take()
            && (is_empty || finish != FinishReason::Stop)
        {
            let name = if tool.is_empty() { "a tool".to_owned() } else { format!("the tool {tool}") };
            self.answer.explain(format!("the model called {name} instead of answering"));
            return match finish {
                FinishReason::Stop | FinishReason::Length => FinishReason::Unknown("tool_calls".to_owned()),
                finish => finish,
            };
        }
        if finish == FinishReason::Stop && self.ends_at_the_limit() { FinishReason::Length } else { finish }
    }

    /// Ends the answer of a model that declined to answer.
    ///
    /// A refusal that the vendor does not bill is reported as such.
    fn refuse(&mut self) -> PolledDelta {
        let said = cleaned(&self.answer.refusal, &self.facts.secrets);
        let err = Error::new(ErrorKind::ModelRefusal, format!("the model declined to answer: {said}"));
        let billed = if self.answer.is_free { Billed::No } else { Billed::Maybe };
        self.fail(err.with_billed(billed))
    }

    /// Returns whether an answer was cut off at `max_tokens`. Some servers report that as a stop: llama.cpp's Responses API,
    /// Ollama's imitators. An answer of exactly `max_tokens` tokens counts as cut off, unless it is complete JSON.
    fn ends_at_the_limit(&self) -> bool {
        let max_tokens = self.facts.limits.max_tokens;
        let at_limit = max_tokens.is_some() && self.answer.usage.output == max_tokens;
        at_limit && (self.facts.output.schema().is_none() || json::extract(&self.spoken.text).is_err())
    }

    /// Creates the error of an answer without a finish reason. A retry may help, and the call is possibly
    /// billed.
    pub(super) fn truncated(&self) -> Error {
        if let Some(foreign) = self.foreign() {
            return foreign;
        }
        let kind = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
        let message = format!("{}: the connection ended in the middle of the answer", self.facts.place);
        Error::new(kind, message).with_billed(Billed::Maybe)
    }

    /// Creates the error that the server reports inside an answer with status 200.
    ///
    /// Limits in the error itself prevail over those of the headers. Once text has arrived, a model ran, and
    /// the call is possibly billed whatever the kind is.
    pub(in crate::exchange) fn of_fault(&self, fault: &Fault) -> Error {
        let said = cleaned(&fault.message, &self.facts.secrets);
        let message = match fault.kind {
            ErrorKind::InvalidResponse => format!("{}: {said}", self.facts.place),
            _ => format!("{}: the answer ended with an error: {said}", self.facts.place),
        };
        let billed = if self.emitted == 0 { fault.billed_before_words() } else { Billed::Maybe };
        let limits = fault.limits.as_deref().copied().unwrap_or(self.facts.head.limits);
        let err = fault.to_error(message, &self.facts.secrets);
        err.with_status(fault.status.or(Some(200))).with_billed(billed).with_limits(limits)
    }

    /// Ends the stream with the error that the server reports inside the answer.
    pub(super) fn fail_with(&mut self, fault: &Fault) -> PolledDelta {
        let is_unread = fault.kind == ErrorKind::InvalidResponse;
        let foreign = self.foreign().filter(|_| is_unread);
        let err = foreign.unwrap_or_else(|| self.of_fault(fault));
        self.fail(err)
    }

    /// Ends the stream with an error, which has the partial answer.
    ///
    /// A possibly billed call becomes billed for its tokens where the counts are final, and they are after the
    /// finish reason.
    pub(super) fn fail(&mut self, err: Error) -> PolledDelta {
        self.ended = true;
        let err = self.as_truncation(err);
        // Before the finish reason, token counts cover only a part of the answer, if any.
        let is_counted = self.answer.finish.is_some() && self.answer.usage.output.is_some();
        let billed = match err.billed() {
            Billed::Maybe | Billed::Yes(_) if is_counted => Billed::Yes(self.answer.usage.plausible()),
            billed => billed,
        };
        let finish = self.answer.finish.clone().unwrap_or_default();
        let partial = self.completion().finish(finish);
        Poll::Ready(Some(Err(self.with_request_id(err.with_billed(billed).with_partial(partial)))))
    }

    /// Maps an error of the connection or of the server: after the first token it truncates the answer; before it, the call is
    /// simply unavailable.
    fn as_truncation(&self, err: Error) -> Error {
        if err.kind() != ErrorKind::Unavailable || self.emitted == 0 {
            return err;
        }
        let kind = ErrorKind::Truncated { cause: TruncationCause::Disconnected };
        let cut = Error::new(kind, format!("{err}, in the middle of the answer"));
        let cut = cut.with_status(err.status()).with_code(err.code().map(str::to_owned));
        cut.with_billed(Billed::Maybe).with_limits(*err.limits())
    }

    /// Adds the id of the request to an error, or that of the answer where the head has none.
    pub(super) fn with_request_id(&self, err: Error) -> Error {
        let (head, own) = (self.head(), err.request_id().map(str::to_owned));
        err.with_request_id(head.request_id.or(own).or(head.response_id))
    }

    /// Returns the metadata of the head with those that the answer itself reports.
    pub(super) fn head(&self) -> Head {
        let mut head = self.facts.head.clone();
        head.response_id.clone_from(&self.answer.id);
        match &self.answer.model {
            Some(model) => head.served(model, &self.facts.model),
            None => head,
        }
    }

    /// Takes the text and returns the answer with its usage and timing; called once, at the end. Implausible
    /// counts are left out.
    pub(super) fn completion(&mut self) -> Completion {
        let timing = Timing::new(self.first_token, self.facts.began.elapsed())
            .first_byte(Some(self.facts.first_byte))
            .http_version(self.facts.http_version);
        self.settle();
        let reasoning =
            std::mem::take(&mut self.answer.reasoning) + &std::mem::take(&mut self.spoken.reasoning);
        let clean = |text: &String| cleaned(text, &self.facts.secrets);
        let usage = self.answer.usage.plausible();
        let head = self.head().warned(self.facts.sent_prompt.check(usage.input));
        let mut completion =
            Completion::new(std::mem::take(&mut self.spoken.text)).usage(usage).head(head).timing(timing);
        completion.raw_finish = self.answer.raw_finish.as_ref().map(clean);
        completion.finish_detail =
            Some(&self.answer.details.join("; ")).filter(|all| !all.is_empty()).map(clean);
        completion.reasoning = Some(reasoning).filter(|reasoning| !reasoning.trim().is_empty());
        if self.is_from_reasoning {
            completion.mark(AnswerMark::FromReasoning);
        }
        completion
    }
}
