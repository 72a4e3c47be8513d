use serde_json::{Value, json};

use crate::program::{Lab, json_file};

/// A dialogue in which no label, no head and no question says who asks.
const TALK: &str = "Ana: I count it by hand, every evening.\nBo: I never count at all.\nAna: A list would be good.\nBo: Not for me.\n";

#[test]
fn who_was_taken_for_what_is_listed_before_the_personas() {
    let lab = Lab::new();
    lab.file(
        "talks/a.txt",
        "Sam Lee  0:03\nHow do you count?\n\nAna Berg  0:07\nI count it by hand, every evening.\n",
    );
    lab.file("talks/b.txt", TALK);
    let ran = lab.run("generate talks --offline --count 1");
    let listed = "a.txt: Sam Lee: interviewer, asks 1 of 1 question; Ana Berg: participant";
    let unclear = "b.txt: it is not clear who asks and who answers";
    ran.ends_with(0, &[listed, "b.txt: Ana: unclear; Bo: unclear", unclear, "--interviewer NAME"]);
    assert!(ran.stderr.find(listed) < ran.stderr.find("asking"), "{}", ran.stderr);
    let report = json_file(&lab.only_run().join("run.json"));
    assert_eq!(report["documents"][0]["speakers"][0]["role"], "interviewer");
}

#[test]
fn flags_and_recipes_settle_who_asks() {
    let lab = Lab::new();
    lab.file("b.txt", TALK);
    let ran = lab.run("generate b.txt --offline --count 1 --interviewer bo");
    ran.ends_with(0, &["b.txt: Ana: participant; Bo: interviewer"]);
    assert!(!ran.stderr.contains("not clear"), "{}", ran.stderr);
    lab.file("r.toml", "participants = [\"Ana\"]\ninterviewers = [\"Bo\"]\nstrict_speakers = true\n");
    let ran = lab.run("generate b.txt --offline --count 1 --recipe r.toml");
    ran.ends_with(0, &["b.txt: Ana: participant; Bo: interviewer"]);
    let ran = lab.run("generate b.txt --offline --count 1 --progress json --participant Ana");
    let loaded = ran.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let loaded = loaded.filter(|event| event["event"] == "loaded").collect::<Vec<_>>();
    assert_eq!(loaded.len(), 1, "{}", ran.stderr);
    assert_eq!(loaded[0]["unclear"], json!([]), "{}", loaded[0]);
}

#[test]
fn a_name_that_no_speaker_has_is_named() {
    let lab = Lab::new();
    lab.file("b.txt", TALK);
    let flags = "generate b.txt --offline --count 1 --interviewer Bo --participant Zed";
    lab.run(flags).ends_with(0, &["no speaker is called Zed"]);
    lab.run(&format!("{flags} --strict-speakers"))
        .ends_with(2, &["no speaker of these documents is called Zed"]);
}

#[test]
fn strict_speakers_refuse_a_file_without_clear_sides() {
    let lab = Lab::new();
    lab.file("b.txt", TALK);
    let ran = lab.run("generate b.txt --offline --strict-speakers");
    ran.ends_with(2, &["b.txt: it is not clear who asks and who answers", "--participant NAME"]);
}
