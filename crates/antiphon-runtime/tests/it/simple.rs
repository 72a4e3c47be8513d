use std::time::Duration;

use antiphon_runtime::{BlockOnError, TaskError, background, block_on, timeout};
use futures_util::future::pending;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn block_on_inside_a_runtime_is_an_error() {
    let err = block_on(async {}).unwrap_err();
    assert!(matches!(err, BlockOnError::InsideRuntime));
    assert_eq!(
        err.to_string(),
        "block_on was called inside an async runtime: await the future there instead"
    );
}

#[test]
fn block_on_has_timers() {
    assert!(block_on(timeout(Duration::from_millis(1), pending::<()>())).unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn timeout_expires_and_drops_the_future() {
    let (start, held) = (Instant::now(), std::rc::Rc::new(()));
    let weight = held.clone();
    let late = timeout(Duration::from_secs(3), async move {
        let _weight = weight;
        pending::<()>().await;
    });
    assert_eq!(late.await.unwrap_err().after, Duration::from_secs(3));
    assert_eq!((start.elapsed(), std::rc::Rc::strong_count(&held)), (Duration::from_secs(3), 1));
}

#[tokio::test(start_paused = true)]
async fn background_task_runs_concurrently_and_can_be_cancelled() {
    let start = Instant::now();
    let task = background(sleep(Duration::from_secs(1)));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((task.await, start.elapsed()), (Ok(()), Duration::from_secs(1)));
    assert_eq!(background(pending::<()>()).cancel().await, Err(TaskError::Cancelled));
    let broken = background(async { panic!("behind your back") });
    assert_eq!(broken.await, Err::<(), _>(TaskError::Panicked("behind your back".to_owned())));
}
