use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use antiphon_llm::{
    Asking, Billed, CallContext, Completion, Cut, Error, ErrorKind, FinishReason, Prompt, ProviderExt, Usage,
    Verdict, json,
};
use antiphon_resilience::Backoff;
use antiphon_store::{Answer, Bill, Intent, Job, Settlement};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::budget::Grant;
use super::dispatch::Row;
use super::rest::{rest_of, with_rest};
use super::shared::{Shared, Sleeping};
use super::status::Counters;
use super::stop::Stop;
use super::timings::{Phase, Spans};
use super::work::Unfit;

/// A row with what is asked about it.
#[derive(Debug)]
pub(super) struct Todo {
    pub(super) job: Job,
    /// The prompt and what identifies it, or why there is none: a short name, and a sentence.
    pub(super) asked: Result<Box<Asked>, (String, String)>,
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

/// How far a job got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It has its result.
    Accepted,
    /// It has failed for good: a short name, and a sentence.
    Failed(String, String),
    /// It waits for another run of the program.
    Left,
}

/// One row on its way.
pub(super) struct Life {
    shared: Arc<Shared>,
    job: Job,
    spans: Spans,
    /// How often the answer did not fit, and how often there was none.
    misfits: u32,
    failures: u32,
    pauses: Backoff,
    /// What an answer needs at least, after one was cut for want of money.
    least: Option<u64>,
    /// Elements of answers that were cut.
    kept: Vec<Value>,
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
    Wait(Duration),
}

impl Life {
    pub(super) async fn of(shared: Arc<Shared>, todo: Todo) -> Ended {
        let Todo { job, asked, since } = todo;
        let policy = &shared.options.retry;
        let mut life = Self {
            pauses: Backoff::new(policy.base, policy.cap),
            job,
            spans: Spans::default(),
            misfits: 0,
            failures: 0,
            least: None,
            kept: Vec::new(),
            shared,
        };
        life.spans.add(Phase::Queue, since.elapsed());
        match asked {
            Ok(asked) => life.live(*asked).await,
            Err((kind, message)) => life.fail(&kind, message, Bill::none(), None).await,
        }
    }

