use std::collections::BTreeSet;

use antiphon_data::Document;
use antiphon_pipeline::content::Content;
use antiphon_pipeline::{Persona, Report};
use antiphon_render::{RunCause, RunPage, RunRow, SiteBuilder, Theme, page};
use proptest::prelude::*;
use scraper::{ElementRef, Html, Selector};
use serde_json::{Value, json};

/// Texts in model answers or notes that attack a page.
const ATTACKS: [&str; 22] = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "//evil.test/x",
    "https://bank.test@evil.test/",
    "https://a.test/\"onmouseover=\"alert(1)",
    "{{ 7 * 7 }}{% for x in y %}",
    "{{ css|safe }}",
    "<!--",
    "]]>",
    "}</style> body { background: url(https://evil.test) }",
    "\u{202e}txt.exe\u{2066}",
    "&lt;b&gt; &amp;amp; &#x3c;",
    "<meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<base href=https://evil.test>",
];

/// Elements that pages may have: none of them runs, loads or sends anything.
const ELEMENTS: [&str; 23] = [
    "html", "head", "meta", "title", "style", "body", "a", "header", "p", "nav", "ul", "li", "main",
    "section", "h1", "h2", "h3", "footer", "span", "strong", "b", "i", "link",
];

fn hostile() -> impl Strategy<Value = String> {
    let attack = prop::sample::select(&ATTACKS[..]).prop_map(str::to_owned);
    let around = ("\\PC{0,12}", attack.clone(), "\\PC{0,12}").prop_map(|(a, b, c)| format!("{a}{b}{c}"));
    let long = Just("x".repeat(10_000));
    prop_oneof![4 => attack, 3 => around, 2 => "\\PC{1,40}", 1 => long]
}

#[derive(Debug)]
struct Said {
    brand: String,
    tagline: String,
    title: String,
    subtitle: String,
    name: String,
    description: String,
    language: String,
    tag: String,
    label: String,
    action: String,
    urls: Vec<String>,
}

fn said() -> impl Strategy<Value = Said> {
    (prop::collection::vec(hostile(), 10), prop::collection::vec(hostile(), 3)).prop_map(
        |(mut texts, urls)| {
            let mut next = || texts.pop().unwrap_or_default();
            Said {
                brand: next(),
                tagline: next(),
                title: next(),
                subtitle: next(),
                name: next(),
                description: next(),
                language: next(),
                tag: next(),
                label: next(),
                action: next(),
                urls,
            }
        },
    )
}

fn content(said: &Said) -> Content {
    serde_json::from_value(json!({
        "brand_name": said.brand, "tagline": said.tagline,
        "hero": { "title": said.title, "subtitle": said.subtitle },
        "repos": [{
            "name": said.name, "description": said.description, "url": said.urls[0], "stars": 1240,
            "language": said.language, "tags": [said.tag],
        }],
        "menu_items": [{ "label": said.label, "url": "https://a.test/menu" }, { "label": "x", "url": said.urls[1] }],
        "cta": { "text": said.action, "url": said.urls[2] },
    }))
    .unwrap()
}

fn select<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text_of(page: &Html, selector: &str) -> String {
    select(page, selector).first().map(|element| element.text().collect()).unwrap_or_default()
}

/// Asserts that a page has nothing that runs, loads, or links to a forbidden address.
#[track_caller]
fn is_harmless(page: &Html) {
    for element in select(page, "*") {
        let name = element.value().name();
        assert!(ELEMENTS.contains(&name) && name != "link", "{name}");
        for (attribute, value) in element.value().attrs() {
            let known = [
                "lang",
                "charset",
                "name",
                "content",
                "http-equiv",
                "property",
                "class",
                "id",
                "href",
                "rel",
                "aria-label",
                "aria-labelledby",
                "aria-hidden",
                "dir",
            ];
            assert!(known.contains(&attribute), "{name} {attribute}={value}");
            if attribute == "href" {
                let leads =
                    ["#", "http://", "https://", "mailto:"].iter().any(|scheme| value.starts_with(scheme));
                assert!(leads || value.ends_with(".html"), "{value}");
                assert!(!value.contains(['"', '<', '>', '\'']), "{value}");
            }
        }
    }
    let policies: BTreeSet<_> =
        select(page, "meta[http-equiv]").iter().filter_map(|meta| meta.value().attr("content")).collect();
    assert_eq!(policies.len(), 1);
    assert!(policies.iter().all(|policy| policy.starts_with("default-src 'none'")));
}

