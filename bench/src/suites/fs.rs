use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_fs::{ReadOptions, Reader, WalkOptions, copy_with, read_many, walk};
use futures::{StreamExt, stream};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_util::sync::CancellationToken;

use super::two_threads;
use crate::harness::{Measured, Row, wall};

const FILES: usize = 20_000;
const ENTRIES: u64 = 200_000;
const GIB: u64 = 1 << 30;

pub(super) fn rows() -> Result<Vec<Measured>, String> {
    let scratch = tempfile::tempdir().map_err(|err| format!("no scratch folder: {err}"))?;
    let row = |row, baseline, ops, target| Row { suite: "fs", row, baseline, ops, target };
    let paths = small_files(scratch.path())?;
    let (text, lines) = text(scratch.path())?;
    let tree = tree(scratch.path())?;
    let memory = memory()?;
    let (source, target) = (memory.path().join("source"), memory.path().join("target"));
    zeros(&source)?;
    // A virtual machine gets memory from its host at the first access, which takes longer than the copy itself.
    for name in ["target", "another", "a third"] {
        zeros(&memory.path().join(name))?;
    }
    for name in ["another", "a third"] {
        let path = memory.path().join(name);
        std::fs::remove_file(&path).map_err(failed(&path))?;
    }
    Ok(vec![
        row("read 20,000 files of 4 KiB", "tokio::fs::read, buffer_unordered(64)", FILES as u64, 0.75)
            .measure(|| our_reads(&paths), || their_reads(&paths)),
        row("lines of a 1 GiB file", "tokio BufReader::lines, 1 MiB", lines, 0.5)
            .measure(|| our_lines(&text, lines), || their_lines(&text, lines)),
        row("walk 200,000 entries", "tokio::fs::read_dir with a stack", ENTRIES, 0.4)
            .measure(|| our_walk(&tree), || their_walk(&tree)),
        row("copy 1 GiB on tmpfs, CPU time", "std::fs::copy on a blocking thread", GIB >> 20, 1.1)
            .measure(|| our_copy(&source, &target), || their_copy(&source, &target)),
    ])
}

fn small_files(scratch: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = scratch.join("small");
    std::fs::create_dir(&folder).map_err(failed(&folder))?;
    let paths: Vec<_> = (0..FILES).map(|n| folder.join(n.to_string())).collect();
    for path in &paths {
        std::fs::write(path, [b'x'; 4096]).map_err(failed(path))?;
    }
    Ok(paths)
}

/// Creates a text of 1 GiB with lines of up to 160 bytes, and returns its path and its number of lines.
fn text(scratch: &Path) -> Result<(PathBuf, u64), String> {
    let path = scratch.join("text");
    let block: String = (0..10_000).map(|n| format!("{}\n", "words ".repeat(n * 7 % 27))).collect();
    let mut file = File::create(&path).map_err(failed(&path))?;
    let blocks = GIB / block.len() as u64;
    for _ in 0..blocks {
        file.write_all(block.as_bytes()).map_err(failed(&path))?;
    }
    Ok((path, blocks * 10_000))
}

fn tree(scratch: &Path) -> Result<PathBuf, String> {
    let root = scratch.join("tree");
    for folder in 0..ENTRIES / 500 {
        let folder = root.join(folder.to_string());
        std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
        for n in 0..500 {
            let path = folder.join(n.to_string());
            File::create(&path).map_err(failed(&path))?;
        }
    }
    Ok(root)
}

/// Creates a folder on a tmpfs.
fn memory() -> Result<TempDir, String> {
    let shm = Path::new("/dev/shm");
    tempfile::tempdir_in(shm).map_err(|err| format!("no tmpfs under {}: {err}", shm.display()))
}

fn zeros(path: &Path) -> Result<(), String> {
    let mut file = File::create(path).map_err(failed(path))?;
    (0..GIB >> 20).try_for_each(|_| file.write_all(&vec![7; 1 << 20])).map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |err| format!("{path}: {err}")
}

