//! The size of the connection pool to providers, bounded by the limit of open file descriptors.
//!
//! Over HTTP/1.1 each concurrent call needs a connection, and each connection a descriptor. A pool beyond the limit would fail calls
//! with an error of the operating system (`EMFILE`), so the pool is smaller and calls wait; the user gets a warning instead.

use std::fmt;

use crate::origin::Origin;
use crate::settings::Settings;

/// The default size of the connection pool to one provider.
const DEFAULT_CONNECTIONS: usize = 512;

/// File descriptors reserved for the journal, for inputs and results, and for the runtime itself.
const RESERVED: u64 = 64;

/// A warning: the connection pool is smaller than the requested concurrency.
///
/// Over HTTP/2, where calls share a connection, the size of the pool does not limit the number of calls.
///
/// Calls beyond the number of connections wait for a free one (over HTTP/1.1), so the requested concurrency is not reached. Raise
/// the limit of open files (`ulimit -n`) or `ANTIPHON_POOL_SIZE`, or lower the concurrency.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FewConnections {
    /// The requested maximum number of concurrent calls.
    pub concurrency: usize,
    /// The maximum number of concurrent connections.
    pub connections: usize,
    /// The limit of open file descriptors if that is the reason; `None` if `ANTIPHON_POOL_SIZE` is.
    pub open_files: Option<u64>,
}

impl fmt::Display for FewConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { concurrency, connections, open_files } = self;
        write!(f, "cannot make {concurrency} concurrent calls with {connections} connections: ")?;
        match open_files {
            Some(most) => write!(
                f,
                "this process may have {most} open files, connections included. Raise the limit with ulimit -n {}",
                *concurrency as u64 + RESERVED
            ),
            None => write!(f, "ANTIPHON_POOL_SIZE is the limit. Raise it"),
        }
    }
}

impl Settings {
    /// Returns a warning if the connection pool, limited by this machine or the configuration, keeps calls to a provider below
    /// the requested concurrency; `None` if it does not.
    #[must_use]
    pub fn few_connections(&self) -> Option<FewConnections> {
        self.few_of(antiphon_fs::open_file_limit())
    }

    /// Returns the warning for a limit of open files, which a test passes in place of the machine's.
    fn few_of(&self, open_files: Option<u64>) -> Option<FewConnections> {
        let concurrency = self.max_concurrency.as_ref().map(|most| most.value)?;
        let connections = self.connections_of(open_files);
        let by_files = connections == of_files(open_files);
        let open_files = open_files.filter(|_| by_files);
        (connections < concurrency).then_some(FewConnections { concurrency, connections, open_files })
    }

    /// Returns the size of the connection pool to one provider: at least 512 and at least the requested concurrency, so that
    /// only the provider's own limit binds, or the number that was set; but never more than the file descriptors allow.
    pub(crate) fn connections_to_models(&self) -> usize {
        self.connections_of(antiphon_fs::open_file_limit())
    }

    /// Returns the size of the pool for a limit of open files. A size that was set is not raised to the concurrency: it may protect
    /// a small server.
    fn connections_of(&self, open_files: Option<u64>) -> usize {
        let wanted = match self.pool_size.origin {
            Origin::Default => {
                self.max_concurrency.as_ref().map(|most| most.value).unwrap_or(0).max(DEFAULT_CONNECTIONS)
            }
            _ => self.pool_size.value,
        };
        wanted.min(of_files(open_files))
    }
}

/// Returns the connections that a limit of file descriptors allows: all but the reserved ones, at least half.
fn of_files(open_files: Option<u64>) -> usize {
    let connections = open_files.map(|most| most.saturating_sub(RESERVED).max(most / 2).max(1));
    connections.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::FewConnections;
    use crate::environment::Environment;
    use crate::flags::Flags;
    use crate::settings::{Settings, resolve};

    fn settings(concurrency: Option<usize>, pool_size: Option<&str>) -> Settings {
        let environment =
            pool_size.map(|size| ("ANTIPHON_POOL_SIZE", size)).into_iter().collect::<Environment>();
        resolve(&Flags::default().max_concurrency(concurrency), &environment, &[]).unwrap()
    }

    #[test]
    fn the_pool_is_as_large_as_the_descriptors_allow() {
        let plain = settings(None, None);
        assert_eq!([None, Some(256), Some(40)].map(|files| plain.connections_of(files)), [512, 192, 20]);
        assert_eq!(settings(Some(2_000), None).connections_of(Some(65_536)), 2_000);
        assert_eq!(settings(Some(2_000), Some("9")).connections_of(Some(65_536)), 9);
        assert_eq!(plain.few_of(Some(256)), None, "no concurrency was requested");
    }

    #[test]
    fn the_limit_that_binds_is_reported() {
        let few = settings(Some(2_000), None).few_of(Some(256)).unwrap();
        let expected = FewConnections { concurrency: 2_000, connections: 192, open_files: Some(256) };
        assert_eq!(few, expected);
        assert_eq!(
            few.to_string(),
            "cannot make 2000 concurrent calls with 192 connections: this process may have 256 open files, connections \
             included. Raise the limit with ulimit -n 2064"
        );
        let few = settings(Some(20), Some("9")).few_of(Some(256)).unwrap();
        assert!(few.to_string().ends_with("ANTIPHON_POOL_SIZE is the limit. Raise it"), "{few}");
        assert_eq!(settings(Some(2_000), None).few_of(Some(4_096)), None);
    }
}
