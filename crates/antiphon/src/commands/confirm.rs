//! Confirmation of runs that may be expensive.
//!
//! | the run | at a terminal | without one, with `--no-input`, or with `--progress json` |
//! |---|---|---|
//! | costs less than $1, or no money | starts | starts |
//! | may cost $1 or more | is asked about | is refused, unless `--yes` or `--max-cost` allows it |
//! | has an unknown cost, elsewhere than on this machine | is asked about | is refused, unless `--yes` allows it |
//! | has an unknown cost, on this machine | is asked about | starts; with `--no-input` it is refused |
//!
//! The input is read for a plan only if the price of the model is known and not zero. With `--yes` or a budget, nothing
//! is asked. A terminal is one only if both stdin and stderr are.

use antiphon_http::is_loopback;

use super::cli::RunArgs;
use super::error::{CommandError, Repeat, USAGE, advice};
use super::output::{self, Talk};
use super::progress::dollars;
use crate::operations::{ExpectedCost, Hint, OperationError, RunRequest, Watch, Workspace};

/// The cost from which a run must be confirmed, in millionths of a US dollar: $1.
const CONFIRM_ABOVE: u64 = 1_000_000;

/// The costs that several requests may have together.
#[derive(Debug, Default)]
pub(super) struct CostCheck {
    /// The lowest likely cost, in millionths of a US dollar.
    least: u64,
    /// The highest likely cost, in millionths of a US dollar.
    most: u64,
    /// Whether a cost is not known.
    is_unknown: bool,
    /// Whether a cost is not known, with a server that is not on this machine.
    is_elsewhere: bool,
}

impl CostCheck {
    /// Returns whether the costs of a run with these flags have to be known before it starts.
    pub(super) fn is_needed(how: &RunArgs) -> bool {
        !how.confirm.yes && how.limits.limits().max_cost.is_none()
    }

    /// Adds the cost of a request.
    ///
    /// # Errors
    /// The error of a request that cannot be started.
    pub(super) async fn add(
        &mut self,
        workspace: &Workspace,
        request: &RunRequest,
        watch: &Watch,
    ) -> Result<(), OperationError> {
        self.add_cost(&workspace.expected_cost(request, watch).await?);
        Ok(())
    }

    fn add_cost(&mut self, cost: &ExpectedCost) {
        match cost {
            ExpectedCost::Bounded => {}
            ExpectedCost::Between { least, most } => {
                self.least = self.least.saturating_add(*least);
                self.most = self.most.saturating_add(*most);
            }
            ExpectedCost::Unknown { base_urls } => {
                self.is_unknown = true;
                // Without an address, nothing shows that the server is of this machine.
                self.is_elsewhere |= base_urls.is_empty() || !base_urls.iter().all(|url| is_loopback(url));
            }
        }
    }

    /// Adds a request of which no cost is known, since it cannot be started at present.
    pub(super) fn add_unknown(&mut self) {
        (self.is_unknown, self.is_elsewhere) = (true, true);
    }

    /// Asks for confirmation, if the costs need one.
    ///
    /// # Errors
    /// A usage error if the user does not confirm, or if no one can be asked.
    pub(super) async fn confirm(self, how: &RunArgs, talk: Talk) -> Result<(), CommandError> {
        let Some((reason, allow)) = self.reason() else { return Ok(()) };
        let has_terminal = output::can_ask();
        // A question is no event.
        if has_terminal && !how.confirm.no_input && !talk.sends_events() {
            if output::confirmed(format!("this run {reason}. Continue? [y/N] ")).await {
                return Ok(());
            }
            return Err(CommandError::new(USAGE, "not started: the run was not confirmed"));
        }
        if self.most < CONFIRM_ABOVE && !self.is_elsewhere && !how.confirm.no_input {
            return Ok(());
        }
        let why = if has_terminal { "it may not be asked about" } else { "there is no terminal to ask at" };
        let message = format!("cannot start: this run {reason}, and {why}");
        Err(CommandError::new(USAGE, message).hint(allow))
    }

    /// Returns why a run must be confirmed, and how to allow it without a question; `None` if it need not be.
    fn reason(&self) -> Option<(String, String)> {
        if self.most >= CONFIRM_ABOVE {
            let reason = match self.least {
                0 => format!("may cost up to {}", dollars(self.most)),
                least => format!("may cost {} up to {}", dollars(least), dollars(self.most)),
            };
            return Some((reason, advice(&Hint::SetMaxCost, Repeat::Same)));
        }
        // Without a price, a budget cannot be enforced.
        let allow = "allow it with --yes, or add the price of the model below [prices] in antiphon.toml";
        self.is_unknown.then(|| ("has an unknown cost".to_owned(), allow.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{CONFIRM_ABOVE, CostCheck, ExpectedCost};

    #[test]
    fn a_run_from_a_dollar_on_or_of_unknown_cost_has_a_reason() {
        let reason = |most, is_unknown| {
            let check = CostCheck { most, is_unknown, ..CostCheck::default() };
            check.reason().map(|(reason, _)| reason)
        };
        assert_eq!(reason(CONFIRM_ABOVE - 1, false), None);
        assert_eq!(reason(CONFIRM_ABOVE, false).as_deref(), Some("may cost up to $1.0000"));
        assert_eq!(reason(0, true).as_deref(), Some("has an unknown cost"));
        // The known part of the cost is enough of a reason.
        assert_eq!(reason(2 * CONFIRM_ABOVE, true).as_deref(), Some("may cost up to $2.0000"));
        let mut both = CostCheck::default();
        both.add_cost(&ExpectedCost::Between { least: 400_000, most: 900_000 });
        both.add_cost(&ExpectedCost::Between { least: 0, most: 900_000 });
        let (both, _) = both.reason().unwrap_or_default();
        assert_eq!(both, "may cost $0.4000 up to $1.8000");
    }

    #[test]
    fn an_unknown_cost_is_of_this_machine_only_if_all_addresses_are() {
        let is_elsewhere = |urls: &[&str]| {
            let mut check = CostCheck::default();
            let base_urls = urls.iter().map(|url| (*url).to_owned()).collect();
            check.add_cost(&ExpectedCost::Unknown { base_urls });
            check.is_elsewhere
        };
        assert!(!is_elsewhere(&["http://127.0.0.1:1", "http://localhost:2"]));
        assert!(is_elsewhere(&["http://127.0.0.1:1", "https://a.example"]));
        assert!(is_elsewhere(&[]), "nothing shows where it is");
    }
}
