use std::time::{Duration, Instant};

/// The rate of a server that tells nothing but "too many": what it lets through between two refusals.
///
/// At a refusal the server's bucket is empty. Between two of them it took in exactly what came back, whatever its size,
/// unless it was full meanwhile: no burst blurs the measurement, as it does that of a rate since the start.
#[derive(Debug, Default)]
pub(super) struct DeliveryRate {
    started_at: Option<Instant>,
    pace: Option<Pace>,
    /// The refusal from which is counted.
    anchor: Option<Refusal>,
    next_at: Option<Instant>,
}

#[derive(Debug)]
struct Pace {
    rate: f64,
    /// What it was after the last refusal.
    from: f64,
    /// The rate is not more than this, or was not when it was last seen.
    ceiling: f64,
    /// How much was counted for it: one more or less is its error.
    counted: f64,
    grown_at: Option<Instant>,
}

/// A refused request, and how much the server had let through by then.
#[derive(Debug)]
pub(super) struct Refusal {
    at: Instant,
    /// The request that was refused.
    number: u64,
    through: f64,
    /// How much of the time since then nothing was sent.
    paused: Duration,
}

/// The first pause after a refusal that names none, while it is not the first in a row, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is counted between two refusals before it is called a rate.
const MIN_COUNT: f64 = 4.0;

/// The part of a pace that is kept where nothing else is known but that it is too fast.
const DECREASE: f64 = 0.7;

/// A rate since the start is taken over at least so long.
const MIN_START: Duration = Duration::from_millis(100);

/// A pace that has grown by a fifth, by less than this part each second, has crept up.
const MAX_CREEP: f64 = 0.2;

/// Where so many times of what was once too much goes through, the limit is gone.
const LIMIT_GONE: f64 = 8.0;

/// Slots that were not used are caught up with if they are not older than this.
const CATCH_UP: Duration = Duration::from_millis(20);

impl DeliveryRate {
    pub(super) fn rate(&self) -> Option<f64> {
        self.pace.as_ref().map(|pace| pace.rate)
    }

    /// Begins with a rate that others have measured.
    pub(super) fn adopt(&mut self, rate: f64) {
        self.pace.get_or_insert_with(|| Pace::new(rate, rate, MIN_COUNT));
    }

    /// The part of the limit that is this process's has changed by this ratio.
    pub(super) fn rescale(&mut self, ratio: f64) {
        if let Some(pace) = &mut self.pace {
            [&mut pace.rate, &mut pace.from, &mut pace.ceiling].into_iter().for_each(|rate| *rate *= ratio);
        }
    }

