//! Snapshots of persona exports and of the run report.

use antiphon_data::Document;
use antiphon_pipeline::{Persona, Personas, Report};
use antiphon_render::{RunCause, RunPage, RunRow, Table, markdown, page, persona_row, personas_markdown};
use serde_json::json;

const SAID: &str = "P1: I want to sleep longer, and I hate the noise.";

pub(crate) fn persona() -> Persona {
    let place = json!({ "document": "a.txt", "line": 1, "start": 4, "end": 26, "match": "exact" });
    let with = |key: &str, value: &str| {
        let mut place = place.clone();
        place[key] = value.into();
        place
    };
    let mut evidence = with("claim", "Sleep longer");
    evidence["quote"] = "I want to sleep longer".into();
    let mut quote = with("text", "I want to sleep longer");
    quote["speaker"] = "P1".into();
    serde_json::from_value(json!({
        "id": "persona-001", "name": "The | tired *one*", "title": "Wants to sleep",
        "demographics": { "occupation": "baker", "age_range": "40 to 50" },
        "goals": ["Sleep longer"], "pain_points": ["=NOISE()"], "behaviours": [], "motivations": ["Health"],
        "quotes": [quote], "evidence": [evidence],
        "unverified": [{ "field": "pain_points", "claim": "=NOISE()", "quote": "So loud", "reason": "no participant said this" }],
    }))
    .unwrap()
}

pub(crate) fn report() -> Report {
    serde_json::from_value(json!({
        "schema": "antiphon.run/1", "run_id": "r1", "status": "finished", "fingerprint": "f", "recipe": "persona/1",
        "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:09Z", "provider": "p", "base_url": null,
        "model": "m", "served_model": null, "model_used": true, "parameters": {}, "count": "1-2", "detail": "standard",
        "documents": [], "failures": [], "skipped": [], "calls": 1, "cost_usd_micros": 1200,
        "usage": { "input_tokens": 9, "cached_tokens": null, "output_tokens": 9, "reasoning_tokens": null },
        "timings": { "load_ms": 1, "generate_ms": 2, "first_token_ms": null, "verify_ms": 3 },
        "refused": [{ "name": "Also tired", "title": "Wants to sleep", "like": "The | tired *one*", "similarity": 0.83 }],
        "coverage": {
            "personas": [{ "persona": "persona-001", "claims": 3, "supported": 1, "documents": 1, "speakers": 1 }],
            "documents": [
                { "document": "a.txt", "passages": 1, "personas": ["persona-001"] },
                { "document": "b.txt", "passages": 0, "personas": [] },
            ],
        },
        "validation": { "score": 88, "findings": [
            { "persona": "persona-001", "rule": "has_behaviours", "level": "info", "message": "it has no behaviours" },
        ] },
    }))
    .unwrap()
}

#[test]
fn personas_as_markdown() {
    insta::assert_snapshot!("markdown", personas_markdown(&[persona(), persona()]));
    assert!(personas_markdown(&[persona()]) == markdown(&persona()));
}

#[test]
fn personas_as_a_table() {
    let row = persona_row(&persona());
    let mut table = Table::default();
    table.add(&row);
    insta::assert_snapshot!("csv", table.csv_head() + &table.csv_row(&row));
}

#[test]
fn personas_as_json() {
    insta::assert_json_snapshot!("json", Personas::new("r1", vec![persona()]));
}

#[test]
fn personas_as_a_page() {
    let document = Document::parse("a.txt", SAID.as_bytes()).unwrap();
    let html = page(&[persona()], &report(), &[document]).unwrap();
    // Style and script are the same on every page.
    let (_, body) = html.split_once("<body>").unwrap();
    let (body, _) = body.split_once("<script>").unwrap();
    insta::assert_snapshot!("personas", body);
}

#[test]
fn places_have_times_unclear_speakers_and_misattributed_citations() {
    let mut document = Document::parse("a.txt", SAID.as_bytes()).unwrap();
    document.turns[0].time = Some("12:41".into());
    let mut persona = persona();
    persona.evidence[0].speaker = "P03".to_owned();
    (persona.evidence[0].time, persona.evidence[0].field) = (Some("12:41".to_owned()), "goals".to_owned());
    (persona.quotes[0].time, persona.quotes[0].speaker_unclear) = (Some("12:41".to_owned()), true);
    persona.motivations = vec!["Sleep longer".to_owned()];
    persona.unverified[0].place =
        serde_json::from_value(json!({ "document": "b.txt", "line": 9, "speaker": "P2" })).unwrap();
    let html = page(&[persona.clone()], &report(), &[document]).unwrap();
    for shown in [
        "P03, 12:41 · a.txt:1",
        "P1, 12:41 (speaker unclear) · a.txt:1",
        "<b>P1</b> 12:41 · line 1",
        "(no participant said this: P2, b.txt:9)",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    let markdown = markdown(&persona);
    assert!(markdown.contains("- Sleep longer (P03, 12:41, a.txt:1)\n"), "{markdown}");
    assert!(markdown.contains("- Sleep longer *(no evidence)*\n"), "{markdown}");
    assert!(markdown.contains("> — P1, 12:41 (speaker unclear), a.txt:1"), "{markdown}");
    let row = persona_row(&persona);
    assert_eq!(row["goals"][0], "Sleep longer (P03, 12:41, a.txt:1)");
    assert_eq!(row["motivations"][0], "Sleep longer (no evidence)");
    let json = serde_json::to_value(Personas::new("r1", vec![persona.clone()])).unwrap();
    assert_eq!(json["personas"][0]["evidence"][0]["time"], "12:41");
    let mut run = RunPage::default();
    run.personas = vec![persona];
    let html = run.render().unwrap();
    for shown in [
        "P03, 12:41 · a.txt:1",
        "P1, 12:41 (speaker unclear), a.txt:1",
        "no participant said this: P2, b.txt:9",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
}

#[test]
fn a_run_as_a_page() {
    let (mut page, mut cause, mut row) = (RunPage::default(), RunCause::default(), RunRow::default());
    page.title = "a.csv with r.toml".to_owned();
    page.facts = vec![("Status".to_owned(), "finished".to_owned())];
    page.count("Rows done", 1_000);
    page.phases = vec![("checks".to_owned(), 250), ("commit".to_owned(), 750)];
    page.ends = vec![(1_000, true), (49_000, false)];
    (cause.error, cause.rows, cause.message) = ("timeout".to_owned(), 1, "no word in 30 s".to_owned());
    (row.state, row.row, row.result, row.millis) =
        ("done".to_owned(), "{}".to_owned(), "x".to_owned(), Some(1_500));
    (page.causes, page.rows, page.all_rows, page.personas) = (vec![cause], vec![row], 2, vec![persona()]);
    let html = page.render().unwrap();
    let (_, body) = html.split_once("<body>").unwrap();
    // The compressed rows depend on the version of zlib.
    let (body, _) = body.split_once("<script").unwrap();
    insta::assert_snapshot!("run", body);
}
