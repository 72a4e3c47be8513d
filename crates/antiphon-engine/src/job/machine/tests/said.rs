//! Servers that say whether to retry, and quotas.

use std::time::Duration;

use antiphon_llm::{Error, ErrorKind, LimitHints};
use antiphon_store::JobState;

use super::{Event, Rig, error, name_of, options};
use crate::job::machine::Action;
use crate::stop::StopCause;

/// Returns the state that is committed after a call that ends with the error, the next action, and whether the run stops.
fn after(err: Error) -> (JobState, &'static str, bool) {
    let mut rig = Rig::new(options());
    rig.run.health.answered();
    let action = rig.first_call(Err(err));
    let Action::Commit(settlement) = &action else { unreachable!("each failed call is settled") };
    let (state, next) = (settlement.state, rig.on(Event::Committed));
    (state, name_of(&next), rig.run.stop.reason().is_some())
}

#[test]
fn a_server_that_asks_for_a_retry_gets_one_whatever_its_error_is() {
    for kind in [
        ErrorKind::InvalidRequest,
        ErrorKind::Unsupported,
        ErrorKind::Auth,
        ErrorKind::ModelNotFound,
        ErrorKind::Quota,
        ErrorKind::ContextTooLong,
        ErrorKind::Filtered,
    ] {
        let err = error(kind).with_should_retry(Some(true));
        assert_eq!(after(err), (JobState::PutBack, "sleep", false), "{kind:?}");
    }
}

#[test]
fn a_server_that_rules_out_a_retry_gets_none() {
    let no = |kind| error(kind).with_should_retry(Some(false));
    for kind in
        [ErrorKind::Unavailable, ErrorKind::Overloaded { retry_after: None }, ErrorKind::InvalidResponse]
    {
        assert_eq!(after(no(kind)), (JobState::Failed, "failed", false), "{kind:?}");
    }
    let limited = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(1)) };
    assert_eq!(after(no(limited)), (JobState::Queued, "left", true));
}

#[test]
fn retries_that_a_server_asks_for_are_bounded_by_the_policy() {
    let mut rig = Rig::new(options());
    let again = || error(ErrorKind::Auth).with_should_retry(Some(true));
    rig.first_call(Err(again()));
    let mut retries = 0;
    loop {
        let action = match rig.on(Event::Committed) {
            Action::Sleep(..) => rig.on(Event::Woke),
            end => break assert_eq!(name_of(&end), "left"),
        };
        retries += 1;
        rig.grant(&action);
        rig.end_call(Err(again()));
    }
    assert_eq!(retries, 3);
    assert!(matches!(rig.run.stop.reason(), Some(StopCause::Provider(err)) if err.kind() == ErrorKind::Auth));
}

#[test]
fn a_wait_longer_than_the_longest_pause_ends_the_run_and_is_shown() {
    let mut limits = LimitHints::default();
    limits.retry_after = Some(Duration::from_secs(3_600));
    for kind in [ErrorKind::Unavailable, ErrorKind::Overloaded { retry_after: limits.retry_after }] {
        let mut rig = Rig::new(options());
        rig.first_call(Err(error(kind).with_limits(limits)));
        let Some(stop) = rig.run.stop.reason() else { unreachable!("the run stops after {kind:?}") };
        assert!(matches!(stop, StopCause::Saturated { .. }), "{stop}");
        assert_eq!(stop.to_string(), "the provider takes no more calls for 3600 s");
    }
}
