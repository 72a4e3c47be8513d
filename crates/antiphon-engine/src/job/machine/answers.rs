//! Decisions after a call that was answered.
//!
//! An answer passes through three steps: it is billed, whatever it contains; read as JSON or text; and checked against
//! the schema and by the recipe. Of a list that is cut or partially valid, the good elements are kept over several
//! answers and joined with those of the next one, so that no element is paid for twice. Limits end the exchange:
//! invalid and partially valid answers use up the attempts, and of cut ones there may be up to three more than attempts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use antiphon_llm::{
    AnswerMark, CallWarningKind, Completion, Error, ErrorKind, FinishReason, Prompt, SchemaRetryPolicy,
    TruncationCause, json,
};
use antiphon_store::Answer;
use serde_json::Value;

use super::{Action, Ask, Billed, Call, Contested, Context, JobMachine, first_line};
use crate::accounts::CallEnd;
use crate::missing_elements::{MissingElements, prompt_for_rest};
use crate::reading::{checked, read, with_rest};
use crate::rest::whole_of;
use crate::work::{Accepted, Invalid, JobView, Unique};

impl JobMachine {
    /// Bills an answer, and accepts it, keeps a part of it, or rejects it.
    pub(super) fn answered(&mut self, cx: Context<'_>, call: Call, answer: Completion, sent: u32) -> Action {
        let Call { ask, reservation } = call;
        let accounts = &cx.run.accounts;
        self.calls += sent;
        self.seen.see(&answer, !self.kept.is_empty());
        cx.run.health.answered();
        let held_to = reservation.held_to;
        let bill = accounts.bill(&end_of(&answer, sent), reservation);
        if answer.attempts > 0 {
            accounts.learn(&ask.question, &answer);
        }
        if cx.run.options.strict
            && let Some(cut) = answer.head.warning(CallWarningKind::PromptCut)
        {
            let message = format!("the answer is to a part of the prompt: {cut}");
            let err = Error::new(ErrorKind::ContextTooLong, message).with_partial(answer);
            return self.fail(cx, err, bill);
        }
        // JSON that is complete is an answer, although the model went up to the limit.
        let is_whole = answer.marks.contains(&AnswerMark::CompleteWithoutEnd);
        let is_cut = answer.finish == FinishReason::Length && !is_whole;
        let billed = Billed { answer, bill, held_to };
        if is_cut && (held_to.is_some() || !cx.run.options.allow_cut) {
            return self.cut(cx, ask, billed);
        }
        self.judge(cx, ask, billed)
    }

    /// Checks an answer, and accepts it, keeps a part of it, or rejects it.
    fn judge(&mut self, cx: Context<'_>, ask: Ask, billed: Billed) -> Action {
        // The answer is parsed once, also where the recipe has its own schema.
        let value = read(cx.run.work.schema(), &ask.next, &billed.answer);
        let valid = value.and_then(|value| self.check(cx, &ask.question, value));
        match valid {
            Ok(accepted) => {
                let is_worth_caching = self.is_worth_caching(cx, &billed.answer);
                self.contest(cx, &accepted, &ask, || Some(billed.clone()));
                let cached = is_worth_caching.then(|| (ask.key, to_cache(billed.answer)));
                self.accept(accepted, billed.bill, cached)
            }
            Err(invalid) => self.not_valid(cx, ask, invalid, billed),
        }
    }

    /// Returns whether a valid answer is cached for later calls with the same prompt: the requested model answered it
    /// in full, and no elements of earlier answers were needed.
    fn is_worth_caching(&self, cx: Context<'_>, answer: &Completion) -> bool {
        cx.run.options.cache && answer.is_repeatable() && self.kept.is_empty()
    }

    /// Requests what an invalid answer lacks: the rest of one that was cut, replacements for rejected elements, or a
    /// whole one.
    fn not_valid(&mut self, cx: Context<'_>, ask: Ask, invalid: Invalid, billed: Billed) -> Action {
        match invalid {
            Invalid::Truncated => self.cut(cx, ask, billed),
            Invalid::Partial { kept, reasons, notes } => {
                self.seen.notes.extend(notes);
                self.kept = kept;
                self.partially_valid(cx, ask, &reasons, billed)
            }
            Invalid::Violations(complaint) => self.invalid(cx, ask, &complaint, billed),
        }
    }

