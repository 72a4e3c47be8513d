use antiphon_data::Document;
use antiphon_pipeline::{Coverage, FailureReport, Grounding, Match, Persona, PersonaCoverage, Report};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::error::RenderError;
use crate::transcript::{Citations, Transcript};

const TEMPLATE: &str = include_str!("page.html");
/// Maximum number of uncited documents to list.
const MAX_UNQUOTED: usize = 100;

/// Returns all personas of a run as one self-contained HTML page: a card for each, and for each claim and quote a link to its
/// passage in the transcript.
///
/// All text is escaped, and the page's Content-Security-Policy forbids the browser to load or send anything. This function is
/// CPU-bound and blocks for large documents: in async code use [`write_personas`](crate::write_personas).
///
/// # Errors
/// `Internal` if the template is broken, which is a defect of this crate.
pub fn page(personas: &[Persona], report: &Report, documents: &[Document]) -> Result<String, RenderError> {
    let mut citations = Citations::default();
    for persona in personas {
        persona.quotes.iter().for_each(|quote| citations.add(&quote.document, quote.start..quote.end));
        persona.evidence.iter().for_each(|found| citations.add(&found.document, found.start..found.end));
    }
    citations.settle();
    let cards: Vec<Card> = personas.iter().map(|persona| Card::new(persona, &citations)).collect();
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("page.html", TEMPLATE).map_err(RenderError::defect)?;
    let template = environment.get_template("page.html").map_err(RenderError::defect)?;
    // Without grounding there is no coverage to show.
    let coverage = Some(&report.coverage).filter(|_| report.evidence != Grounding::Off);
    let unquoted: Vec<&str> = coverage.into_iter().flat_map(Coverage::unquoted).collect();
    let (unread, lacking) = report.failures.iter().partition(|failure| failure.document.is_some());
    let page = Page {
        rests: coverage.into_iter().flat_map(|of| of.personas.iter().zip(personas)).map(Rest::new).collect(),
        // A list of thousands of names would fill the page.
        unquoted: if unquoted.len() > MAX_UNQUOTED { Vec::new() } else { unquoted },
        unread,
        lacking,
        cards,
        transcripts: citations.transcripts(documents),
        report,
        documents: report.documents.len(),
        turns: report.documents.iter().map(|document| document.turns).sum(),
    };
    template.render(Serde(&page)).map_err(RenderError::defect)
}

#[derive(Serialize)]
struct Page<'a> {
    cards: Vec<Card<'a>>,
    transcripts: Vec<Transcript>,
    report: &'a Report,
    documents: usize,
    turns: usize,
    rests: Vec<Rest<'a>>,
    unquoted: Vec<&'a str>,
    unread: Vec<&'a FailureReport>,
    lacking: Vec<&'a FailureReport>,
}

/// The evidence behind a persona.
#[derive(Serialize)]
struct Rest<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(flatten)]
    coverage: &'a PersonaCoverage,
}

impl<'a> Rest<'a> {
    fn new((coverage, persona): (&'a PersonaCoverage, &'a Persona)) -> Self {
        Self { id: &persona.id, name: &persona.name, coverage }
    }
}

#[derive(Serialize)]
struct Card<'a> {
    id: &'a str,
    name: &'a str,
    title: &'a str,
    facts: Vec<(String, &'a str)>,
    sections: Vec<Section<'a>>,
    quotes: Vec<Cited<'a>>,
    unverified: Vec<Open<'a>>,
}

#[derive(Serialize)]
struct Section<'a> {
    heading: &'static str,
    class: &'static str,
    claims: Vec<Claim<'a>>,
}

#[derive(Serialize)]
struct Claim<'a> {
    text: &'a str,
    places: Vec<Cited<'a>>,
}

/// A citation, with its source and its anchor on the page.
#[derive(Serialize)]
struct Cited<'a> {
    text: &'a str,
    place: String,
    anchor: String,
    fuzzy: bool,
}

#[derive(Serialize)]
struct Open<'a> {
    field: String,
    claim: Option<&'a str>,
    quote: &'a str,
    reason: &'a str,
}

impl<'a> Card<'a> {
    fn new(persona: &'a Persona, citations: &Citations) -> Self {
        let section = |heading, class, claims: &'a [String]| Section {
            heading,
            class,
            claims: claims
                .iter()
                .map(|text| Claim { text, places: places(persona, text, citations) })
                .collect(),
        };
        let quote = |quote: &'a antiphon_pipeline::Quote| Cited {
            text: &quote.text,
            place: format!("{} · {}:{}", quote.speaker, quote.document, quote.line),
            anchor: citations.anchor(&quote.document, quote.start),
            fuzzy: quote.matched == Match::Fuzzy,
        };
        let open = |open: &'a antiphon_pipeline::Unverified| Open {
            field: open.field.replace('_', " "),
            claim: open.claim.as_deref(),
            quote: &open.quote,
            reason: &open.reason,
        };
        Self {
            id: &persona.id,
            name: &persona.name,
            title: &persona.title,
            facts: persona.demographics.iter().map(|(k, v)| (k.replace('_', " "), v.as_str())).collect(),
            sections: vec![
                section("Goals", "goals", &persona.goals),
                section("Pain points", "pains", &persona.pain_points),
                section("Behaviours", "behaviours", &persona.behaviours),
                section("Motivations", "motivations", &persona.motivations),
            ],
            quotes: persona.quotes.iter().map(quote).collect(),
            unverified: persona.unverified.iter().map(open).collect(),
        }
    }
}

fn places<'a>(persona: &'a Persona, claim: &str, citations: &Citations) -> Vec<Cited<'a>> {
    let of_claim = persona.evidence.iter().filter(|evidence| evidence.claim == claim);
    of_claim
        .map(|found| Cited {
            text: &found.quote,
            place: format!("{}:{}", found.document, found.line),
            anchor: citations.anchor(&found.document, found.start),
            fuzzy: found.matched == Match::Fuzzy,
        })
        .collect()
}
