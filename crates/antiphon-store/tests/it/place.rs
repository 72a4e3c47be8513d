//! Stores to test, and the instances of the suite.

use std::future::ready;

use antiphon_store::{Job, NewRun, Run, Store};

pub(crate) const QUESTION: [u8; 32] = [7; 32];

/// A place for a store, which can be opened again.
pub(crate) enum Place {
    Memory(Store),
    #[cfg(feature = "sqlite")]
    Sqlite(crate::file::File),
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::Memory(Store::in_memory())
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(crate::file::File::new())
    }

    pub(crate) async fn open(&self) -> Store {
        match self {
            Self::Memory(store) => ready(store.clone()).await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => file.open().await,
        }
    }
}

/// Creates a test of each function for each back end. The functions take a `Place`.
macro_rules! suite {
    ($($test:ident)*) => {
        mod memory {$(
            #[tokio::test]
            async fn $test() {
                super::$test(crate::place::Place::memory()).await;
            }
        )*}

        #[cfg(feature = "sqlite")]
        mod sqlite {$(
            #[tokio::test]
            async fn $test() {
                super::$test(crate::place::Place::sqlite()).await;
            }
        )*}
    };
}
pub(crate) use suite;

pub(crate) fn rows(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":{n}}}")).collect()
}

pub(crate) async fn run_of(store: &Store, jobs: usize) -> Run {
    let run = store.open_run(NewRun::new("f").request("map", "{}")).await.unwrap();
    run.enqueue(rows(jobs)).await.unwrap();
    run.seal().await.unwrap();
    run
}

pub(crate) fn indexes(jobs: &[Job]) -> Vec<u64> {
    jobs.iter().map(|job| job.index).collect()
}
