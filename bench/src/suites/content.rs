use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon::data::{Document, Loader};
use antiphon::pipeline::content::Content;
use antiphon::pipeline::evidence::{Wanted, verify};
use antiphon::render::{SiteBuilder, Theme};

use super::two_threads;
use crate::harness::{Measured, Row};

const FILES: usize = 10_000;
const SITES: usize = 1_000;
/// The target time to verify one quote.
const A_QUOTE: Duration = Duration::from_millis(50);
/// The target number of sites that are built in a second.
const A_SECOND: f64 = 500.0;

pub(super) fn rows() -> Result<Vec<Measured>, String> {
    let scratch = tempfile::tempdir().map_err(|err| format!("no scratch folder: {err}"))?;
    let folder = scratch.path();
    notes(folder)?;
    let row = |row, baseline, target| Row { suite: "content", row, baseline, ops: 1, target };
    let runtime = two_threads();
    let load = || {
        let began = Instant::now();
        let loaded = runtime.block_on(Loader::new().load_path(folder)).expect("the notes");
        assert_eq!(loaded.documents.len(), FILES);
        began.elapsed()
    };
    let document = interview();
    let mut rows = vec![
        Row {
            ops: FILES as u64,
            ..row("load 10,000 files of 4 KiB", "read and decode them, one thread", 1.5)
        }
        .measure(load, || read(folder)),
    ];
    for (what, words) in quotes(&document) {
        rows.push(row(what, "50 ms for a quote in 10 MB", 1.0).reach(7, || {
            let began = Instant::now();
            let found = verify(&[Wanted::new(&words)], std::slice::from_ref(&document));
            assert_eq!(found[0].is_ok(), what.contains("said"), "{found:?}");
            A_QUOTE.as_secs_f64() / began.elapsed().as_secs_f64()
        }));
    }
    let site = site();
    rows.push(row("render 1,000 sites in eight themes", "500 a second", 1.0).reach(5, || {
        let began = Instant::now();
        let built: usize = std::thread::scope(|scope| {
            let halves = [&site, &site].map(|site| scope.spawn(|| site.build().expect("pages").len() - 1));
            halves.into_iter().map(|half| half.join().expect("a half")).sum()
        });
        assert_eq!(built, SITES);
        SITES as f64 / began.elapsed().as_secs_f64() / A_SECOND
    }));
    Ok(rows)
}

fn notes(folder: &Path) -> Result<(), String> {
    let text = "P1: I want to close early on Mondays, and nobody asks me why.\n".repeat(70);
    for number in 0..FILES {
        let path = folder.join(format!("{number:05}.txt"));
        std::fs::write(&path, &text.as_bytes()[..4_096])
            .map_err(|err| format!("{}: {err}", path.display()))?;
    }
    Ok(())
}

fn read(folder: &Path) -> Duration {
    let began = Instant::now();
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).expect("the notes") {
        bytes += std::fs::read_to_string(entry.expect("an entry").path()).expect("a file").len();
    }
    assert_eq!(bytes, FILES * 4_096);
    began.elapsed()
}

/// Returns an interview of 10 MB, in short turns.
fn interview() -> Document {
    let words =
        ["market", "bread", "early", "price", "morning", "driver", "oven", "letter", "river", "stall"];
    let mut text = String::new();
    let mut state = 7_u32;
    while text.len() < 10_000_000 {
        text.push_str("Interviewer: And then?\nP1: So");
        for _ in 0..60 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // A realistic vocabulary of 4,000 words, most of which are in no quote. Writing to a String cannot fail.
            let number = (state >> 8) as usize % 4_000;
            let _ = match words.get(number / 40).filter(|_| number.is_multiple_of(40)) {
                Some(word) => write!(text, " {word}"),
                None => write!(text, " word{number}"),
            };
        }
        text.push_str(".\n");
    }
    text.push_str("P1: What I have never told anybody is how the river took the oven that winter.\n");
    Document::parse("interview.txt", text.as_bytes()).expect("an interview")
}

/// Returns a true quote from the end, the same with one changed word, and an invented one.
fn quotes(document: &Document) -> [(&'static str, String); 3] {
    assert!(document.text.len() > 10_000_000);
    [
        (
            "verify a quote as it was said",
            "What I have never told anybody is how the river took the oven that winter",
        ),
        (
            "verify a quote said with another word",
            "What I have never told anybody is how the river took an oven that winter",
        ),
        (
            "verify an invented quote",
            "Bread at the market is early in the morning price of every driver and letter",
        ),
    ]
    .map(|(what, words)| (what, words.to_owned()))
}

fn site() -> SiteBuilder {
    let project = r#"{"name": "Loom", "description": "Cards in, numbers out, and a bell at the end of each row.",
        "url": "https://github.com/ada/loom", "stars": 1240, "language": "Rust", "tags": ["cards", "brass"]}"#;
    let text = format!(
        r#"{{"brand_name": "Ada", "tagline": "Weaver", "hero": {{"title": "Engines", "subtitle": "Woven."}}, "repos": [{}]}}"#,
        [project; 6].join(",")
    );
    let content = Content::parse("ada.json", &text).expect("content");
    let themes = Theme::all().expect("themes");
    let pages = (0..SITES / 2).zip(themes.iter().cycle());
    pages.fold(SiteBuilder::new("All"), |site, (number, theme)| {
        site.page(number.to_string(), content.clone(), theme.clone())
    })
}