fn our_reads(paths: &[PathBuf]) -> Duration {
    let runtime = two_threads();
    wall(|| {
        let files = read_many(paths.to_vec(), ReadOptions::default(), CancellationToken::new());
        let bytes = files.fold(0, async |sum, file| sum + file.bytes.expect("it is there").len());
        assert_eq!(runtime.block_on(bytes), paths.len() * 4096);
    })
}

fn their_reads(paths: &[PathBuf]) -> Duration {
    let runtime = two_threads();
    wall(|| {
        let files = stream::iter(paths.to_vec()).map(tokio::fs::read).buffer_unordered(64);
        let bytes = files.fold(0, async |sum, file| sum + file.expect("it is there").len());
        assert_eq!(runtime.block_on(bytes), paths.len() * 4096);
    })
}

fn our_lines(path: &Path, lines: u64) -> Duration {
    let runtime = two_threads();
    wall(|| {
        runtime.block_on(async {
            let mut stream = Reader::open(path).await.expect("it is there").lines();
            let mut count = 0;
            while let Some(line) = stream.next().await {
                std::hint::black_box(line.expect("text"));
                count += 1;
            }
            assert_eq!(count, lines);
        });
    })
}

fn their_lines(path: &Path, lines: u64) -> Duration {
    let runtime = two_threads();
    wall(|| {
        runtime.block_on(async {
            let file = tokio::fs::File::open(path).await.expect("it is there");
            let mut stream = BufReader::with_capacity(1 << 20, file).lines();
            let mut count = 0;
            while let Some(line) = stream.next_line().await.expect("text") {
                std::hint::black_box(line);
                count += 1;
            }
            assert_eq!(count, lines);
        });
    })
}

fn our_walk(root: &Path) -> Duration {
    let runtime = two_threads();
    let _entered = runtime.enter();
    wall(|| {
        let batches = walk(root, WalkOptions::default(), CancellationToken::new());
        let count = batches.fold(0, async |sum, batch| {
            let seen = batch.len() as u64;
            batch.into_iter().for_each(|entry| drop(std::hint::black_box(entry.expect("it is there"))));
            sum + seen
        });
        assert_eq!(runtime.block_on(count), ENTRIES);
    })
}

fn their_walk(root: &Path) -> Duration {
    let runtime = two_threads();
    wall(|| {
        runtime.block_on(async {
            let (mut stack, mut count) = (vec![root.to_owned()], 0);
            while let Some(folder) = stack.pop() {
                let mut entries = tokio::fs::read_dir(folder).await.expect("it is there");
                while let Some(entry) = entries.next_entry().await.expect("it is there") {
                    if entry.file_type().await.expect("it is there").is_dir() {
                        stack.push(entry.path())
                    } else {
                        std::hint::black_box(entry.path());
                        count += 1;
                    }
                }
            }
            assert_eq!(count, ENTRIES);
        });
    })
}

fn our_copy(from: &Path, to: &Path) -> Duration {
    let _ = std::fs::remove_file(to);
    let runtime = two_threads();
    cpu(|| {
        let copy = copy_with(from, to, CancellationToken::new(), |copied, total| {
            std::hint::black_box((copied, total));
        });
        assert_eq!(runtime.block_on(copy).expect("there is room"), GIB);
    })
}

/// Copies on a blocking thread, as our side does: the free pages of the thread's processor change the time by a factor of two.
fn their_copy(from: &Path, to: &Path) -> Duration {
    let _ = std::fs::remove_file(to);
    let (runtime, from, to) = (two_threads(), from.to_owned(), to.to_owned());
    cpu(|| {
        let copy = runtime.spawn_blocking(move || std::fs::copy(from, to));
        assert_eq!(runtime.block_on(copy).expect("no panic").expect("there is room"), GIB);
    })
}

/// Returns the CPU time of this process that `work` takes, on all processors.
fn cpu(work: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    };
    let start = now();
    work();
    now().saturating_sub(start)
}
