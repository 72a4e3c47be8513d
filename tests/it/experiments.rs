//! Experiments through the library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon::data::{Anonymiser, Strategy};
use antiphon::store::Store;
use antiphon_pipeline::experiment::{AddMode, Definition, Experiment};
use antiphon_pipeline::{
    Complexity, Count, ErrorKind, GenerationConfig, PersonaGenerator, PersonaRecipe, Pipeline,
};
use antiphon_providers::Offline;

use crate::sample::interviews;

fn generator() -> PersonaGenerator {
    let config = GenerationConfig::new("", Offline::MODEL).count(2);
    PersonaGenerator::new(Pipeline::new(Arc::new(Offline::new())), config)
}

async fn experiment(base: &Path, name: &str) -> Experiment {
    let experiment = Experiment::create(base, name, "What bakers need").await.unwrap();
    experiment.add_data(interviews(), AddMode::Link).await.unwrap();
    experiment
}

#[tokio::test]
async fn an_experiment_is_created_filled_run_and_summarised() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let base = folder.path();
    assert_eq!(Experiment::list(base.join("none")).await.unwrap().len(), 0);
    let one = experiment(base, "one").await;
    assert_eq!(one.data().await.unwrap().len(), 8);
    assert!(one.data().await.unwrap().contains(&PathBuf::from("interviews/p01-cafe-owner.txt")));
    let two = experiment(base, "two").await;
    let outcomes = generator().generate_experiments(&[one.clone(), two], 2).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().unwrap().personas.len() == 2), "{outcomes:?}");
    let again = Experiment::load(base.join("one")).await.unwrap();
    let (all, runs) = (again.statistics().await.unwrap(), again.history().await.unwrap());
    assert_eq!((all.files, all.runs, all.finished, all.personas, all.calls), (8, 1, 1, 2, 1));
    let made = &outcomes[0].as_ref().unwrap();
    assert_eq!((&runs[0].report.run_id, all.cost_usd_micros), (&made.report.run_id, None));
    assert_eq!(again.outputs("latest").await.unwrap().personas, made.personas);
    let missing = again.outputs("ffff").await.unwrap_err();
    assert_eq!((missing.kind(), missing.to_string().contains("no finished run")), (ErrorKind::Config, true));
    let readme = antiphon::fs::read_to_string(one.root().join("README.md")).await.unwrap().text;
    assert!(readme.contains("8 files of data, 1 run, 2 personas in all"), "{readme}");
    let names: Vec<_> = Experiment::list(base)
        .await
        .unwrap()
        .into_iter()
        .map(|experiment| experiment.unwrap().definition().name.clone())
        .collect();
    assert_eq!(names, ["one", "two"]);
}

#[tokio::test]
async fn nothing_is_removed_by_mistake_and_nothing_behind_a_link_at_all() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let one = experiment(folder.path(), "one").await;
    let err = one.clone().delete("two").await.unwrap_err();
    assert_eq!(
        (err.kind(), err.to_string().as_str()),
        (ErrorKind::Config, "cannot remove experiment \"one\": the confirmation was \"two\"")
    );
    one.delete("one").await.unwrap();
    let err = Experiment::load(folder.path().join("one")).await.unwrap_err();
    assert!(err.to_string().contains("no experiment in"), "{err}");
    assert!(antiphon::fs::exists(interviews().join("p01-cafe-owner.txt")).await.unwrap());
}

