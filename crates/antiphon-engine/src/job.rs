mod settle;
mod trouble;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_llm::{
    Asking, CallContext, Completion, Cut, Error, ErrorKind, FinishReason, Prompt, ProviderExt, json,
};
use antiphon_resilience::{Gate, Pauses};
use antiphon_runtime::Priority;
use antiphon_store::{Answer, Bill, Intent, Job, Settlement};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use crate::budget::Grant;
use crate::dispatch::{JobSeen, Options};
use crate::lacking::{Lacking, rest_of};
use crate::reading::{checked, read, with_rest};
use crate::rest::whole_of;
use crate::shared::{Shared, Sleeping};
use crate::status::Counters;
use crate::stop::Stop;
use crate::timings::{Phase, Spans};
use crate::work::{Accepted, Invalid, JobView};

/// A row with what is asked about it.
#[derive(Debug)]
pub(super) struct Todo {
    pub(super) job: Job,
    /// The prompt and what identifies it, or why there is none.
    pub(super) asked: Result<Box<Asked>, Failed>,
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) prompt: Prompt,
    pub(super) key: [u8; 32],
    /// An answer that was given to the same question before.
    pub(super) known: Option<Answer>,
    /// Whether rows that ask the same wait for this one's answer.
    pub(super) shares: bool,
}

/// Why a row has no result.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failed {
    /// A short name.
    pub kind: String,
    /// A sentence.
    pub message: String,
    /// The error of its last call, with what there is of the answer; `None` where nothing could be asked.
    pub cause: Option<Error>,
}

impl Failed {
    pub(super) fn bad_row(message: String) -> Self {
        Self { kind: "bad_row".to_owned(), message, cause: None }
    }
}

impl From<Error> for Failed {
    fn from(err: Error) -> Self {
        Self { kind: err.kind().name().to_owned(), message: err.to_string(), cause: Some(err) }
    }
}

/// How far a job got.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// It has its result.
    Accepted,
    /// It has failed for good.
    Failed(Failed),
    /// It waits for another run of the program.
    Left,
}

/// One row on its way.
pub(super) struct Life {
    shared: Arc<Shared>,
    job: Job,
    spans: Spans,
    /// How many answers were invalid.
    misfits: u32,
    /// Calls that were sent.
    calls: u32,
    pauses: Pauses,
    /// What an answer needs at least, after one was cut for want of money.
    least: Option<u64>,
    /// How often a part of an answer was refused.
    refusals: u32,
    /// Elements of answers that were cut or partially valid.
    kept: Vec<Value>,
    /// What the answers told beside their text.
    seen: JobSeen,
}

/// A call that was made, or tried.
struct Called {
    answer: Result<Completion, Error>,
    paid: Paid,
}

/// What was paid for a call, and what it bought.
struct Paid {
    grant: Grant,
    /// Whether the grant is the most that the call may have cost.
    is_bound: bool,
    /// The most tokens that the answer could have, where money held it to fewer than it may have.
    held_to: Option<u64>,
    /// How often it was sent: anew after each refusal.
    sent: u32,
}

/// What to do after a call.
enum Next {
    End(Ended),
    Ask(Box<Prompt>),
    Wait(Duration, Phase),
}

// A context has the place in the gate's line as a number, which is the runner's own.
const _: () = assert!(Priority::Normal as u8 == Gate::ORDINARY);

impl Life {
    pub(super) async fn of(shared: Arc<Shared>, todo: Todo) -> Ended {
        let Todo { job, asked, since } = todo;
        let mut life = Self {
            pauses: shared.options.retry.pauses(),
            job,
            spans: Spans::default(),
            misfits: 0,
            refusals: 0,
            calls: 0,
            least: None,
            kept: Vec::new(),
            seen: JobSeen::default(),
            shared,
        };
        life.spans.add(Phase::Queue, since.elapsed());
        match asked {
            Ok(asked) => life.live(*asked).await,
            Err(failed) => life.fail(failed, Bill::none()).await,
        }
    }

