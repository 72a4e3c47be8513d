use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Outcome;
use super::net::Trap;
use super::program::{Ran, generate, out, samples};
use crate::shell::{Done, is_there};

/// The window sizes at which the page is checked: a desktop's and a telephone's.
const WIDTHS: [(u32, u32); 2] = [(1280, 1000), (500, 1000)];

/// Returns the name of the installed browser, if there is one.
pub(super) fn program() -> Option<&'static str> {
    ["chromium", "chromium-browser"].into_iter().find(|name| is_there(name, &["--version"]))
}

/// Checks the page of personas: no error, nothing loaded, and a quote opens its passage.
pub(super) fn check() -> Done<Outcome> {
    let Some(program) = program() else {
        return Ok(Outcome::Skipped("Chromium is not installed: cargo xtask e2e --install".to_owned()));
    };
    let folder = out("page")?;
    let browser = Browser::new(program, folder.clone());
    browser.can_see_trouble()?;
    let ran = Ran::of(&mut generate(&samples(), &folder, &["--offline"]))?;
    if ran.code != Some(0) {
        return Err(format!("generate ended with {:?}: {}", ran.code, ran.stderr));
    }
    let page = ran.file("personas.html");
    for (width, height) in WIDTHS {
        let picture = folder.join(format!("page-{width}.png"));
        let seen = browser.open(&page, "", (width, height), &picture)?;
        seen.is_quiet()?;
    }
    let html = std::fs::read_to_string(&page).map_err(|err| err.to_string())?;
    let anchor = html.split("class=\"passage\"").next().and_then(|before| before.rsplit("href=\"#").next());
    let anchor = anchor.and_then(|rest| rest.split('"').next()).ok_or("the page has no link to a passage")?;
    let seen = browser.open(&page, &format!("#{anchor}"), WIDTHS[0], &folder.join("passage.png"))?;
    seen.is_quiet()?;
    if !seen.dom.contains("id=\"reader\" aria-label=\"Transcript\" class=\"open\"") {
        return Err("the link of a quote does not open its transcript".to_owned());
    }
    let mark = format!("<mark id=\"{anchor}\" class=\"now\">");
    if !seen.dom.contains(&mark) {
        return Err("the quote's passage is not marked".to_owned());
    }
    Ok(Outcome::Passed("2 widths and an opened passage; pictures in target/e2e/page".to_owned()))
}

pub(super) struct Browser {
    program: &'static str,
    pub(super) folder: PathBuf,
}

/// The DOM, console messages and requests of an opened page.
pub(super) struct Seen {
    pub(super) dom: String,
    console: Vec<String>,
    requests: Vec<String>,
}

impl Seen {
    pub(super) fn is_quiet(&self) -> Done {
        match (&self.console[..], &self.requests[..]) {
            ([], []) => Ok(()),
            ([], requests) => Err(format!("the page requested {requests:?}")),
            (console, _) => Err(format!("the page logged errors: {console:?}")),
        }
    }
}

impl Browser {
    pub(super) fn new(program: &'static str, folder: PathBuf) -> Self {
        Self { program, folder }
    }

    /// Opens a page with an error and a request, to prove that the check detects both.
    fn can_see_trouble(&self) -> Done {
        let trap = Trap::set()?;
        let page = self.folder.join("trouble.html");
        let html = format!(
            "<!doctype html><img src=\"http://127.0.0.1:{}/x.png\"><script>console.error('trouble')</script>",
            trap.port
        );
        std::fs::write(&page, html).map_err(|err| err.to_string())?;
        let seen = self.open(&page, "", WIDTHS[0], &self.folder.join("trouble.png"))?;
        if seen.console.is_empty() || seen.requests.is_empty() || trap.caught().is_empty() {
            return Err("the check is blind: it did not see a page's error and request".to_owned());
        }
        Ok(())
    }

    pub(super) fn open(&self, page: &Path, anchor: &str, size: (u32, u32), picture: &Path) -> Done<Seen> {
        let address = format!("file://{}{anchor}", page.display());
        self.look(&[&address], size, picture)
    }

    /// Opens a page as [`open`](Self::open) does, with additional settings of the browser.
    pub(super) fn open_with(
        &self,
        page: &Path,
        settings: &[&str],
        size: (u32, u32),
        picture: &Path,
    ) -> Done<Seen> {
        let address = format!("file://{}", page.display());
        self.look(&[settings, &[&address]].concat(), size, picture)
    }

    fn look(&self, arguments: &[&str], size: (u32, u32), picture: &Path) -> Done<Seen> {
        let log = self.folder.join("net-log.json");
        let mut command = Command::new(self.program);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args([
                "--hide-scrollbars",
                "--enable-logging=stderr",
                "--dump-dom",
                "--virtual-time-budget=3000",
            ])
            .arg(format!("--user-data-dir={}", self.folder.join("profile").display()))
            .arg(format!("--window-size={},{}", size.0, size.1))
            .arg(format!("--log-net-log={}", log.display()))
            .arg(format!("--screenshot={}", picture.display()))
            .args(arguments);
        let output = command.output().map_err(|err| format!("{}: {err}", self.program))?;
        if !picture.exists() {
            return Err(format!("{} took no screenshot ({})", self.program, output.status));
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Ok(Seen {
            dom: String::from_utf8_lossy(&output.stdout).into_owned(),
            console: stderr.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect(),
            requests: requests(&log)?,
        })
    }
}

/// Returns the addresses that the page requested, from the browser's network log. The browser's own requests have no origin
/// there.
fn requests(log: &Path) -> Done<Vec<String>> {
    let text = std::fs::read_to_string(log).map_err(|err| format!("no network log: {err}"))?;
    // A browser that is terminated early does not close the list.
    let log: Value = serde_json::from_str(&text)
        .or_else(|_| serde_json::from_str(&format!("{}]}}", text.trim_end().trim_end_matches(','))))
        .map_err(|err| format!("the network log cannot be read: {err}"))?;
    let events = log["events"].as_array().ok_or("the network log has no events")?;
    let by_page = |event: &&Value| {
        event
            .pointer("/params/initiator")
            .and_then(Value::as_str)
            .is_some_and(|origin| origin != "not an origin")
    };
    let urls = events.iter().filter(by_page).filter_map(|event| event.pointer("/params/url")?.as_str());
    let mut urls: Vec<String> = urls.filter(|url| url.starts_with("http")).map(str::to_owned).collect();
    urls.sort();
    urls.dedup();
    Ok(urls)
}
