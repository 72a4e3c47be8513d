//! Two producers, a queue between them and a pipeline of slow stages.
#![expect(clippy::print_stdout, reason = "a program")]

use std::time::Duration;

use antiphon_stream::{Closed, Queue, Stages, merge};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep};

async fn slow(n: u32) -> u32 {
    sleep(Duration::from_millis(20)).await;
    n * 2
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Closed<u32>> {
    let (start, queue) = (Instant::now(), Queue::new(4));
    let produce = async {
        let mut numbers = merge([stream::iter(0..20), stream::iter(100..120)]);
        while let Some(n) = numbers.next().await {
            queue.push(n).await?;
        }
        queue.close();
        Ok(())
    };
    let stages =
        Stages::new().map(8, slow).filter(8, |n: &u32| std::future::ready(n.is_multiple_of(4))).batch(5);
    let consume = stages.run(queue.stream()).for_each(async |batch| println!("{batch:?}"));
    let (produced, ()) = tokio::join!(produce, consume);
    println!("40 calls of 20 ms in {:?}", start.elapsed());
    produced
}
