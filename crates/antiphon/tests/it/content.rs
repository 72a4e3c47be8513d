//! Sites from notes.

use std::fs;
use std::time::Duration;

use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::{Value, json};

use crate::program::{Lab, Ran};

const NOTES: &str = "# Ada — weaver\n\nI weave engines of brass and cards. I count.\n\n## Work\n\n\
    - Loom: cards in, numbers out. (Rust, 12 stars) https://github.com/ada/loom\n\n## Contact\n\n- ada@ada.test\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("ada.md", NOTES);
    lab
}

fn answer(title: &str) -> Reply {
    let content = json!({
        "brand_name": "Ada", "tagline": null, "hero": { "title": title, "subtitle": "S" }, "repos": [],
        "menu_items": [{ "label": "X", "url": "https://x.test/ada" }], "cta": null,
    });
    Reply::chat(&content.to_string(), "stop")
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_site_in_a_folder_of_other_files_is_refused_before_anything_is_paid() {
    let server = Server::start([Reply::chat("{}", "stop")]);
    let lab = Lab::new();
    lab.file("ada.md", "# Looms\n\nI weave cloth by hand, and I sell it at the market.\n");
    lab.file("mine/index.html", "<h1>mine</h1>");
    lab.file("afile", "text");
    let provider = format!("--provider compatible --base-url {} --model m --yes", server.url("/v1"));
    lab.run(&format!("content ada.md --site mine {provider}"))
        .ends_with(3, &["will not overwrite mine/index.html", "Use another folder"]);
    lab.run(&format!("content ada.md --site afile {provider}")).ends_with(3, &["afile"]);
    assert_eq!(
        (server.requests().len(), fs::read_to_string(lab.path("mine/index.html")).unwrap()),
        (0, "<h1>mine</h1>".to_owned())
    );
}

#[test]
fn notes_become_a_site_in_every_theme_without_a_model() {
    let lab = lab();
    let ran = lab.run("content ada.md --theme all --offline --site out");
    ran.ends_with(0, &["provider: offline"]);
    assert!(ran.stdout.starts_with("8 pages (drafts by text statistics"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("\nout/index.html\n"), "{}", ran.stdout);
    assert_eq!(fs::read_dir(lab.path("out")).unwrap().count(), 9);
    let page = fs::read_to_string(lab.path("out/ada-hacker.html")).unwrap();
    assert!(page.contains("i weave engines of brass and cards") && page.contains("github.com"), "{page}");
    fs::remove_dir_all(lab.path("out")).unwrap();
    lab.run("content ada.md --theme all --offline --site out").ends_with(0, &["with 0 calls"]);
    assert_eq!(fs::read_dir(lab.path("out")).unwrap().count(), 9);
    let one = document(&lab.run("content ada.md --offline --json"));
    assert_eq!(
        (one["schema"].as_str(), one["pages"][0]["theme"].as_str()),
        (Some("antiphon.content/1"), Some("minimalist"))
    );
    assert!(one["files"][0].as_str().unwrap().ends_with("/site/index.html"), "{one}");
    lab.run("runs show latest").ends_with(0, &[]);
}

#[test]
fn a_failed_page_is_reported_and_retried() {
    let bad = || Reply::chat("{}", "stop");
    let server = Server::start([answer("One"), bad(), bad(), answer("Two")]);
    let lab = lab();
    let line = format!(
        "content ada.md --theme hacker,retro --max-concurrency 1 --site out --provider compatible --base-url {} --model m",
        server.url("/v1")
    );
    let ran = lab.run(&line);
    ran.ends_with(
        4,
        &[
            "ada in retro: schema_mismatch",
            "removed (not in the notes): menu_items[0] https://x.test/ada",
            "runs retry-failed",
        ],
    );
    let page = fs::read_to_string(lab.path("out/index.html")).unwrap();
    assert!(page.contains(">one</h1>") && !page.contains("x.test"), "{page}");
    lab.run("runs retry-failed latest").ends_with(0, &[]);
    let index = fs::read_to_string(lab.path("out/index.html")).unwrap();
    assert!(index.contains("ada-hacker.html") && index.contains("ada-retro.html"), "{index}");
}

#[test]
fn fallback_content_replaces_the_answers_of_an_unreachable_provider() {
    let lab = lab().with("ANTIPHON_RETRY_MAX", "0");
    lab.file("mine.json", r#"{"brand_name": "Ada", "hero": {"title": "By hand", "subtitle": "S"}}"#);
    let url = refusing_url("/v1");
    let ran = lab.run(&format!(
        "content ada.md --fallback mine.json --site out --provider compatible --base-url {url} --model m"
    ));
    ran.ends_with(5, &["the page has the fallback content", "run the same command again to resume"]);
    assert!(fs::read_to_string(lab.path("out/index.html")).unwrap().contains(">By hand</h1>"));
    lab.file("mine.json", r#"{"brand_name": ""}"#);
    lab.run("content ada.md --fallback mine.json --offline")
        .ends_with(2, &["mine.json: missing field `hero`"]);
}

#[test]
fn mistakes_are_reported_before_any_call() {
    let lab = lab();
    for (line, expected) in [
        ("content ada.md --theme brutal --offline", "unknown theme brutal; did you mean brutalist?"),
        ("content ada.md --theme ./mine --offline", "mine/theme.toml"),
        ("content nowhere.md --offline", "nowhere.md"),
        ("content --offline", "required arguments were not provided"),
        ("content ada.md --theme hacker --provider openai", "OPENAI_API_KEY"),
    ] {
        let ran = lab.run(line);
        assert!(
            matches!(ran.code, Some(2 | 3)) && ran.stderr.contains(expected),
            "{line}: {:?} {}",
            ran.code,
            ran.stderr
        );
    }
    let estimate = lab.run("content ada.md --theme all --offline --dry-run");
    estimate.ends_with(0, &[]);
    assert!(estimate.stdout.contains("calls      8"), "{}", estimate.stdout);
    assert!(!lab.path("antiphon-out").exists());
}

#[test]
fn the_environment_sets_the_concurrency_limit_of_pages() {
    // Each answer takes long enough for another call to start meanwhile.
    let slow = || Reply::raw("").then(Duration::from_millis(60), "").followed_by(answer("T"));
    let most = |workers: Option<&str>| {
        let server = Server::start([slow()]);
        let lab = workers.map_or_else(lab, |workers| lab().with("ANTIPHON_WORKERS", workers));
        let url = server.url("/v1");
        let line = format!("content ada.md --theme all --provider compatible --base-url {url} --model m");
        lab.run(&line).ends_with(0, &[]);
        server.max_in_flight()
    };
    assert_eq!(most(Some("1")), 1);
    assert!(most(None) > 1);
}

#[test]
fn without_a_terminal_an_expensive_site_is_refused_before_any_call() {
    let server = Server::start([answer("One")]);
    let lab = lab();
    lab.file("antiphon.toml", "[prices.compatible.m]\ninput = 2000.0\noutput = 9000.0\n");
    let line = format!("content ada.md --provider compatible --base-url {} --model m", server.url("/v1"));
    lab.run(&line).ends_with(2, &["cannot start: this run may cost ", "--max-cost", "--yes"]);
    assert_eq!(server.requests().len(), 0);
    lab.run(&format!("{line} --yes")).ends_with(0, &[]);
}
