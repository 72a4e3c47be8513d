use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use antiphon::fs::{ReadOptions, WalkOptions, copy, read_many, walk};
use antiphon::runtime::{Pool, Runner};
use futures_util::StreamExt;
use tracing::span;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// A layer that records the names of all spans.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeSet<&'static str>>>);

impl<S: tracing::Subscriber> Layer<S> for Names {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        self.0.lock().unwrap().insert(attributes.metadata().name());
    }
}

#[tokio::test]
async fn tasks_waits_and_files_have_spans() {
    let names = Names::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(names.clone()));
    let folder = antiphon::fs::temp_dir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    antiphon::fs::write(&from, "x").await.unwrap();
    copy(&from, &to).await.unwrap();
    assert_eq!(walk(folder.path(), WalkOptions::default(), Default::default()).count().await, 1);
    assert_eq!(read_many([from, to], ReadOptions::default(), Default::default()).count().await, 2);
    Runner::new(1).submit(async {}).await.await.unwrap();
    let pool = Pool::from_fns(1, || async { Ok::<_, Infallible>(()) }, |()| async {});
    let held = pool.acquire().await.unwrap();
    let (waited, ()) = tokio::join!(pool.acquire(), async { drop(held) });
    waited.unwrap();
    let expected = ["copy", "pool wait", "read_many", "task", "walk"];
    assert_eq!(*names.0.lock().unwrap(), BTreeSet::from(expected));
}
