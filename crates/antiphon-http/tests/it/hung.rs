//! Hosts that open no connection, or accept one and send nothing.

use std::time::Duration;

use antiphon_http::{
    BreakerState, CircuitBreaker, Client, Deadline, ErrorKind, Request, RequestPhase, RetryPolicy,
};

use crate::raw::{Hung, Raw, stall};

const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn a_connection_that_is_not_opened_in_time_has_the_phase_connect_whichever_limit_passes() {
    let hung = Hung::start().await;
    for limited in [Client::builder().connect_timeout(SHORT), Client::builder().first_byte_timeout(SHORT)] {
        let once_more = RetryPolicy::default().max_retries(1).base(Duration::ZERO, Duration::ZERO);
        let err = limited.retry(once_more).build().post(&hung.url(), "x").await.unwrap_err();
        let kind = ErrorKind::Timeout { phase: RequestPhase::Connect };
        assert_eq!((err.kind(), err.phase()), (kind, RequestPhase::Connect));
        assert_eq!(err.attempts(), 2, "nothing was sent, so a POST is retried, too");
    }
    let err = Client::builder().timeout(SHORT).build().post(&hung.url(), "x").await.unwrap_err();
    assert_eq!((err.kind(), err.phase()), (ErrorKind::DeadlineExceeded, RequestPhase::Connect));
    assert!(err.to_string().ends_with(": the deadline passed before the connection was open"), "{err}");
}

#[tokio::test]
async fn a_response_that_is_not_sent_in_time_has_the_phase_first_byte() {
    let silent = Raw::start(async |_stream| stall().await).await;
    let err = Client::builder().timeout(SHORT).build().post(&silent.url(), "x").await.unwrap_err();
    assert_eq!((err.kind(), err.phase()), (ErrorKind::DeadlineExceeded, RequestPhase::FirstByte));
}

/// Checks that the timeout of a client opens its breaker, and that the deadlines of its callers do not.
async fn check_breaker(url: &str) {
    let breaker = CircuitBreaker::simple(2, Duration::from_secs(60));
    let client = Client::builder().breaker(breaker.clone()).timeout(SHORT).build();
    for _ in 0..2 {
        let hurried = Request::get(url).deadline(Deadline::after(SHORT));
        assert_eq!(client.send(hurried).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    }
    assert_eq!(breaker.status().state, BreakerState::Closed, "the caller's patience is not the host's fault");
    for _ in 0..2 {
        assert_eq!(client.get(url).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    }
    assert_eq!(breaker.status().state, BreakerState::Open, "{url}");
}

#[tokio::test]
async fn the_timeout_of_the_client_opens_the_breaker_and_the_deadline_of_a_request_does_not() {
    let (hung, silent) = (Hung::start().await, Raw::start(async |_stream| stall().await).await);
    check_breaker(&hung.url()).await;
    check_breaker(&silent.url()).await;
}
