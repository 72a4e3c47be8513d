use std::time::{Duration, Instant};

use super::gates::GatePolicy;

/// How many calls at once do good, found by trying.
///
/// It grows as in TCP's slow start while at least four fifths of it are used, by one for each answer until the first cut,
/// and slowly from then on; it is cut once for each bout of refusals; and it stops where more calls at once bring no more
/// answers, as with an engine whose slots are all taken.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: f64,
    max: f64,
    was_cut: bool,
    still_until: Option<Instant>,
    round: Option<Round>,
    best: Option<Best>,
}

/// As many answers as calls could be under way when it began, and what they show.
#[derive(Debug)]
struct Round {
    limit: f64,
    answers: f64,
    /// The seconds that those calls took, added up.
    seconds: f64,
    /// The most calls under way.
    peak: usize,
}

/// What a round showed: by Little's law, so many calls at once that take so long are so many each second.
#[derive(Debug)]
struct Best {
    limit: f64,
    per_second: f64,
}

/// Until the first answer, or for so long, only a few scouts go: the answer may tell a limit.
const SCOUTS: usize = 8;
const SCOUTING: Duration = Duration::from_millis(500);

const CUT: f64 = 0.7;
const FREEZE: Duration = Duration::from_secs(5);
const HOLD: Duration = Duration::from_secs(30);

impl Concurrency {
    pub(super) fn new(policy: &GatePolicy) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 calls under way")]
        let (start, max) = (policy.start_concurrency.max(1) as f64, policy.max_concurrency.max(1) as f64);
        Self { limit: start.min(max), max, was_cut: false, still_until: None, round: None, best: None }
    }

    /// The most calls at once.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and the maximum"
    )]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// As [`limit`](Self::limit), while no answer has come; and when that changes by itself.
    pub(super) fn scouts(&self, begun: Option<Instant>, now: Instant) -> (usize, Option<Instant>) {
        let until = begun.map(|begun| begun + SCOUTING);
        match until.is_some_and(|until| until <= now) {
            true => (self.limit(), None),
            false => (self.limit().min(SCOUTS), until),
        }
    }

    /// A call was sent; so many are under way now.
    pub(super) fn sent(&mut self, under_way: usize) {
        let limit = self.limit;
        let round = self.round.get_or_insert(Round { limit, answers: 0.0, seconds: 0.0, peak: 0 });
        round.peak = round.peak.max(under_way);
    }

    /// An answer came after `took`, while so many calls were under way, itself included.
    pub(super) fn answered(&mut self, under_way: usize, took: Duration, now: Instant) {
        let Some(round) = &mut self.round else { return };
        round.answers += 1.0;
        round.seconds += took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 calls under way")]
        let peak = round.peak as f64;
        let used = peak >= 0.8 * round.limit.floor();
        if round.answers >= round.limit {
            let done = Best { limit: round.limit, per_second: peak * round.answers / round.seconds };
            if used && done.per_second.is_finite() {
                self.weigh(done, now);
            }
            self.round = Some(Round { limit: self.limit, answers: 0.0, seconds: 0.0, peak: under_way });
        }
        if used && self.still_until.is_none_or(|until| until <= now) {
            let step = if self.was_cut { 1.0 / self.limit } else { 1.0 };
            self.limit = (self.limit + step).min(self.max);
        }
    }

    /// The server had too much.
    pub(super) fn cut(&mut self) {
        self.limit = (self.limit * CUT).max(1.0);
        self.was_cut = true;
        (self.round, self.best) = (None, None);
    }

    /// The server had a fault: no reason to ask for less, nor for more.
    pub(super) fn freeze(&mut self, now: Instant) {
        self.still_until = self.still_until.max(Some(now + FREEZE));
    }

    /// Goes back to what did as well with fewer calls at once.
    fn weigh(&mut self, round: Best, now: Instant) {
        match &self.best {
            Some(best) if round.limit < 1.3 * best.limit => {}
            Some(best) if round.per_second < 1.1 * best.per_second => {
                self.limit = best.limit;
                self.still_until = self.still_until.max(Some(now + HOLD));
            }
            _ => self.best = Some(round),
        }
    }
}