/// Returns a persona with these texts, which quotes `words` at `span`.
fn persona(texts: &[String], span: std::ops::Range<usize>, words: &str) -> Persona {
    let text = |index: usize| texts[index % texts.len()].clone();
    let place =
        json!({ "document": "a.txt", "line": 1, "start": span.start, "end": span.end, "match": "exact" });
    let with = |mut value: Value, fields: Value| {
        let fields = fields.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(fields);
        value
    };
    serde_json::from_value(json!({
        "id": "persona-001", "name": text(1), "title": text(2), "demographics": { text(3): text(4) },
        "goals": [text(5)], "pain_points": [text(6)], "behaviours": [text(7)], "motivations": [text(8)],
        "quotes": [with(place.clone(), json!({ "text": words, "speaker": text(9) }))],
        "evidence": [with(place, json!({ "claim": text(5), "quote": words }))],
        "unverified": [{ "field": text(10), "claim": text(11), "quote": text(12), "reason": text(13) }],
    }))
    .unwrap()
}

/// Returns the page of a persona and a report with these texts, and the words that the persona quotes.
fn persona_page(texts: &[String]) -> (String, String) {
    let text = |index: usize| texts[index % texts.len()].clone();
    let said = format!("P1: I said {} and no more.", text(0));
    let document = Document::parse("a.txt", said.as_bytes()).unwrap();
    let words = document.words(&document.turns[0]).to_owned();
    let persona = persona(texts, document.turns[0].span.clone(), &words);
    let report: Report = serde_json::from_value(json!({
        "schema": "antiphon.run/1", "run_id": text(14), "status": "finished", "fingerprint": text(15),
        "recipe": text(16), "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z",
        "provider": text(17), "base_url": text(18), "model": text(19), "served_model": text(20),
        "model_used": true, "parameters": {}, "count": 1, "detail": "standard", "skipped": [text(21)],
        "documents": [], "failures": [{ "document": text(22), "line": 1, "reason": text(23) }], "calls": 1,
        "usage": { "input_tokens": 1, "cached_tokens": null, "output_tokens": 1, "reasoning_tokens": null },
        "cost_usd_micros": null,
        "timings": { "load_ms": 1, "generate_ms": 1, "first_token_ms": null, "verify_ms": 1 },
        "refused": [{ "name": text(24), "title": text(25), "like": text(26), "similarity": 0.9 }],
        "coverage": {
            "personas": [{ "persona": text(27), "claims": 1, "supported": 1, "documents": 1, "speakers": 1 }],
            "documents": [{ "document": text(28), "passages": 0, "personas": [] }],
        },
        "validation": { "score": 90, "findings": [
            { "persona": text(29), "rule": text(30), "level": "warning", "message": text(31) },
        ] },
    }))
    .unwrap();
    (page(&[persona], &report, &[document]).unwrap(), words)
}