#[tokio::test]
async fn names_stay_inside_the_folder_and_data_is_not_overwritten() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let base = folder.path();
    for name in ["", "..", "../out", "a/b", ".hidden", "-x", "a b", "nul\0"] {
        let err = Experiment::create(base, name, "").await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Config, "{name}");
    }
    let one = Experiment::create(base, "one", "").await.unwrap();
    assert!(Experiment::create(base, "one", "").await.unwrap_err().to_string().contains("already"));
    let notes = base.join("notes.txt");
    antiphon::fs::write(&notes, "P1: I bake.").await.unwrap();
    one.add_data(&notes, AddMode::Copy).await.unwrap();
    one.add_data(&notes, AddMode::Copy).await.unwrap();
    antiphon::fs::write(&notes, "P1: I sell.").await.unwrap();
    let err = one.add_data(&notes, AddMode::Copy).await.unwrap_err();
    assert!(err.to_string().contains("already exists and differs"), "{err}");
    assert!(one.add_data(&notes, AddMode::Link).await.is_err());
    assert_eq!(one.add_data(base, AddMode::Link).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(one.data().await.unwrap(), [PathBuf::from("notes.txt")]);
    let mine = base.join("mine");
    antiphon::fs::create_dir(&mine).await.unwrap();
    antiphon::fs::write(mine.join("README.md"), "My project.").await.unwrap();
    assert!(Experiment::create(base, "mine", "").await.unwrap_err().to_string().contains("has other files"));
    let readme = one.root().join("README.md");
    antiphon::fs::write(&readme, "All my own.\n").await.unwrap();
    one.write_readme().await.unwrap();
    assert_eq!(antiphon::fs::read_to_string(&readme).await.unwrap().text, "All my own.\n");
    antiphon::fs::write(one.root().join("experiment.toml"), "nmae = \"x\"").await.unwrap();
    let err = Experiment::load(one.root()).await.unwrap_err();
    assert!(err.to_string().ends_with("experiment.toml:1: unknown key nmae; did you mean name?"), "{err}");
}

#[tokio::test]
async fn the_settings_of_an_experiment_apply_to_its_runs() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let mut definition = Definition::new("one", "");
    definition.personas.recipe = Some("own.toml".to_owned());
    definition.personas.count = Some(Count::AtLeast(2));
    let one = Experiment::create_as(folder.path(), definition).await.unwrap();
    let err = one.config("m").await.unwrap_err();
    assert!(err.to_string().contains("own.toml"), "{err}");
    antiphon::fs::write(one.root().join("own.toml"), "complexity = \"complex\"\ncount = 7\n").await.unwrap();
    let config = one.config("m").await.unwrap();
    assert_eq!((config.count, config.recipe.complexity), (Count::AtLeast(2), Complexity::Complex));
    assert_eq!(Experiment::load(one.root()).await.unwrap().definition(), one.definition());
    let readme = one.root().join("README.md");
    let text = antiphon::fs::read_to_string(&readme).await.unwrap().text;
    antiphon::fs::write(&readme, format!("{text}My own words.\n")).await.unwrap();
    one.write_readme().await.unwrap();
    assert!(antiphon::fs::read_to_string(&readme).await.unwrap().text.ends_with("My own words.\n"));
}

#[tokio::test]
async fn a_generator_generates_batches_and_estimates() {
    let outcomes = generator().generate_batch([interviews(), PathBuf::from("no-such-folder")], 2).await;
    assert_eq!(outcomes[0].as_ref().unwrap().personas.len(), 2);
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::Input);
    let estimate = generator().estimate(interviews()).await.unwrap();
    assert_eq!((estimate.documents, estimate.calls, estimate.cost_usd_micros), (8, 1, None));
    assert!(estimate.input_tokens > 1_000 && estimate.output_tokens > 0);
    let recipe = PersonaRecipe::parse("r.toml", "count = \"1-2\"").unwrap();
    assert_eq!(GenerationConfig::new("", "m").recipe(recipe).count, Count::Between(1, 2));
}

