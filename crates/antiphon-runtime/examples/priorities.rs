//! A runner with a concurrency limit of 1: urgent tasks overtake queued ones, and a panic affects no other task.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program, and one of its tasks panics on purpose"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_runtime::{Priority, Runner, Shutdown, TaskError};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), TaskError> {
    // Replaces the backtrace, which would hide the other output.
    std::panic::set_hook(Box::new(|panic| println!("a task panics: {panic}")));
    let runner = Runner::new(1).task_timeout(Duration::from_secs(1));
    let busy = runner.submit(sleep(Duration::from_millis(50))).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for priority in [Priority::Background, Priority::Normal, Priority::Critical] {
        let order = order.clone();
        let run = async move {
            println!("{priority:?} runs");
            order.lock().unwrap().push(priority);
        };
        tasks.push(runner.submit_at(priority, run).await);
    }
    let broken = runner.submit(async { "no number".parse::<u32>().unwrap() }).await;
    busy.await?;
    for task in tasks {
        task.await?;
    }
    assert_eq!(*order.lock().unwrap(), [Priority::Critical, Priority::Normal, Priority::Background]);
    assert!(matches!(broken.await, Err(TaskError::Panicked(_))));
    runner.shutdown(Shutdown::Drain).await;
    let metrics = runner.metrics();
    println!("{metrics:?}");
    assert_eq!((metrics.completed, metrics.failed, metrics.running), (4, 1, 0));
    Ok(())
}
