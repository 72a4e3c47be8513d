//! The budget of a run: admission control by cost.
//!
//! The budget is local to a process, and fast: a reservation is an addition under a lock. The store enforces the same
//! cap for all processes with each intent (`Intent::max_cost`). So a process whose view of the others is out of date
//! can grant too much, but never spend it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A budget: the most that calls may cost together, in millionths of a US dollar. This is admission control by cost.
///
/// Before each call, the most that the call may cost is reserved; afterwards its bill replaces the reservation. So the sum of the
/// amounts spent and reserved never exceeds the cap, however many calls run concurrently. Reserving the maximum for every call
/// would leave most of a small budget unused. Where the maximum does not fit, the call is therefore granted only the cost of a
/// usual call, and the caller has to lower `max_tokens` so that the call stays within its [`Grant`].
///
/// Clones are handles to the same budget.
///
/// # Examples
/// ```
/// use antiphon_engine::{Budget, Exhausted};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Exhausted> {
/// let budget = Budget::new(Some(1_000), 0);
/// let first = budget.reserve(800, 100, 50).await?;
/// let second = budget.reserve(800, 100, 50).await?; // 800 no longer fit
/// assert_eq!((first.is_whole(), second.amount()), (true, 100));
/// first.settle(300);
/// drop(second); // never settled: counts as spent
/// assert_eq!(budget.spent(), 400);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Budget {
    cap: Option<u64>,
    state: Arc<(Mutex<State>, Notify)>,
}

/// The amounts that count against the cap.
#[derive(Debug, Default)]
struct State {
    /// The amount that this process has spent, and that was spent before it began.
    spent: u64,
    /// The amount that the calls in progress of this process have reserved.
    reserved: u64,
    /// The amount that other processes that work on the run have spent, as of the last read of the store.
    others_spent: u64,
    /// The amount that they have reserved.
    others_reserved: u64,
}

/// A reservation of a part of a [`Budget`] for one call. A grant that is dropped without [`settle`](Self::settle) counts as spent
/// in full, since the call was possibly billed.
#[derive(Debug)]
#[must_use = "a grant that is dropped counts as spent"]
pub struct Grant {
    budget: Budget,
    amount: u64,
    is_whole: bool,
}