#[tokio::test]
async fn an_experiment_that_is_generated_again_has_one_run_and_one_folder() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let talk = folder.path().join("talk.txt");
    let said = "Interviewer: Why?\nP1: I want to sleep for longer, every day.\n";
    antiphon::fs::write(&talk, said).await.unwrap();
    let experiment = Experiment::create(folder.path(), "one", "").await.unwrap();
    experiment.add_data(&talk, AddMode::Copy).await.unwrap();
    let pipeline = Pipeline::new(Arc::new(Offline::new())).store(Store::in_memory());
    let generator = PersonaGenerator::new(pipeline, GenerationConfig::new("", Offline::MODEL).count(1));
    let first = generator.generate_experiment(&experiment).await.unwrap();
    let again = generator.generate_experiment(&experiment).await.unwrap();
    assert_eq!(first.report.run_id, again.report.run_id);
    let folders: Vec<_> = std::fs::read_dir(experiment.outputs_path()).unwrap().flatten().collect();
    let names: Vec<_> =
        folders.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(names, [first.report.run_id]);
}

#[tokio::test]
async fn documents_from_a_store_keep_the_number_of_what_was_replaced() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let talk = folder.path().join("talk.txt");
    let said = "Interviewer: Hello Anna.\nAnna Lee: I want to sleep for longer, every day.\n";
    antiphon::fs::write(&talk, said).await.unwrap();
    let pipeline = Pipeline::new(Arc::new(Offline::new()));
    let config = GenerationConfig::new(talk, Offline::MODEL).count(1);
    let config = config.anonymiser(Anonymiser::new(Strategy::Replace));
    let mut prepared = pipeline.prepare(&config).await.unwrap();
    let (store, other) = (Store::in_memory(), Store::in_memory());
    let run = prepared.open(&store, "null").await.unwrap();
    let mut stored = pipeline.prepare_stored(&config, &run).await.unwrap().unwrap();
    let copy = stored.open(&other, "null").await.unwrap();
    let mut counts = Vec::new();
    for run in [run, copy] {
        let row = run.jobs(0, 1).await.unwrap().remove(0).row;
        counts.push(serde_json::from_str::<serde_json::Value>(&row).unwrap()["replaced"].as_u64());
    }
    assert!(counts[0] > Some(0) && counts[0] == counts[1], "{counts:?}");
}

#[tokio::test]
async fn names_are_anonymised_in_experiments_too() {
    let folder = antiphon::fs::temp_dir().unwrap();
    let talk = folder.path().join("anna_lee.txt");
    let said = "Interviewer: Hello Anna.\nAnna Lee: I want to sleep for longer, every day.\n";
    antiphon::fs::write(&talk, said).await.unwrap();
    let experiment = Experiment::create(folder.path(), "one", "").await.unwrap();
    experiment.add_data(&talk, AddMode::Copy).await.unwrap();
    let config = GenerationConfig::new("", Offline::MODEL).count(1);
    let config = config.anonymiser(Anonymiser::new(Strategy::Replace));
    let generator = PersonaGenerator::new(Pipeline::new(Arc::new(Offline::new())), config);
    let made = generator.generate_experiment(&experiment).await.unwrap();
    let text = serde_json::to_string(&(&made.personas, &made.report)).unwrap();
    assert!(text.contains("Person 1") && !text.contains("Anna") && !text.contains("anna"), "{text}");
}

#[tokio::test]
async fn a_setting_that_changes_the_personas_changes_the_fingerprint() {
    let pipeline = Pipeline::new(Arc::new(Offline::new()));
    let fingerprint = async |config: GenerationConfig| pipeline.prepare(&config).await.unwrap().fingerprint;
    let config = || GenerationConfig::new(interviews(), Offline::MODEL);
    let usual = fingerprint(config()).await;
    let mut alike = PersonaRecipe::default();
    alike.max_similarity = 0.2;
    assert_ne!(fingerprint(config().recipe(alike)).await, usual);
    let without = |name: &str| Anonymiser::new(Strategy::Redact).names([name]);
    let one = fingerprint(config().anonymiser(without("Harrowmere"))).await;
    assert_ne!(one, fingerprint(config().anonymiser(without("Brackenford"))).await);
    assert_eq!(fingerprint(config()).await, usual);
}
