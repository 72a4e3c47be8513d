use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// More shards than this help nobody: a server that takes 3,200 requests at once is not waiting for connections.
const MAX_SHARDS: usize = 32;

/// Clients with a connection each. One HTTP/2 connection takes only so many requests at once (100 on most hosted front
/// ends) and queues the others, while a second one would be free; so requests go where fewest are under way, and a
/// shard is added once all are full.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: Mutex<Vec<Arc<Shard>>>,
    max_streams: usize,
    /// A permit for each connection that may be in use; closed once HTTP/2 was seen, which shares connections.
    connections: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shard {
    client: reqwest::Client,
    in_flight: AtomicUsize,
    speaks_http2: AtomicBool,
}

/// A place on one of the connections, given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    shard: Arc<Shard>,
    connections: Arc<Semaphore>,
    _connection: Option<OwnedSemaphorePermit>,
}

impl Shards {
    pub(crate) fn new(max_streams: usize, max_connections: usize) -> Self {
        let connections = Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        Self { shards: Mutex::new(Vec::new()), max_streams: max_streams.max(1), connections }
    }

    /// Waits while all connections are in use, and gives a place where fewest requests are under way; `make` makes
    /// another client when all are full.
    pub(crate) async fn place<E>(
        &self,
        make: impl FnOnce() -> Result<reqwest::Client, E>,
    ) -> Result<Place, E> {
        let connection = self.connections.clone().acquire_owned().await.ok();
        let shard = self.least_loaded(make)?;
        Ok(Place { shard, connections: self.connections.clone(), _connection: connection })
    }

    fn least_loaded<E>(&self, make: impl FnOnce() -> Result<reqwest::Client, E>) -> Result<Arc<Shard>, E> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let load = |shard: &&Arc<Shard>| (self.is_full(shard), shard.in_flight.load(Ordering::Relaxed));
        let least = shards.iter().min_by_key(load).cloned();
        let shard = match least {
            Some(shard) if !self.is_full(&shard) || shards.len() >= MAX_SHARDS => shard,
            _ => {
                let shard = Arc::new(Shard {
                    client: make()?,
                    in_flight: AtomicUsize::new(0),
                    // What one connection spoke the next one will speak, too: else a burst would all go there.
                    speaks_http2: AtomicBool::new(
                        shards.iter().any(|shard| shard.speaks_http2.load(Ordering::Relaxed)),
                    ),
                });
                shards.push(shard.clone());
                shard
            }
        };
        // While the shards are locked, lest two callers take the same last place.
        shard.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(shard)
    }

    /// HTTP/1.1 opens a connection for each request at once, so only a shard that speaks HTTP/2 can be full.
    fn is_full(&self, shard: &Shard) -> bool {
        shard.speaks_http2.load(Ordering::Relaxed)
            && shard.in_flight.load(Ordering::Relaxed) >= self.max_streams
    }
}

impl Place {
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.shard.client
    }

    pub(crate) fn saw(&self, version: reqwest::Version) {
        if version == reqwest::Version::HTTP_2 {
            self.shard.speaks_http2.store(true, Ordering::Relaxed);
            self.connections.close();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shard.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt;

    use super::{Place, Shards};
    use crate::tls;

    async fn place(shards: &Shards) -> Place {
        let client = || {
            let tls = tls::trusting_nobody().unwrap();
            Ok::<_, Infallible>(reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap())
        };
        shards.place(client).await.unwrap()
    }

    async fn places(shards: &Shards, count: usize) -> Vec<Place> {
        let mut places = Vec::new();
        for _ in 0..count {
            places.push(place(shards).await);
        }
        places
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_until_one_is_free_or_http2_was_seen() {
        let shards = Shards::new(2, 2);
        let mut both = places(&shards, 2).await;
        let mut third = Box::pin(place(&shards));
        assert!((&mut third).now_or_never().is_none());
        both.pop();
        let third = third.now_or_never().unwrap();
        let mut fourth = Box::pin(place(&shards));
        assert!((&mut fourth).now_or_never().is_none());
        third.saw(reqwest::Version::HTTP_2);
        assert!(fourth.now_or_never().is_some());
    }

    #[tokio::test]
    async fn only_full_http2_connections_get_company() {
        let shards = Shards::new(2, 100);
        let http1 = places(&shards, 9).await;
        assert_eq!(shards.shards.lock().unwrap().len(), 1);
        http1[0].saw(reqwest::Version::HTTP_2);
        drop(http1);
        let places = places(&shards, 5).await;
        assert_eq!(shards.shards.lock().unwrap().len(), 3, "two on each");
        drop(places);
        drop(place(&shards).await);
        assert_eq!(shards.shards.lock().unwrap().len(), 3);
    }
}
