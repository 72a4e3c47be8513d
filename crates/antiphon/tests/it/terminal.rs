//! Texts that act on a terminal or on other text: from servers, files, their names, rows, configuration and arguments. None of
//! them is printed as it is, by any command.

use std::fs;
use std::path::Path;

use antiphon_tests::{Received, Reply, Server};
use serde_json::{Value, json};

use crate::program::{Lab, Ran, SAID, answer};

/// A new title, the clipboard, a cleared screen, the C1 form of that, a carriage return, backspaces, NUL, DEL, overrides and
/// isolates of direction, marks of direction, separators, and characters that are not seen.
const HOSTILE: &str = "\u{1b}]0;pwned\u{7}\u{1b}]52;c;cHduZWQ=\u{1b}\\\u{1b}[2J\u{9b}2J\u{9d}0;x\u{9c}\r\u{8}\u{8}\0\u{7f}\u{202e}\u{202a}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{2028}\u{2029}\u{200b}\u{feff}\u{2060}\u{e0041}end";

/// The part of it that a file's name can have.
fn hostile_name() -> String {
    HOSTILE.replace(['\0', '/', '\\'], "")
}

fn acts(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[track_caller]
fn check_text(place: &str, text: &str, is_bad: impl Fn(char) -> bool) {
    if let Some(at) = text.find(&is_bad) {
        let around: String =
            text[..at].chars().rev().take(120).collect::<Vec<_>>().into_iter().rev().collect();
        let c = text[at..].chars().next().unwrap();
        assert!(!is_bad(c), "{place}: U+{:04X} after {around:?}", u32::from(c));
    }
}

/// Checks the output of a command.
#[track_caller]
fn check(line: &str, ran: &Ran) {
    assert_ne!(ran.code, Some(101), "{line}: {ran:?}");
    check_text(&format!("stdout of {line}"), &ran.stdout, acts);
    check_text(&format!("stderr of {line}"), &ran.stderr, acts);
}

/// Checks the pages below a folder: they have no control characters, and only HTML has characters that reorder text, each in an
/// element of its own.
fn check_pages(folder: &Path, checked: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            check_pages(&path, checked);
            continue;
        }
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        match extension.as_deref() {
            Some("html") => {
                let mut page = fs::read_to_string(&path).unwrap();
                check_text(&name, &page, |c| c.is_control() && !matches!(c, '\n' | '\t'));
                while let Some(at) = page.find("<span dir=\"auto\">") {
                    let rest = page[at..].trim_start_matches("<span dir=\"auto\">").to_owned();
                    page.truncate(at);
                    page.push_str(rest.trim_start_matches(|c: char| !matches!(c, '<')));
                }
                let body = page.split_once("</head>").unwrap().1.to_owned();
                // What is behind `title=` is a text of its own.
                let shown: String =
                    body.split('<').filter_map(|part| part.split_once('>')).map(|part| part.1).collect();
                check_text(&name, &shown, |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
                *checked += 1;
            }
            Some("md" | "csv") if name.contains("antiphon-out") || name.contains("out.") => {
                check_text(&name, &fs::read_to_string(&path).unwrap(), acts);
                *checked += 1;
            }
            _ => {}
        }
    }
}

/// Creates a lab whose server, files and configuration are hostile.
fn lab(fails: bool) -> Lab {
    let server = Server::answering(move |received: &Received| {
        if !received.line.contains("/chat/completions") {
            return Reply::json(200, &json!({ "data": [{ "id": HOSTILE }, { "id": "m" }] }));
        }
        if fails {
            let error = json!({ "error": { "message": HOSTILE, "type": HOSTILE, "code": HOSTILE } });
            return Reply::json(400, &error);
        }
        let text = if received.body.to_string().contains("row number") {
            json!({ "word": HOSTILE, HOSTILE: HOSTILE }).to_string()
        } else {
            let mut text: Value = serde_json::from_str(&answer()).unwrap();
            let persona = &mut text["personas"][0];
            for field in ["name", "title"] {
                persona[field] = json!(format!("The closer {HOSTILE}"));
            }
            persona["pain_points"] = json!([{ "claim": HOSTILE, "document": "d1", "quote": SAID }]);
            persona["quotes"][1] = json!({ "document": "d1", "quote": format!("never said {HOSTILE}") });
            text.to_string()
        };
        let chunk = json!({ "id": HOSTILE, "model": HOSTILE, "choices": [{ "delta": { "content": text, "reasoning_content": HOSTILE } }] });
        let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] });
        Reply::events([&*chunk.to_string(), &end.to_string()])
    });
    let lab = Lab::new().with("LAB_KEY", "sk-planted-0123456789");
    let name = hostile_name();
    lab.file(
        &format!("in/p3{name}.txt"),
        format!("P3: I said so. {HOSTILE} And I like goats {HOSTILE}.\nInterviewer: Why?\n"),
    );
    lab.file(&format!("in/{name}.xyz"), "unknown");
    lab.file(
        "antiphon.toml",
        format!(
            "[providers.lab]\nkind = \"compatible\"\nbase_url = \"{}\"\nkey_env = \"LAB_KEY\"\n",
            server.url("/v1")
        ),
    );
    lab.file("rows.jsonl", format!("{}\n{HOSTILE} not json\n", json!({ "n": HOSTILE, HOSTILE: 1 })));
    lab.file("r.toml", "prompt = \"row number {{ n }}\"\n[schema]\ntype = \"object\"\nproperties.word.type = \"string\"\nrequired = [\"word\"]\n");
    lab.file("ada.md", format!("# Ada\n\nI wrote {HOSTILE} the first program.\n"));
    lab
}