    async fn live(&mut self, asked: Asked) -> Ended {
        let Asked { prompt: question, key, known, .. } = asked;
        if let Some(ended) = self.take_known(&question, known).await {
            return ended;
        }
        // What is asked instead of the question, to get the rest of an answer or a better one.
        let mut instead = self.go_on(&question);
        let mut place = None;
        loop {
            if self.shared.is_late(Duration::ZERO) {
                self.shared.stop(Stop::Deadline { last: None });
            }
            if self.shared.halt.is_cancelled() {
                return Ended::Left;
            }
            let prompt = instead.as_deref().unwrap_or(&question);
            let Called { answer, paid } = match self.call(prompt, key, &mut place).await {
                Ok(called) => called,
                Err(ended) => return ended,
            };
            let next = match answer {
                Ok(answer) => self.answered((&question, key), answer, paid).await,
                Err(err) => self.went_wrong(&question, err, paid).await,
            };
            match next {
                Next::End(ended) => return ended,
                Next::Ask(next) => instead = Some(next),
                Next::Wait(pause, phase) => {
                    // Whoever waits holds no place among the calls.
                    place = None;
                    let began = Instant::now();
                    let _sleeping = Sleeping::new(&self.shared);
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.shared.halt.cancelled() => return Ended::Left,
                    }
                    self.spans.add(phase, began.elapsed());
                }
            }
        }
    }

    /// The prompt for the rest of an answer of which an earlier process has kept a part.
    fn go_on(&mut self, question: &Prompt) -> Option<Box<Prompt>> {
        let kept: Vec<Value> = serde_json::from_str(&self.job.kept.take()?).ok()?;
        let rest = rest_of(question, self.shared.work.list()?, &kept, Lacking::Cut)?;
        self.kept = kept;
        Some(Box::new(rest))
    }

    /// The result in an answer that is there already, if it fits.
    async fn take_known(&mut self, question: &Prompt, known: Option<Answer>) -> Option<Ended> {
        let known = known?;
        let mut answer = Completion::new(known.text);
        answer.attempts = 0;
        let value = read(question, &answer).ok()?;
        let accepted = self.check(question, value).ok()?;
        Counters::add(&self.shared.counters.cached, 1);
        Some(self.accept(accepted, Bill::none(), None).await)
    }

    /// One call, or why there was none.
    async fn call(
        &mut self,
        prompt: &Prompt,
        key: [u8; 32],
        place: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Called, Ended> {
        let shared = self.shared.clone();
        if place.is_none() {
            let began = Instant::now();
            let free = tokio::select! {
                free = shared.places.clone().acquire_owned() => free,
                () = shared.halt.cancelled() => return Err(Ended::Left),
            };
            *place = Some(free.map_err(|_| Ended::Left)?);
            self.spans.add(Phase::Queue, began.elapsed());
        }
        let (prompt, mut paid) = self.reserve(prompt).await?;
        let most = paid.is_bound.then(|| paid.grant.amount());
        let intent = Intent::new(self.job.index, key).reserved(most);
        let (journal, sent) = (shared.clone(), Arc::new(AtomicU32::new(0)));
        let count = sent.clone();
        let Options { limits, cancel, drain, .. } = &shared.options;
        let context = CallContext::default().cancel(cancel.clone()).drain(shared.halt.clone());
        let context = context.hurry(drain.clone());
        let context = context.priority(limits.priority.unwrap_or_default() as u8).before_call(move || {
            let (journal, intent, count) = (journal.clone(), intent.clone(), count.clone());
            async move { journal.intend(intent, &count).await }
        });
        Counters::add(&shared.counters.under_way, 1);
        let began = Instant::now();
        let answer = shared.calls.provider().complete(&prompt, &context).await;
        let took = began.elapsed();
        shared.counters.under_way.fetch_sub(1, Ordering::Relaxed);
        paid.sent = sent.load(Ordering::Relaxed);
        if paid.sent == 0 && shared.halt.is_cancelled() {
            paid.grant.settle(0);
            return Err(Ended::Left);
        }
        match &answer {
            Ok(answer) => self.spend(answer, took),
            Err(_) => self.spans.add(Phase::Retry, took),
        }
        self.calls += paid.sent;
        Ok(Called { answer, paid })
    }

    /// Reserves what the call may cost, and holds it to what there is.
    async fn reserve<'p>(&mut self, prompt: &'p Prompt) -> Result<(Cow<'p, Prompt>, Paid), Ended> {
        let shared = self.shared.clone();
        let bounds = shared.bounds(prompt, self.least);
        let began = Instant::now();
        let grant = tokio::select! {
            grant = shared.budget.reserve(bounds.whole.unwrap_or(0), bounds.least, bounds.floor) => grant,
            () = shared.halt.cancelled() => return Err(Ended::Left),
        };
        self.spans.add(Phase::Budget, began.elapsed());
        let Ok(grant) = grant else {
            shared.stop_for_budget(bounds.floor);
            return Err(Ended::Left);
        };
        let tokens = bounds.tokens_for(&grant);
        let held_to = tokens.filter(|_| !grant.is_whole());
        let mut prompt = Cow::Borrowed(prompt);
        if shared.budget.is_limited() && tokens != prompt.parameters.max_tokens {
            prompt.to_mut().parameters.max_tokens = tokens;
        }
        Ok((prompt, Paid { grant, is_bound: bounds.whole.is_some(), held_to, sent: 0 }))
    }

    /// Where the time of an answer went.
    fn spend(&mut self, answer: &Completion, took: Duration) {
        let timing = &answer.timing;
        let first_byte = timing.first_byte.unwrap_or(timing.total);
        let first_token = timing.first_token.unwrap_or(timing.total).max(first_byte);
        let intending = took.saturating_sub(timing.queue + timing.total);
        self.spans.add(Phase::Limiter, timing.queue);
        self.spans.add(Phase::FirstByte, first_byte);
        self.spans.add(Phase::FirstToken, first_token - first_byte);
        self.spans.add(Phase::Stream, timing.total.saturating_sub(first_token));
        self.spans.add(Phase::Commit, intending);
    }

    async fn answered(
        &mut self,
        (question, key): (&Prompt, [u8; 32]),
        answer: Completion,
        paid: Paid,
    ) -> Next {
        self.shared.answered();
        self.seen.see(&answer);
        let held_to = paid.held_to;
        let bill = self.shared.bill(answer.usage, answer.earlier, paid.sent, (paid.grant, paid.is_bound));
        if answer.attempts > 0 {
            self.shared.learn(question, answer.usage, answer.timing.total);
        }
        let is_cut = answer.finish == FinishReason::Length;
        if is_cut && (held_to.is_some() || !self.shared.options.allow_cut) {
            return self.cut(question, answer, bill, held_to).await;
        }
        let began = Instant::now();
        // Parsed once, whatever it is checked against.
        let read = read(question, &answer).and_then(|value| self.check(question, value));
        self.spans.add(Phase::Check, began.elapsed());
        match read {
            Ok(accepted) => {
                let is_whole = answer.finish == FinishReason::Stop && !answer.head.other_model;
                let is_worth_keeping = self.shared.options.cache && is_whole && self.kept.is_empty();
                let cached = is_worth_keeping.then(|| (key, settle::cached(answer)));
                Next::End(self.accept(accepted, bill, cached).await)
            }
            Err(Invalid::Truncated) => self.cut(question, answer, bill, held_to).await,
            Err(Invalid::Partial { kept, reasons, notes }) => {
                self.seen.notes.extend(notes);
                self.part(question, (kept, &reasons), answer, bill).await
            }
            Err(Invalid::Violations(complaint)) => {
                self.misfits += 1;
                if self.misfits >= self.shared.attempts() {
                    let err = Error::new(
                        ErrorKind::SchemaMismatch,
                        format!("the answer does not fit: {complaint}"),
                    );
                    return Next::End(self.fail(err.with_partial(answer), bill).await);
                }
                self.shared.warn(&format_args!("an answer does not fit: {}", first_line(&complaint)));
                // The next answer is asked for as a whole, unless earlier ones were partially valid.
                self.forget_cut();
                match self.settle(Settlement::again(self.job.index, bill)).await {
                    Ok(()) => Next::Ask(Box::new(self.corrected(question, answer.text, &complaint))),
                    Err(ended) => Next::End(ended),
                }
            }
        }
    }

    /// An answer that ends in the middle: what is whole of it is kept, and the rest asked for.
    async fn cut(&mut self, question: &Prompt, answer: Completion, bill: Bill, held_to: Option<u64>) -> Next {
        match held_to {
            // It was we who allowed too little: the next call gets twice as much, or nothing.
            Some(tokens) => self.least = Some(tokens.max(16) * 2),
            None => self.misfits += 1,
        }
        let list = self.shared.work.list().map(str::to_owned);
        let found = list.as_deref().and_then(|list| json::salvage(&answer.text, list));
        let has_ended = found.as_ref().is_some_and(|found| found.is_whole);
        let elements = found.map(|found| found.elements).unwrap_or_default();
        let goes_on = held_to.is_some() || !elements.is_empty();
        if !goes_on || self.misfits > self.shared.attempts() + 3 {
            return Next::End(self.fail(was_cut(answer), bill).await);
        }
        self.kept.extend(elements);
        let whole = list.as_deref().and_then(|list| whole_of(question, list, &self.kept, has_ended));
        match whole.map(|whole| self.check_whole(question, whole)) {
            Some(Ok(accepted)) => return Next::End(self.accept(accepted, bill, None).await),
            Some(Err(Invalid::Partial { kept, reasons, notes })) => {
                self.seen.notes.extend(notes);
                return self.part(question, (kept, &reasons), answer, bill).await;
            }
            _ => {}
        }
        if let Err(ended) = self.settle(Settlement::again(self.job.index, bill)).await {
            return Next::End(ended);
        }
        match (list, self.kept.is_empty()) {
            (Some(list), false) => match rest_of(question, &list, &self.kept, Lacking::Cut) {
                Some(prompt) => Next::Ask(Box::new(prompt)),
                None => Next::End(self.fail(was_cut(answer), Bill::none()).await),
            },
            _ => Next::Ask(Box::new(question.clone())),
        }
    }

    /// Checks an answer's value behind the elements that were kept before it.
    fn check(&self, question: &Prompt, value: Value) -> Result<Accepted, Invalid> {
        let list = self.shared.work.list().unwrap_or_default();
        let whole = with_rest(&self.kept, list, value)?;
        self.check_whole(question, whole)
    }

    /// Checks a value of which nothing is missing.
    fn check_whole(&self, question: &Prompt, whole: Value) -> Result<Accepted, Invalid> {
        let work = &self.shared.work;
        checked(work.schema(), question, &whole)?;
        let job = JobView::new(self.job.index, &self.job.row).partial_answers(self.refusals);
        work.accept(&job, whole)
    }

    /// The prompt after an answer that was invalid as a whole: for the rest, where earlier ones were partially valid.
    fn corrected(&self, question: &Prompt, said: String, complaint: &str) -> Prompt {
        let rest = self.rest_after_partial(question, complaint);
        rest.unwrap_or_else(|| Asking::again(question.clone(), said, complaint))
    }

    /// The prompt for what is missing behind the elements of partially valid answers.
    fn rest_after_partial(&self, question: &Prompt, reasons: &str) -> Option<Prompt> {
        let list = self.shared.work.list().filter(|_| self.refusals > 0)?;
        rest_of(question, list, &self.kept, Lacking::Refused(reasons))
    }

    /// Forgets the elements of a cut answer; those of a partially valid one were looked at, and stay.
    fn forget_cut(&mut self) {
        if self.refusals == 0 {
            self.kept.clear();
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn was_cut(answer: Completion) -> Error {
    let (cause, message) = match answer.finish {
        FinishReason::Length => {
            (Cut::MaxTokens, "the answer was cut at the token limit: allow more with max_tokens")
        }
        _ => (Cut::Disconnected, "the JSON of the answer ends in the middle"),
    };
    Error::new(ErrorKind::Truncated { cause }, message).with_partial(answer)
}
