use std::time::{Duration, Instant};

/// The rate of a server that tells nothing but "too many": what it lets through between two refusals.
///
/// At a refusal the server's bucket is empty. Between two of them it took in exactly what came back, whatever its size:
/// no burst blurs the measurement, as it does that of a rate since the start.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    begun: Option<Instant>,
    pace: Option<Pace>,
    /// The refusal from which is counted.
    empty: Option<Empty>,
    next_at: Option<Instant>,
}

#[derive(Debug)]
struct Pace {
    rate: f64,
    /// The rate is not more than this, or was not when it was last seen.
    ceiling: f64,
    /// How much was counted for it: one more or less is its error.
    counted: f64,
    grown_at: Option<Instant>,
}

#[derive(Debug)]
struct Empty {
    at: Instant,
    through: f64,
    /// How much of the time since then nothing was sent.
    paused: Duration,
}

/// The first pause after a refusal that names none, while it is not the first in a row, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is counted between two refusals before it is called a rate.
const ENOUGH: f64 = 4.0;

/// A rate since the start is taken over at least so long.
const START: Duration = Duration::from_millis(100);

/// Where so many times of what was once too much goes through, the limit is gone.
const GONE: f64 = 8.0;

/// Slots that were not used are caught up with if they are not older than this.
const SLACK: Duration = Duration::from_millis(20);

impl Delivered {
    pub(super) fn rate(&self) -> Option<f64> {
        self.pace.as_ref().map(|pace| pace.rate)
    }

    /// When the next request may be sent.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        self.next_at.unwrap_or(now)
    }

    pub(super) fn send(&mut self, now: Instant) {
        self.begun.get_or_insert(now);
        let Some(pace) = &mut self.pace else { return };
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        // A pace that nobody keeps proves nothing.
        if self.next_at.is_some_and(|slot| slot >= earliest) {
            pace.grow(now);
        }
        if pace.rate > pace.ceiling * GONE {
            self.pace = None;
            return;
        }
        let slot = self.next_at.map_or(now, |slot| slot.max(earliest));
        self.next_at =
            Duration::try_from_secs_f64(1.0 / pace.rate).ok().and_then(|gap| slot.checked_add(gap));
    }

    /// A request was not sent after all, so that the server let nothing through that would show more of its rate.
    pub(super) fn unsent(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.rate = pace.rate.min(pace.ceiling);
        }
    }

    /// The server refused a request that was sent at `at`, after it had let `through` pass; `refusals` came before it in
    /// a row. Gives the pause to make, which is the server's wish if it has one.
    pub(super) fn refused(
        &mut self,
        at: Instant,
        through: f64,
        wish: Option<Duration>,
        refusals: u32,
    ) -> Duration {
        let pace = self.measure(at, through);
        let doubling = FIRST_PAUSE.saturating_mul(1 << refusals.min(10)).min(LONGEST_PAUSE);
        let pause = wish.unwrap_or_else(|| match refusals {
            // Two slots: one for the request that came too early, and one to be sure.
            0 => Duration::try_from_secs_f64(2.0 / pace.rate).map_or(doubling, |pause| pause.min(doubling)),
            _ => doubling,
        });
        let pause = pause.max(SHORTEST_PAUSE);
        self.pace = Some(pace);
        self.next_at = None;
        if let Some(empty) = &mut self.empty {
            empty.paused = empty.paused.saturating_add(pause);
        }
        pause
    }

    /// The rate after a refusal.
    fn measure(&mut self, at: Instant, through: f64) -> Pace {
        let Some(empty) = &self.empty else {
            // What the bucket held at first is in it, too, so this is too much.
            let seconds = self.begun.map_or(START, |begun| at.saturating_duration_since(begun).max(START));
            self.empty = Some(Empty { at, through, paused: Duration::ZERO });
            let rate = through.max(1.0) / seconds.as_secs_f64();
            return Pace { rate, ceiling: rate, counted: 1.0, grown_at: None };
        };
        let before = self.rate().unwrap_or(1.0);
        let (passed, elapsed) = (through - empty.through, at.saturating_duration_since(empty.at));
        if passed < ENOUGH || elapsed.is_zero() {
            // However long a server refuses everything, it is tried again before long.
            let rate = (before * 0.7).max(1.0 / LONGEST_PAUSE.as_secs_f64());
            return Pace { rate, ceiling: before.max(rate), counted: 1.0, grown_at: None };
        }
        // A bucket that was full before a pause ended took in less than the rate in all that time.
        let least = passed / elapsed.as_secs_f64();
        let most = passed / elapsed.saturating_sub(empty.paused).as_secs_f64().max(1e-3);
        self.empty = Some(Empty { at, through, paused: Duration::ZERO });
        let rate = (before * 0.95).clamp(least, most.max(least));
        Pace { rate, ceiling: before.clamp(rate, most.max(rate)), counted: passed, grown_at: None }
    }
}

impl Pace {
    /// While nothing is refused the rate may be higher: it is tried fast where little is known, and slowly near to what
    /// was once too much.
    fn grow(&mut self, now: Instant) {
        let then = self.grown_at.replace(now).unwrap_or(now);
        let seconds = now.saturating_duration_since(then).as_secs_f64().min(1.0);
        let room = (self.ceiling / self.rate - 1.0).clamp(0.0, 1.0);
        self.rate *= 1.0 + (0.01 + 1.0 / self.counted.max(1.0) + 0.5 * room) * seconds;
    }
}
