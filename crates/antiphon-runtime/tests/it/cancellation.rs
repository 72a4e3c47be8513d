//! Cancellation product tests: every await point × {ok, err, slow, never}, dropped at every poll; nothing may leak.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::task::{Context, Waker};
use std::time::Duration;

use antiphon_runtime::{AcquireError, Manage, Pool, PoolOptions, Runner, Shutdown, Task, TaskError};
use tokio::task::yield_now;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Ok,
    Err,
    Slow,
    Never,
}

const ALL: [Behaviour; 4] = [Behaviour::Ok, Behaviour::Err, Behaviour::Slow, Behaviour::Never];

impl Behaviour {
    /// Returns whether the call succeeded, if it finishes at all.
    async fn act(self) -> bool {
        match self {
            Self::Slow => {
                yield_now().await;
                yield_now().await;
            }
            Self::Never => std::future::pending().await,
            Self::Ok | Self::Err => {}
        }
        self != Self::Err
    }
}

/// Suppresses the output of panics that the script wants; all others are printed.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let wanted = panic.payload_as_str().is_some_and(|text| text.contains("as the script wants"));
            if !wanted {
                usual(panic);
            }
        }));
    });
}

/// Polls a future up to `polls` times, yielding to other tasks in between, and drops it if it has not finished.
async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let mut cx = Context::from_waker(Waker::noop());
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        for _ in 0..4 {
            yield_now().await;
        }
    }
    None
}

#[derive(Debug)]
struct Script {
    create: Behaviour,
    check: Behaviour,
    close: Behaviour,
    is_tame: AtomicBool,
    alive: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Debug)]
struct Managed(Arc<Script>);

struct Alive(Arc<Script>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Managed {
    async fn act(&self, behaviour: Behaviour) -> bool {
        self.0.is_tame.load(Ordering::Relaxed) || behaviour.act().await
    }
}

impl Manage for Managed {
    type Resource = Alive;
    type Error = ();

    async fn create(&self) -> Result<Alive, ()> {
        if !self.act(self.0.create).await {
            return Err(());
        }
        self.0.peak.fetch_max(self.0.alive.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(Alive(self.0.clone()))
    }

    async fn check(&self, _: &mut Alive) -> bool {
        self.act(self.0.check).await
    }

    async fn close(&self, resource: Alive) {
        let went_well = self.act(self.0.close).await;
        drop(resource);
        assert!(went_well, "closing failed, as the script wants");
    }
}

async fn pool_survives(create: Behaviour, check: Behaviour, close: Behaviour, polls: usize) {
    let script = Arc::new(Script {
        create,
        check,
        close,
        is_tame: AtomicBool::new(true),
        alive: AtomicUsize::new(0),
        peak: AtomicUsize::new(0),
    });
    let case = format!("create {create:?}, check {check:?}, close {close:?}, dropped after {polls}");
    let pool = Pool::new(Managed(script.clone()), PoolOptions::new(2));
    pool.acquire().await.map(drop).unwrap();
    script.is_tame.store(false, Ordering::Relaxed);
    // The first is checked, the second created, and the third waits.
    let (first, second, third) = (pool.acquire(), pool.acquire(), pool.acquire());
    let taken =
        tokio::join!(drop_after(polls, first), drop_after(polls + 1, second), drop_after(polls, third));
    let broken = taken.0.into_iter().chain(taken.1).flatten().next();
    broken.into_iter().for_each(antiphon_runtime::Pooled::discard);
    drop(taken.2);
    script.is_tame.store(true, Ordering::Relaxed);
    let closes_hang = close == Behaviour::Never;
    for _ in 0..20 {
        yield_now().await;
    }
    assert!(script.peak.load(Ordering::Relaxed) <= 2, "{case}: more resources than max_size");
    assert_eq!(pool.status().waiting, 0, "{case}");
    if !closes_hang {
        let both = tokio::time::timeout(Duration::from_secs(1), async {
            (pool.acquire().await.map(drop), pool.acquire().await.map(drop))
        });
        assert_eq!(both.await, Ok((Ok(()), Ok(()))), "{case}: a slot was lost");
        tokio::time::timeout(Duration::from_secs(1), pool.close()).await.expect(&case);
        assert_eq!((script.alive.load(Ordering::Relaxed), pool.status().size), (0, 0), "{case}");
    }
    if closes_hang {
        // Two closes that hang keep their slots; nothing else may be lost.
        assert!(pool.status().size <= 2, "{case}");
    } else {
        assert!(matches!(pool.acquire().await, Err(AcquireError::Closed)), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn pool_leaks_nothing_wherever_an_acquire_is_dropped() {
    quieten();
    for create in ALL {
        for check in ALL {
            for close in ALL {
                for polls in 0..6 {
                    pool_survives(create, check, close, polls).await;
                }
            }
        }
    }
}

/// The possible uses of a task handle.
const FATES: [&str; 4] = ["awaited", "dropped", "cancelled", "detached"];

async fn runner_survives(jobs: [Behaviour; 3], fate: &str, polls: usize) {
    let case = format!("{jobs:?} {fate}, dropped after {polls}");
    let runner = Runner::new(1).max_queued(1);
    let alive = Arc::new(());
    let end = async |task: Task<()>| match fate {
        "awaited" => drop(task.await),
        "cancelled" => drop(task.cancel().await),
        "detached" => task.detach(),
        _ => drop(task),
    };
    let one = async |job: Behaviour, polls| {
        let alive = alive.clone();
        let work = async move {
            let _alive = alive;
            assert!(job.act().await, "fails, as the script wants");
        };
        drop_after(polls, async { end(runner.submit(work).await).await }).await;
    };
    // The first runs, the second is queued, and the third waits for room in the queue.
    tokio::join!(one(jobs[0], polls), one(jobs[1], polls + 1), one(jobs[2], polls));
    if fate == "detached" && jobs.contains(&Behaviour::Never) {
        runner.shutdown(Shutdown::Cancel).await;
    } else {
        let last =
            tokio::time::timeout(Duration::from_secs(1), async { runner.submit(async {}).await.await });
        assert_eq!(last.await, Ok(Ok(())), "{case}: the slot was lost");
        runner.shutdown(Shutdown::Drain).await;
    }
    let metrics = runner.metrics();
    assert_eq!((metrics.queued, metrics.running), (0, 0), "{case}");
    assert_eq!(Arc::strong_count(&alive), 1, "{case}: a future was leaked");
    assert_eq!(runner.submit(async {}).await.await, Err(TaskError::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn runner_leaks_nothing_wherever_a_handle_is_dropped() {
    quieten();
    for first in ALL {
        for second in ALL {
            for third in ALL {
                for fate in FATES {
                    for polls in 0..6 {
                        runner_survives([first, second, third], fate, polls).await;
                    }
                }
            }
        }
    }
}
