/// Returns the soft limit on open file descriptors of this process (`RLIMIT_NOFILE`, `ulimit -n`).
///
/// `None` if the number is unlimited, or on a system without this limit. Open files and connections count towards the same limit,
/// so use it to choose the size of a connection pool, for example. To raise it, see [`raise_open_file_limit`].
///
/// ```
/// let connections = antiphon_fs::open_file_limit().map_or(512, |most| most.saturating_sub(64).min(512));
/// # assert!(connections <= 512);
/// ```
#[must_use]
pub fn open_file_limit() -> Option<u64> {
    limit::soft()
}

/// Raises the soft limit on open file descriptors to the hard limit and returns the new soft limit.
///
/// Call it once, at the start of a program that opens many connections: most systems start programs with a soft limit of 1,024 or
/// 256, for compatibility with `select`. If the system does not allow the change, the limit stays as it is; the returned value is
/// the limit in force in either case, as by [`open_file_limit`]. Affects the whole process.
///
/// ```
/// let before = antiphon_fs::open_file_limit();
/// assert!(antiphon_fs::raise_open_file_limit() >= before || before.is_none());
/// ```
pub fn raise_open_file_limit() -> Option<u64> {
    limit::raise();
    limit::soft()
}

/// Returns the limit on the address space of this process in bytes (`RLIMIT_AS`, `ulimit -v`).
///
/// `None` if it is unlimited, or on a system without this limit. Each thread takes a part of the address space for its stack and its
/// share of the heap, much more than it uses, so choose the number of threads by it.
///
/// ```
/// let threads = if antiphon_fs::address_space_limit().is_some_and(|most| most < 1 << 30) { 1 } else { 8 };
/// # assert!(threads > 0);
/// ```
#[must_use]
pub fn address_space_limit() -> Option<u64> {
    limit::address_space()
}

#[cfg(unix)]
mod limit {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// The maximum on macOS while the hard limit is unlimited (`OPEN_MAX` of its headers).
    const OPEN_MAX: u64 = 10_240;

    pub(super) fn soft() -> Option<u64> {
        getrlimit(Resource::Nofile).current
    }

    pub(super) fn address_space() -> Option<u64> {
        getrlimit(Resource::As).current
    }

    pub(super) fn raise() {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let wanted = [maximum, Some(maximum.map_or(OPEN_MAX, |hard| hard.min(OPEN_MAX)))];
        for wanted in wanted {
            let is_more = current.is_some_and(|soft| wanted.is_none_or(|wanted| wanted > soft));
            if is_more && setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum }).is_ok() {
                return;
            }
        }
    }
}

#[cfg(not(unix))]
mod limit {
    pub(super) fn soft() -> Option<u64> {
        None
    }

    pub(super) fn address_space() -> Option<u64> {
        None
    }

    pub(super) fn raise() {}
}
