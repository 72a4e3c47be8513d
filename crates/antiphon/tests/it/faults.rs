//! Runs against servers that refuse, fail and answer nonsense.

use std::process::{Command, Stdio};
use std::time::Duration;

use antiphon_sim::{Faults, Latency, Scenario};
use antiphon_tests::{Reply, Server as Scripted};
use serde_json::{Value, json};

use crate::generate::drafts_text;
use crate::map::{Bench, lab, map, report};
use crate::program::{Lab, Ran, json_file};

#[test]
fn a_long_wait_with_any_status_ends_the_run_and_fails_no_row() {
    for status in [429, 500, 503] {
        let wait = Reply::with_headers(status, "retry-after: 3600\r\n", "");
        let server = Scripted::start([Reply::chat("a bridge", "stop"), wait]);
        let ran = lab(&server.url("/v1"), 3).run(&map("--max-concurrency 1 --json"));
        ran.ends_with(4, &["takes no more calls for 36", "wait, then run the same command again to resume"]);
        let report = report(&ran);
        let of = |key: &str| report[key].as_u64().unwrap();
        assert_eq!([of("accepted"), of("failed"), of("left")], [1, 0, 2], "{status}: {ran:?}");
        assert_eq!((server.requests().len(), &report["stopped_by"][0]), (2, &json!("saturated")), "{status}");
    }
}

#[test]
fn a_used_up_quota_of_a_day_ends_the_run_and_says_when_it_resets() {
    let day = "GenerateRequestsPerDayPerProjectPerModel";
    let google = json!({ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "no", "details": [
        { "@type": "type.googleapis.com/google.rpc.ErrorInfo", "metadata": { "quota_limit": day } },
    ] } });
    let groq = json!({ "error": { "code": "rate_limit_exceeded",
        "message": "Rate limit reached on requests per day (RPD): Limit 200. Please try again in 8h12m." } });
    for (body, shown) in [(google, "resets at midnight Pacific time"), (groq, "resets in 8 h 12 min")] {
        let server = Scripted::start([Reply::chat("a bridge", "stop"), Reply::json(429, &body)]);
        let lab = lab(&server.url("/v1"), 3);
        let ran = lab.run(&map("--max-concurrency 1 --json"));
        assert!(ran.stderr.contains(shown), "{ran:?}");
        let report = report(&ran);
        let of = |key: &str| report[key].as_u64().unwrap();
        assert_eq!([of("accepted"), of("failed"), of("left")], [1, 0, 2], "{ran:?}");
        assert_eq!((server.requests().len(), &report["stopped_by"][0]), (2, &json!("quota")));
        assert_eq!(report["status"], json!("stopped"));
    }
}

#[test]
fn a_server_that_says_whether_to_retry_is_obeyed() {
    let says = |status, says: &str| {
        Reply::with_headers(
            status,
            &format!("x-should-retry: {says}\r\n"),
            "{\"error\":{\"message\":\"no\"}}",
        )
    };
    let answer = || Reply::chat("a bridge", "stop");
    for (first, calls, failed) in [(says(400, "true"), 4, 0), (says(503, "false"), 3, 1)] {
        let server = Scripted::start([answer(), first, answer()]);
        let ran = lab(&server.url("/v1"), 3).run(&map("--max-concurrency 1 --json"));
        assert_eq!((server.requests().len(), &report(&ran)["failed"]), (calls, &json!(failed)), "{ran:?}");
    }
}

#[test]
fn a_row_that_fails_five_times_is_answered_by_its_sixth_call() {
    let answers = std::iter::repeat_with(|| Reply::chat("a bridge", "stop")).take(30);
    let faults = std::iter::repeat_with(|| Reply::json(500, &json!({}))).take(5);
    let server = Scripted::start(answers.chain(faults).chain([Reply::chat("a bridge", "stop")]));
    let ran = lab(&server.url("/v1"), 31).run(&map("--max-concurrency 1 --json"));
    ran.ends_with(0, &[]);
    assert_eq!((&report(&ran)["accepted"], server.requests().len()), (&json!(31), 36), "{ran:?}");
}

#[test]
fn counts_that_cannot_be_are_unknown_and_break_no_sum() {
    let reported = |input: &str, output: &str| {
        let usage = format!(
            "{{\"choices\":[],\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output}}}}}"
        );
        Reply::events([
            r#"{"choices":[{"delta":{"content":"a bridge"},"finish_reason":"stop"}]}"#,
            &usage,
            "[DONE]",
        ])
    };
    let vast = "4611686018427387904";
    for (input, output) in [(vast, vast), (vast, "5"), ("5", vast), ("0", "5")] {
        let server = Scripted::start([reported(input, output)]);
        let lab = lab(&server.url("/v1"), 3);
        let ran = lab.run(&map("--json"));
        ran.ends_with(0, &[]);
        let report = report(&ran);
        assert_eq!(
            (&report["accepted"], &report["cost_usd_micros"]),
            (&json!(3), &Value::Null),
            "{input}, {output}"
        );
        let check = |name: &str, counts: bool| {
            assert_eq!(report[name].is_u64(), counts, "{input}, {output}: {report}")
        };
        check("input_tokens", input == "5");
        check("output_tokens", output == "5");
        let listed = lab.run("runs list");
        assert!(listed.stdout.contains("cost unknown"), "{listed:?}");
    }
}