    async fn live(&mut self, asked: Asked) -> Ended {
        let Asked { prompt: question, key, known, .. } = asked;
        if let Some(ended) = self.take_known(known).await {
            return ended;
        }
        // What is asked instead of the question, to get the rest of an answer or a better one.
        let mut instead: Option<Box<Prompt>> = None;
        let mut place = None;
        loop {
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
                Next::Wait(pause) => {
                    // Whoever waits holds no place among the calls.
                    place = None;
                    let began = Instant::now();
                    let _sleeping = Sleeping::new(&self.shared);
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = self.shared.halt.cancelled() => return Ended::Left,
                    }
                    self.spans.add(Phase::Queue, began.elapsed());
                }
            }
        }
    }

    /// The result in an answer that is there already, if it fits.
    async fn take_known(&mut self, known: Option<Answer>) -> Option<Ended> {
        let known = known?;
        let mut answer = Completion::new(known.text);
        answer.attempts = 0;
        let result = self.shared.work.read((self.job.index, &self.job.row), &answer).ok()?;
        Counters::add(&self.shared.counters.cached, 1);
        let result = result.to_string();
        let settlement = Settlement::accepted(self.job.index, result.clone(), Bill::none());
        Some(self.accept(result, settlement).await)
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
        let context = CallContext::default().cancel(shared.options.cancel.clone()).before_call(move || {
            let (journal, intent, count) = (journal.clone(), intent.clone(), count.clone());
            async move { journal.intend(intent, &count).await }
        });
        Counters::add(&shared.counters.under_way, 1);
        let began = Instant::now();
        let halted = async {
            shared.halt.cancelled().await;
            // What was sent is waited for: it costs the same.
            if sent.load(Ordering::Relaxed) > 0 {
                std::future::pending().await
            }
        };
        let answer = tokio::select! {
            biased;
            answer = shared.calls.provider().complete(&prompt, &context) => Some(answer),
            () = halted => None,
        };
        let took = began.elapsed();
        shared.counters.under_way.fetch_sub(1, Ordering::Relaxed);
        let Some(answer) = answer else {
            paid.grant.settle(0);
            return Err(Ended::Left);
        };
        match &answer {
            Ok(answer) => self.spend(answer, took),
            Err(_) => self.spans.add(Phase::FirstByte, took),
        }
        paid.sent = sent.load(Ordering::Relaxed);
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
            shared.stop(Stop::Budget { spent: shared.budget.spent() });
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
        let held_to = paid.held_to;
        let bill = self.shared.bill(answer.usage, answer.lost, paid.sent, (paid.grant, paid.is_bound));
        if answer.attempts > 0 {
            self.shared.learn(question, answer.usage, answer.timing.total);
        }
        let is_cut = answer.finish == FinishReason::Length;
        if is_cut && (held_to.is_some() || !self.shared.options.allow_cut) {
            return self.cut(question, answer, bill, held_to).await;
        }
        let began = Instant::now();
        let read = match self.kept.is_empty() {
            true => self.shared.work.read((self.job.index, &self.job.row), &answer),
            false => self.read_rest(&answer),
        };
        self.spans.add(Phase::Check, began.elapsed());
        match read {
            Ok(result) => {
                let result = result.to_string();
                let mut settlement = Settlement::accepted(self.job.index, result.clone(), bill);
                let is_whole = answer.finish == FinishReason::Stop && !answer.head.other_model;
                if self.shared.options.cache && is_whole && self.kept.is_empty() {
                    let model = answer.head.model.clone();
                    let kept = Answer::new(answer.text).model(model);
                    settlement = settlement.answer(key, kept.tokens(answer.usage.input, answer.usage.output));
                }
                Next::End(self.accept(result, settlement).await)
            }
            Err(Unfit::Cut) => self.cut(question, answer, bill, held_to).await,
            Err(Unfit::Misfit(complaint)) => {
                self.misfits += 1;
                if self.misfits >= self.shared.options.attempts {
                    let message = format!("the answer does not fit: {complaint}");
                    return Next::End(self.fail("schema_mismatch", message, bill, Some(answer.text)).await);
                }
                // The next answer is asked for as a whole.
                self.kept.clear();
                match self.settle(Settlement::again(self.job.index, bill)).await {
                    Ok(()) => Next::Ask(Box::new(Asking::again(question.clone(), answer.text, &complaint))),
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
        let elements = found.map(|found| found.elements).unwrap_or_default();
        let goes_on = held_to.is_some() || !elements.is_empty();
        if !goes_on || self.misfits > self.shared.options.attempts + 3 {
            let message = "the answer was cut at the token limit: allow more with max_tokens".to_owned();
            return Next::End(self.fail("truncated", message, bill, Some(answer.text)).await);
        }
        self.kept.extend(elements);
        if let Err(ended) = self.settle(Settlement::again(self.job.index, bill)).await {
            return Next::End(ended);
        }
        match (list, self.kept.is_empty()) {
            (Some(list), false) => match rest_of(question, &list, &self.kept) {
                Some(prompt) => Next::Ask(Box::new(prompt)),
                None => {
                    let message = "the answer was cut, and the rest of it cannot be asked for".to_owned();
                    Next::End(self.fail("truncated", message, Bill::none(), Some(answer.text)).await)
                }
            },
            _ => Next::Ask(Box::new(question.clone())),
        }
    }

    /// The result of what was kept and of an answer that has the rest.
    fn read_rest(&self, answer: &Completion) -> Result<Value, Unfit> {
        let whole = with_rest(&self.kept, self.shared.work.list().unwrap_or_default(), answer)?;
        self.shared.work.read((self.job.index, &self.job.row), &Completion::new(whole.to_string()))
    }

    async fn went_wrong(&mut self, question: &Prompt, err: Error, paid: Paid) -> Next {
        let Paid { grant, is_bound, held_to, sent } = paid;
        let kind = err.kind();
        let partial = err.partial().cloned();
        let (usage, lost) = match err.billed() {
            Billed::Yes(usage) => (usage, Billed::No),
            // What was never sent cannot have been billed.
            _ if sent == 0 => (Usage::new(Some(0), Some(0)), Billed::No),
            lost => (Usage::new(Some(0), Some(0)), lost),
        };
        let bill = self.shared.bill(usage, lost, sent, (grant, is_bound));
        let text = partial.as_ref().map(|partial| partial.text.clone());
        match kind {
            ErrorKind::Cancelled => {
                // The journal's own trouble has been told already.
                self.shared.stop(Stop::Interrupted);
                Next::End(self.leave(bill).await)
            }
            ErrorKind::Auth | ErrorKind::Quota | ErrorKind::ModelNotFound => {
                self.shared.stop(Stop::Provider(kind, err.to_string()));
                Next::End(self.leave(bill).await)
            }
            ErrorKind::Truncated { cause: Cut::MaxTokens } => {
                let answer = partial.unwrap_or_default();
                self.cut(question, answer, bill, held_to).await
            }
            // It may have been billed, so it is asked again no more often than an answer that does not fit.
            ErrorKind::InvalidResponse | ErrorKind::Timeout { .. } | ErrorKind::Truncated { .. }
                if err.kind().verdict() == Verdict::Stop
                    && self.misfits + 1 < self.shared.options.attempts =>
            {
                self.misfits += 1;
                // The next answer is asked for as a whole.
                self.kept.clear();
                match self.settle(Settlement::again(self.job.index, bill)).await {
                    Ok(()) => Next::Ask(Box::new(question.clone())),
                    Err(ended) => Next::End(ended),
                }
            }
            _ => match self.pause(&err) {
                Some(pause) => {
                    let due = Timestamp::now().as_millisecond().saturating_add(millis(pause));
                    let settlement = Settlement::put_back(self.job.index, due, bill);
                    match self.settle(settlement).await {
                        Ok(()) => Next::Wait(pause),
                        Err(ended) => Next::End(ended),
                    }
                }
                // Nothing was ever answered: it is not the row's fault, and the run can be gone on with.
                None if is_of_server(kind) && !self.shared.was_answered() => {
                    self.shared.stop(Stop::Provider(kind, err.to_string()));
                    Next::End(self.leave(bill).await)
                }
                None => Next::End(self.fail(kind.name(), err.to_string(), bill, text).await),
            },
        }
    }

    /// How long to wait before the same is asked again; `None` where that would not help, or did not.
    fn pause(&mut self, err: &Error) -> Option<Duration> {
        let policy = &self.shared.options.retry;
        let own = self.pauses.next().unwrap_or_default();
        let told = match (err.kind(), err.kind().verdict()) {
            // Nothing was sent, or nothing was done: no attempt is used up, and nobody else goes before then either.
            (ErrorKind::RateLimited { retry_after } | ErrorKind::CircuitOpen { retry_after }, _)
                if err.billed() == Billed::No =>
            {
                let pause = retry_after.unwrap_or(policy.throttled_base).saturating_add(own);
                if matches!(err.kind(), ErrorKind::CircuitOpen { .. }) && !self.shared.was_answered() {
                    self.shared.stop(Stop::Provider(ErrorKind::Connect, self.shared.last_trouble()));
                }
                self.shared.refused(pause);
                return Some(pause);
            }
            (_, Verdict::Stop) => return None,
            (_, Verdict::Throttled { retry_after }) => retry_after.or(err.limits().retry_after),
            (_, Verdict::Retry) => err.limits().retry_after,
        };
        self.failures += 1;
        self.shared.trouble(err);
        (self.failures <= policy.max_retries).then(|| told.map_or(own, |told| told.saturating_add(own / 10)))
    }

    async fn accept(&mut self, result: String, settlement: Settlement) -> Ended {
        if let Err(ended) = self.settle(settlement).await {
            return ended;
        }
        Counters::add(&self.shared.counters.accepted, 1);
        self.shared.counters.totals.add(&self.spans);
        self.tell(Ok(result)).await;
        Ended::Accepted
    }

    async fn fail(&mut self, kind: &str, message: String, bill: Bill, text: Option<String>) -> Ended {
        let settlement = Settlement::failed(self.job.index, kind, &message, bill);
        let settlement = match text.filter(|text| !text.is_empty()) {
            Some(text) => settlement.result(text),
            None => settlement,
        };
        if let Err(ended) = self.settle(settlement).await {
            return ended;
        }
        Counters::add(&self.shared.counters.failed, 1);
        self.shared.counters.totals.add(&self.spans);
        self.tell(Err((kind.to_owned(), message.clone()))).await;
        Ended::Failed(kind.to_owned(), message)
    }

    /// Leaves the job for later, with what it has cost.
    async fn leave(&mut self, bill: Bill) -> Ended {
        match self.settle(Settlement::again(self.job.index, bill)).await {
            Ok(()) => Ended::Left,
            Err(ended) => ended,
        }
    }

    async fn settle(&mut self, settlement: Settlement) -> Result<(), Ended> {
        let began = Instant::now();
        let settlement = settlement.timings(self.spans.micros());
        let kept = self.shared.run.settle(settlement).await;
        self.spans.add(Phase::Commit, began.elapsed());
        kept.map_err(|err| {
            self.shared.stop(Stop::Store(err));
            Ended::Left
        })
    }

    async fn tell(&mut self, result: Result<String, (String, String)>) {
        let row = Row { index: self.job.index, row: std::mem::take(&mut self.job.row), result };
        tokio::select! {
            // Whoever wanted it may have gone; it is in the store.
            _ = self.shared.ended.send(row) => {}
            () = self.shared.options.cancel.cancelled() => {}
        }
    }
}

/// Whether an error says that the server cannot be asked at all, whatever it is asked.
fn is_of_server(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Connect | ErrorKind::Unavailable | ErrorKind::Overloaded { .. })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
