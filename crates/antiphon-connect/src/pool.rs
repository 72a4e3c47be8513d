use std::fmt;

use crate::settings::{Origin, Settings};

/// Connections to one provider in use at a time, as long as no one has set a number.
const DEFAULT_CONNECTIONS: usize = 512;

/// File descriptors that are left for the journal, for inputs and results, and for the runtime itself.
const RESERVED: u64 = 64;

/// A limit of connections that is lower than the concurrency that was asked for.
///
/// Over HTTP/2, where connections are shared, calls are not held to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FewConnections {
    /// The concurrency that was asked for.
    pub concurrency: usize,
    /// The connections that there can be at a time.
    pub connections: usize,
    /// The limit of file descriptors, if that is the reason; else it is `ANTIPHON_POOL_SIZE`.
    pub open_files: Option<u64>,
}

impl fmt::Display for FewConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { concurrency, connections, open_files } = self;
        write!(
            f,
            "{concurrency} calls at a time were asked for, and there can be {connections} connections: "
        )?;
        match open_files {
            Some(most) => write!(
                f,
                "this process may have {most} files and connections open. Raise that limit with ulimit -n {}",
                *concurrency as u64 + RESERVED
            ),
            None => write!(f, "ANTIPHON_POOL_SIZE says so. Raise it"),
        }
    }
}

impl Settings {
    /// Returns what stops calls to a provider below the concurrency that was asked for, if anything of this machine does.
    #[must_use]
    pub fn few_connections(&self) -> Option<FewConnections> {
        self.few_of(antiphon_fs::open_file_limit())
    }

    fn few_of(&self, open_files: Option<u64>) -> Option<FewConnections> {
        let concurrency = self.asked_concurrency()?;
        let connections = self.connections_of(open_files);
        let by_files = connections == of_files(open_files);
        let open_files = open_files.filter(|_| by_files);
        (connections < concurrency).then_some(FewConnections { concurrency, connections, open_files })
    }

    /// Connections to one provider in use at a time: the provider's limit should bind and no other, so they are more than for
    /// plain HTTP unless a number was set, and as many as the calls that were asked for; but no more than there are file
    /// descriptors for.
    pub(crate) fn connections_to_models(&self) -> usize {
        self.connections_of(antiphon_fs::open_file_limit())
    }

    fn connections_of(&self, open_files: Option<u64>) -> usize {
        let wanted = match self.pool_size.origin {
            Origin::Default => self.asked_concurrency().unwrap_or(0).max(DEFAULT_CONNECTIONS),
            _ => self.pool_size.value,
        };
        wanted.min(of_files(open_files))
    }

    fn asked_concurrency(&self) -> Option<usize> {
        Some(self.concurrency.value).filter(|_| self.concurrency.origin != Origin::Default)
    }
}

/// The connections that so many file descriptors are enough for; of very few, half.
fn of_files(open_files: Option<u64>) -> usize {
    let connections = open_files.map(|most| most.saturating_sub(RESERVED).max(most / 2).max(1));
    connections.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::FewConnections;
    use crate::environment::Environment;
    use crate::settings::{Flags, Settings, resolve};

    fn settings(concurrency: Option<usize>, pool_size: Option<&str>) -> Settings {
        let environment =
            pool_size.map(|size| ("ANTIPHON_POOL_SIZE", size)).into_iter().collect::<Environment>();
        resolve(&Flags::default().concurrency(concurrency), &environment, &[]).unwrap()
    }

    #[test]
    fn the_pool_is_as_large_as_the_descriptors_allow() {
        let plain = settings(None, None);
        assert_eq!([None, Some(256), Some(40)].map(|files| plain.connections_of(files)), [512, 192, 20]);
        assert_eq!(settings(Some(2_000), None).connections_of(Some(65_536)), 2_000);
        assert_eq!(settings(Some(2_000), Some("9")).connections_of(Some(65_536)), 9);
        assert_eq!(plain.few_of(Some(256)), None, "nothing was asked for");
    }

    #[test]
    fn what_stops_the_calls_is_named() {
        let few = settings(Some(2_000), None).few_of(Some(256)).unwrap();
        let expected = FewConnections { concurrency: 2_000, connections: 192, open_files: Some(256) };
        assert_eq!(few, expected);
        assert_eq!(
            few.to_string(),
            "2000 calls at a time were asked for, and there can be 192 connections: this process may have 256 files and \
             connections open. Raise that limit with ulimit -n 2064"
        );
        let few = settings(Some(20), Some("9")).few_of(Some(256)).unwrap();
        assert!(few.to_string().ends_with("ANTIPHON_POOL_SIZE says so. Raise it"), "{few}");
        assert_eq!(settings(Some(2_000), None).few_of(Some(4_096)), None);
    }
}
