//! The extension trait beside those of futures and tokio-stream: these modules compile only if no name collides.

/// The traits of futures, by name.
mod futures_by_name {
    use antiphon_stream::BackpressureExt;
    use futures::{StreamExt, TryStreamExt, stream};

    #[tokio::test(start_paused = true)]
    async fn all_traits_are_usable_together() {
        let numbers = stream::iter(0..8).map(|n| n + 1).map_async(2, async |n| n * 2);
        let numbers = numbers
            .map_async_unordered(2, std::future::ready)
            .filter_async(2, |n| std::future::ready(*n > 2));
        let groups = numbers.batch(2).batch_within(2, std::time::Duration::from_secs(1)).window(1, 1);
        let groups: Vec<_> = groups.map(Ok::<_, ()>).try_collect().await.unwrap();
        assert_eq!(groups.concat().concat().concat(), [4, 6, 8, 10, 12, 14, 16]);
    }
}

/// The prelude of futures.
mod futures_prelude {
    use antiphon_stream::BackpressureExt;
    use futures::prelude::*;

    #[tokio::test]
    async fn the_prelude_is_usable_too() {
        let groups = stream::iter(0..3).batch(2).map(|group| group.len());
        assert_eq!(groups.collect::<Vec<_>>().await, [2, 1]);
    }
}

/// The trait of tokio-stream, by name.
mod tokio_by_name {
    use antiphon_stream::{BackpressureExt, merge};
    use tokio_stream::StreamExt;

    #[tokio::test(start_paused = true)]
    async fn all_traits_are_usable_together() {
        let numbers = merge([tokio_stream::iter(0..8)]).map(|n| n + 1).map_async(2, async |n| n * 2);
        let numbers = numbers
            .map_async_unordered(2, std::future::ready)
            .filter_async(2, |n| std::future::ready(*n > 2));
        let groups = numbers.batch(2).batch_within(2, std::time::Duration::from_secs(1)).window(1, 1);
        let groups: Vec<Vec<Vec<Vec<i32>>>> = groups.collect().await;
        assert_eq!(groups.concat().concat().concat(), [4, 6, 8, 10, 12, 14, 16]);
    }
}

/// Both at once: of theirs, only methods are used that the other does not have.
mod both {
    use antiphon_stream::BackpressureExt;
    use futures::{StreamExt as _, TryStreamExt as _, stream};
    use tokio_stream::StreamExt as _;

    #[tokio::test(start_paused = true)]
    async fn our_methods_are_not_ambiguous() {
        let numbers = stream::iter(0..4).map_async(2, std::future::ready);
        let numbers = numbers
            .map_async_unordered(2, std::future::ready)
            .filter_async(2, |n| std::future::ready(*n > 0));
        let groups = numbers.batch(1).batch_within(1, std::time::Duration::ZERO).window(1, 1);
        let lengths = groups.for_each(|group| {
            assert_eq!(group.len(), 1);
            std::future::ready(())
        });
        lengths.await;
        let sum = stream::iter([Ok::<_, ()>(1), Ok(2)])
            .map_while(Some)
            .try_fold(0, async |sum, n| Ok(sum + n))
            .await;
        assert_eq!(sum, Ok(3));
    }
}
