//! The form of pages: what a browser has to hold, and how it breaks lines.

use antiphon_data::Document;
use antiphon_pipeline::content::Content;
use antiphon_render::{RunCause, RunPage, RunRow, SiteBuilder, Theme, page};
use scraper::{ElementRef, Html, Selector};
use serde_json::json;

use crate::exports::{persona, report};

fn select<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

/// Returns the report of a run with this many rows, of which one failed.
fn run_page(rows: u64) -> RunPage {
    let (mut page, mut cause) = (RunPage::default(), RunCause::default());
    (cause.error, cause.rows, cause.message) = ("timeout".to_owned(), 1, "no answer within 30 s".to_owned());
    page.title = "towns.csv with classify".to_owned();
    page.causes = vec![cause];
    page.all_rows = rows;
    page.rows = (0..rows)
        .map(|index| {
            let mut row = RunRow::default();
            row.index = index;
            row.state = if index == 7 { "failed" } else { "done" }.to_owned();
            (row.row, row.result) = (format!("{{\"town\":{index}}}"), "\"north\"".to_owned());
            row.millis = Some(index % 900);
            row
        })
        .collect();
    page
}

#[test]
fn a_page_of_many_rows_has_no_more_elements_than_one_of_few() {
    let (few, many) = (run_page(60).render().unwrap(), run_page(20_000).render().unwrap());
    let elements = |html: &str| select(&Html::parse_document(html), "*").len();
    assert_eq!(elements(&few), elements(&many));
    assert!(many.len() - few.len() < 20_000 * 20, "{} bytes", many.len());
    let page = Html::parse_document(&many);
    let data: String = select(&page, "#data")[0].text().collect();
    let rows: usize = data.lines().filter_map(|line| line.find(':')).sum();
    assert_eq!((rows, select(&page, ".rows tbody tr").len()), (20_000, RunPage::PAGE_ROWS));
    let hint: String = select(&page, "noscript")[0].text().collect();
    assert!(hint.contains("the first 50 of 20,000 rows"), "{hint}");
}

#[test]
fn each_cell_repeats_its_heading_for_small_screens() {
    let html = run_page(3).render().unwrap();
    let page = Html::parse_document(&html);
    for table in [".rows", ".causes"] {
        let heads: Vec<String> =
            select(&page, &format!("{table} th")).iter().map(|head| head.text().collect()).collect();
        let rows = select(&page, &format!("{table} tbody tr"));
        assert!(!rows.is_empty());
        for row in rows {
            let cells = Selector::parse("td").unwrap();
            let labels: Vec<_> =
                row.select(&cells).filter_map(|cell| cell.value().attr("data-label")).collect();
            assert_eq!(labels, heads);
        }
    }
}

#[test]
fn the_evidence_behind_a_persona_repeats_its_headings() {
    let html = page(&[persona()], &report(), &[]).unwrap();
    let page = Html::parse_document(&html);
    let heads: Vec<String> =
        select(&page, ".rests thead th").iter().map(|head| head.text().collect()).collect();
    let labels: Vec<_> =
        select(&page, ".rests td").iter().filter_map(|cell| cell.value().attr("data-label")).collect();
    assert_eq!(heads, [&["Persona"], labels.as_slice()].concat());
}

#[test]
fn no_page_breaks_words_that_fit_on_a_line() {
    let document = Document::parse("a.txt", b"P1: I want to sleep longer.").unwrap();
    let content: Content = serde_json::from_value(json!({
        "brand_name": "Ada", "hero": { "title": "Looms", "subtitle": "" }, "repos": [], "menu_items": [],
    }))
    .unwrap();
    let mut site = SiteBuilder::new("Ada");
    for theme in Theme::all().unwrap() {
        site = site.page("ada", content.clone(), theme);
    }
    let mut pages = site.build().unwrap();
    pages.push(("report".to_owned(), run_page(3).render().unwrap()));
    pages.push(("personas".to_owned(), page(&[persona()], &report(), &[document]).unwrap()));
    for (name, html) in pages {
        assert!(!html.contains("break-all") && !html.contains("anywhere"), "{name}");
        assert!(html.contains("overflow-wrap: break-word"), "{name}: a long address has to wrap");
    }
}
