use super::{SpeakerRole, paragraphs, role_of, speaker_of, turns};

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let found = turns(text, "file");
    let found: Vec<_> = found.iter().map(|turn| (&*turn.speaker, &text[turn.span.clone()])).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn labels_are_found_in_every_markup() {
    check("Interviewer: Hi\nP1: Yes:\nno", &[("Interviewer", "Hi"), ("P1", "Yes:\nno")]);
    check("**Interviewer:** Hi\n\n**P1**: Yes", &[("Interviewer", "Hi"), ("P1", "Yes")]);
    check("[00:01:02] P1: Yes\n00:05 P1: No\n(0:07.5) P1: So", &[("P1", "Yes"), ("P1", "No"), ("P1", "So")]);
    check("interviewer: Hi\nparticipant: Yes", &[("interviewer", "Hi"), ("file", "Yes")]);
    check("Interviewer: How is it?\nLea: I hate it", &[("Interviewer", "How is it?"), ("Lea", "I hate it")]);
    check("Interviewer #1: Hi\nP1: Yes", &[("Interviewer #1", "Hi"), ("P1", "Yes")]);
    check(
        "Anna Lee: One\nBo: Two\nAnna Lee: x\nBo: y",
        &[("Anna Lee", "One"), ("Bo", "Two"), ("Anna Lee", "x"), ("Bo", "y")],
    );
}

#[test]
fn interviewers_are_recognised_by_many_labels() {
    for label in ["Interviewer", "INTERVIEWER 2", "Moderator (Sam)", "Q", "Q1", "INT 3", "Host"] {
        assert_eq!(role_of(label), SpeakerRole::Interviewer, "{label}");
    }
    for label in ["P1", "Participant 1", "R", "Befragte", "受访者2"] {
        assert_eq!(role_of(label), SpeakerRole::Participant, "{label}");
    }
    for label in ["Hostetler", "Ian", "Quentin", "Speaker 1", "SPEAKER_00"] {
        assert_eq!(role_of(label), SpeakerRole::Unclear, "{label}");
    }
}

#[test]
fn unnamed_speakers_of_two_files_are_two_people() {
    assert_eq!(speaker_of("Participant", "a/talk"), "a/talk");
    assert_eq!(speaker_of("Speaker 2", "a/talk"), "a/talk Speaker 2");
    assert_eq!(speaker_of("P2", "a/talk"), "P2");
}

#[test]
fn prose_with_a_colon_is_not_a_label() {
    check(
        "P1: I said\nHere's the thing: it broke\nAnd then: gone\nAnd then: gone",
        &[("P1", "I said\nHere's the thing: it broke\nAnd then: gone\nAnd then: gone")],
    );
    check(
        "P1: At\nUrl: 9:30 it\nhttps://x.example\n#1 thing",
        &[("P1", "At\nUrl: 9:30 it\nhttps://x.example\n#1 thing")],
    );
}

#[test]
fn a_header_is_not_speech_and_names_the_people() {
    check(
        "Date: today\nParticipant: P9\nInterviewer: Sam Lee\n\nSam: Hi\nParticipant: Yes\nSam: Why?",
        &[("Sam", "Hi"), ("P9", "Yes"), ("Sam", "Why?")],
    );
    let roles: Vec<_> = turns("Date: x\nInterviewer: Sam Lee\n\nSam: Hi\nP1: Yes\nSam: Why?", "f");
    assert_eq!(
        roles.iter().map(|turn| turn.role).collect::<Vec<_>>(),
        [SpeakerRole::Interviewer, SpeakerRole::Participant, SpeakerRole::Interviewer,]
    );
    let below_heading =
        "# Talk\n\nDate: x\nParticipant: P5\nInterviewer: Sam Lee\n\nSam: Hi\nP5: Yes\nSam: Why?\nP5: So";
    assert_eq!(
        turns(below_heading, "f").iter().map(|turn| turn.role).collect::<Vec<_>>(),
        [
            SpeakerRole::Interviewer,
            SpeakerRole::Participant,
            SpeakerRole::Interviewer,
            SpeakerRole::Participant,
        ]
    );
    check(
        "Title: Talk\nInterviewer: How?\nP1: So.\n\nInterviewer: Why?",
        &[("Interviewer", "How?"), ("P1", "So."), ("Interviewer", "Why?")],
    );
    check(
        "# Talk\n\nR: Yes\n# Next\nloose\nR: No",
        &[("file", "Yes"), ("file unnamed speaker", "loose"), ("file", "No")],
    );
    check(
        "Interviewer: How are you?\nParticipant: Fine.\n\nInterviewer: Why?",
        &[("Interviewer", "How are you?"), ("file", "Fine."), ("Interviewer", "Why?")],
    );
}

#[test]
fn paragraphs_leave_headings_out() {
    let text = "# Head\none\ntwo\n\n  three  \n";
    let found: Vec<_> = paragraphs(text).map(|span| &text[span]).collect();
    assert_eq!(found, ["one\ntwo", "three"]);
}

#[test]
fn a_name_that_occurs_once_counts_in_some_groups() {
    let speakers = |text: &str| {
        let mut found: Vec<String> =
            turns(text, "file").iter().map(|turn| turn.speaker.to_string()).collect();
        found.sort();
        found.dedup();
        found.join(" ")
    };
    let once = "Ana: I bake.\nBo: I sell.\nCy: I buy.\nDee: I eat.\n";
    assert_eq!(speakers(once), "");
    assert_eq!(speakers(&format!("Participants: Ana, Bo, Cy, Dee\n\n{once}")), "Ana Bo Cy Dee");
    assert_eq!(speakers(&format!("Moderator: Hi.\n{once}")), "Ana Bo Cy Dee Moderator");
    assert_eq!(
        speakers(&format!("Moderator: Hi.\n{once}Moderator: So.\nAna: Yes.")),
        "Ana Bo Cy Dee Moderator"
    );
    assert_eq!(speakers(&format!("{once}Ana: So.\nBo: No.\nCy: Yes.\n")), "Ana Bo Cy Dee");
    assert_eq!(speakers(&format!("{once}Ana: So.\nBo: No.\n")), "Ana Bo");
    assert_eq!(speakers(&format!("{once}Ana: Who?\nEd: I do.\nBo: No.\n")), "Ana Bo Cy Dee Ed");
}

#[test]
fn questions_behind_dashes_need_answers_with_labels() {
    check(
        "――なぜ\n佐藤「はい。」\n――いつ\n佐藤「毎日。」\n",
        &[("――", "なぜ"), ("佐藤", "はい。"), ("――", "いつ"), ("佐藤", "毎日。")],
    );
    check("――なぜ\nはい。\n――いつ\n毎日。\n", &[]);
}
