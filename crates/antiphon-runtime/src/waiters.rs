use std::collections::VecDeque;
use std::task::{Context, Waker};

/// A fair (FIFO) queue of waiters, without a clock or a lock.
///
/// A ticket that is no longer in the queue has been served: its holder takes what was set aside for it.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Sorted by ticket, since tickets increase and new ones join at the end.
    reservation: VecDeque<(Ticket, Waker)>,
    next: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Waiters {
    pub(crate) fn join(&mut self, cx: &Context<'_>) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.reservation.push_back((ticket, cx.waker().clone()));
        ticket
    }

    /// Returns whether the ticket is still in the queue; if so, the task that polls now is the one to be woken.
    pub(crate) fn refresh(&mut self, ticket: Ticket, cx: &Context<'_>) -> bool {
        match self.reservation.binary_search_by_key(&ticket, |(other, _)| *other) {
            Ok(at) => {
                self.reservation[at].1.clone_from(cx.waker());
                true
            }
            Err(_) => false,
        }
    }

    /// Removes a ticket from the queue and returns whether it was there.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> bool {
        let found = self.reservation.binary_search_by_key(&ticket, |(other, _)| *other);
        found.is_ok_and(|at| self.reservation.remove(at).is_some())
    }

    /// Removes the first waiter; the caller sets something aside for it and wakes it.
    pub(crate) fn serve(&mut self) -> Option<Waker> {
        self.reservation.pop_front().map(|(_, waker)| waker)
    }

    pub(crate) fn len(&self) -> usize {
        self.reservation.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reservation.is_empty()
    }

    /// Removes all waiters and returns their wakers.
    pub(crate) fn dissolve(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.reservation).into_iter().map(|(_, waker)| waker)
    }
}
