use std::fs;

use antiphon_pipeline::content::Content;
use antiphon_render::{RenderErrorKind, RunPage, RunRow, SiteBuilder, Theme, build_portfolio};

const ADA: &str = r#"{
    "brand_name": "Ada Byron", "tagline": "Weaver of engines",
    "hero": { "title": "Engines that weave", "subtitle": "Patterns in brass & cards." },
    "repos": [
        { "name": "Loom", "description": "Cards in, numbers out.", "url": "github.com/ada/loom", "stars": 1240,
          "language": "Rust", "tags": ["cards", "brass"] },
        { "name": "Notes", "description": "On the engine." }
    ],
    "menu_items": [{ "label": "Blog", "url": "https://ada.test/blog" }, { "label": "Bad", "url": "javascript:x" }],
    "cta": { "text": "Write to Ada", "url": "mailto:ada@ada.test" }
}"#;

fn ada() -> Content {
    Content::parse("ada.json", ADA).unwrap()
}

/// Returns a page without its style sheet.
fn markup(html: &str) -> String {
    let (before, rest) = html.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    format!("{before}<style></style>{after}")
}

#[test]
fn a_page_has_exactly_its_parts() {
    let site = SiteBuilder::new("Ada").page("ada", ada(), Theme::built_in("editorial").unwrap());
    let files = site.build().unwrap();
    assert_eq!(files.len(), 1);
    insta::assert_snapshot!("page", markup(&files[0].1));
}

#[test]
fn several_pages_have_an_index_and_distinct_names() {
    let (editorial, retro) = (Theme::built_in("editorial").unwrap(), Theme::built_in("retro").unwrap());
    let site = SiteBuilder::new("Two & one").page("Ada", ada(), editorial.clone()).page("Ada", ada(), retro);
    let files = site.page("ada", ada(), editorial).build().unwrap();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ada-editorial.html", "ada-retro.html", "ada-editorial-2.html", "index.html"]);
    insta::assert_snapshot!("index", markup(&files[3].1));
}

#[tokio::test]
async fn a_custom_theme_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    fs::create_dir(&mine).unwrap();
    let toml = "title = \"Mine\"\ndescription = \"My own\"\n[voice]\ntone = \"As I speak\"\n";
    fs::write(mine.join("theme.toml"), toml).unwrap();
    assert_eq!(Theme::load(&mine).await.unwrap_err().kind(), RenderErrorKind::Files);
    fs::write(mine.join("style.css"), "h1 { color: teal }").unwrap();
    let policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">";
    let template = |body: &str| {
        fs::write(mine.join("page.html"), format!("{policy}<style>{{{{ css }}}}</style>{body}")).unwrap()
    };
    template("<h1>{{ hero.title }}</h1>");
    let theme = Theme::load(&mine).await.unwrap();
    assert_eq!((theme.name.as_str(), theme.voice.name.as_str()), ("mine", "mine"));
    let page = folder.path().join("new/page.html");
    build_portfolio(ada(), theme, &page).await.unwrap();
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.ends_with("h1 { color: teal }</style><h1>Engines that weave</h1>"), "{html}");

    for (body, expected) in [
        ("<p>{{ hero.title|safe }}</p>", "the template mine/page.html:1 is broken"),
        (
            "\n{% autoescape false %}{{ brand }}{% endautoescape %}",
            "mine/page.html:2: autoescape must not change",
        ),
    ] {
        template(body);
        let made = match Theme::load(&mine).await {
            Ok(theme) => build_portfolio(ada(), theme, &page).await,
            Err(err) => Err(err),
        };
        let err = made.unwrap_err().to_string();
        assert!(err.contains(expected), "{err}");
    }
    fs::write(mine.join("page.html"), "<style>{{ css }}</style>").unwrap();
    let err = Theme::load(&mine).await.unwrap_err().to_string();
    assert!(err.contains("Add this line to its head: <meta http-equiv"), "{err}");
    fs::remove_file(mine.join("page.html")).unwrap();
    fs::write(mine.join("style.css"), "a {}\n@import 'x.css';").unwrap();
    let err = Theme::load(&mine).await.unwrap_err().to_string();
    assert!(err.contains("style.css:2: @import would load something"), "{err}");
    fs::write(mine.join("theme.toml"), toml.replace("tone", "tnoe")).unwrap();
    let err = Theme::load(&mine).await.unwrap_err().to_string();
    assert!(err.ends_with("theme.toml:4: unknown key tnoe; did you mean tone?"), "{err}");
}

#[tokio::test]
async fn a_failed_write_leaves_no_partial_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let site = SiteBuilder::new("A").page("a", ada(), Theme::built_in("hacker").unwrap());
    assert_eq!(site.clone().write(&file).await.unwrap_err().kind(), RenderErrorKind::Files);
    let written = site.write(&folder.path().join("site")).await.unwrap();
    assert_eq!(written.len(), 1);
    assert_eq!(fs::read_dir(folder.path().join("site")).unwrap().count(), 1);
}

#[tokio::test]
async fn files_of_other_origin_are_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let site = SiteBuilder::new("A").page("a", ada(), Theme::built_in("hacker").unwrap());
    site.clone().write(folder.path()).await.unwrap();
    site.clone().write(folder.path()).await.unwrap();
    fs::write(folder.path().join("index.html"), "<h1>mine</h1>").unwrap();
    let err = site.write(folder.path()).await.unwrap_err().to_string();
    assert!(err.contains("index.html: no site has written it"), "{err}");
    assert_eq!(fs::read_to_string(folder.path().join("index.html")).unwrap(), "<h1>mine</h1>");
}

#[test]
fn a_report_of_a_thousand_rows_is_at_most_a_megabyte() {
    let mut page = RunPage::default();
    page.all_rows = 5_000;
    page.rows = (0..1_000)
        .map(|index| {
            let mut row = RunRow::default();
            (row.index, row.state, row.millis) = (index, "done".to_owned(), Some(index));
            (row.row, row.result) = ("a ".repeat(1_000), "b ".repeat(1_000));
            row
        })
        .collect();
    let html = page.render().unwrap();
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
    assert!(html.contains("the first 50 of 5,000 rows"), "without a script");
    assert!(html.contains(r#"data-all="5000""#), "the script says how many rows the page leaves out");
}