/// The error of a [`Budget`] that has too little left for a call. A later reservation can only succeed if it needs
/// less, or if other processes return a part of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl Budget {
    /// Creates a budget of `cap`, of which `spent` is already used; without a cap, spending is only counted.
    ///
    /// All amounts are in millionths of a US dollar: see [`usd_micros`](crate::usd_micros) to convert from dollars.
    #[must_use]
    pub fn new(cap: Option<u64>, spent: u64) -> Self {
        let state = State { spent, ..State::default() };
        Self { cap, state: Arc::new((Mutex::new(state), Notify::new())) }
    }

    /// Returns the amount that was spent so far, amounts held for possibly billed calls included.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.lock().spent
    }

    /// Returns the cap; `None` without one.
    #[must_use]
    pub fn cap(&self) -> Option<u64> {
        self.cap
    }

    /// Returns whether the budget has a cap.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.cap.is_some()
    }

    /// Reserves an amount for one call, in millionths of a US dollar: `whole`, the most that the call may cost, if that is left;
    /// otherwise `least`, which the call then must not exceed. Waits while neither fits and calls in progress may still return a
    /// part of their reservations. If no call is in progress and not even `least` fits, grants all that is left, provided that it
    /// is at least `floor`.
    ///
    /// | left of the cap | granted |
    /// |---|---|
    /// | at least `whole` | `whole` |
    /// | at least `least` | `least` |
    /// | less than `least`, while calls are in progress | nothing yet: the call waits |
    /// | at least `floor`, without calls in progress | all that is left |
    /// | less than `floor`, without calls in progress | [`Exhausted`] |
    ///
    /// Waiters have no order: each settlement wakes all of them, and those whose amounts fit proceed. A budget without
    /// a cap grants `whole` immediately.
    ///
    /// # Errors
    /// [`Exhausted`] if less than `floor` is left and no call in progress can return anything.
    ///
    /// # Cancel safety
    /// A dropped call reserves nothing.
    pub async fn reserve(&self, whole: u64, least: u64, floor: u64) -> Result<Grant, Exhausted> {
        loop {
            let changed = self.state.1.notified();
            tokio::pin!(changed);
            // From here on no change is missed, even one before the wait.
            changed.as_mut().enable();
            if let Some(granted) = self.try_reserve(whole, least, floor) {
                return granted;
            }
            changed.await;
        }
    }

    /// Reserves as [`reserve`](Self::reserve) does, without waiting; `None` if calls in progress may still return something.
    pub(crate) fn try_reserve(&self, whole: u64, least: u64, floor: u64) -> Option<Result<Grant, Exhausted>> {
        let mut state = self.lock();
        let left = self.cap.map_or(u64::MAX, |cap| cap.saturating_sub(state.committed()));
        let is_last = state.reserved == 0 && state.others_reserved == 0;
        let amount = if whole <= left {
            whole
        } else if least > left && is_last && floor <= left {
            left
        } else {
            least.min(whole)
        };
        if amount <= left {
            state.reserved += amount;
            return Some(Ok(Grant { budget: self.clone(), amount, is_whole: amount == whole }));
        }
        is_last.then_some(Err(Exhausted))
    }

    /// Returns the amount that calls in progress have reserved.
    #[cfg(test)]
    pub(crate) fn reserved(&self) -> u64 {
        self.lock().reserved
    }

    /// Updates the amounts that all processes together have spent and reserved, which may be slightly out of date. The store
    /// enforces the cap itself, with each intent. Waiters are woken, since other processes may have returned something.
    pub(crate) fn observe(&self, spent: u64, reserved: u64) {
        let mut state = self.lock();
        state.others_spent = spent.saturating_sub(state.spent);
        state.others_reserved = reserved.saturating_sub(state.reserved);
        drop(state);
        self.state.1.notify_waiters();
    }

    /// Returns an amount to the budget that had counted as spent, such as what was held for a possibly billed call.
    pub(crate) fn give_back(&self, amount: u64) {
        if amount > 0 {
            let mut state = self.lock();
            state.spent = state.spent.saturating_sub(amount);
            drop(state);
            self.state.1.notify_waiters();
        }
    }

    /// Replaces a reservation by the cost of its call, and wakes all waiters.
    fn settle(&self, reserved: u64, cost: u64) {
        let mut state = self.lock();
        state.reserved -= reserved;
        state.spent = state.spent.saturating_add(cost);
        drop(state);
        self.state.1.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the sum of the amounts that all processes have spent and reserved, as far as this process knows.
    fn committed(&self) -> u64 {
        let others = self.others_spent.saturating_add(self.others_reserved);
        self.spent.saturating_add(self.reserved).saturating_add(others)
    }
}

