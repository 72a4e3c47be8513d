//! A runner with one slot: what is urgent overtakes what waits, and a panic harms nobody else.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program, and one of its tasks panics on purpose"
)]

use std::time::Duration;

use antiphon_runtime::{Priority, Runner, Shutdown, TaskError};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), TaskError> {
    let runner = Runner::new(1).task_timeout(Duration::from_secs(1));
    let busy = runner.submit(sleep(Duration::from_millis(50))).await;
    let mut tasks = Vec::new();
    for priority in [Priority::Background, Priority::Normal, Priority::Critical] {
        tasks.push(runner.submit_at(priority, async move { println!("{priority:?} runs") }).await);
    }
    let broken = runner.submit(async { "a panic harms nobody else".parse::<u32>().unwrap() }).await;
    busy.await?;
    for task in tasks {
        task.await?;
    }
    println!("the last one: {:?}", broken.await);
    runner.shutdown(Shutdown::Drain).await;
    println!("{:?}", runner.metrics());
    Ok(())
}