    /// When the next request may be sent.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        self.next_at.unwrap_or(now)
    }

    pub(super) fn send(&mut self, now: Instant) {
        self.started_at.get_or_insert(now);
        let Some(pace) = &mut self.pace else { return };
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        match (self.next_at, &mut self.anchor) {
            (Some(slot), _) if slot >= earliest => pace.grow(now),
            // A pace that nobody keeps proves nothing, and the bucket fills as in a pause.
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

    /// A request was not sent after all, so that the server let nothing through that would show more of its rate.
    pub(super) fn refund(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.rate = pace.rate.min(pace.ceiling);
        }
    }

    /// The server refused the request `number`, too, which was sent before the last refusal was known.
    pub(super) fn refused_too(&mut self, number: u64) {
        // It had been counted as let through.
        if let Some(anchor) = self.anchor.as_mut().filter(|anchor| number < anchor.number) {
            anchor.through -= 1.0;
        }
    }

    /// The server refused a request; `refusals` came before it in a row. Gives the pause to make, which is the server's wish if it has one that does good.
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
            // A server that refuses all the same after its wish was granted twice does not know what to wish for.
            (Some(retry_after), _) => retry_after.max(doubled(refusals - 2)),
            // Two slots: one for the request that came too early, and one to be sure.
            (None, 0) => Duration::try_from_secs_f64(2.0 / pace.rate).unwrap_or(FIRST_PAUSE).min(FIRST_PAUSE),
            (None, _) => doubled(refusals),
        };
        self.pace = Some(pace);
        pause.max(SHORTEST_PAUSE)
    }

    /// Nothing is sent from `now` on for so long.
    pub(super) fn pause(&mut self, pause: Duration, now: Instant) {
        self.next_at = now.checked_add(pause);
        if let Some(anchor) = &mut self.anchor {
            anchor.pause(pause);
        }
    }

    /// The rate after a refusal.
    fn measure(&mut self, last: Refusal, refusals: u32) -> Pace {
        let Refusal { at, through, .. } = last;
        let Some(anchor) = &self.anchor else {
            // What the bucket held at first is in it, too, so this is too much.
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
            // However long a server refuses everything, it is tried again before long.
            let rate = (before * DECREASE).max(1.0 / LONGEST_PAUSE.as_secs_f64());
            return Pace::new(rate, before.max(rate), 1.0);
        }
        // A bucket that was full before a pause ended took in less than the rate in all that time.
        let least = passed / elapsed.as_secs_f64();
        let most = passed / elapsed.saturating_sub(anchor.paused).as_secs_f64().max(1e-3);
        // A pace that crept up from far below had the bucket full on its way: what passed is its mean, and the rate is
        // near to its end.
        let crept = before > 1.2 * from
            && most > from
            && elapsed > anchor.paused.saturating_mul(10)
            && (before / from).ln() < MAX_CREEP * elapsed.as_secs_f64();
        let most = if crept { most.max(before) } else { most }.max(least);
        self.anchor = Some(last);
        // A pace that is refused time and again before an answer comes empties in no time what a pause filled: such a burst
        // shows nothing of the rate.
        let lower = if refusals > 1 { DECREASE } else { 0.95 };
        let rate = (before * lower).clamp(least, most);
        Pace::new(rate, before.clamp(rate, most), passed)
    }
}

impl Refusal {
    pub(super) fn new(number: u64, at: Instant, through: f64) -> Self {
        Self { at, number, through, paused: Duration::ZERO }
    }

    fn pause(&mut self, pause: Duration) {
        self.paused = self.paused.saturating_add(pause);
    }
}

impl Pace {
    fn new(rate: f64, ceiling: f64, counted: f64) -> Self {
        Self { rate, from: rate, ceiling, counted, grown_at: None }
    }

    /// While nothing is refused the rate may be higher: it is tried fast where little is known, and slowly near to what
    /// was once too much.
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

    #[test]
    fn requests_whose_refusal_is_known_later_were_not_let_through() {
        let (start, mut delivery) = (Clock::now().into_std(), DeliveryRate::default());
        delivery.send(start);
        // Ten of forty went through at once, and the refusal of the thirtieth is known first.
        delivery.refused(Refusal::new(30, at(start, 5), 29.0), None, 0);
        (11..30).chain(31..=40).for_each(|number| delivery.refused_too(number));
        // A hundred each second since then.
        delivery.refused(Refusal::new(71, at(start, 305), 40.0), None, 0);
        let rate = delivery.rate().unwrap();
        assert!((90.0..=115.0).contains(&rate), "{rate}");
    }

    #[test]
    fn an_idle_while_after_a_refusal_is_a_pause() {
        let start = Clock::now().into_std();
        let anchor = Refusal::new(1, start, 0.0);
        let pace = Pace::new(100.0, 100.0, 50.0);
        let mut delivery =
            DeliveryRate { started_at: Some(start), pace: Some(pace), anchor: Some(anchor), next_at: None };
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
    fn a_pace_that_empties_after_each_pause_what_came_back_is_lowered_fast() {
        let start = Clock::now().into_std();
        let anchor = Refusal::new(1, start, 0.0);
        let pace = Pace::new(1_000.0, 1_000.0, 50.0);
        let mut delivery =
            DeliveryRate { started_at: Some(start), pace: Some(pace), anchor: Some(anchor), next_at: None };
        // A hundred at once, which come back within a pause of a second and are gone in a tenth.
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
    fn a_pace_that_crept_up_to_the_limit_is_near_to_it() {
        let start = Clock::now().into_std();
        let anchor = Refusal::new(1, start, 0.0);
        let pace = Pace::new(40.0, 41.0, 20.0);
        let mut delivery =
            DeliveryRate { started_at: Some(start), pace: Some(pace), anchor: Some(anchor), next_at: None };
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
