use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Calls that were sent at nearly the same time, which a server may count in any order.
///
/// The head of an answer shows what is left after that call, and after those whose heads came before. Of a burst over new
/// connections the last call is often the first to arrive: the others are then still to be counted.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    bursts: VecDeque<Burst>,
    /// The number of the oldest burst that is kept.
    oldest: u64,
}

#[derive(Debug)]
struct Burst {
    started_at: Instant,
    /// The cost of the calls sent before it, and of its own calls whose heads have come.
    before: [f64; 4],
    observed: [f64; 4],
}

/// A burst lasts so long: calls that were sent further apart arrive in order.
pub(super) const MAX_LENGTH: Duration = Duration::from_millis(20);

/// With calls all the time these are those of the last twenty seconds; answers that take longer are heard without it.
const MAX_KEPT: usize = 1_000;

impl Bursts {
    /// Adds a call, before which so much was sent, and returns the number of its burst.
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

    /// The head of an answer came to a call of this burst that takes these amounts. Returns what the server has counted by then: what
    /// was sent before the burst, and of the burst what was heard of. `None` for a burst that is no longer kept.
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

    /// Sends calls of one unit at these milliseconds, and hears of them in this order; returns what was counted by then.
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
    fn of_a_burst_only_what_was_heard_of_has_been_counted() {
        assert_eq!(counted(&[0, 0, 0, 0], &[4, 2, 1, 3]), [1, 2, 3, 4]);
        assert_eq!(
            counted(&[0, 5, 19, 20, 30], &[5, 4]),
            [4, 5],
            "what was sent before the burst has been counted"
        );
    }

    #[test]
    fn in_order_all_that_was_sent_before_has_been_counted() {
        assert_eq!(counted(&[0, 0, 50, 100], &[1, 2, 3, 4]), [1, 2, 3, 4]);
    }
}
