//! Time and memory of reading 200,000 turns in each text-based format, and the time of loading 10,000 small files beside
//! that of reading them: `cargo run --release -p antiphon-data --example formats`. Then, for hostile texts, how much longer
//! one of four times the size takes: 4 where the time is linear, 16 where it is quadratic.
//!
//! `-- files` measures the small files alone, and `-- yaml` one format. Each format is read in a process of its own, whose peak of memory (Linux: `VmHWM`) is compared with the size of the
//! file.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: it blocks and prints"
)]

use std::fmt::Write;
use std::process::Command;
use std::time::Instant;

use antiphon_data::{Document, Loader};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

const FILES: usize = 10_000;
const TURNS: usize = 200_000;
/// The repetitions of reading and loading the files.
const ROUNDS: u32 = 3;
const FORMATS: [&str; 10] = ["txt", "md", "org", "html", "csv", "json", "jsonl", "yaml", "vtt", "srt"];
/// The repetitions of the smaller one of two hostile texts.
const REPEATED: usize = 50_000;

/// Hostile texts: two beginnings, each with what is repeated behind it, and the end. `N` is the number of the repetition.
const HOSTILE: [(&str, [&str; 5]); 24] = [
    ("drawers.org", ["", ":open:\n", "", "", ""]),
    ("labels.txt", ["", "Anna N: so\n", "", "", ""]),
    ("asked.txt", ["Ana: Well.\nBo: Yes.\n", "Ana: Why is it so?\n", "", "", ""]),
    ("answers.txt", ["Interviewer: Why?\nInterviewer:\n", "\n", "", "so\n", ""]),
    ("line.txt", ["Ana: ", "we counted N, ", "\nBo: No.\n", "", ""]),
    ("colons.txt", ["", "a: b ", "\n", "", ""]),
    ("clocks.txt", ["", "Anna 0:03 ", "\n", "", ""]),
    ("empty.txt", ["Ana: So.\n", "\n", "Bo: Yes.\n", "", ""]),
    ("brackets.txt", ["Ana: ", "[(<{", "\n", "", ""]),
    ("headings.md", ["", "## Ana\nso\n", "", "# Bo\n\n", ""]),
    ("deep.html", ["", "<div>", "so", "</div>", ""]),
    ("tables.html", ["", "<table><tr><td>", "so", "", ""]),
    ("cells.html", ["<table><tr>", "<td>so", "</table>", "", ""]),
    ("terms.html", ["<dl>", "<dt>Ana<dd>so", "</dl>", "", ""]),
    ("columns.csv", ["who,text", ",a", "\nAna,so it is", ",b", "\n"]),
    ("quotes.csv", ["who,text\n", "Ana,\"a\nb\"\n", "Bo,\"so", "\n", ""]),
    ("lists.json", ["[", "[[[[[[\"so it is\"]]]]]],", "1]", "", ""]),
    ("keys.json", ["{", "\"segments\": [{\"text\": \"so N\"}],", "\"a\": 1}", "", ""]),
    ("escapes.jsonl", ["", "{\"who\": \"Ana\", \"text\": \"\\u0041 b\"}\n", "", "", ""]),
    ("merges.yaml", ["text: so it is\n", "<<: {kN: 1}\n", "", "", ""]),
    ("flow.yaml", ["", "- [a, N]\n", "- so it is", "", ""]),
    ("tags.vtt", ["WEBVTT\n\n00:01.000 --> 00:02.000\nAna: ", "<{&", "\n", "", ""]),
    ("changes.srt", ["1\n00:00:01,000 --> 00:00:02,000\n", ">> so ", "\n", "", ""]),
    ("lines.srt", ["1\n00:00:01,000 --> 00:00:02,000\n", "N: so\n", "", "", ""]),
];

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("files") => return measure_in_runtime(),
        Some(format) => return measure(format),
        None => {}
    }
    println!("format   MiB    seconds  peak/size");
    let program = std::env::current_exe().unwrap();
    for format in FORMATS {
        assert!(Command::new(&program).arg(format).status().unwrap().success(), "{format}");
    }
    measure_in_runtime();
    println!("hostile text       seconds  ratio");
    for (name, [before, first, between, second, behind]) in HOSTILE {
        let seconds = [1, 4].map(|factor| {
            let repeat = |part: &str| {
                let numbers = 0..REPEATED * factor;
                numbers.map(|number| part.replace('N', &number.to_string())).collect::<String>()
            };
            let text = [before, &repeat(first), between, &repeat(second), behind].concat();
            read_in(name, text.as_bytes())
        });
        println!("{name:16} {:9.2} {:6.1}", seconds[1], seconds[1] / seconds[0]);
    }
}

