use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_runtime::{Pool, PoolOptions, Priority, Runner, Task, gather};
use deadpool::managed::{self, Metrics, RecycleResult};
use futures::StreamExt;
use futures::stream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinSet, yield_now};

use super::two_threads;
use crate::harness::{Measured, Row, wall};

const TASKS: u64 = 1_000_000;
const LIMIT: usize = 64;
const OUTSTANDING: usize = 1024;

pub(super) fn rows() -> Vec<Measured> {
    let row = |row, baseline, ops, target| Row { suite: "runtime", row, baseline, ops, target };
    vec![
        row("1 M no-op tasks, limit 64", "JoinSet + acquire_owned", TASKS, 0.5)
            .measure(|| on_two(our_tasks()), || on_two(their_tasks())),
        row("gather of 1 M ready futures, limit 64", "buffer_unordered", TASKS, 1.3)
            .measure(|| on_two(our_gather()), || on_two(their_gather())),
        row("1 M jobs of mixed priority, 64 workers", "heap + mutex + semaphore + oneshot", TASKS, 0.5)
            .measure(|| on_two(our_priorities()), || on_two(their_priorities())),
        row("pool: acquire and release", "deadpool", TASKS, 0.35)
            .measure(|| on_two(our_pool_alone()), || on_two(their_pool_alone())),
        row("pool: 64 tasks on 8", "deadpool", 64 * TURNS, 0.6)
            .measure(|| on_two(our_pool_shared()), || on_two(their_pool_shared())),
    ]
}

/// Runs work on one of the runtime's own threads, so that two threads do all the work.
fn on_two<F: Future<Output: Send> + Send + 'static>(work: F) -> Duration {
    let runtime = two_threads();
    wall(|| runtime.block_on(async { runtime.spawn(work).await.expect("no panic") }))
}

async fn our_tasks() -> u64 {
    let (runner, mut tasks, mut sum) = (Runner::new(LIMIT), VecDeque::<Task<u64>>::new(), 0);
    for n in 0..TASKS {
        if tasks.len() >= OUTSTANDING
            && let Some(task) = tasks.pop_front()
        {
            sum += task.await.expect("no panic");
        }
        tasks.push_back(runner.submit(async move { n }).await);
    }
    for task in tasks {
        sum += task.await.expect("no panic");
    }
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    assert_eq!(runner.metrics().completed, TASKS);
    sum
}

async fn their_tasks() -> u64 {
    let (semaphore, mut tasks, mut sum) = (Arc::new(Semaphore::new(LIMIT)), JoinSet::new(), 0);
    for n in 0..TASKS {
        if tasks.len() >= OUTSTANDING
            && let Some(done) = tasks.join_next().await
        {
            sum += done.expect("no panic");
        }
        let permit = semaphore.clone().acquire_owned().await.expect("open");
        tasks.spawn(async move {
            let _permit = permit;
            n
        });
    }
    while let Some(done) = tasks.join_next().await {
        sum += done.expect("no panic");
    }
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    sum
}

async fn our_gather() -> usize {
    gather(LIMIT, (0..TASKS).map(std::future::ready)).await.len()
}

async fn their_gather() -> usize {
    stream::iter((0..TASKS).map(std::future::ready)).buffer_unordered(LIMIT).collect::<Vec<_>>().await.len()
}

async fn our_priorities() -> u64 {
    let (runner, mut tasks, mut sum) = (Runner::new(LIMIT), VecDeque::<Task<u64>>::new(), 0);
    for n in 0..TASKS {
        if tasks.len() >= OUTSTANDING
            && let Some(task) = tasks.pop_front()
        {
            sum += task.await.expect("no panic");
        }
        tasks.push_back(runner.submit_at(Priority::ALL[(n % 5) as usize], async move { n }).await);
    }
    for task in tasks {
        sum += task.await.expect("no panic");
    }
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    sum
}

struct HeapJob {
    order: Reverse<(usize, u64)>,
    work: Pin<Box<dyn Future<Output = u64> + Send>>,
    done: oneshot::Sender<u64>,
}

impl PartialEq for HeapJob {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for HeapJob {}

impl PartialOrd for HeapJob {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HeapJob {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

async fn their_priorities() -> u64 {
    let heap = Arc::new(Mutex::new(BinaryHeap::<HeapJob>::new()));
    let filled = Arc::new(Semaphore::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..LIMIT {
        let (heap, filled) = (heap.clone(), filled.clone());
        workers.spawn(async move {
            while let Ok(permit) = filled.acquire().await {
                permit.forget();
                let job = heap.lock().expect("no panic").pop().expect("a job for each permit");
                let _ = job.done.send(job.work.await);
            }
        });
    }
    let (mut tasks, mut sum) = (VecDeque::<oneshot::Receiver<u64>>::new(), 0);
    for n in 0..TASKS {
        if tasks.len() >= OUTSTANDING
            && let Some(task) = tasks.pop_front()
        {
            sum += task.await.expect("no panic");
        }
        let (done, task) = oneshot::channel();
        let order = Reverse(((n % 5) as usize, n));
        heap.lock().expect("no panic").push(HeapJob { order, work: Box::pin(async move { n }), done });
        filled.add_permits(1);
        tasks.push_back(task);
    }
    for task in tasks {
        sum += task.await.expect("no panic");
    }
    assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    sum
}

/// A manager of resources that cost nothing, so that only the pool is measured.
#[derive(Debug)]
struct Free;

impl managed::Manager for Free {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(0)
    }

    async fn recycle(&self, _: &mut u64, _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

impl antiphon_runtime::Manage for Free {
    type Resource = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

fn our_pool() -> Pool<Free> {
    Pool::new(Free, PoolOptions::new(8))
}

fn their_pool() -> managed::Pool<Free> {
    managed::Pool::builder(Free).max_size(8).build().expect("a pool")
}

async fn our_pool_alone() {
    let pool = our_pool();
    for _ in 0..TASKS {
        *pool.acquire().await.expect("never fails") += 1;
    }
    assert_eq!(*pool.acquire().await.expect("never fails"), TASKS);
}

async fn their_pool_alone() {
    let pool = their_pool();
    for _ in 0..TASKS {
        *pool.get().await.expect("never fails") += 1;
    }
    assert_eq!(*pool.get().await.expect("never fails"), TASKS);
}

const TURNS: u64 = 10_000;

async fn our_pool_shared() {
    let (pool, mut tasks) = (our_pool(), JoinSet::new());
    for _ in 0..64 {
        let pool = pool.clone();
        tasks.spawn(async move {
            for _ in 0..TURNS {
                let mut resource = pool.acquire().await.expect("never fails");
                *resource += 1;
                yield_now().await;
            }
        });
    }
    tasks.join_all().await;
}

async fn their_pool_shared() {
    let (pool, mut tasks) = (their_pool(), JoinSet::new());
    for _ in 0..64 {
        let pool = pool.clone();
        tasks.spawn(async move {
            for _ in 0..TURNS {
                let mut resource = pool.get().await.expect("never fails");
                *resource += 1;
                yield_now().await;
            }
        });
    }
    tasks.join_all().await;
}