#[test]
fn usage_that_was_not_reported_is_unknown_and_not_nothing() {
    let answer = r#"{"choices":[{"delta":{"content":"a bridge"},"finish_reason":"stop"}]}"#;
    let server = Scripted::start([Reply::events([answer, "[DONE]"])]);
    let lab = lab(&server.url("/v1"), 3);
    let ran = lab.run(&map(""));
    ran.ends_with(0, &[]);
    assert!(ran.stdout.contains("3 calls, tokens unknown, cost unknown"), "{ran:?}");
    let run = lab.only_run();
    let report = json_file(&run.join("run.json"));
    assert_eq!((&report["input_tokens"], &report["output_tokens"]), (&Value::Null, &Value::Null));
    assert_eq!(report["answers_without_usage"], 3);
    let shown = lab.run("runs show latest");
    assert!(shown.stdout.lines().any(|line| line.split_whitespace().eq(["tokens", "unknown"])), "{shown:?}");
    let shown: Value = serde_json::from_str(&lab.run("runs show latest --json").stdout).unwrap();
    assert_eq!((&shown["input_tokens"], &shown["cost_usd_micros"]), (&Value::Null, &Value::Null));
}

#[test]
fn an_error_status_spends_nothing_of_a_budget() {
    let failed = Reply::json(500, &json!({ "error": { "message": "a fault" } }));
    let server = Scripted::start([failed, Reply::chat("a bridge", "stop")]);
    // Less than two calls may cost.
    let ran = lab(&server.url("/v1"), 1).run(&map("--max-cost 0.0005 --json"));
    ran.ends_with(0, &[]);
    let report = report(&ran);
    assert_eq!((&report["calls"], &report["possibly_billed"]["calls"]), (&json!(2), &json!(0)), "{ran:?}");
}

#[test]
fn an_outage_costs_no_row() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(50))), 600);
    let child =
        bench.lab.command(&map("--json")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while bench.stats().answered < 100 {
        std::thread::yield_now();
    }
    bench.server.change_faults(Faults::default().error(1.0));
    while bench.stats().errors < 40 {
        std::thread::yield_now();
    }
    bench.server.change_faults(Faults::default());
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.ends_with(0, &[]);
    let report = report(&ran);
    assert_eq!(report["accepted"], 600, "{ran:?}");
    let phases = report["time"]["phases_ms"].as_array().unwrap();
    let of = |name: &str| phases.iter().find(|phase| phase[0] == name).unwrap()[1].as_u64().unwrap();
    assert!(of("retry") > 0, "{phases:?}");
    let stats = bench.stats();
    assert_eq!((stats.answered, stats.requests - stats.errors), (600, 600), "{stats:?}");
}

#[test]
fn failed_calls_are_named_as_where_the_time_went() {
    let scenario = Scenario::default().latency(Latency::Fixed(Duration::from_millis(5)));
    let bench = Bench::new(scenario.faults(Faults::default().error(0.3)), 100);
    let ran = bench.map("--max-concurrency 4 --json");
    let report = report(&ran);
    let (cause, advice) = (&report["time"]["bottleneck"], report["time"]["advice"].as_str().unwrap());
    assert!(*cause == "retry" && advice.starts_with("calls failed and were made again"), "{ran:?}");
}

#[test]
fn what_no_row_can_survive_ends_the_run_early() {
    let refused =
        |status: u16, message: &str| Reply::json(status, &json!({ "error": { "message": message } }));
    for (reply, expected) in [
        (refused(404, "no such path"), "no such path"),
        (refused(400, "the schema is not supported"), "not supported"),
        (refused(501, "not implemented"), "not implemented"),
        (Reply::with_headers(302, "location: /elsewhere\r\n", ""), "302"),
        (Reply::new(200, "text/html", "<html>Welcome</html>"), "text/html"),
    ] {
        let server = Scripted::start([reply]);
        let ran = lab(&server.url("/v1"), 300).run(&map("--json"));
        assert!(ran.stderr.contains(expected) && ran.code == Some(5), "{expected}: {ran:?}");
        let report = report(&ran);
        let of = |key: &str| report[key].as_u64().unwrap();
        assert!(
            of("failed") < 100 && of("left") > 200 && server.requests().len() < 150,
            "{expected}: {ran:?}"
        );
    }
    let server = Scripted::start([refused(400, "the schema is not supported")]);
    let ran = lab(&server.url("/v1"), 3).run(&map("--json"));
    ran.ends_with(5, &["not supported", "--model or --temperature"]);
}

