//! All personas of a run as one HTML page.
//!
//! The page has a card for each persona, and the transcripts of the cited documents, in which each citation is marked.
//! A link from a claim or a quote leads to the mark of its passage by an anchor, `#t0-1` for the second mark of the
//! first document, so that it works without a script; a script only shows the transcript beside the cards.
//!
//! The structs of this module are the context of the template `page.html`: its variables are their fields.

use antiphon_data::Document;
use antiphon_pipeline::{
    Coverage, Evidence, FailureReport, Grounding, Persona, PersonaCoverage, Quote, Report, Unverified,
};
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::breakable::{breakable, formatted, isolated};
use crate::error::RenderError;
use crate::support::{Place, reason, support_note};
use crate::transcript::{Citations, Transcript};

/// The template, which is part of the crate.
const TEMPLATE: &str = include_str!("page.html");
/// Maximum number of uncited documents to list.
const MAX_UNQUOTED: usize = 100;

/// Returns all personas of a run as one self-contained HTML page: a card for each, and for each claim and quote a link
/// to its passage in the transcript.
///
/// All text is escaped, and the page's Content-Security-Policy forbids the browser to load or send anything. This
/// function is CPU-bound and blocks for large documents: in async code use [`write_personas`](crate::write_personas).
///
/// Citations are found in `documents` by the documents' names; those of a document that is missing have a link without
/// a target. Full transcripts are shown up to 512 KiB of cited documents in total; beyond that, only the turns around
/// citations.
///
/// # Errors
/// `Internal` if the template is broken, which is a defect of this crate.
pub fn page(personas: &[Persona], report: &Report, documents: &[Document]) -> Result<String, RenderError> {
    let citations = citations_of(personas);
    // Without grounding there is no coverage to show.
    let coverage = Some(&report.coverage).filter(|_| report.evidence != Grounding::Off);
    let (unread, lacking) = report.failures.iter().partition(|failure| failure.document.is_some());
    render(&Page {
        cards: personas.iter().map(|persona| Card::new(persona, &citations)).collect(),
        transcripts: citations.transcripts(documents),
        report,
        documents: report.documents.len(),
        turns: report.documents.iter().map(|document| document.turns).sum(),
        rests: coverage.into_iter().flat_map(|of| of.personas.iter().zip(personas)).map(Rest::new).collect(),
        unquoted: unquoted(coverage),
        unread,
        lacking,
    })
}

/// Renders the template.
fn render(page: &Page<'_>) -> Result<String, RenderError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("breakable", breakable);
    environment.add_filter("isolated", isolated);
    environment.set_formatter(formatted);
    environment.add_template("page.html", TEMPLATE).map_err(RenderError::defect)?;
    let template = environment.get_template("page.html").map_err(RenderError::defect)?;
    template.render(Serde(page)).map_err(RenderError::defect)
}

/// Collects the citations of all quotes and claims, joined where they overlap.
fn citations_of(personas: &[Persona]) -> Citations {
    let mut citations = Citations::default();
    for persona in personas {
        persona.quotes.iter().for_each(|quote| citations.add(&quote.document, quote.start..quote.end));
        persona.evidence.iter().for_each(|found| citations.add(&found.document, found.start..found.end));
    }
    citations.settle();
    citations
}

/// Returns the names of the documents that no persona cites; empty if they are too many, since a list of thousands of
/// names would fill the page.
fn unquoted(coverage: Option<&Coverage>) -> Vec<&str> {
    let names: Vec<&str> = coverage.into_iter().flat_map(Coverage::unquoted).collect();
    if names.len() > MAX_UNQUOTED { Vec::new() } else { names }
}

/// The context of the page's template.
#[derive(Serialize)]
struct Page<'a> {
    cards: Vec<Card<'a>>,
    /// The transcripts of the cited documents.
    transcripts: Vec<Transcript>,
    report: &'a Report,
    /// The numbers of documents and turns that were read.
    documents: usize,
    turns: usize,
    /// The coverage of each persona; empty without grounding.
    rests: Vec<Rest<'a>>,
    /// The documents that no persona cites.
    unquoted: Vec<&'a str>,
    /// The failures of files.
    unread: Vec<&'a FailureReport>,
    /// The failures of the run as a whole.
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
    /// Joins the coverage of a persona with its name.
    fn new((coverage, persona): (&'a PersonaCoverage, &'a Persona)) -> Self {
        Self { id: &persona.id, name: &persona.name, coverage }
    }
}

