use std::collections::VecDeque;
use std::task::{Context, Waker};

/// Those who wait in line, first come first served, without a clock or a lock of their own.
///
/// A ticket that is no longer in line has been served: whoever held it takes what was set aside for it.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Sorted by ticket, since tickets only grow and new ones join at the end.
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

    /// Whether the ticket is still in line; if so, the task that polls now is the one that will be woken.
    pub(crate) fn refresh(&mut self, ticket: Ticket, cx: &Context<'_>) -> bool {
        match self.reservation.binary_search_by_key(&ticket, |(other, _)| *other) {
            Ok(at) => {
                self.reservation[at].1.clone_from(cx.waker());
                true
            }
            Err(_) => false,
        }
    }

    /// Takes a ticket out of the line; whether it was there.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> bool {
        let found = self.reservation.binary_search_by_key(&ticket, |(other, _)| *other);
        found.is_ok_and(|at| self.reservation.remove(at).is_some())
    }

    /// Serves the first in line: whoever calls this sets something aside for it and wakes it.
    pub(crate) fn serve(&mut self) -> Option<Waker> {
        self.reservation.pop_front().map(|(_, waker)| waker)
    }

    pub(crate) fn len(&self) -> usize {
        self.reservation.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reservation.is_empty()
    }

    /// Sends everybody away.
    pub(crate) fn dissolve(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.reservation).into_iter().map(|(_, waker)| waker)
    }
}