    /// Keeps an answer whose result has unique parts, until the result is committed. `billed` is only called if there
    /// are any, since it copies the answer.
    pub(super) fn contest(
        &mut self,
        cx: Context<'_>,
        accepted: &Accepted,
        ask: &Ask,
        billed: impl FnOnce() -> Option<Billed>,
    ) {
        let unique = cx.run.work.unique(&accepted.value);
        let contested = || Box::new(Contested { unique: unique.clone(), ask: ask.clone(), billed: billed() });
        self.contested = (!unique.is_empty()).then(contested);
    }

    /// Retries the prompt where another row has a unique part of the result. An answer from the cache was no attempt:
    /// its row sends the prompt as if none had been cached.
    pub(super) fn not_unique(&mut self, cx: Context<'_>, contested: Contested, at: usize) -> Action {
        let Contested { unique, ask, billed } = contested;
        let complaint = unique.get(at).map(Unique::complaint).unwrap_or_default();
        match billed {
            Some(billed) => self.invalid(cx, ask, &complaint, billed),
            None => {
                cx.run.accounts.counters.cached.fetch_sub(1, Ordering::Relaxed);
                self.ask(cx, ask)
            }
        }
    }

    /// Makes a schema retry after an answer that is invalid as a whole, unless the attempts are used up.
    fn invalid(&mut self, cx: Context<'_>, mut ask: Ask, complaint: &str, billed: Billed) -> Action {
        let Billed { answer, bill, .. } = billed;
        let complaint = &SchemaRetryPolicy::complaint(complaint);
        self.invalid_answers += 1;
        if self.invalid_answers >= cx.run.attempts() || self.are_attempts_used_up(cx) {
            return self.fail(cx, does_not_fit(complaint, answer), bill);
        }
        self.notice = Some(format!("invalid answer: {}", first_line(complaint)));
        // The retry is for a whole answer, unless earlier answers were partially valid.
        self.forget_cut();
        let rest = self.rest_after_partial(cx, &ask.question, complaint);
        if rest.is_none() {
            self.kept.clear();
        }
        let again = || SchemaRetryPolicy::again(Prompt::clone(&ask.question), answer.text, complaint);
        ask.next = Arc::new(rest.unwrap_or_else(again));
        self.ask_again(bill, ask)
    }

    /// Keeps the whole elements of an answer that ends in the middle, and requests the rest. An answer without new
    /// elements fails the job, unless the budget cut it: then the request is sent again with a reservation
    /// for at least twice as many tokens.
    pub(super) fn cut(&mut self, cx: Context<'_>, mut ask: Ask, billed: Billed) -> Action {
        match billed.held_to {
            // The budget lowered the limit: the next call gets twice as many tokens, or is not sent.
            Some(tokens) => self.least_tokens = Some(tokens.max(16) * 2),
            None => {
                self.invalid_answers += 1;
                self.cut_answers += 1;
            }
        }
        let (new, whole) = self.keep(cx, &ask.question, &billed.answer.text);
        if let Some(whole) = whole {
            return self.settle_whole(cx, ask, whole, billed);
        }
        let may_continue = billed.held_to.is_some() || new > 0;
        if !may_continue || self.invalid_answers > cx.run.attempts() + 3 {
            return self.fail(cx, was_cut(billed.answer), billed.bill);
        }
        let rest = self.rest(cx, &ask.question);
        if rest.is_none() {
            // The next answer is a whole one, to which nothing is joined.
            self.kept.clear();
        }
        ask.next = rest.map_or_else(|| ask.question.clone(), Arc::new);
        self.ask_again(billed.bill, ask)
    }

    /// Keeps the whole elements of a text that ends in the middle. Returns the number of new ones, and the value of all kept ones
    /// if none can be missing.
    pub(super) fn keep(&mut self, cx: Context<'_>, question: &Prompt, text: &str) -> (usize, Option<Value>) {
        let Some(list) = cx.run.work.list() else { return (0, None) };
        let Some(found) = json::salvage(text, list) else { return (0, None) };
        let new = found.elements.len();
        self.kept.extend(found.elements);
        let own = cx.run.work.schema();
        (new, whole_of(question, own, list, &self.kept, found.is_complete))
    }

    /// Returns the prompt for the elements that are missing behind the kept ones; `None` if none are kept.
    pub(super) fn rest(&self, cx: Context<'_>, question: &Prompt) -> Option<Prompt> {
        let list = cx.run.work.list().filter(|_| !self.kept.is_empty())?;
        prompt_for_rest(question, list, &self.kept, MissingElements::Truncated)
    }

