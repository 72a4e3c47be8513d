//! The page about a run.

use std::fs;

use antiphon::engine::Phase;
use antiphon_tests::{Reply, Server};
use serde_json::Value;

use crate::program::Lab;

#[test]
fn a_run_has_a_page_with_its_figures_its_failures_and_its_rows() {
    let bad = || Reply::chat("<script>no</script>", "stop");
    let server = Server::start([Reply::chat("a@b", "stop"), bad(), Reply::chat("c@d", "stop")]);
    let lab = Lab::new();
    lab.file("rows.csv", "name\nBern\nUlm\nGraz\n");
    lab.file("r.toml", "prompt = \"{{ name }}\"\nattempts = 1\n[[check]]\nregex = \"@\"\n");
    let url = server.url("/v1");
    let line = format!(
        "map rows.csv -r r.toml --max-concurrency 1 --provider compatible --base-url {url} --model m"
    );
    lab.run(&line).ends_with(4, &[]);
    let ran = lab.run("runs report latest");
    ran.ends_with(0, &[]);
    let page = fs::read_to_string(lab.path(ran.stdout.trim())).unwrap();
    for expected in [
        "rows.csv with r.toml",
        "schema_mismatch",
        "data-label=\"State\">failed</td>",
        "Bern",
        "c@d",
        "Tokens asked",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    assert_eq!(page.matches("<script>").count(), 1, "what a model says is text");
    lab.run("runs report latest --results here/page.html").ends_with(0, &[]);
    assert_eq!(fs::read_to_string(lab.path("here/page.html")).unwrap(), page);
    lab.run("runs report nothing").ends_with(2, &["there is no run nothing"]);
}

#[test]
fn a_generations_personas_are_in_its_report_and_go_out_in_every_form() {
    let lab = Lab::new();
    lab.run("generate in --offline -n 2").ends_with(0, &[]);
    let page = fs::read_to_string(lab.path(lab.run("runs report latest").stdout.trim())).unwrap();
    assert!(page.contains("<h2 id=\"personas\">Personas</h2>") && page.contains("p1.txt:2"), "{page}");
    assert!(
        page.contains("<div><dt>Personas</dt><dd>2</dd></div>"),
        "personas are counted, not rows: {page}"
    );
    for rows in ["Rows done", "<h2 id=\"rows\">", "<h2 id=\"latency\">", "<h2 id=\"timeline\">"] {
        assert!(!page.contains(rows), "a generation has no rows: {rows}");
    }
    let export = |more: &str| lab.run(&format!("runs export latest {more}")).stdout;
    assert_eq!(export("").lines().count(), 2);
    let json: Value = serde_json::from_str(&export("--format json")).unwrap();
    assert_eq!(json[0]["id"], "persona-001");
    let csv = export("-f csv");
    assert!(csv.starts_with("\"id\",\"name\",\"title\",") && csv.contains("p1.txt:2"), "{csv}");
    let markdown = export("-f markdown");
    assert!(markdown.starts_with("# ") && markdown.contains("\n---\n"), "{markdown}");
    lab.run("runs export latest --results personas.csv")
        .ends_with(0, &["wrote 2 results as csv to personas.csv"]);
    assert_eq!(fs::read_to_string(lab.path("personas.csv")).unwrap(), csv);
}

#[test]
fn the_extension_of_an_exported_file_is_its_format_and_no_other_is_guessed() {
    let lab = Lab::new();
    lab.run("generate in --offline -n 1").ends_with(0, &[]);
    let known = "use one of .jsonl, .ndjson, .json, .csv, .md, .markdown, or set the format with --format";
    for file in ["a.xml", "a.html", "a.csv.txt"] {
        let ran = lab.run(&format!("runs export latest --results {file}"));
        ran.ends_with(2, &[&format!("cannot export to {file}: "), known]);
        assert!(!lab.path(file).exists(), "{file}");
    }
    for (file, format, begins) in [
        ("a.JSON", "json", "["),
        ("a.ndjson", "jsonl", "{"),
        ("a.MD", "markdown", "# "),
        ("plain", "jsonl", "{"),
        ("a.txt --format csv", "csv", "\"id\""),
    ] {
        let name = file.split(' ').next().unwrap();
        let written = format!("wrote 1 result as {format} to {name}");
        lab.run(&format!("runs export latest --results {file}")).ends_with(0, &[&written]);
        assert!(fs::read_to_string(lab.path(name)).unwrap().starts_with(begins), "{file}");
    }
    assert_eq!(lab.run("runs export latest").stderr, "");
}

#[test]
fn rows_go_out_as_tables_without_formulas() {
    let server = Server::start([Reply::chat("=1+1", "stop"), Reply::chat("two | three", "stop")]);
    let lab = Lab::new();
    lab.file("rows.csv", "name\nBern\n\"Ulm, an der Donau\"\n");
    lab.file("r.toml", "prompt = \"{{ name }}\"\n");
    let url = server.url("/v1");
    lab.run(&format!(
        "map rows.csv -r r.toml --max-concurrency 1 --provider compatible --base-url {url} --model m"
    ))
    .ends_with(0, &[]);
    let export = |format: &str| lab.run(&format!("runs export latest --format {format}")).stdout;
    assert_eq!(
        export("csv"),
        "\"index\",\"row.name\",\"result\"\n\"0\",\"Bern\",\"'=1+1\"\n\"1\",\"Ulm, an der Donau\",\"two | three\"\n"
    );
    assert_eq!(
        export("markdown"),
        "| index | row.name | result |\n|---|---|---|\n| 0 | Bern | =1+1 |\n| 1 | Ulm, an der Donau | two \\| three |\n"
    );
    let json: Value = serde_json::from_str(&export("json")).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[1]["result"]), (2, &Value::from("two | three")));
    assert_eq!(export("jsonl").lines().count(), 2);
    lab.run("runs export latest --format xml").ends_with(2, &["jsonl, json, csv, markdown"]);
}

#[test]
fn the_page_of_a_long_run_has_all_rows_and_the_names_of_the_phases() {
    let server = Server::start([Reply::chat("a@b", "stop")]);
    let lab = Lab::new();
    let rows: String = (0..700).map(|row| format!("Town {row}\n")).collect();
    lab.file("rows.csv", format!("name\n{rows}"));
    lab.file("r.toml", "prompt = \"{{ name }}\"\n");
    let url = server.url("/v1");
    lab.run(&format!("map rows.csv -r r.toml --provider compatible --base-url {url} --model m"))
        .ends_with(0, &[]);
    let page = fs::read_to_string(lab.path(lab.run("runs report latest").stdout.trim())).unwrap();
    let table = page.matches("data-label=\"Input\"").count();
    let is_done = |states: &&str| states.starts_with('d') && states.chars().all(|state| state == 'd');
    let blocks =
        page.lines().filter_map(|line| line.split_once(':')).map(|(states, _)| states).filter(is_done);
    let blocks: Vec<_> = blocks.map(str::len).collect();
    assert_eq!((table, blocks.as_slice()), (50, &[512, 188][..]));
    assert!(page.contains("the first 50 of 700 rows"));
    let named = page.lines().filter_map(|line| {
        let item = line.strip_prefix("<li><i class=\"b")?;
        item.split_once("</i>")?.1.split_once(':').map(|(name, _)| name)
    });
    let named: Vec<&str> = named.collect();
    let labels: Vec<&str> = Phase::ALL.iter().map(|phase| phase.label()).collect();
    assert!(!named.is_empty() && named.iter().all(|name| labels.contains(name)), "{named:?}");
}