/// Returns the seconds that it takes to read a file, or to refuse it.
fn read_in(name: &str, bytes: &[u8]) -> f64 {
    let began = Instant::now();
    let _ = std::hint::black_box(Document::parse(name, bytes));
    began.elapsed().as_secs_f64()
}

/// Measures small files on as many threads as the machine has.
fn measure_in_runtime() {
    tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(measure_files());
}

/// Reads and loads many files of 4 KiB in turns, both by as many threads as the machine has, and prints the times, their
/// ratio, and the time that one thread takes to parse a file.
async fn measure_files() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let words =
        "Interviewer: How do you keep stock?\nP1: We count it by hand, every evening, and it is right.\n"
            .repeat(44);
    let paths: Vec<_> = (0..FILES).map(|number| folder.path().join(format!("{number}.txt"))).collect();
    paths.iter().for_each(|path| std::fs::write(path, &words).unwrap());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let options = antiphon_fs::ReadOptions::default().max_concurrency(threads);
    let (mut reading, mut loading) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let read = antiphon_fs::read_many(paths.clone(), options, CancellationToken::new());
        assert_eq!(read.filter(|file| std::future::ready(file.bytes.is_ok())).count().await, FILES);
        reading += began.elapsed().as_secs_f64();
        let began = Instant::now();
        assert_eq!(Loader::new().load_path(folder.path()).await.unwrap().documents.len(), FILES);
        loading += began.elapsed().as_secs_f64();
    }
    let began = Instant::now();
    (0..FILES).for_each(|_| {
        read_in("p1.txt", words.as_bytes());
    });
    let each = began.elapsed().as_secs_f64() * 1e6 / FILES as f64;
    let (read, loaded, ratio) = (reading / f64::from(ROUNDS), loading / f64::from(ROUNDS), loading / reading);
    println!("{FILES} files of 4 KiB: read in {read:.3} s, loaded in {loaded:.3} s ({ratio:.1} times)");
    println!("one thread parses a file in {each:.1} µs");
}

/// Reads one format, and prints a line.
fn measure(format: &str) {
    let text = text(format);
    let before = peak();
    let began = Instant::now();
    let document = Document::parse(&format!("talk.{format}"), text.as_bytes()).unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(document.turns.len(), TURNS, "{format}");
    let kib = text.len() / 1024;
    let used = peak().saturating_sub(before).saturating_add(kib);
    println!("{format:6} {:5.1} {seconds:10.2} {:10.1}", kib as f64 / 1024.0, used as f64 / kib as f64);
}

/// Returns the peak of the process's memory in KiB; 0 where it is not known.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Returns a dialogue of two people in a format.
fn text(format: &str) -> String {
    let mut text = String::from(match format {
        "csv" => "speaker,text\n",
        "json" => "{\"interviewer\": \"Sam\", \"turns\": [\n",
        "vtt" => "WEBVTT\n\n",
        _ => "",
    });
    for turn in 0..TURNS {
        let speaker = if turn % 2 == 0 { "Sam" } else { "Ana" };
        let words = format!("we counted the stock by hand on day {turn}, and it was right");
        let clock = format!("{:02}:{:02}:{:02}", turn / 3600, turn / 60 % 60, turn % 60);
        let comma = if turn + 1 < TURNS { "," } else { "]}" };
        match format {
            "md" => writeln!(text, "**{speaker}:** {words}\n"),
            "html" => writeln!(text, "<p><b>{speaker}:</b> {words}</p>"),
            "csv" => writeln!(text, "{speaker},\"{words}\""),
            "json" => writeln!(text, "{{\"speaker\": \"{speaker}\", \"text\": \"{words}\"}}{comma}"),
            "yaml" => writeln!(text, "- speaker: {speaker}\n  text: {words}"),
            "jsonl" => {
                writeln!(
                    text,
                    "{{\"interviewer\": \"Sam\", \"speaker\": \"{speaker}\", \"text\": \"{words}\"}}"
                )
            }
            "vtt" => writeln!(text, "{clock}.000 --> {clock}.900\n<v {speaker}>{words}\n"),
            "srt" => writeln!(text, "{turn}\n{clock},000 --> {clock},900\n{speaker}: {words}\n"),
            _ => writeln!(text, "{speaker}: {words}"),
        }
        .unwrap();
    }
    text
}
