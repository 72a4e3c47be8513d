use std::time::{Duration, Instant};

/// The rate limit of a server that sends no headers, only refusals (429), measured as its throughput between two refusals.
///
/// At a refusal, the token bucket of the server is empty. The requests admitted between two refusals are therefore exactly the
/// refill in that time, unless the bucket was full in between. The size of the bucket, which the initial burst used up, does not
/// distort the measurement.
#[derive(Debug, Default)]
pub(super) struct DeliveryRate {
    /// Time of the first request.
    started_at: Option<Instant>,
    /// Pace of requests; `None` before the first refusal or adopted rate, and after the limit was found to be
    /// gone.
    pace: Option<Pace>,
    /// Whether there ever was a pace.
    has_paced: bool,
    /// Refusal from which requests are counted.
    anchor: Option<Refusal>,
    /// Time from which the next request may be sent.
    next_at: Option<Instant>,
}

/// The pace at which requests are sent, which creeps up until the next refusal.
#[derive(Debug)]
struct Pace {
    /// Requests each second.
    rate: f64,
    /// Rate after the last refusal.
    from: f64,
    /// Upper bound of the server's rate, at the last measurement.
    ceiling: f64,
    /// Number of requests that were counted: the measurement is exact to one of them.
    counted: f64,
    /// Time up to which the growth is included in `rate`.
    grown_at: Option<Instant>,
}

/// A refused request, and the number of requests that the server had admitted by then.
#[derive(Debug)]
pub(super) struct Refusal {
    at: Instant,
    /// Number of the refused request.
    number: u64,
    /// Number of requests that the server had admitted before it.
    through: f64,
    /// Time since then in which nothing was sent.
    paused: Duration,
}

/// The pauses after refusals without a `retry_after`: the unit that doubles, the shortest and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Requests between two refusals that are enough to measure a rate.
const MIN_COUNT: f64 = 4.0;

/// The factor by which a pace is reduced if it is too fast and there is no measurement.
const DECREASE: f64 = 0.7;

/// The shortest time over which a rate since the start is measured.
const MIN_START: Duration = Duration::from_millis(100);

/// The highest growth each second of a pace that has crept up, by a fifth in total.
const MAX_CREEP: f64 = 0.2;

/// The multiple of the ceiling from which the limit is assumed to exist no longer, since no request was refused.
const LIMIT_GONE: f64 = 8.0;

/// The age up to which unused send slots are caught up with.
const CATCH_UP: Duration = Duration::from_millis(20);

impl DeliveryRate {
    /// Returns the pace, in requests each second; `None` while no limit is known.
    pub(super) fn rate(&self) -> Option<f64> {
        self.pace.as_ref().map(|pace| pace.rate)
    }

    /// Starts with a rate that other processes have measured, unless this process has measured or adopted one before: a limit
    /// that is gone stays gone.
    pub(super) fn adopt(&mut self, rate: f64) {
        if !self.has_paced {
            self.set_pace(Pace::new(rate, rate, MIN_COUNT));
        }
    }

    /// Sets the pace, and remembers that there was one.
    fn set_pace(&mut self, pace: Pace) {
        (self.pace, self.has_paced) = (Some(pace), true);
    }

    /// Follows a change of this process's part of the limit by `ratio`. The pace becomes `rate`, this process's part of the limit
    /// that all processes measured together; without it the pace grows at most twofold, since a process with a small part
    /// measures what the others leave. Counting starts again at `now`, when the server has admitted `through` calls.
    pub(super) fn rescale(&mut self, ratio: f64, rate: Option<f64>, through: f64, now: Instant) {
        let Some(pace) = &mut self.pace else { return };
        let rate = rate.unwrap_or(pace.rate * ratio.min(2.0));
        *pace = Pace::new(rate, rate, MIN_COUNT);
        if let Some(anchor) = &mut self.anchor {
            (anchor.at, anchor.through, anchor.paused) = (now, through, Duration::ZERO);
        }
        // The slot after the last call at the former pace.
        if let Some(slot) = self.next_at.filter(|slot| *slot > now) {
            let gap = Duration::try_from_secs_f64(1.0 / rate).ok().and_then(|gap| now.checked_add(gap));
            self.next_at = Some(gap.map_or(slot, |next| slot.min(next)));
        }
    }