#[test]
fn answers_rows_and_names_of_files_do_not_act() {
    let lab = lab(false);
    for line in [
        "generate in --provider lab --model m --count 1 -vvv",
        "generate in --provider lab --model m --count 1 --fresh --json",
        "generate in --provider lab --model m --count 1 --fresh --progress json -vv",
        "generate in --offline --count 1",
        "generate in --offline --dry-run",
        "runs show latest",
        "runs show latest --json",
        "runs export latest",
        "runs export latest --format csv",
        "runs export latest --format json",
        "runs export latest --format markdown",
        "runs export latest --results out.csv",
        "runs export latest --results out.md",
        "runs report latest --results personas-report.html",
        "map rows.jsonl -r r.toml --provider lab --model m --yes -vvv --log json",
        "map rows.jsonl -r r.toml --provider lab --model m --yes --fresh --json",
        "map rows.jsonl -r r.toml --provider lab --model m --yes --fresh --results -",
        "runs list",
        "runs list --json",
        "runs show latest",
        "runs show latest --json",
        "runs export latest",
        "runs export latest --format json",
        "runs export latest --format csv",
        "runs export latest --format markdown",
        "runs report latest --results map-report.html",
        "content ada.md --provider lab --model m",
        "content ada.md --offline --themes all",
        "models --provider lab",
        "models --provider lab --json",
        "models --provider lab --all -vvv",
        "doctor lab",
        "doctor lab --json",
        "config show",
        "experiment create goats",
        "experiment add goats in",
        "experiment list",
        "experiment show goats",
    ] {
        check(line, &lab.run(line));
    }
    let mut checked = 0;
    check_pages(&lab.path("."), &mut checked);
    assert!(checked >= 5, "{checked} pages");
}

#[test]
fn errors_of_servers_do_not_act() {
    let lab = lab(true);
    for line in [
        "generate in --provider lab --model m --count 1 -vvv",
        "generate in --provider lab --model m --count 1 --progress json",
        "map rows.jsonl -r r.toml --provider lab --model m --yes",
        "map rows.jsonl -r r.toml --provider lab --model m --yes --fresh --json",
        "runs show latest",
        "runs report latest --results page.html",
        "content ada.md --provider lab --model m",
        "doctor lab --model m",
    ] {
        check(line, &lab.run(line));
    }
}

#[test]
fn arguments_and_configuration_do_not_act() {
    let lab = Lab::new();
    let name = hostile_name();
    let run = |lab: &Lab, line: &str, more: &[&str]| {
        let ran = Ran::new(lab.command(line).args(more).output().unwrap());
        check(&format!("{line} {more:?}"), &ran);
        ran
    };
    for (line, code) in [
        ("", 2),
        ("generate --offline --count", 2),
        ("generate in --provider", 2),
        ("generate --offline", 2),
        ("map --offline -r r.toml", 2),
        ("map rows.jsonl -r", 2),
        ("runs show", 2),
        ("runs export latest --format", 2),
        ("content --offline", 2),
        ("content ada.md --offline --themes", 2),
        ("models --provider", 2),
        ("doctor", 2),
        ("config get", 2),
        ("fetch", 2),
        ("experiment show", 2),
        ("simulate --scenario", 2),
        ("generate in --offline --out", 0),
        ("local", 2),
    ] {
        let ran = run(&lab, line, &[&name]);
        assert!(code == 0 || ran.code != Some(0), "{line}: {ran:?}");
        run(&lab, &format!("{line} --progress json"), &[&name]);
    }
    let help = run(&lab, "generate --help", &[&name]);
    assert!(help.code == Some(0) && help.stdout.contains("Usage:") && help.stderr.is_empty(), "{help:?}");
    for config in [
        format!("[defaults]\nmodel = \"{}\"\n", hostile_toml()),
        format!(
            "[providers.\"{}\"]\nkind = \"compatible\"\nbase_url = \"http://127.0.0.1:1/v1\"\n",
            hostile_toml()
        ),
        format!("[providers.lab]\nkind = \"{}\"\n", hostile_toml()),
        format!("[providers.lab]\nkind = \"compatible\"\nbase_url = \"{}\"\n", hostile_toml()),
        format!("\"{}\" = 1\n", hostile_toml()),
        format!("[output]\ndir = \"{}\"\n", hostile_toml()),
    ] {
        lab.file("antiphon.toml", config);
        for line in [
            "config show",
            "config show --json",
            "doctor",
            "models",
            "models --provider lab",
            "generate in --offline --count 1",
            "runs list",
        ] {
            run(&lab, line, &[]);
        }
    }
}

/// The hostile text as a string of TOML, without NUL.
fn hostile_toml() -> String {
    hostile_name().chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect()
}
