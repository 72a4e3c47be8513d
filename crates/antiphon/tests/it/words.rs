//! Snapshots of what the program says: every help text, and an error of each kind, side by side for a reviewer.
//! `INSTA_UPDATE=always cargo nextest run -p antiphon words` writes them anew.

use std::fmt::Write;

use antiphon_tests::{Reply, Server, refusing_url};
use serde_json::json;

use crate::program::Lab;

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        // A description that is continued is indented further.
        (!name.starts_with(' ')).then(|| name.split_whitespace().next().unwrap_or_default().to_owned())
    });
    names.filter(|name| name != "help").collect()
}

/// Adds the help of a command and of all below it.
fn add_help(lab: &Lab, command: &str, all: &mut String) {
    let ran = lab.run(&format!("{command} --help"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{command}");
    writeln!(all, "$ antiphon {command} --help\n{}", ran.stdout).unwrap();
    for name in subcommands(&ran.stdout) {
        add_help(lab, format!("{command} {name}").trim(), all);
    }
}

/// The error and its hints, without the progress before it.
fn error_of(stderr: &str) -> &str {
    stderr.find("error: ").map_or(stderr, |at| &stderr[at..])
}

#[test]
fn every_help_text() {
    let mut all = String::new();
    add_help(&Lab::new(), "", &mut all);
    assert!(all.matches("$ antiphon").count() > 30, "{all}");
    insta::assert_snapshot!("help", all);
}

/// Files in the lab, and a command.
struct Mistake {
    files: &'static [(&'static str, &'static str)],
    line: &'static str,
}

const RECIPE: (&str, &str) = ("r.toml", "prompt = \"Spell {{ n }}\"\n");
const ROWS: (&str, &str) = ("rows.jsonl", "{\"n\": 1}\n");

const MISTAKES: &[Mistake] = &[
    Mistake { files: &[], line: "" },
    Mistake { files: &[], line: "genrate in" },
    Mistake { files: &[], line: "generate in --ofline" },
    Mistake { files: &[], line: "generate in --offline --count 0" },
    Mistake { files: &[], line: "generate missing --offline" },
    Mistake { files: &[("empty/.keep", "")], line: "generate empty --offline" },
    Mistake { files: &[("odd/a.xyz", "text")], line: "generate odd --offline" },
    Mistake { files: &[], line: "generate in --provider opanai" },
    Mistake { files: &[], line: "generate in --provider openai" },
    Mistake { files: &[], line: "generate in --provider compatible" },
    Mistake { files: &[], line: "generate in --provider compatible --base-url URL/v1 --model m" },
    Mistake { files: &[("r.toml", "prompt = 1\n"), ROWS], line: "map rows.jsonl -r r.toml --offline" },
    Mistake {
        files: &[("r.toml", "prompt = \"{{ n\"\n"), ROWS],
        line: "map rows.jsonl -r r.toml --provider compatible --base-url URL/v1 --model m",
    },
    Mistake {
        files: &[("r.toml", "promt = \"a\"\n"), ROWS],
        line: "map rows.jsonl -r r.toml --provider compatible --base-url URL/v1 --model m",
    },
    Mistake { files: &[RECIPE, ROWS], line: "map rows.jsonl -r r.toml --provider openai --model m" },
    Mistake {
        files: &[RECIPE, ROWS],
        line: "map rows.jsonl -r r.toml --provider compatible --base-url URL/v1 --model m --max-cost 1",
    },
    Mistake {
        files: &[RECIPE, ROWS, ("out.jsonl", "mine\n")],
        line: "map rows.jsonl -r r.toml --provider compatible --base-url URL/v1 --model m --results out.jsonl",
    },
    Mistake {
        files: &[RECIPE, ROWS],
        line: "map rows.jsonl -r r.toml --provider compatible --base-url URL/v1 --model m --results rows.jsonl",
    },
    Mistake {
        files: &[RECIPE],
        line: "map none.csv -r r.toml --provider compatible --base-url URL/v1 --model m",
    },
    Mistake { files: &[("antiphon.toml", "[providers.x]\nkind = \"opnai\"\n")], line: "doctor" },
    Mistake { files: &[("antiphon.toml", "provder = \"x\"\n")], line: "config show" },
    Mistake { files: &[], line: "runs show latest" },
    Mistake { files: &[], line: "runs resume 0000" },
    Mistake { files: &[], line: "runs cancel latest" },
    Mistake { files: &[], line: "runs delete latest --yes" },
    Mistake { files: &[], line: "runs prune --older-than month" },
    Mistake {
        files: &[("notes.md", "Ada likes trains.\n")],
        line: "content notes.md --theme retrro --offline",
    },
    Mistake { files: &[], line: "experiment create /x" },
    Mistake { files: &[], line: "experiment show none" },
    Mistake { files: &[], line: "fetch ftp://example.org/a" },
    Mistake { files: &[], line: "fetch URL/a" },
    Mistake { files: &[], line: "simulate --errors 2" },
    Mistake { files: &[], line: "models --provider openai" },
];

#[test]
fn an_error_of_each_kind() {
    let mut all = String::new();
    let closed = refusing_url("");
    for mistake in MISTAKES {
        let lab = Lab::new().with("ANTIPHON_RETRY_MAX", "0");
        mistake.files.iter().for_each(|(name, text)| lab.file(name, text));
        let ran = lab.run(&mistake.line.replace("URL", &closed));
        assert!(ran.code.is_some_and(|code| code > 0), "{}: {ran:?}", mistake.line);
        let code = ran.code.unwrap();
        writeln!(all, "$ antiphon {}\n{}[{code}]\n", mistake.line, error_of(&ran.stderr)).unwrap();
    }
    for status in [400, 401, 403, 404, 500] {
        let lab = Lab::new().with("ANTIPHON_RETRY_MAX", "0");
        let server =
            Server::start(vec![
                Reply::json(status, &json!({"error": {"message": "the server's own words"}}));
                9
            ]);
        let ran = lab.ask(&server.url("/v1"), "");
        assert!(ran.code.is_some_and(|code| code > 0), "{status}: {ran:?}");
        let code = ran.code.unwrap();
        writeln!(all, "# a server that responds with {status}\n{}[{code}]\n", error_of(&ran.stderr)).unwrap();
    }
    let chance =
        [(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"), (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "RUN")];
    insta::with_settings!({ filters => chance }, { insta::assert_snapshot!("errors", all) });
}