impl Grant {
    /// Returns the amount that the call may cost, in millionths of a US dollar.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Returns whether the whole requested amount was granted. If not, lower `max_tokens` of the call until its maximum
    /// cost is at most [`amount`](Self::amount).
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Settles the reservation with the call's bill, and returns the rest to the budget.
    ///
    /// `cost` is in millionths of a US dollar. A cost above the grant is counted in full, so that the budget never understates
    /// what was spent.
    pub fn settle(mut self, cost: u64) {
        let reserved = std::mem::take(&mut self.amount);
        self.budget.settle(reserved, cost);
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.budget.settle(self.amount, self.amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::task::JoinSet;

    use super::{Budget, Exhausted};

    #[tokio::test]
    async fn at_most_the_rest_of_the_budget_is_granted() {
        let budget = Budget::new(Some(100), 10);
        let first = budget.reserve(60, 20, 20).await.unwrap();
        let second = budget.reserve(60, 20, 20).await.unwrap();
        assert_eq!(
            (first.amount(), first.is_whole(), second.amount(), second.is_whole()),
            (60, true, 20, false)
        );
        first.settle(5);
        second.settle(20);
        assert_eq!(budget.spent(), 35);
        drop(budget.reserve(65, 1, 1).await.unwrap());
        assert_eq!(budget.spent(), 100, "a call that was dropped may have been billed");
        assert_eq!(budget.reserve(1, 1, 1).await.err(), Some(Exhausted));
    }

    #[tokio::test]
    async fn reservations_of_other_processes_are_not_granted() {
        let budget = Budget::new(Some(100), 10);
        let first = budget.reserve(20, 20, 20).await.unwrap();
        budget.observe(30, 65);
        assert!(
            budget.try_reserve(30, 30, 30).is_none(),
            "45 are reserved by other processes, which may return a part"
        );
        let second = budget.reserve(5, 5, 5).await.unwrap();
        first.settle(20);
        second.settle(5);
        budget.observe(90, 0);
        assert_eq!(budget.reserve(11, 11, 11).await.err(), Some(Exhausted));
        budget.reserve(10, 10, 10).await.unwrap().settle(10);
        assert_eq!(budget.spent(), 45, "by this process, and before it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reservation_waits_for_what_other_calls_return() {
        let budget = Budget::new(Some(100), 0);
        let grant = budget.reserve(90, 90, 90).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(1), budget.reserve(50, 50, 50));
        let (second, ()) = tokio::join!(waiting, async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            grant.settle(10);
        });
        assert_eq!(second.unwrap().unwrap().amount(), 50);
    }

    /// Runs `at_once` concurrent jobs of given costs and failures. Returns the true cost, and whether jobs were left.
    async fn spend(cap: u64, costs: Vec<(u64, u8)>, at_once: usize, most: u64) -> (u64, bool) {
        let (budget, spent) = (Budget::new(Some(cap), 0), Arc::new(AtomicU64::new(0)));
        let (mut jobs, mut left, mut costs) = (JoinSet::new(), false, costs.into_iter());
        loop {
            while jobs.len() < at_once && !left {
                let Some((cost, fate)) = costs.next() else { break };
                let (budget, spent) = (budget.clone(), spent.clone());
                jobs.spawn(async move {
                    let Ok(grant) = budget.reserve(most, 40, 40).await else { return false };
                    tokio::time::sleep(Duration::from_millis(cost)).await;
                    // The provider honours the limit in the request.
                    let cost = cost.min(grant.amount());
                    match fate {
                        // The call failed, and cost nothing.
                        0 => grant.settle(0),
                        // The call broke off, and its cost is not known.
                        1 => drop(grant),
                        _ => {
                            spent.fetch_add(cost, Ordering::Relaxed);
                            grant.settle(cost);
                        }
                    }
                    true
                });
            }
            match jobs.join_next().await {
                Some(done) => left |= !done.unwrap(),
                None => break,
            }
        }
        (spent.load(Ordering::Relaxed), left)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_cap_holds_and_nearly_all_of_it_can_be_used(
            cap in 1_000_u64..20_000,
            costs in prop::collection::vec((1_u64..40, 2_u8..9), 2_000..3_000),
            failures in prop::collection::vec(0_usize..2_000, 0..100),
            at_once in 1_usize..200,
            most in 40_u64..4_000,
        ) {
            let mut costs = costs;
            failures.into_iter().for_each(|at| costs[at].1 = 0);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let (spent, left) = runtime.block_on(spend(cap, costs, at_once, most));
            prop_assert!(spent <= cap, "{spent} of {cap}");
            prop_assert!(!left || spent as f64 >= 0.95 * cap as f64, "{spent} of {cap}, and work remains");
        }

        #[test]
        fn the_cap_holds_also_where_bills_are_missing(
            cap in 1_000_u64..20_000,
            costs in prop::collection::vec((1_u64..200, 0_u8..6), 100..1_000),
            at_once in 1_usize..200,
            most in 1_u64..4_000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let (spent, _) = runtime.block_on(spend(cap, costs, at_once, most));
            prop_assert!(spent <= cap, "{spent} of {cap}");
        }
    }
}