    /// Checks and accepts a value that was joined from the parts of several answers. Such a value is never cached,
    /// since no single answer has it.
    pub(super) fn settle_whole(&mut self, cx: Context<'_>, ask: Ask, whole: Value, billed: Billed) -> Action {
        match self.check_whole(cx, &ask.question, whole) {
            Ok(accepted) => {
                self.contest(cx, &accepted, &ask, || Some(billed.clone()));
                self.accept(accepted, billed.bill, None)
            }
            Err(Invalid::Truncated) => self.fail(cx, was_cut(billed.answer), billed.bill),
            Err(invalid) => self.not_valid(cx, ask, invalid, billed),
        }
    }

    /// Requests replacements for the rejected elements of an answer; the valid ones are already kept.
    pub(super) fn partially_valid(
        &mut self,
        cx: Context<'_>,
        mut ask: Ask,
        reasons: &str,
        billed: Billed,
    ) -> Action {
        let Billed { answer, bill, .. } = billed;
        let reasons = &SchemaRetryPolicy::complaint(reasons);
        self.partial_answers += 1;
        let rest = self.rest_after_partial(cx, &ask.question, reasons);
        let Some(rest) = rest.filter(|_| !self.are_attempts_used_up(cx)) else {
            return self.fail(cx, does_not_fit(reasons, answer), bill);
        };
        self.notice = Some(format!("partially valid answer: {}", first_line(reasons)));
        ask.next = Arc::new(rest);
        self.ask_again(bill, ask)
    }

    /// Checks an answer's value, joined with the elements that were kept before it.
    pub(super) fn check(
        &self,
        cx: Context<'_>,
        question: &Prompt,
        value: Value,
    ) -> Result<Accepted, Invalid> {
        let list = cx.run.work.list().unwrap_or_default();
        let whole = with_rest(&self.kept, list, value)?;
        self.check_whole(cx, question, whole)
    }

    /// Checks a value of which nothing is missing: first against the schema, since the recipe relies on the shape of
    /// the value.
    fn check_whole(&self, cx: Context<'_>, question: &Prompt, whole: Value) -> Result<Accepted, Invalid> {
        let work = &cx.run.work;
        checked(work.schema(), question, &whole)?;
        let job = JobView::new(self.job.index, &self.job.row).partial_answers(self.partial_answers);
        work.accept(&job, whole)
    }

    /// Returns the prompt for the elements that are missing behind those of partially valid answers; `None` if there were no such
    /// answers.
    pub(super) fn rest_after_partial(
        &self,
        cx: Context<'_>,
        question: &Prompt,
        reasons: &str,
    ) -> Option<Prompt> {
        let list = cx.run.work.list().filter(|_| self.partial_answers > 0)?;
        prompt_for_rest(question, list, &self.kept, MissingElements::Rejected(reasons))
    }

    /// Returns whether as many answers were invalid or partially valid as the recipe accepts. Cut ones are limited separately.
    fn are_attempts_used_up(&self, cx: Context<'_>) -> bool {
        let used = self.partial_answers + self.invalid_answers - self.cut_answers;
        used > cx.run.work.max_invalid_answers(cx.run.attempts())
    }

    /// Drops the kept elements of a cut answer; those of a partially valid one were checked, and are kept.
    pub(super) fn forget_cut(&mut self) {
        if self.partial_answers == 0 {
            self.kept.clear();
        }
    }
}

/// Returns the end of a call that was answered, for its bill.
fn end_of(answer: &Completion, sent: u32) -> CallEnd {
    CallEnd {
        usage: answer.usage,
        earlier: answer.earlier,
        sent,
        received_bytes: answer.text.len() as u64,
        is_answer: true,
    }
}

/// Returns the error of a job whose last answer is invalid, with that answer as the partial one.
fn does_not_fit(complaint: &str, answer: Completion) -> Error {
    let message = format!("the answer does not fit: {complaint}");
    Error::new(ErrorKind::SchemaMismatch, message).with_partial(answer)
}

/// Returns the error of a job whose answers end in the middle, with the last one as the partial answer.
fn was_cut(answer: Completion) -> Error {
    let (cause, message) = match answer.finish {
        FinishReason::Length if answer.finish_detail.is_some() => {
            (TruncationCause::MaxTokens, "the answer was cut")
        }
        FinishReason::Length => {
            (TruncationCause::MaxTokens, "the answer was cut at the token limit: raise max_tokens")
        }
        _ => (TruncationCause::Disconnected, "the JSON of the answer ends in the middle"),
    };
    let message = format!("{message}{}", answer.end_in_words());
    Error::new(ErrorKind::Truncated { cause }, message).with_partial(answer)
}

/// Returns the entry for the answer cache.
fn to_cache(answer: Completion) -> Answer {
    let kept = Answer::new(answer.text).model(answer.head.model);
    kept.tokens(answer.usage.input, answer.usage.output)
}
