use antiphon_runtime::{Priority, Runner, Shutdown};
use proptest::prelude::*;

use crate::Log;

proptest! {
    /// With one worker and all tasks queued before it starts, tasks run in the order of a stable sort by priority, whichever
    /// are cancelled.
    #[test]
    fn order_is_a_stable_sort_by_priority(jobs in prop::collection::vec((0_usize..5, any::<bool>()), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ran = runtime.block_on(async {
            let (runner, log) = (Runner::new(1).max_queued(100), Log::default());
            for (index, (priority, stays)) in jobs.iter().copied().enumerate() {
                let log = log.clone();
                let task = runner.submit_at(Priority::ALL[priority], async move { log.note(index) }).await;
                if stays { task.detach() } else { drop(task) }
            }
            runner.shutdown(Shutdown::Drain).await;
            log.read()
        });
        let mut expected: Vec<usize> = (0..jobs.len()).filter(|index| jobs[*index].1).collect();
        expected.sort_by_key(|index| jobs[*index].0);
        prop_assert_eq!(ran, expected);
    }

    /// For any concurrency limit and queue length, no task is lost and the counters add up.
    #[test]
    fn no_task_is_lost(limit in 1_usize..5, queue in 1_usize..8, jobs in prop::collection::vec(0_usize..4, 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let metrics = runtime.block_on(async {
            let runner = Runner::new(limit).max_queued(queue);
            let results = runner.map(jobs.iter().copied(), |yields| async move {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                yields
            }).await;
            assert_eq!(results, jobs.iter().copied().map(Ok).collect::<Vec<_>>());
            runner.metrics()
        });
        prop_assert_eq!(metrics.completed, jobs.len() as u64);
        prop_assert_eq!((metrics.queued, metrics.running), (0, 0));
    }
}