#[test]
fn a_run_that_is_complete_when_interrupted_is_done() {
    let bench = Bench::new(Scenario::default().latency(Latency::Fixed(Duration::from_millis(700))), 2);
    let child = bench.lab.command(&map("")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while bench.stats().requests < 2 {
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    assert!(Command::new("sh").args(["-c", "kill -INT \"$0\"", &id]).status().unwrap().success());
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.ends_with(0, &["press Ctrl-C again"]);
    assert!(ran.stdout.contains("2 of 2 rows done"), "{ran:?}");
}

/// A stream that breaks off behind `text`.
fn broken(text: &str) -> Reply {
    let event = json!({ "choices": [{ "delta": { "content": text } }] }).to_string();
    Reply::events([event.as_str()])
}

/// The beginning of a list's text, up to and with the comma after its last element.
fn open_list(text: &str) -> String {
    format!("{}, ", text.strip_suffix("]}").unwrap())
}

#[test]
fn personas_are_kept_over_several_broken_streams() {
    let goals = [
        ("Ada", "wants to close early on Mondays"),
        ("Bea", "would rather feed goats than people"),
        ("Cy", "bakes rye bread before the sun is up"),
        ("Dee", "counts every coin in the till twice"),
        ("Eve", "delivers milk to the hospital by bicycle"),
    ];
    let parts = goals.chunks(2).map(|part| broken(&open_list(&drafts_text(part))));
    let models = Reply::json(200, &json!({ "data": [] }));
    let server = Scripted::start([models].into_iter().chain(parts));
    let lab = Lab::new();
    let ran = lab.ask(&server.url("/v1"), "--count 5");
    ran.ends_with(0, &[]);
    let run = lab.only_run();
    let personas = json_file(&run.join("personas.json"));
    let names: Vec<_> =
        personas["personas"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["Ada", "Bea", "Cy", "Dee", "Eve"]);
    let chats = server.requests().iter().filter(|seen| seen.line.contains("/completions")).count();
    assert_eq!(chats, 3, "each call is for the rest");
}

#[test]
fn rows_keep_the_elements_of_several_broken_streams() {
    let server = Scripted::start([
        broken(r#"{"items": ["a", "b", "#),
        broken(r#"{"items": ["c", "d", "#),
        Reply::chat(r#"{"items": ["e"]}"#, "stop"),
    ]);
    let lab = lab(&server.url("/v1"), 1);
    let items = "{ type = \"array\", items = { type = \"string\" }, minItems = 5, maxItems = 5 }";
    lab.file("r.toml", format!("prompt = \"Five things of {{{{ name }}}}\"\n[schema]\ntype = \"object\"\nrequired = [\"items\"]\nproperties = {{ items = {items} }}\n"));
    let ran = lab.run(&map("--results -"));
    ran.ends_with(0, &[]);
    let row: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(row["result"], json!({ "items": ["a", "b", "c", "d", "e"] }), "{ran:?}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn copy_keeps_the_work_that_came_before_several_breaks() {
    let work = |name: &str| json!({ "name": name, "description": "Weaves.", "url": null, "stars": null, "language": null, "tags": [] });
    let content = |names: &[&str]| {
        json!({
            "brand_name": "Ada", "tagline": null, "hero": { "title": "Engines", "subtitle": "Woven." },
            "repos": names.iter().map(|name| work(name)).collect::<Vec<_>>(), "menu_items": [], "cta": null,
        })
        .to_string()
    };
    let until = |text: String| {
        let at = text.find(r#","menu_items""#).unwrap();
        broken(&format!("{},", &text[..at - 1]))
    };
    let server = Scripted::start([
        Reply::json(200, &json!({ "data": [] })),
        until(content(&["Loom", "Shuttle"])),
        until(content(&["Warp"])),
        Reply::chat(&content(&["Weft"]), "stop"),
    ]);
    let lab = Lab::new();
    lab.file(
        "notes.md",
        "# Ada\n\nEngines, woven.\n\nLoom weaves. Shuttle weaves. Warp weaves. Weft weaves.\n",
    );
    let line = format!("content notes.md --provider compatible --base-url {} --model m", server.url("/v1"));
    let ran = lab.run(&line);
    ran.ends_with(0, &[]);
    let page = std::fs::read_to_string(lab.only_run().join("content.json")).unwrap_or_default();
    for name in ["Loom", "Shuttle", "Warp", "Weft"] {
        assert!(page.contains(name), "{name}: {ran:?}");
    }
}
