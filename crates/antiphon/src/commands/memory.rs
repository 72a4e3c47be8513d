//! Processes with little memory.

/// The address space below which few threads are started, in bytes: each takes up to 64 MiB of it for its part of the heap.
const LITTLE_SPACE: u64 = 1 << 30;

/// Returns whether the process may use little memory.
pub(super) fn has_little_space() -> bool {
    antiphon_fs::address_space_limit().is_some_and(|most| most < LITTLE_SPACE)
}

/// Starts the program again in its place, with one heap for all threads, where it may use less than 1 GiB of addresses. Returns where
/// it may use more, or where it cannot be started again.
///
/// Call it first in a program that calls [`main`](super::main()), before anything is written and before threads are started. Only
/// Linux with glibc needs it; elsewhere, nothing is done.
///
/// glibc reserves 64 MiB of addresses for the heap of a thread, and reads the number of heaps only when a program starts
/// (<https://man7.org/linux/man-pages/man3/mallopt.3.html>, `M_ARENA_MAX`). The variable `MALLOC_ARENA_MAX` is set for that, and is
/// inherited by the programs that this one starts. Where it is set already, nothing is done.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn share_one_heap() {
    use std::os::unix::process::CommandExt;
    const HEAPS: &str = "MALLOC_ARENA_MAX";
    if !has_little_space() || std::env::var_os(HEAPS).is_some() {
        return;
    }
    let mut args = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), args.next()) else { return };
    // A file that was replaced or removed while it ran has another name, and may be another program.
    if program.file_name() != std::path::Path::new(&name).file_name() {
        return;
    }
    let _ = std::process::Command::new(program).arg0(name).args(args).env(HEAPS, "1").exec();
    // The program was not started again: it has more heaps. What cannot be restored is no reason to end either.
    let _ = ignore_closed_pipes();
}

/// Does nothing: the allocators of other systems have one heap, or small ones.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn share_one_heap() {}

/// Makes a closed pipe an error of the write again, and no signal that ends the process.
///
/// The standard library ignores SIGPIPE from the start, and ends that before it starts another program in the place of this one, also
/// if that fails. A handler of tokio stays when its runtime is dropped, and does nothing then.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn ignore_closed_pipes() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    signal(SignalKind::pipe()).map(drop)
}
