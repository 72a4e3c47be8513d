use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// More shards than this help nobody: a server that takes 3,200 requests at once is not waiting for connections.
const MAX_SHARDS: usize = 32;

/// Clients with a connection each. One HTTP/2 connection takes only so many requests at once (100 on most hosted front
/// ends) and queues the others, while a second one would be free; so requests go where fewest are under way, and a
/// shard is added once all are full.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: Mutex<Vec<Arc<Shard>>>,
    max_streams: usize,
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
}

impl Shards {
    pub(crate) fn new(max_streams: usize) -> Self {
        Self { shards: Mutex::new(Vec::new()), max_streams: max_streams.max(1) }
    }

    /// A place where fewest requests are under way; `make` makes another client when all are full.
    pub(crate) fn place<E>(&self, make: impl FnOnce() -> Result<reqwest::Client, E>) -> Result<Place, E> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let load = |shard: &&Arc<Shard>| (self.is_full(shard), shard.in_flight.load(Ordering::Relaxed));
        let least = shards.iter().min_by_key(load).cloned();
        let shard = match least {
            Some(shard) if !self.is_full(&shard) || shards.len() >= MAX_SHARDS => shard,
            _ => {
                let shard = Arc::new(Shard {
                    client: make()?,
                    in_flight: AtomicUsize::new(0),
                    speaks_http2: AtomicBool::new(false),
                });
                shards.push(shard.clone());
                shard
            }
        };
        shard.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Place { shard })
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

    use super::{Place, Shards};
    use crate::tls;

    fn place(shards: &Shards) -> Place {
        let client = || {
            let tls = tls::trusting_nobody().unwrap();
            Ok::<_, Infallible>(reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap())
        };
        shards.place(client).unwrap()
    }

    #[test]
    fn only_full_http2_connections_get_company() {
        let shards = Shards::new(2);
        let http1: Vec<_> = (0..9).map(|_| place(&shards)).collect();
        assert_eq!(shards.shards.lock().unwrap().len(), 1);
        http1[0].saw(reqwest::Version::HTTP_2);
        drop(http1);
        let places: Vec<_> = (0..5).map(|_| place(&shards)).collect();
        places.iter().for_each(|place| place.saw(reqwest::Version::HTTP_2));
        assert_eq!(
            shards.shards.lock().unwrap().len(),
            2,
            "the second shard was not known to speak HTTP/2 yet"
        );
        drop(place(&shards));
        assert_eq!(shards.shards.lock().unwrap().len(), 3);
    }
}
