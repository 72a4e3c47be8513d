use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_pipeline::{ErrorKind, GenerationConfig, Match, Personas, Pipeline};
use antiphon_providers::Offline;

use crate::sample::interviews;

fn pipeline() -> Pipeline {
    Pipeline::new(Arc::new(Offline::new()))
}

#[tokio::test]
async fn the_samples_yield_different_personas_with_exact_evidence_only() {
    let config = GenerationConfig::new(interviews(), Offline::MODEL).count(4);
    let made = pipeline().generate(&config).await.unwrap();
    assert_eq!((made.personas.len(), made.documents.len(), made.report.model_used), (4, 8, false));
    let mut quoted = BTreeSet::new();
    for persona in &made.personas {
        assert!(persona.goals.len() >= 3 && persona.pain_points.len() >= 3, "{persona:?}");
        assert!(persona.behaviours.len() >= 2 && persona.quotes.len() >= 2, "{persona:?}");
        assert_eq!(persona.unverified, []);
        assert!(persona.evidence.iter().all(|found| found.matched == Match::Exact));
        for (document, words) in persona.quotes.iter().map(|quote| (&quote.document, &quote.text)) {
            assert!(quoted.insert(words.clone()), "quoted twice: {words}");
            assert!(document.starts_with('p'), "{document}");
        }
    }
    let names: BTreeSet<_> =
        made.personas.iter().map(|persona| persona.title.split(':').next().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["P01 and P05", "P02 and P06", "P03 and P07", "P04 and P08"]));
}

#[tokio::test]
async fn the_interviewer_is_never_quoted() {
    let config = GenerationConfig::new(interviews(), Offline::MODEL).count(8);
    let made = pipeline().generate(&config).await.unwrap();
    let text = serde_json::to_string(&made.personas).unwrap();
    for asked in [
        "spinning plates",
        "magic wand",
        "the heavens",
        "house of cards",
        "blindfold",
        "tightrope",
        "crystal ball",
    ] {
        assert!(!text.contains(asked), "{asked}");
    }
}

#[tokio::test]
async fn the_same_documents_yield_the_same_personas() {
    let config = GenerationConfig::new(interviews(), Offline::MODEL).count(3);
    let one = pipeline().generate(&config).await.unwrap();
    let two = pipeline().generate(&config).await.unwrap();
    assert_eq!(one.personas, two.personas);
    assert_eq!(one.report.fingerprint, two.report.fingerprint);
    assert_ne!(one.report.run_id, two.report.run_id);
    let again: Personas =
        serde_json::from_str(&serde_json::to_string(&Personas::new("r", one.personas.clone())).unwrap())
            .unwrap();
    assert_eq!(again.personas, one.personas);
}

#[tokio::test]
async fn more_personas_than_participants_are_refused() {
    let config = GenerationConfig::new(interviews(), Offline::MODEL).count(9);
    let err = pipeline().generate(&config).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Provider(antiphon_llm::ErrorKind::InvalidRequest));
    assert!(err.to_string().contains("the documents have 8. Ask for 8 at most"), "{err}");
}