/// A persona.
#[derive(Serialize)]
struct Card<'a> {
    id: &'a str,
    name: &'a str,
    title: &'a str,
    /// The sentence about claims without evidence, if there are any.
    note: Option<String>,
    /// Facts about the people, as names and values.
    facts: Vec<(String, &'a str)>,
    sections: Vec<Section<'a>>,
    quotes: Vec<Cited<'a>>,
    unverified: Vec<Open<'a>>,
}

/// A list of claims under a heading.
#[derive(Serialize)]
struct Section<'a> {
    heading: &'static str,
    /// The class for the style sheet.
    class: &'static str,
    claims: Vec<Claim<'a>>,
}

/// A claim with its evidence.
#[derive(Serialize)]
struct Claim<'a> {
    text: &'a str,
    places: Vec<Cited<'a>>,
}

/// A citation, with its source and its anchor on the page.
#[derive(Serialize)]
struct Cited<'a> {
    text: &'a str,
    /// The source: document and line, for a quote also the speaker, and the time if it is known.
    place: String,
    /// The id of the mark in a transcript, without `#`.
    anchor: String,
    /// Whether some words differ from the citation.
    fuzzy: bool,
}

/// A citation that was not found.
#[derive(Serialize)]
struct Open<'a> {
    field: String,
    claim: Option<&'a str>,
    quote: &'a str,
    /// The reason, with the place of the words if they are somewhere.
    reason: String,
}

impl<'a> Card<'a> {
    /// Creates the card of a persona, with links to the marks of `citations`.
    fn new(persona: &'a Persona, citations: &Citations) -> Self {
        Self {
            id: &persona.id,
            name: &persona.name,
            title: &persona.title,
            note: support_note(persona),
            facts: persona.demographics.iter().map(|(k, v)| (k.replace('_', " "), v.as_str())).collect(),
            sections: sections(persona, citations),
            quotes: persona.quotes.iter().map(|quote| Cited::of_quote(quote, citations)).collect(),
            unverified: persona.unverified.iter().map(Open::of).collect(),
        }
    }
}

impl<'a> Cited<'a> {
    /// Creates the citation of a quote.
    fn of_quote(quote: &'a Quote, citations: &Citations) -> Self {
        Self {
            text: &quote.text,
            place: Place::of_quote(quote).full(" · "),
            anchor: citations.anchor(&quote.document, quote.start),
            fuzzy: Place::of_quote(quote).is_fuzzy(),
        }
    }

    /// Creates the citation of a claim's evidence.
    fn of_evidence(found: &'a Evidence, citations: &Citations) -> Self {
        Self {
            text: &found.quote,
            place: Place::of_evidence(found).short(" · "),
            anchor: citations.anchor(&found.document, found.start),
            fuzzy: Place::of_evidence(found).is_fuzzy(),
        }
    }
}

impl<'a> Open<'a> {
    /// Creates the entry of an unverified citation.
    fn of(open: &'a Unverified) -> Self {
        Self {
            field: open.field.replace('_', " "),
            claim: open.claim.as_deref(),
            quote: &open.quote,
            reason: reason(open),
        }
    }
}

/// Returns the lists of claims in the order of the page; the template leaves out empty ones.
fn sections<'a>(persona: &'a Persona, citations: &Citations) -> Vec<Section<'a>> {
    let section = |heading, class, field, claims: &'a [String]| Section {
        heading,
        class,
        claims: claims
            .iter()
            .map(|text| Claim { text, places: places(persona, field, text, citations) })
            .collect(),
    };
    vec![
        section("Goals", "goals", "goals", &persona.goals),
        section("Pain points", "pains", "pain_points", &persona.pain_points),
        section("Behaviours", "behaviours", "behaviours", &persona.behaviours),
        section("Motivations", "motivations", "motivations", &persona.motivations),
    ]
}

/// Returns the evidence of a claim of a field.
fn places<'a>(persona: &'a Persona, field: &str, claim: &str, citations: &Citations) -> Vec<Cited<'a>> {
    let of_claim = persona.evidence.iter().filter(|found| found.supports(field, claim));
    of_claim.map(|found| Cited::of_evidence(found, citations)).collect()
}
