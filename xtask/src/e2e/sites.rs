//! Every theme, the page of personas and a run's report in a browser: nothing overflows, everything has contrast, landmarks and
//! names, and nothing is loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Outcome;
use super::browser::{Browser, program};
use super::program::{Ran, content, generate, out, samples};
use crate::shell::{Done, root, target};

/// The widths of a telephone and of a desktop.
const WIDTHS: [u32; 2] = [390, 1280];

/// A script that makes a page report its faults to the page around it.
const MEASURE: &str = include_str!("measure.js");

pub(super) fn check() -> Done<Outcome> {
    let Some(program) = program() else {
        return Ok(Outcome::Skipped("Chromium is not installed: cargo xtask e2e --install".to_owned()));
    };
    let folder = out("sites")?;
    let browser = Browser::new(program, folder.clone());
    sees_trouble(&browser)?;
    let mut pages = Vec::new();
    for path in files(&folder)? {
        let name = path.strip_prefix(&folder).unwrap_or(&path).display().to_string().replace('/', "-");
        browser.open(&path, "", (1280, 1400), &folder.join(format!("{name}.png")))?.is_quiet()?;
        pages.push((name, fs::read_to_string(&path).map_err(|err| err.to_string())?));
    }
    for scheme in ["light", "dark"] {
        let wrong = measured(&browser, &pages, scheme)?;
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
    }
    let views = pages.len() * WIDTHS.len() * 2;
    Ok(Outcome::Passed(format!("{} pages in {views} views; pictures in target/e2e/sites", pages.len())))
}

/// Creates the pages: a sample in each theme with the index of them, the same with unbreakable texts, the personas, and a report.
fn files(folder: &Path) -> Done<Vec<PathBuf>> {
    let word = "Donaudampfschifffahrtsgesellschaft".repeat(6);
    let notes = format!(
        "# {word}\n\n{word} is no word of ours. And so on.\n\n## Work\n\n\
         - {word}: {word} {word} (Rust, 12 stars, {word}) https://a.test/{word}\n\n## Links\n\n- Blog: https://b.test/{word}\n"
    );
    let long = folder.join("long.md");
    fs::write(&long, notes).map_err(|err| err.to_string())?;
    let sample = root().join("examples/portfolio/mira-okafor.md");
    let mut files = Vec::new();
    for (notes, site) in [(sample, folder.join("site")), (long, folder.join("long"))] {
        ended_well(&Ran::of(content(&notes, &site, "all").arg("--offline"))?)?;
        for entry in fs::read_dir(site).map_err(|err| err.to_string())? {
            files.push(entry.map_err(|err| err.to_string())?.path());
        }
    }
    if files.len() != 18 {
        return Err(format!("expected two indexes and 16 pages, got {} files", files.len()));
    }
    files.sort();
    let ran = Ran::of(&mut generate(&samples(), folder, &["--offline"]))?;
    ended_well(&ran)?;
    files.push(ran.file("personas.html"));
    let report = folder.join("report.html");
    let mut command = Command::new(target().join("debug/antiphon"));
    command
        .args(["runs", "report", "latest", "--out"])
        .arg(folder.join("site.runs"))
        .arg("--results")
        .arg(&report);
    let output = command.output().map_err(|err| err.to_string())?;
    if !output.status.success() {
        return Err(format!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    }
    files.push(report);
    Ok(files)
}

fn ended_well(ran: &Ran) -> Done {
    match ran.code {
        Some(0) => Ok(()),
        code => Err(format!("ended with {code:?}: {}", ran.stderr)),
    }
}

/// Returns the faults of pages that the browser shows in frames of each width.
fn measured(browser: &Browser, pages: &[(String, String)], scheme: &str) -> Done<Vec<String>> {
    let write = |name: &str, text: String| {
        let path = browser.folder.join(name);
        fs::write(&path, text).map(|()| path).map_err(|err| err.to_string())
    };
    let mut frames = String::new();
    let mut names = Vec::new();
    for (index, (name, html)) in pages.iter().enumerate() {
        // The page's own policy would block the script.
        let html = html.replace("http-equiv=\"Content-Security-Policy\"", "name=\"policy\"");
        write(&format!("frame-{index}.html"), format!("{html}<script>{MEASURE}</script>"))?;
        for width in WIDTHS {
            let style = format!("width:{width}px;height:900px");
            frames.push_str(&format!(
                "<iframe src=\"frame-{index}.html\" style=\"{style}\" data-wrong=\"no report\"></iframe>\n"
            ));
            names.push(format!("{name} at {width} px, {scheme}"));
        }
    }
    let script = "addEventListener('message', event => { for (const frame of document.querySelectorAll('iframe')) \
        if (frame.contentWindow === event.source) frame.dataset.wrong = event.data })";
    let outer = write("frames.html", format!("<!doctype html><body><script>{script}</script>{frames}"))?;
    let setting = format!("--blink-settings=preferredColorScheme={}", u8::from(scheme == "light"));
    let picture = browser.folder.join(format!("frames-{scheme}.png"));
    let seen = browser.open_with(&outer, &[&setting], (1400, 960), &picture)?;
    let reports: Vec<&str> =
        seen.dom.split("data-wrong=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    if reports.len() != names.len() {
        return Err(format!("{} of {} frames reported", reports.len(), names.len()));
    }
    let wrong = names.iter().zip(reports).filter(|(_, faults)| !faults.is_empty());
    Ok(wrong.map(|(name, faults)| format!("{name}: {}", faults.replace('|', "; "))).collect())
}

/// Measures pages that have every fault, to prove that the check detects them.
fn sees_trouble(browser: &Browser) -> Done {
    let pale = "<!doctype html><html><body><p style=\"color:#999;background:#fff\">pale</p>\
        <div style=\"width:3000px\">wide</div><a href=\"#\"></a>";
    let dark = "<!doctype html><html lang=\"en\"><title>t</title><style>p{color:#000;background:#fff}\
        @media (prefers-color-scheme: dark){p{background:#111}}</style><main><h1>t</h1><p>x</p></main>";
    let pages = [("pale".to_owned(), pale.to_owned()), ("dark".to_owned(), dark.to_owned())];
    let (by_day, by_night) = (measured(browser, &pages, "light")?, measured(browser, &pages, "dark")?);
    let seen = by_day.first().map(String::as_str).unwrap_or_default();
    for trouble in ["overflow", "contrast", "no main", "no h1", "no title", "no lang", "without a name"] {
        if !seen.contains(trouble) {
            return Err(format!("the check is blind: it did not see {trouble}: {seen}"));
        }
    }
    match (by_day.len(), by_night.len()) {
        (2, 4) => Ok(()),
        _ => Err(format!("the check is blind: light and dark look the same to it: {by_day:?}, {by_night:?}")),
    }
}
