//! The end of an answer: a completion, or an error with the partial answer.

use std::task::Poll;

use antiphon_llm::{
    AnswerMark, Billed, Completion, Delta, Error, ErrorKind, FinishReason, Head, Timing, TruncationCause,
    json,
};

use serde_json::Value;
use tracing::warn;

use super::{PolledDelta, Reader};
use crate::exchange::answer::Decode;
use crate::exchange::fault::{Fault, cleaned};
use crate::exchange::repaired::joined;

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
        if !self.answer.refusal.trim().is_empty() {
            return self.refuse();
        }
        let Some(finish) = self.answer.finish.take() else {
            let err = self.truncated();
            return self.fail(err);
        };
        self.ended = true;
        let finish = self.real_finish(finish);
        let finish = self.named(finish);
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
        let rest = self.redacted.finish();
        self.spoken.add(&rest);
        let reasoning = std::mem::take(&mut self.answer.reasoning);
        let reasoning = if self.answer.has_halves { joined(&reasoning) } else { reasoning };
        self.answer.reasoning = self.facts.redactor.redacted(reasoning);
        if self.spoken.finish() {
            // What has been handed to the caller was reasoning; the completion has the right text.
            self.emitted = self.spoken.text.len();
        }
        self.read_reasoning();
    }

    /// Takes JSON from the reasoning where the text of the answer is empty. Some servers put the whole output of a model into
    /// its reasoning if the closing tag is missing (<https://github.com/vllm-project/vllm/issues/16243>).
    ///
    /// JSON before more words, or in reasoning that was cut off, is a draft and no answer.
    fn read_reasoning(&mut self) {
        let Some(schema) = self.facts.output.schema() else { return };
        let is_natural = self.answer.finish == Some(FinishReason::Stop) && !self.ends_at_the_limit();
        if !is_natural || !self.spoken.text.trim().is_empty() || self.answer.tool.is_some() {
            return;
        }
        let fits = |reasoning: &String| json_at_the_end(reasoning, |value| schema.is_valid(value));
        if let Some(found) = [&self.spoken.reasoning, &self.answer.reasoning].into_iter().find_map(fits) {
            self.spoken.text.push_str(&found);
            self.is_from_reasoning = true;
        }
    }

    /// Returns a finish reason in the server's own word without secrets.
    fn named(&self, finish: FinishReason) -> FinishReason {
        match finish {
            FinishReason::Unknown(word) => FinishReason::Unknown(cleaned(&word, &self.facts.redactor)),
            finish => finish,
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
        let said = cleaned(&self.answer.refusal, &self.facts.redactor);
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
        let said = cleaned(&fault.message, &self.facts.redactor);
        let message = match fault.kind {
            ErrorKind::InvalidResponse => format!("{}: {said}", self.facts.place),
            _ => format!("{}: the answer ended with an error: {said}", self.facts.place),
        };
        let billed = if self.emitted == 0 { fault.billed_before_words() } else { Billed::Maybe };
        let limits = fault.limits.as_deref().copied().unwrap_or(self.facts.head.limits);
        let err = fault.to_error(message, &self.facts.redactor);
        err.with_status(fault.status.or(Some(200))).with_billed(billed).with_limits(limits)
    }

    /// Ends the stream with the error that the server reports inside the answer.
    ///
    /// A failure behind the natural end of an answer says nothing about the answer; a filter may have withheld some of it.
    pub(super) fn end_with(&mut self, fault: &Fault) -> PolledDelta {
        let is_about_it = matches!(fault.kind, ErrorKind::Filtered | ErrorKind::ModelRefusal);
        if self.answer.finish != Some(FinishReason::Stop) || is_about_it {
            return self.fail_with(fault);
        }
        warn!("{}", self.of_fault(fault));
        self.answer.is_over = true;
        self.end()
    }

    /// Ends the stream with the error that the server reports, whatever precedes it.
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
        // Before the end, token counts cover only a part of the answer, if any.
        let is_ended = self.answer.finish.is_some() || self.answer.is_closed;
        let is_counted = is_ended && self.answer.usage.output.is_some();
        let billed = match err.billed() {
            Billed::Maybe | Billed::Yes(_) if is_counted => Billed::Yes(self.answer.usage.plausible()),
            billed => billed,
        };
        let finish = self.named(self.answer.finish.clone().unwrap_or_default());
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
        let own = self.facts.head.request_id.as_deref().or(err.request_id()).map(str::to_owned);
        let of_answer = || self.answer.id.as_ref().map(|id| cleaned(id, &self.facts.redactor));
        err.with_request_id(own.or_else(of_answer))
    }

    /// Returns the metadata of the head with those that the answer itself reports.
    pub(super) fn head(&self) -> Head {
        let mut head = self.facts.head.clone();
        let clean = |name: &String| cleaned(name, &self.facts.redactor);
        head.response_id = self.answer.id.as_ref().map(clean);
        if let Some(model) = &self.answer.model {
            head = head.served(model, &self.facts.model);
            head.model = Some(clean(model));
        }
        head
    }

    /// Takes the text and returns the answer with its usage and timing; called once, at the end. Implausible
    /// counts are left out.
    pub(super) fn completion(&mut self) -> Completion {
        let timing = Timing::new(self.first_token, self.facts.began.elapsed())
            .first_byte(Some(self.facts.first_byte))
            .http_version(self.facts.http_version);
        self.settle();
        let (mut reasoning, tagged) =
            (std::mem::take(&mut self.answer.reasoning), std::mem::take(&mut self.spoken.reasoning));
        // Some servers send the same reasoning apart and between tags.
        if reasoning.trim() != tagged.trim() {
            reasoning.push_str(&tagged);
        }
        let clean = |text: &String| cleaned(text, &self.facts.redactor);
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

/// Returns the valid object or list with which reasoning ends; a closing fence or tag may follow it.
fn json_at_the_end(reasoning: &str, is_valid: impl Fn(&Value) -> bool) -> Option<String> {
    let words = without_closing(reasoning);
    if !words.ends_with(['}', ']']) {
        return None;
    }
    let mut at = 0;
    while let Some(begin) = words[at..].find(['{', '[']).map(|begin| at + begin) {
        let mut values = serde_json::Deserializer::from_str(&words[begin..]).into_iter::<Value>();
        at = begin + 1;
        if let Some(Ok(value)) = values.next() {
            at = begin + values.byte_offset();
            if at == words.len() && is_valid(&value) {
                return Some(value.to_string());
            }
        }
    }
    // JSON that needs a repair is searched only where no words are beside it.
    let begin = words
        .rfind("```")
        .map_or(0, |fence| words[fence..].find('\n').map_or(words.len(), |end| fence + end));
    let last = words[begin..].trim_start();
    if !last.starts_with(['{', '[']) {
        return None;
    }
    let found = json::extract_for(last, json::Strictness::Lenient, &is_valid).ok()?.value;
    ((found.is_object() || found.is_array()) && is_valid(&found)).then(|| found.to_string())
}

/// Returns a text without white space, closing fences and closing tags at its end.
fn without_closing(text: &str) -> &str {
    let mut text = text.trim_end();
    loop {
        let tag = text.strip_suffix('>').and_then(|_| text.rfind('<')).map(|begin| text.split_at(begin));
        let shorter = match (text.strip_suffix("```"), tag) {
            (Some(shorter), _) => shorter,
            (None, Some((before, tag))) if tag.starts_with("</") || tag.starts_with("<|") => before,
            _ => return text,
        };
        text = shorter.trim_end();
    }
}
