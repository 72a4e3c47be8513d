//! The ends of a job, and of the calls on its way: each is stored before it is reported.

use antiphon_llm::{Completion, Error};
use antiphon_store::{Answer, Bill, Settlement};
use serde_json::Value;
use tokio::time::Instant;

use super::{Ended, Failed, Life};
use crate::dispatch::JobOutcome;
use crate::status::Counters;
use crate::stop::Stop;
use crate::timings::Phase;
use crate::work::Accepted;

impl Life {
    /// Stores a result, and with it an answer for whoever asks the same again.
    pub(super) async fn accept(
        &mut self,
        accepted: Accepted,
        bill: Bill,
        cached: Option<([u8; 32], Answer)>,
    ) -> Ended {
        let result = accepted.value.to_string();
        self.seen.notes.extend(accepted.notes);
        let mut settlement = Settlement::accepted(self.job.index, result.clone(), bill);
        if let Some((key, answer)) = cached {
            settlement = settlement.answer(key, answer);
        }
        if let Err(ended) = self.settle(settlement).await {
            // It was paid for, and is nowhere else.
            let outcome = self.outcome(Ok(result));
            self.shared.keep_unsaved(outcome);
            return ended;
        }
        Counters::add(&self.shared.counters.accepted, 1);
        self.shared.counters.totals.add(&self.spans);
        self.tell(Ok(result)).await;
        Ended::Accepted
    }

    /// Ends the job for an error, or with what earlier answers gave, where the recipe says that it will do.
    pub(super) async fn fail(&mut self, failed: impl Into<Failed>, bill: Bill) -> Ended {
        let kept = if self.refusals > 0 { self.shared.work.settle_for(&self.kept) } else { None };
        if let Some(value) = kept {
            return self.accept(Accepted::new(value), bill, None).await;
        }
        let failed = failed.into();
        let settlement = Settlement::failed(self.job.index, &failed.kind, &failed.message, bill);
        let partial = failed.cause.as_ref().and_then(Error::partial);
        let settlement = match partial.filter(|partial| !partial.text.is_empty()) {
            Some(partial) => settlement.result(&partial.text),
            None => settlement,
        };
        if let Err(ended) = self.settle(settlement).await {
            return ended;
        }
        Counters::add(&self.shared.counters.failed, 1);
        self.shared.counters.totals.add(&self.spans);
        self.tell(Err(failed.clone())).await;
        Ended::Failed(failed)
    }

    /// Leaves the job for later, with what it has cost.
    pub(super) async fn leave(&mut self, bill: Bill) -> Ended {
        match self.settle(Settlement::again(self.job.index, bill)).await {
            Ok(()) => Ended::Left,
            Err(ended) => ended,
        }
    }

    pub(super) async fn settle(&mut self, settlement: Settlement) -> Result<(), Ended> {
        let began = Instant::now();
        let mut settlement = settlement.timings(self.spans.micros());
        if !settlement.state.is_end() && !self.kept.is_empty() {
            settlement = settlement.result(Value::Array(self.kept.clone()).to_string());
        }
        let kept = self.shared.run.settle(settlement).await;
        self.spans.add(Phase::Commit, began.elapsed());
        kept.map_err(|err| {
            self.shared.stop(Stop::Store(err));
            Ended::Left
        })
    }

    async fn tell(&mut self, result: Result<String, Failed>) {
        let outcome = self.outcome(result);
        tokio::select! {
            biased;
            // Whoever wanted it may have gone; it is in the store.
            _ = self.shared.ended.send(outcome) => {}
            () = self.shared.options.cancel.cancelled() => {}
        }
    }

    fn outcome(&mut self, result: Result<String, Failed>) -> JobOutcome {
        let (row, seen) = (std::mem::take(&mut self.job.row), std::mem::take(&mut self.seen));
        JobOutcome { index: self.job.index, row, result, seen }
    }
}

/// An answer as it is kept for whoever asks the same again.
pub(super) fn cached(answer: Completion) -> Answer {
    let kept = Answer::new(answer.text).model(answer.head.model);
    kept.tokens(answer.usage.input, answer.usage.output)
}
