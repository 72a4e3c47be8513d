use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use antiphon_runtime::{AcquireError, Manage, Pool, PoolOptions};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::Log;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A manager that numbers its resources and logs which are closed; one that was set to 0 fails the check.
#[derive(Debug, Clone, Default)]
struct Numbers {
    created: Arc<AtomicUsize>,
    closed: Log<usize>,
}

impl Manage for Numbers {
    type Resource = usize;
    type Error = Infallible;

    async fn create(&self) -> Result<usize, Infallible> {
        Ok(self.created.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn check(&self, resource: &mut usize) -> bool {
        *resource != 0
    }

    async fn close(&self, resource: usize) {
        sleep(MS(10)).await;
        self.closed.note(resource);
    }
}

fn pool(options: PoolOptions) -> (Pool<Numbers>, Numbers) {
    let numbers = Numbers::default();
    (Pool::new(numbers.clone(), options), numbers)
}

#[tokio::test(start_paused = true)]
async fn resources_are_reused_and_never_exceed_max_size() {
    let (pool, numbers) = pool(PoolOptions::new(3));
    let peak = Arc::new(AtomicUsize::new(0));
    let (start, out) = (Instant::now(), AtomicUsize::new(0));
    join_all((0..10).map(|_| async {
        let _number = pool.acquire().await.unwrap();
        peak.fetch_max(out.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        sleep(MS(100)).await;
        out.fetch_sub(1, Ordering::Relaxed);
    }))
    .await;
    assert_eq!(start.elapsed(), MS(400));
    assert_eq!((peak.load(Ordering::Relaxed), numbers.created.load(Ordering::Relaxed)), (3, 3));
    let status = pool.status();
    assert_eq!((status.size, status.idle, status.created, status.reused), (3, 3, 3, 7));
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_order() {
    let (pool, _) = pool(PoolOptions::new(1));
    let (log, first) = (Log::default(), pool.acquire().await.unwrap());
    let waiting = join_all((0..5).map(|n| {
        let (pool, log) = (pool.clone(), log.clone());
        async move {
            let _number = pool.acquire().await.unwrap();
            log.note(n);
        }
    }));
    let ((), _) = tokio::join!(async { drop(first) }, waiting);
    assert_eq!(log.read(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn resource_in_use_while_the_pool_closes_is_closed_on_return() {
    let (pool, numbers) = pool(PoolOptions::new(3));
    let (out, back) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let third = pool.acquire().await.unwrap();
    drop(back);
    let mut waiting = Box::pin(async {
        let full = [pool.acquire().await.unwrap(), third];
        let refused = pool.acquire().await.map(|_| ()).unwrap_err();
        drop(full);
        refused
    });
    assert!((&mut waiting).now_or_never().is_none());
    pool.close().await;
    assert_eq!(waiting.await, AcquireError::Closed);
    assert!(matches!(pool.acquire().await, Err(AcquireError::Closed)));
    drop(out);
    pool.close().await;
    let mut closed = numbers.closed.read();
    closed.sort_unstable();
    assert_eq!((closed, pool.status().size), (vec![1, 2, 3], 0));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_the_pool() {
    let (pool, numbers) = pool(PoolOptions::new(2));
    let (idle, out) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(idle);
    drop(pool);
    drop(out);
    sleep(MS(11)).await;
    assert_eq!(numbers.closed.read(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn bad_or_discarded_resource_is_closed_before_another_is_created() {
    let (pool, numbers) = pool(PoolOptions::new(1));
    *pool.acquire().await.unwrap() = 0;
    let start = Instant::now();
    assert_eq!(*pool.acquire().await.unwrap(), 2);
    assert_eq!((start.elapsed(), numbers.closed.read()), (MS(10), vec![0]));
    pool.acquire().await.unwrap().discard();
    assert_eq!(*pool.acquire().await.unwrap(), 3);
    assert_eq!((start.elapsed(), numbers.closed.read()), (MS(20), vec![0, 2]));
}

#[tokio::test(start_paused = true)]
async fn expired_and_idle_resources_are_not_handed_out() {
    let (pool, numbers) = pool(PoolOptions::new(2).idle_timeout(MS(100)).max_lifetime(MS(250)));
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(second);
    drop(first);
    sleep(MS(99)).await;
    assert_eq!(*pool.acquire().await.unwrap(), 1, "the last one returned");
    sleep(MS(99)).await;
    assert_eq!(*pool.acquire().await.unwrap(), 1, "neither limit is exceeded");
    sleep(MS(11)).await;
    assert_eq!(numbers.closed.read(), [2], "idle for 100 ms");
    sleep(MS(50)).await;
    assert_eq!(*pool.acquire().await.unwrap(), 3, "the first one exceeded max_lifetime");
}

#[tokio::test(start_paused = true)]
async fn acquire_within_times_out_and_leaves_the_queue() {
    let (pool, _) = pool(PoolOptions::new(1));
    let (out, start) = (pool.acquire().await.unwrap(), Instant::now());
    assert!(matches!(pool.acquire_within(MS(30)).await, Err(AcquireError::TimedOut)));
    assert_eq!((start.elapsed(), pool.status().waiting), (MS(30), 0));
    assert!(pool.try_acquire().is_none());
    drop(out);
    assert_eq!(pool.try_acquire().map(|number| *number), Some(1));
}

#[tokio::test]
async fn create_error_is_returned_and_frees_the_slot() {
    let fails = AtomicUsize::new(1);
    let create = move || {
        let fails = fails.fetch_sub(1, Ordering::Relaxed) == 1;
        async move { if fails { Err("no luck") } else { Ok(()) } }
    };
    let pool = Pool::from_fns(1, create, |()| async {});
    assert!(matches!(pool.acquire().await, Err(AcquireError::Create("no luck"))));
    assert_eq!(pool.acquire().await.map(|_| ()), Ok(()));
}

#[tokio::test]
async fn close_that_panics_frees_the_slot() {
    let pool = Pool::from_fns(1, || async { Ok::<_, Infallible>(1) }, |_| async { panic!("will not") });
    pool.acquire().await.unwrap().discard();
    assert_eq!(*pool.acquire().await.unwrap(), 1);
}

#[test]
fn pool_outlives_the_runtime_of_its_first_use() {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (pool, numbers) = pool(PoolOptions::new(1));
    runtime().block_on(async { drop(pool.acquire().await.unwrap()) });
    runtime().block_on(async {
        pool.acquire().await.unwrap().discard();
        pool.close().await;
    });
    assert_eq!(numbers.closed.read(), [1]);
}

#[test]
fn resource_can_be_returned_on_a_thread_without_a_runtime() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (pool, numbers) = pool(PoolOptions::new(1));
    let out = runtime.block_on(pool.acquire()).unwrap();
    out.discard();
    runtime.block_on(pool.close());
    assert_eq!(numbers.closed.read(), [1]);
}