    /// Returns when the next request may be sent.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        self.next_at.unwrap_or(now)
    }

    /// Records a request that is sent, and computes the slot of the next one. Slots that were not used are caught up
    /// with only for `CATCH_UP`, so that a time without calls is not followed by a burst.
    pub(super) fn send(&mut self, now: Instant) {
        self.started_at.get_or_insert(now);
        let Some(pace) = &mut self.pace else { return };
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        match (self.next_at, &mut self.anchor) {
            (Some(slot), _) if slot >= earliest => pace.grow(now),
            // A pace that is not used shows nothing, and the bucket refills as in a pause.
            (Some(slot), Some(anchor)) => anchor.pause(now.saturating_duration_since(slot)),
            _ => {}
        }
        if pace.rate > pace.ceiling * LIMIT_GONE {
            self.pace = None;
            return;
        }
        let slot = self.next_at.map_or(now, |slot| slot.max(earliest));
        self.next_at =
            Duration::try_from_secs_f64(1.0 / pace.rate).ok().and_then(|gap| slot.checked_add(gap));
    }

    /// Takes back growth for a request that was not sent after all: the server admitted nothing that would justify it.
    pub(super) fn refund(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.rate = pace.rate.min(pace.ceiling);
        }
    }

    /// Records a further refused request, which was sent before the last refusal was known.
    pub(super) fn refused_too(&mut self, number: u64) {
        // The request had been counted as admitted.
        if let Some(anchor) = self.anchor.as_mut().filter(|anchor| number < anchor.number) {
            anchor.through -= 1.0;
        }
    }

    /// Records a refused request after `refusals` others in a row, and returns the pause to make: the server's
    /// `retry_after` if it has one and that is not too short.
    pub(super) fn refused(
        &mut self,
        refusal: Refusal,
        retry_after: Option<Duration>,
        refusals: u32,
    ) -> Duration {
        let pace = self.measure(refusal, refusals);
        let doubled = |times: u32| FIRST_PAUSE.saturating_mul(1 << times.min(10)).min(LONGEST_PAUSE);
        let pause = match (retry_after, refusals) {
            (Some(retry_after), 0 | 1) => retry_after,
            // The server still refuses after its `retry_after` was honoured twice, so that is too short.
            (Some(retry_after), _) => retry_after.max(doubled(refusals - 2)),
            // Two slots: one for the request that came too early, and one to be sure.
            (None, 0) => Duration::try_from_secs_f64(2.0 / pace.rate).unwrap_or(FIRST_PAUSE).min(FIRST_PAUSE),
            (None, _) => doubled(refusals),
        };
        self.set_pace(pace);
        pause.max(SHORTEST_PAUSE)
    }

    /// Records that nothing is sent from `now` on for the time of `pause`.
    pub(super) fn pause(&mut self, pause: Duration, now: Instant) {
        self.next_at = now.checked_add(pause);
        if let Some(anchor) = &mut self.anchor {
            anchor.pause(pause);
        }
    }

    /// Measures the rate after a refusal, and returns the pace that follows from it.
    ///
    /// The server's rate lies between two bounds: the requests admitted since the anchor, divided by all of the time,
    /// and divided by the time without the pauses, since a bucket that was full before a pause ended was not refilled
    /// any more. The new rate is 5 % below the pace that was refused, or 30 % below it after repeated refusals, clamped
    /// to these bounds.
    fn measure(&mut self, last: Refusal, refusals: u32) -> Pace {
        let Refusal { at, through, .. } = last;
        let Some(anchor) = &self.anchor else {
            // The initial content of the bucket is included, so this rate is too high.
            let seconds = self
                .started_at
                .map_or(MIN_START, |started_at| at.saturating_duration_since(started_at).max(MIN_START));
            self.anchor = Some(last);
            let rate = through.max(1.0) / seconds.as_secs_f64();
            return Pace::new(rate, rate, 1.0);
        };
        let (before, from) = self.pace.as_ref().map_or((1.0, 1.0), |pace| (pace.rate, pace.from));
        let (passed, elapsed) = (through - anchor.through, at.saturating_duration_since(anchor.at));
        if passed < MIN_COUNT || elapsed.is_zero() {
            // However long a server refuses everything, a request is sent at least once in the longest pause.
            let rate = (before * DECREASE).max(1.0 / LONGEST_PAUSE.as_secs_f64());
            return Pace::new(rate, before.max(rate), 1.0);
        }
        // A bucket that was full before a pause ended was refilled by less than the rate over that time.
        let least = passed / elapsed.as_secs_f64();
        let most = passed / elapsed.saturating_sub(anchor.paused).as_secs_f64().max(1e-3);
        // While a pace crept up from far below, the bucket was full: the requests that passed show the mean of the pace, and
        // the rate is near its final value.
        let crept = before > 1.2 * from
            && most > from
            && elapsed > anchor.paused.saturating_mul(10)
            && (before / from).ln() < MAX_CREEP * elapsed.as_secs_f64();
        let most = if crept { most.max(before) } else { most }.max(least);
        self.anchor = Some(last);
        // A pace that is refused repeatedly before an answer comes uses up at once what was refilled during a pause: such a
        // burst does not show the rate.
        let lower = if refusals > 1 { DECREASE } else { 0.95 };
        let rate = (before * lower).clamp(least, most);
        Pace::new(rate, before.clamp(rate, most), passed)
    }
}

