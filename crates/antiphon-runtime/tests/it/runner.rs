use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_runtime::{Priority, Runner, Shutdown, SubmitErrorKind, TaskError, gather};
use futures_util::FutureExt;
use futures_util::future::{join_all, pending};
use tokio::time::{Instant, sleep};

use crate::Log;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Sleeps from its first poll; the sleep of tokio starts when it is created.
async fn nap(millis: u64) {
    sleep(MS(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn gather_respects_its_limit_and_keeps_the_order() {
    let (alive, peak) = (Cell::new(0_usize), Cell::new(0_usize));
    let start = Instant::now();
    let jobs = (0..20_u64).map(|n| {
        let (alive, peak) = (&alive, &peak);
        async move {
            alive.set(alive.get() + 1);
            peak.set(peak.get().max(alive.get()));
            sleep(MS(100 + n % 2)).await;
            alive.set(alive.get() - 1);
            n
        }
    });
    let results = Runner::new(2).gather(jobs).await;
    assert_eq!(peak.get(), 2);
    assert_eq!(results, (0..20).map(Ok).collect::<Vec<_>>());
    assert_eq!(start.elapsed(), MS(1010));
}

#[tokio::test]
async fn gather_creates_futures_only_when_a_slot_is_free() {
    let created = Cell::new(0);
    let jobs = (0_usize..).map(|_| {
        created.set(created.get() + 1);
        pending::<()>()
    });
    assert!(gather(3, jobs).now_or_never().is_none());
    assert_eq!(created.get(), 3);
}

#[tokio::test]
async fn gather_returns_a_panic_as_the_error_of_its_future() {
    let jobs = (0..3).map(|n| async move {
        assert!(n != 1, "job {n} broke");
        n
    });
    let results = gather(1, jobs).await;
    assert_eq!(results, [Ok(0), Err(TaskError::Panicked("job 1 broke".to_owned())), Ok(2)]);
}

#[tokio::test(start_paused = true)]
async fn gather_keeps_to_the_runners_time_limit() {
    let runner = Runner::new(2).task_timeout(MS(50));
    let results = runner.gather([10, 100].map(nap)).await;
    assert_eq!(results, [Ok(()), Err(TaskError::TimedOut)]);
}

#[tokio::test(start_paused = true)]
async fn submit_returns_a_handle_at_once_and_tasks_run_side_by_side() {
    let runner = Runner::new(4);
    let start = Instant::now();
    let tasks = [runner.submit(nap(100)).await, runner.submit(nap(100)).await];
    assert_eq!(start.elapsed(), Duration::ZERO);
    join_all(tasks).await;
    assert_eq!(start.elapsed(), MS(100));
}

#[tokio::test(start_paused = true)]
async fn critical_runs_before_background() {
    let (runner, log) = (Runner::new(1), Log::default());
    let busy = runner.submit(nap(10)).await;
    tokio::task::yield_now().await;
    let mut tasks = Vec::new();
    for priority in Priority::ALL.into_iter().rev() {
        let log = log.clone();
        tasks.push(runner.submit_at(priority, async move { log.note(priority) }).await);
    }
    busy.await.unwrap();
    join_all(tasks).await;
    assert_eq!(log.read(), Priority::ALL);
}

#[tokio::test]
async fn equal_priorities_run_in_order_of_submission() {
    let (runner, log) = (Runner::new(1), Log::default());
    let mut tasks = Vec::new();
    for n in 0..12 {
        let log = log.clone();
        tasks.push(runner.submit(async move { log.note(n) }).await);
    }
    join_all(tasks).await;
    assert_eq!(log.read(), (0..12).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn runner_uses_its_concurrency_limit_fully() {
    let (runner, start) = (Runner::new(3).max_queued(100), Instant::now());
    let (alive, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let results = runner
        .map(0..10_u64, |n| {
            let (alive, peak) = (alive.clone(), peak.clone());
            async move {
                peak.fetch_max(alive.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sleep(MS(100)).await;
                alive.fetch_sub(1, Ordering::Relaxed);
                n
            }
        })
        .await;
    assert_eq!(results, (0..10).map(Ok).collect::<Vec<_>>());
    assert_eq!(peak.load(Ordering::Relaxed), 3);
    assert_eq!(start.elapsed(), MS(400));
}

#[tokio::test]
async fn map_consumes_inputs_lazily() {
    let (runner, taken) = (Runner::new(2).max_queued(3), Cell::new(0));
    let inputs = (0..100).inspect(|_| taken.set(taken.get() + 1));
    let mapped = runner.map(inputs, |_| pending::<()>());
    tokio::select! {
        _ = mapped => panic!("nothing ends"),
        () = async { for _ in 0..50 { tokio::task::yield_now().await } } => {}
    }
    assert_eq!(taken.get(), 6, "two run, three are queued, and one waits for room");
    assert_eq!(runner.metrics().queued, 0, "dropping a map cancels what it has submitted");
}

#[tokio::test(start_paused = true)]
async fn full_queue_makes_submit_wait_in_order_and_try_submit_fail() {
    let (runner, start) = (Runner::new(1).max_queued(1), Instant::now());
    let running = runner.submit(nap(100)).await;
    tokio::task::yield_now().await;
    let queued = runner.try_submit(Priority::Normal, nap(100)).unwrap();
    let refused = runner.try_submit(Priority::Normal, std::future::ready(7)).unwrap_err();
    assert_eq!((refused.kind, refused.future.await), (SubmitErrorKind::QueueFull, 7));
    let (third, fourth) = tokio::join!(
        async {
            let task = runner.submit(nap(100)).await;
            assert_eq!(start.elapsed(), MS(100), "the queue has room once the first task has finished");
            task.await
        },
        async {
            let task = runner.submit(async {}).await;
            assert_eq!(start.elapsed(), MS(200));
            task.await
        },
    );
    assert_eq!((running.await, queued.await, third, fourth), (Ok(()), Ok(()), Ok(()), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn drain_finishes_all_tasks_and_rejects_new_ones() {
    let runner = Runner::new(1);
    let tasks = [runner.submit(nap(10)).await, runner.submit(nap(10)).await];
    let start = Instant::now();
    runner.shutdown(Shutdown::Drain).await;
    assert_eq!(start.elapsed(), MS(20));
    assert_eq!(join_all(tasks).await, [Ok(()), Ok(())]);
    assert_eq!(runner.submit(async {}).await.await, Err(TaskError::Cancelled));
    let refused = runner.try_submit(Priority::Normal, async {}).unwrap_err();
    assert_eq!(refused.kind, SubmitErrorKind::Closed);
}

#[tokio::test]
async fn shutdown_resolves_every_queued_task() {
    for cancel in [true, false] {
        let runner = Runner::new(1).max_queued(3);
        let mut tasks = vec![runner.submit(pending::<()>()).await];
        tokio::task::yield_now().await;
        for _ in 0..3 {
            tasks.push(runner.submit(pending()).await);
        }
        let mut waiting = Box::pin(runner.submit(pending()));
        assert!((&mut waiting).now_or_never().is_none());
        if cancel {
            runner.shutdown(Shutdown::Cancel).await;
            tasks.push(waiting.await);
            assert_eq!(runner.metrics().cancelled, 4);
        } else {
            assert!(runner.shutdown(Shutdown::Drain).now_or_never().is_none());
            tasks.push(waiting.await);
            drop(runner);
        }
        assert_eq!(join_all(tasks).await, vec![Err(TaskError::Cancelled); 5]);
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_drain_can_be_turned_into_a_cancel() {
    let runner = Runner::new(1);
    let long = runner.submit(pending::<()>()).await;
    let drain = tokio::time::timeout(MS(10), runner.shutdown(Shutdown::Drain)).await;
    assert!(drain.is_err());
    runner.shutdown(Shutdown::Cancel).await;
    assert_eq!(long.await, Err(TaskError::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn cancel_drops_the_future_and_frees_the_place_in_the_queue() {
    let (runner, held) = (Runner::new(1).max_queued(1), Arc::new(()));
    let weight = held.clone();
    let running = runner
        .submit(async move {
            let _weight = weight;
            pending::<()>().await;
        })
        .await;
    tokio::task::yield_now().await;
    let queued = runner.submit(pending::<()>()).await;
    assert_eq!(queued.cancel().await, Err(TaskError::Cancelled));
    let next = runner.try_submit(Priority::Normal, async { 1 }).unwrap();
    assert_eq!(running.cancel().await, Err(TaskError::Cancelled));
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(next.await, Ok(1));
    let metrics = runner.metrics();
    assert_eq!((metrics.cancelled, metrics.completed, metrics.queued), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn dropped_task_is_cancelled_and_detached_task_runs() {
    let (runner, log) = (Runner::new(2), Log::default());
    let noting = |what: &'static str| {
        let log = log.clone();
        async move {
            sleep(MS(5)).await;
            log.note(what);
        }
    };
    drop(runner.submit(noting("dropped")).await);
    runner.submit(noting("detached")).await.detach();
    runner.shutdown(Shutdown::Drain).await;
    assert_eq!(log.read(), ["detached"]);
}

#[tokio::test(start_paused = true)]
async fn time_limit_excludes_the_time_in_the_queue() {
    let (runner, start) = (Runner::new(1).task_timeout(MS(50)), Instant::now());
    let tasks = [runner.submit(nap(49)).await, runner.submit(nap(49)).await];
    let late = runner.submit(nap(51)).await;
    assert_eq!(join_all(tasks).await, [Ok(()), Ok(())]);
    assert_eq!(late.await, Err(TaskError::TimedOut));
    assert_eq!(start.elapsed(), MS(148));
}

/// A value that panics when it is dropped.
struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("drop panicked");
    }
}

#[tokio::test]
async fn panic_in_the_drop_of_a_detached_result_is_contained() {
    let runner = Runner::new(1);
    for _ in 0..5 {
        runner.submit(async { PanicOnDrop }).await.detach();
        assert_eq!(runner.submit(async { 1 }).await.await, Ok(1));
    }
    runner.shutdown(Shutdown::Drain).await;
    let metrics = runner.metrics();
    assert_eq!((metrics.completed, metrics.running, metrics.cancelled), (10, 0, 0));
}

#[tokio::test]
async fn task_cancelled_before_its_start_never_starts() {
    let (runner, log) = (Runner::new(1), Log::default());
    let noting = || {
        let log = log.clone();
        async move { log.note(()) }
    };
    drop(antiphon_runtime::background(noting()));
    assert_eq!(antiphon_runtime::background(noting()).cancel().await, Err(TaskError::Cancelled));
    drop(runner.submit(noting()).await);
    runner.shutdown(Shutdown::Drain).await;
    assert!(log.read().is_empty());
}

#[tokio::test(start_paused = true)]
async fn map_keeps_all_slots_busy_behind_a_slow_task() {
    let (runner, start) = (Runner::new(2).max_queued(1), Instant::now());
    let naps = std::iter::once(1000).chain([10; 100]);
    assert_eq!(runner.map(naps, nap).await.len(), 101);
    assert_eq!(start.elapsed(), MS(1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn map_uses_all_threads_for_cpu_bound_tasks() {
    let busy = Arc::new(AtomicUsize::new(0));
    let runner = Runner::new(4);
    let all = runner.map(0..4, |_| {
        let busy = busy.clone();
        async move {
            busy.fetch_add(1, Ordering::Relaxed);
            // Bounded, so that a failing test terminates.
            for _ in 0..20_000_000 {
                if busy.load(Ordering::Relaxed) == 4 {
                    break;
                }
                std::thread::yield_now();
            }
            busy.load(Ordering::Relaxed)
        }
    });
    assert_eq!(all.await, vec![Ok(4); 4], "all four ran at the same time");
}

#[tokio::test]
async fn gather_polls_waiting_futures_between_ready_ones() {
    let log = Log::default();
    let jobs = (0..1000).map(|n| {
        let log = log.clone();
        async move {
            for _ in 0..3 * usize::from(n == 0) {
                tokio::task::yield_now().await;
            }
            log.note(n);
        }
    });
    gather(2, jobs).await;
    let place = log.read().iter().position(|n| *n == 0).unwrap();
    assert!(place < 500, "finished as number {place}");
}

#[tokio::test(start_paused = true)]
async fn gather_contains_a_panic_in_drop() {
    let runner = Runner::new(2).task_timeout(MS(10));
    let jobs = [true, false].map(|panics| async move {
        let _guard = panics.then(|| PanicOnDrop);
        std::future::pending::<()>().await;
    });
    let results = runner.gather(jobs).await;
    assert!(matches!(&results[0], Err(TaskError::Panicked(text)) if text == "drop panicked"), "{results:?}");
    assert_eq!(results[1], Err(TaskError::TimedOut));
}

#[test]
fn jobs_are_cancelled_when_their_runtime_is_dropped() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (runner, first, second) = (Runner::new(1), runtime(), runtime());
    let running = first.block_on(async {
        let running = runner.submit(pending::<()>()).await;
        tokio::task::yield_now().await;
        Some(running)
    });
    let queued = second.block_on(async { Some(runner.submit(pending::<()>()).await) });
    drop(first);
    let both = async { (running.unwrap().await, queued.unwrap().await) };
    assert_eq!(second.block_on(both), (Err(TaskError::Cancelled), Err(TaskError::Cancelled)));
}

#[tokio::test]
async fn panics_are_returned_even_those_in_drop() {
    let runner = Runner::new(1).max_queued(9);
    let panicking = runner.submit(async { panic!("oh {}", "dear") }).await;
    let panicking_drop = runner
        .submit(async {
            let _guard = PanicOnDrop;
            pending::<()>().await;
        })
        .await;
    let not_started = runner.submit(async { 3 }).await;
    tokio::task::yield_now().await;
    assert_eq!(panicking.await, Err::<(), _>(TaskError::Panicked("oh dear".to_owned())));
    assert_eq!(panicking_drop.cancel().await, Err(TaskError::Panicked("drop panicked".to_owned())));
    assert_eq!(not_started.await, Ok(3));
    assert_eq!(runner.metrics().failed, 2);
}

#[tokio::test(start_paused = true)]
async fn metrics_add_up() {
    let runner = Runner::new(1).task_timeout(MS(30));
    let tasks = [
        runner.submit(nap(10)).await,
        runner.submit(nap(99)).await,
        runner.submit(async { panic!("broke") }).await,
    ];
    join_all(tasks).await;
    let metrics = runner.metrics();
    assert_eq!((metrics.completed, metrics.timed_out, metrics.failed), (1, 1, 1));
    assert_eq!((metrics.wait_time, metrics.run_time), (MS(10 + 40), MS(40)));
}

#[test]
fn runner_outlives_the_runtime_of_its_workers() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (runner, first) = (Runner::new(1), runtime());
    let orphan = first.block_on(async {
        let task = runner.submit(pending::<()>()).await;
        tokio::task::yield_now().await;
        Some(task)
    });
    drop(first);
    runtime().block_on(async {
        assert_eq!(orphan.unwrap().await, Err(TaskError::Cancelled));
        assert_eq!(runner.submit(async { 5 }).await.await, Ok(5));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_on_two_threads_return_their_results() {
    let runner = Runner::new(64);
    let results = runner
        .map(0..50_000_u64, |n| async move {
            if n % 7 == 0 {
                tokio::task::yield_now().await;
            }
            n
        })
        .await;
    assert_eq!(results, (0..50_000).map(Ok).collect::<Vec<_>>());
    assert_eq!(runner.metrics().completed, 50_000);
}
