use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use crate::completion::Usage;
use crate::error::Billed;

/// The number and the usage of all calls of one operation, including retries, fallbacks and schema retries.
///
/// In a sum, the reported tokens stay known even if other calls were possibly billed, and each possibly billed call is counted.
/// [`Completion::spent`](crate::Completion::spent) and [`Error::spent`](crate::Error::spent) return it for a call and all calls
/// before it. [`Price`](crate::Price) computes the cost of the tokens.
///
/// ```
/// use antiphon_llm::{Billed, Spent, Usage};
/// let usage = Usage::new(Some(10), Some(5));
/// let mut spent = Spent::call(Billed::Maybe) + Spent::call(Billed::Yes(usage));
/// spent += Spent::call(Billed::Maybe);
/// assert_eq!((spent.calls, spent.possibly_billed, spent.usage), (3, 2, Some(usage)));
/// assert_eq!(spent.billed(), Billed::Maybe);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Spent {
    /// Calls that were made; 0 for a cached answer, or an answer that is shared with another caller.
    pub calls: u32,
    /// Possibly billed calls: those of `calls` that were sent and for which no usage was reported.
    pub possibly_billed: u32,
    /// The sum of the tokens of all calls that answered; `None` if no call did. A call that answered without a usage report
    /// makes the counts in it unknown.
    pub usage: Option<Usage>,
}

impl Spent {
    /// Creates the value for one call with this billing.
    #[must_use]
    pub fn call(billed: Billed) -> Self {
        let (possibly_billed, usage) = match billed {
            Billed::No => (0, None),
            Billed::Maybe => (1, None),
            Billed::Yes(usage) => (0, Some(usage)),
        };
        Self { calls: 1, possibly_billed, usage }
    }

    /// Returns the billing of all calls: `Maybe` if one of them was possibly billed.
    #[must_use]
    pub fn billed(self) -> Billed {
        match (self.possibly_billed, self.usage) {
            (0, None) => Billed::No,
            (0, Some(usage)) => Billed::Yes(usage),
            (_, _) => Billed::Maybe,
        }
    }

    /// Returns the usage; all counts are 0 if no call answered.
    #[must_use]
    pub fn tokens(self) -> Usage {
        self.usage.unwrap_or(Usage::NOTHING)
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        let Self { calls, possibly_billed, usage } = other;
        self.calls = self.calls.saturating_add(calls);
        self.possibly_billed = self.possibly_billed.saturating_add(possibly_billed);
        self.usage = match (self.usage, usage) {
            (Some(mut sum), Some(usage)) => {
                sum += usage;
                Some(sum)
            }
            (sum, usage) => sum.or(usage),
        };
    }
}

impl Add for Spent {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Billed, Spent, Usage};
    use crate::{Completion, Error, ErrorKind};

    fn usage(input: u64) -> Usage {
        Usage::new(Some(input), Some(1))
    }

    /// Checks the cost of two calls in sequence, by each of the ways in which costs are added up.
    #[track_caller]
    fn check(first: Billed, second: Billed, (possibly_billed, tokens): (u32, Option<Usage>)) {
        let expected = Spent { calls: 2, possibly_billed, usage: tokens };
        let (one, two) = (Spent::call(first), Spent::call(second));
        assert_eq!([one + two, two + one], [expected; 2]);
        assert_eq!(one.billed(), first, "a single call keeps its billing");
        let error = |billed| Error::new(ErrorKind::Unavailable, "down").with_billed(billed);
        assert_eq!(error(second).after(error(first).spent()).spent(), expected);
        assert_eq!(error(second).after(one).billed(), first.and(second));
        if let Billed::Yes(usage) = second {
            let answer = Completion::new("ok").usage(usage).after(one);
            assert_eq!((answer.spent(), answer.attempts, answer.earlier.billed()), (expected, 2, first));
        }
    }

    #[test]
    fn the_cost_of_two_calls_is_their_sum() {
        use Billed::{Maybe, No, Yes};
        let (ten, both) = (usage(10), Usage::new(Some(13), Some(2)));
        check(No, No, (0, None));
        check(No, Maybe, (1, None));
        check(No, Yes(ten), (0, Some(ten)));
        check(Maybe, No, (1, None));
        check(Maybe, Maybe, (2, None));
        check(Maybe, Yes(ten), (1, Some(ten)));
        check(Yes(ten), No, (0, Some(ten)));
        check(Yes(ten), Maybe, (1, Some(ten)));
        check(Yes(ten), Yes(usage(3)), (0, Some(both)));
    }

    #[test]
    fn an_answer_without_a_call_costs_only_the_calls_before_it() {
        let cached = Completion::new("ok").usage(usage(10)).after(Spent::call(Billed::Maybe)).without_calls();
        assert_eq!(
            (cached.spent(), cached.attempts, cached.earlier.billed()),
            (Spent::default(), 0, Billed::No)
        );
        let after = cached.after(Spent::call(Billed::Yes(usage(3))));
        assert_eq!(after.spent(), Spent::call(Billed::Yes(usage(3))));
        assert_eq!(Spent::default().tokens(), Usage::NOTHING);
    }

    fn any_usage() -> impl Strategy<Value = Usage> {
        (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>())
            .prop_map(|(input, output, cached)| Usage::new(input, output).cached(cached))
    }

    fn any_spent() -> impl Strategy<Value = Spent> {
        (any::<u32>(), any::<u32>(), proptest::option::of(any_usage()))
            .prop_map(|(calls, possibly_billed, usage)| Spent { calls, possibly_billed, usage })
    }

    proptest! {
        #[test]
        fn a_sum_is_the_same_in_any_order(a in any_spent(), b in any_spent(), c in any_spent()) {
            prop_assert_eq!((a + b) + c, a + (b + c));
            prop_assert_eq!(a + b, b + a);
            prop_assert_eq!(a + Spent::default(), a);
        }

        #[test]
        fn no_tokens_are_the_neutral_element_of_a_sum(usage in any_usage()) {
            let mut sum = Usage::NOTHING;
            sum += usage;
            prop_assert_eq!(sum, usage);
        }
    }
}