impl Refusal {
    /// Creates a refusal of the request with this number, sent at `at`, when the server had admitted `through` others.
    pub(super) fn new(number: u64, at: Instant, through: f64) -> Self {
        Self { at, number, through, paused: Duration::ZERO }
    }

    /// Adds a time in which nothing is sent.
    fn pause(&mut self, pause: Duration) {
        self.paused = self.paused.saturating_add(pause);
    }
}

impl Pace {
    /// Creates a pace that has not grown yet.
    fn new(rate: f64, ceiling: f64, counted: f64) -> Self {
        Self { rate, from: rate, ceiling, counted, grown_at: None }
    }

    /// Raises the rate while no request is refused: fast where little is known, and slowly near the ceiling.
    fn grow(&mut self, now: Instant) {
        let then = self.grown_at.replace(now).unwrap_or(now);
        let seconds = now.saturating_duration_since(then).as_secs_f64().min(1.0);
        let room = (self.ceiling / self.rate - 1.0).clamp(0.0, 1.0);
        self.rate *= 1.0 + (0.01 + 1.0 / self.counted.max(1.0) + 0.5 * room) * seconds;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::time::Instant as Clock;

    use super::{DeliveryRate, Pace, Refusal};

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    fn paced(start: Instant, anchor: Refusal, pace: Pace) -> DeliveryRate {
        DeliveryRate {
            has_paced: true,
            started_at: Some(start),
            pace: Some(pace),
            anchor: Some(anchor),
            next_at: None,
        }
    }

    #[test]
    fn requests_whose_refusal_is_known_later_do_not_count_as_admitted() {
        let (start, mut delivery) = (Clock::now().into_std(), DeliveryRate::default());
        delivery.send(start);
        // Ten of forty requests were admitted at once, and the refusal of the thirtieth is known first.
        delivery.refused(Refusal::new(30, at(start, 5), 29.0), None, 0);
        (11..30).chain(31..=40).for_each(|number| delivery.refused_too(number));
        // Thirty in 300 ms since then: a hundred each second.
        delivery.refused(Refusal::new(71, at(start, 305), 40.0), None, 0);
        let rate = delivery.rate().unwrap();
        assert!((90.0..=115.0).contains(&rate), "{rate}");
    }

    #[test]
    fn an_idle_time_after_a_refusal_counts_as_a_pause() {
        let start = Clock::now().into_std();
        let anchor = Refusal::new(1, start, 0.0);
        let pace = Pace::new(100.0, 100.0, 50.0);
        let mut delivery = paced(start, anchor, pace);
        let pause = delivery.refused(Refusal::new(102, at(start, 1_000), 100.0), None, 0);
        delivery.pause(pause, at(start, 1_000));
        let back = at(start, 600_000);
        for sent in 0..60_u64 {
            delivery.send(at(back, 10 * sent));
        }
        delivery.refused(Refusal::new(163, at(back, 600), 160.0), None, 0);
        let rate = delivery.rate().unwrap();
        assert!((80.0..=110.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_pace_that_uses_up_the_refill_at_once_is_lowered_fast() {
        let start = Clock::now().into_std();
        let anchor = Refusal::new(1, start, 0.0);
        let pace = Pace::new(1_000.0, 1_000.0, 50.0);
        let mut delivery = paced(start, anchor, pace);
        // A hundred requests, which are refilled in a pause of a second and used up in a tenth of one.
        for round in 1..=8_u32 {
            let (started_at, number) = (1_100 * u64::from(round - 1), u64::from(round) * 101);
            delivery.pause(Duration::from_secs(1), at(start, started_at));
            delivery.refused(
                Refusal::new(number, at(start, started_at + 1_100), f64::from(round) * 100.0),
                None,
                round,
            );
        }
        let rate = delivery.rate().unwrap();
        assert!((90.0..=120.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_pace_that_crept_up_to_the_limit_is_near_it() {
        let start = Clock::now().into_std();
        let anchor = Refusal::new(1, start, 0.0);
        let pace = Pace::new(40.0, 41.0, 20.0);
        let mut delivery = paced(start, anchor, pace);
        let (mut now, mut level, mut number, mut through) = (start, 0.0_f64, 1, 0.0);
        loop {
            let next = delivery.ready_at(now).max(now);
            level = (level + 100.0 * (next - now).as_secs_f64()).min(10.0);
            (now, number) = (next, number + 1);
            if level < 1.0 && number > 100 {
                break;
            }
            (level, through) = (level - 1.0, through + 1.0);
            delivery.send(now);
        }
        delivery.refused(Refusal::new(number, now, through), None, 0);
        let (rate, mean) = (delivery.rate().unwrap(), through / (now - start).as_secs_f64());
        assert!((92.0..=106.0).contains(&rate) && mean < 80.0, "{rate}, and {mean} on the way");
    }
}
