use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bursts: calls that were sent at nearly the same time, which a server may count in any order.
///
/// The headers of an answer report the amount left after that call and after the calls whose headers came before. Of a burst
/// over new connections, the last call is often the first to arrive; the others are then not yet counted.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    bursts: VecDeque<Burst>,
    /// Number of the oldest burst that is kept.
    oldest: u64,
}

#[derive(Debug)]
struct Burst {
    started_at: Instant,
    /// Total cost of the calls sent before the burst, and of its own calls whose headers have arrived.
    before: [f64; 4],
    observed: [f64; 4],
}

/// The length of a burst: calls that were sent further apart arrive in order.
pub(super) const MAX_LENGTH: Duration = Duration::from_millis(20);

/// The number of bursts that are kept: under constant load, those of the last twenty seconds. The order of answers that take
/// longer is not corrected.
const MAX_KEPT: usize = 1_000;

impl Bursts {
    /// Adds a call and returns the number of its burst; `before` is the total cost sent before the call.
    pub(super) fn send(&mut self, before: [f64; 4], now: Instant) -> u64 {
        let is_over = |burst: &Burst| now.saturating_duration_since(burst.started_at) >= MAX_LENGTH;
        if self.bursts.back().is_none_or(is_over) {
            if self.bursts.len() >= MAX_KEPT {
                self.bursts.pop_front();
                self.oldest += 1;
            }
            self.bursts.push_back(Burst { started_at: now, before, observed: [0.0; 4] });
        }
        self.oldest + self.bursts.len() as u64 - 1
    }

    /// Adds the headers of an answer to a call of this burst with this cost. Returns the total that the server has counted by
    /// then: all calls sent before the burst, and those of the burst whose headers have arrived. Returns `None` for a burst
    /// that is no longer kept.
    pub(super) fn observe(&mut self, number: u64, amounts: [f64; 4]) -> Option<[f64; 4]> {
        let index = usize::try_from(number.checked_sub(self.oldest)?).ok()?;
        let burst = self.bursts.get_mut(index)?;
        let mut counted = burst.before;
        for (dimension, counted) in counted.iter_mut().enumerate() {
            burst.observed[dimension] += amounts[dimension];
            *counted += burst.observed[dimension];
        }
        Some(counted)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant as Clock;

    use super::Bursts;

    /// Sends calls of one unit at these milliseconds, and observes them in this order; returns the total counted by then.
    fn counted(sent_at: &[u64], observed: &[u32]) -> Vec<u32> {
        let (start, mut bursts) = (Clock::now().into_std(), Bursts::default());
        let sent: Vec<u64> = (0_u32..)
            .zip(sent_at)
            .map(|(before, at)| bursts.send([f64::from(before); 4], start + Duration::from_millis(*at)))
            .collect();
        let observe = |number: &u32| {
            let burst = sent[*number as usize - 1];
            let [counted, ..] = bursts.observe(burst, [1.0; 4]).unwrap();
            format!("{counted:.0}").parse().unwrap()
        };
        observed.iter().map(observe).collect()
    }

    #[test]
    fn calls_of_a_burst_are_counted_once_their_headers_arrive() {
        assert_eq!(counted(&[0, 0, 0, 0], &[4, 2, 1, 3]), [1, 2, 3, 4]);
        assert_eq!(counted(&[0, 5, 19, 20, 30], &[5, 4]), [4, 5], "calls sent before the burst are counted");
    }

    #[test]
    fn answers_in_order_count_all_calls_sent_before() {
        assert_eq!(counted(&[0, 0, 50, 100], &[1, 2, 3, 4]), [1, 2, 3, 4]);
    }
}