/// Returns the report of a run with these texts.
fn run_page(texts: &[String]) -> RunPage {
    let text = |index: usize| texts[index % texts.len()].clone();
    let (mut page, mut cause, mut row) = (RunPage::default(), RunCause::default(), RunRow::default());
    page.title = text(0);
    page.facts = vec![(text(1), text(2))];
    page.figures = vec![(text(3), text(4))];
    page.phases = vec![(text(5), 7), (text(6), 9)];
    page.advice = Some(text(7));
    (cause.error, cause.message) = (text(8), text(9));
    page.causes = vec![cause];
    (row.row, row.result, row.state, row.millis) = (text(10), text(11), "done".to_owned(), Some(3));
    page.rows = vec![row];
    page.all_rows = 1;
    page.ends = vec![(1, true), (900, false)];
    page.personas = vec![persona(texts, 0..4, &text(12))];
    page
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn persona_pages_escape_all_text(texts in prop::collection::vec(hostile(), 24)) {
        let (html, words) = persona_page(&texts);
        let page = Html::parse_document(&html);
        prop_assert_eq!((select(&page, "script").len(), select(&page, "style").len()), (1, 1));
        prop_assert!(select(&page, "img, iframe, object, embed, base, svg, form").is_empty());
        for element in select(&page, "*") {
            for (name, value) in element.value().attrs() {
                prop_assert!(!name.starts_with("on") && name != "src", "{} {}", name, value);
                let is_ours = name != "href" || value.starts_with('#') || value == "data:,";
                prop_assert!(is_ours, "{}", value);
            }
        }
        prop_assert_eq!(&text_of(&page, ".card h2"), &texts[1]);
        prop_assert_eq!(&text_of(&page, "dd"), &texts[4]);
        prop_assert!(text_of(&page, "blockquote").contains(&words));
        prop_assert!(text_of(&page, "details li").contains(&texts[12]));
    }

    #[test]
    fn run_reports_escape_all_text(texts in prop::collection::vec(hostile(), 12)) {
        let page = Html::parse_document(&run_page(&texts).render().unwrap());
        let scripts: Vec<_> = select(&page, "script").iter().map(|script| script.value().attr("type")).collect();
        prop_assert_eq!(scripts, [Some("text/plain"), None]);
        prop_assert!(text_of(&page, "#data").chars().all(|c| c.is_ascii_alphanumeric() || "+/=:-\n".contains(c)));
        prop_assert_eq!(select(&page, "style").len(), 1);
        prop_assert!(select(&page, "img, iframe, object, embed, link, base, a").is_empty());
        for element in select(&page, "*") {
            prop_assert!(element.value().attrs().all(|(name, _)| !name.starts_with("on") && name != "src" && name != "href"));
        }
        prop_assert_eq!(&text_of(&page, "h1"), &texts[0]);
        prop_assert_eq!(&text_of(&page, ".advice"), &texts[7]);
        let shown = text_of(&page, ".rows tbody td:nth-child(3)");
        // JSON is shown with spaces between its values.
        let bare = |text: &str| text.chars().filter(|c| *c != ' ').take(200).collect::<String>();
        prop_assert!(bare(&shown).starts_with(&bare(&texts[10])), "{:?}", shown);
    }

    #[test]
    fn sites_escape_all_text(said in said()) {
        let mut site = SiteBuilder::new(&said.brand);
        for theme in Theme::all().unwrap() {
            site = site.page(&said.name, content(&said), theme);
        }
        let files = site.build().unwrap();
        prop_assert_eq!(files.len(), 9);
        let (index, pages) = files.split_last().unwrap();
        for (name, html) in pages {
            prop_assert!(name.ends_with(".html") && !name.contains(['/', '\\', '<', '"']), "{}", name);
            let page = Html::parse_document(html);
            is_harmless(&page);
            for (selector, text) in [
                (".brand", &said.brand), ("h1", &said.title), (".subtitle", &said.subtitle), ("h3", &said.name),
                (".description", &said.description), (".action", &said.action),
            ] {
                prop_assert_eq!(&text_of(&page, selector), text);
            }
            for (selector, text) in [(".tagline", &said.tagline), (".language", &said.language), (".tag", &said.tag)] {
                let shown = text_of(&page, selector);
                prop_assert!(shown == *text || text.trim().is_empty(), "{:?}", shown);
            }
            prop_assert_eq!(select(&page, "style").len(), 1);
        }
        let page = Html::parse_document(&index.1);
        is_harmless(&page);
        prop_assert_eq!(&text_of(&page, "h1"), &said.brand);
        prop_assert_eq!(select(&page, ".pages a").len(), 8);
    }
}
