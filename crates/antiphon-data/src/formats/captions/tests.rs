use super::looks_like;
use crate::{Document, SpeakerRole};

/// Checks the turns of captions, each as (speaker, words).
#[track_caller]
fn check(name: &str, text: &str, expected: &[(&str, &str)]) {
    let document = Document::parse(name, text.as_bytes()).unwrap();
    let turns: Vec<_> = document.turns.iter().map(|turn| (&*turn.speaker, document.words(turn))).collect();
    assert_eq!(turns, expected, "{}", document.text);
}

#[track_caller]
fn check_failure(name: &str, text: &str, expected: &str) {
    assert_eq!(Document::parse(name, text.as_bytes()).unwrap_err().to_string(), expected);
}

/// Returns a SubRip file of these cues, each of two seconds.
fn srt(cues: &[&str]) -> String {
    let cue = |(index, words): (usize, &&str)| {
        let start = index * 2;
        format!("{}\n00:00:{start:02},000 --> 00:00:{:02},900\n{words}\n\n", index + 1, start + 1)
    };
    cues.iter().enumerate().map(cue).collect()
}

/// Returns a WebVTT file of these cues, each of two seconds.
fn vtt(cues: &[&str]) -> String {
    let cue = |(index, words): (usize, &&str)| {
        let start = index * 2;
        format!("00:{start:02}.000 --> 00:{:02}.900\n{words}\n\n", start + 1)
    };
    format!("WEBVTT\n\n{}", cues.iter().enumerate().map(cue).collect::<String>())
}

#[test]
fn words_behind_an_empty_line_belong_to_their_cue() {
    let cues = ["Mia: I keep a list.\n\nsometimes\n \t\ntwo", "Mia: It gets wet."];
    check("a.srt", &srt(&cues), &[("Mia", "I keep a list. sometimes two It gets wet.")]);
    check("a.vtt", &vtt(&cues), &[("Mia", "I keep a list. sometimes two It gets wet.")]);
    let number =
        "1\n00:00:01,000 --> 00:00:02,000\nMia: Rooms?\n\n2\n\n00:00:03,000 --> 00:00:04,000\nMia: Four.\n";
    check("a.srt", number, &[("Mia", "Rooms? Four.")]);
}

#[test]
fn cues_need_no_empty_lines_and_no_numbers() {
    let dense = "1\n00:00:01,000 --> 00:00:02,000\nP1: One\n2\n00:00:03.000 --> 00:00:04.000\ntwo\n00:05,5 --> 00:06,0\nthree\n";
    check("a.srt", dense, &[("P1", "One two three")]);
    check("a.vtt", dense, &[("P1", "One two three")]);
}

#[test]
fn a_webvtt_header_may_be_missing_or_long() {
    check("a.vtt", "1\n00:01.000 --> 00:02.000\nP1: So\n", &[("P1", "So")]);
    check(
        "a.vtt",
        "\nWEBVTT - talk\nKind: captions\nLanguage: en\n00:01.000 --> 00:02.000\nP1: So\n",
        &[("P1", "So")],
    );
    check("a.srt", "WEBVTT\n\nNOTE no one\n\n00:01.000 --> 00:02.000\nP1: So\n", &[("P1", "So")]);
    check_failure("a.vtt", "P1: So\n", "a.vtt:1: a WebVTT file must begin with a line WEBVTT");
    let document = Document::parse("a.srt", b"Our talk\n\n1\n00:01.000 --> 00:02.000\nP1: So\n").unwrap();
    assert_eq!(&*document.text, "Our talk\nP1: So\n");
}

#[test]
fn notes_and_styles_are_blocks_of_their_own() {
    let file = "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:a\n\nNOTE\nP9: no\n\nNOTE P9: no\n\n";
    let words = "00:01.000 --> 00:02.000\n<v Mia>Take a\nNOTE of it\n\nNOTES help\n\nNOTE no\n";
    check("a.vtt", &format!("{file}{words}"), &[("Mia", "Take a NOTE of it NOTES help")]);
    check("a.srt", &srt(&["Mia: Take a\n\nNOTE of it"]), &[("Mia", "Take a NOTE of it")]);
}

#[test]
fn malformed_times_fail_with_their_line() {
    let broken = |times: &str| format!("1\n00:00:01,000 --> 00:00:02,000\nMia: So\n\n2\n{times}\nwell\n");
    check_failure(
        "a.srt",
        &broken("00:00:03,000 --> later"),
        "a.srt:6: invalid cue times: 00:00:03,000 --> later",
    );
    check_failure(
        "a.srt",
        &broken("00:00:61,0 --> 00:01:02,0"),
        "a.srt:6: invalid cue times: 00:00:61,0 --> 00:01:02,0",
    );
    check_failure(
        "a.srt",
        &broken("00:00:03,0 -> 00:00:04,0"),
        "a.srt:6: invalid cue times: 00:00:03,0 -> 00:00:04,0",
    );
    check_failure(
        "a.srt",
        &broken("some words"),
        "a.srt:5: a cue without times, such as 00:00:01.000 --> 00:00:04.000",
    );
    check_failure(
        "a.vtt",
        "WEBVTT\n\n0:0x.000 --> 00:02.000\nSo\n",
        "a.vtt:3: invalid cue times: 0:0x.000 --> 00:02.000",
    );
}

#[test]
fn an_arrow_may_be_in_the_words() {
    check(
        "a.srt",
        &srt(&["P1: the fridge --> the phone\n10:30 --> 11:00\n\nlist --> bin"]),
        &[("P1", "the fridge --> the phone 10:30 --> 11:00 list --> bin")],
    );
}

#[test]
fn character_references_are_those_of_html() {
    check(
        "a.vtt",
        &vtt(&[
            "<v Mia &amp; Bo>I don&#39;t &quot;plan&quot;&hellip; &#x2013; &eacute;t&eacute;&lrm; &lt;b&gt; R&D &bogus;",
        ]),
        &[("Mia & Bo", "I don't \"plan\"… – été\u{200e} <b> R&D &bogus;")],
    );
}

#[test]
fn only_tags_are_markup() {
    check(
        "a.srt",
        &srt(&[
            "P1: {\\an8}<font color=\"red\">I <b>love</b></font> it <3 {really} a < b > c <me@x.example>",
        ]),
        &[("P1", "I love it <3 {really} a < b > c <me@x.example>")],
    );
}

#[test]
fn rolling_captions_are_read_once() {
    let timed = "WEBVTT\nKind: captions\n\n00:00:01.000 --> 00:00:03.000 align:start position:0%\n \nmy<00:00:01.400><c> list</c><00:00:01.800><c> gets</c>\n\n00:00:03.000 --> 00:00:03.010 align:start position:0%\nmy list gets\n \n\n00:00:03.010 --> 00:00:05.000 align:start position:0%\nmy list gets\nwet<00:00:03.400><c> a</c><00:00:03.800><c> lot</c>\n\n00:00:05.000 --> 00:00:05.010\nwet a lot\n \n\n00:00:05.010 --> 00:00:07.000\nwet a lot\nno\n\n00:00:07.000 --> 00:00:07.010\nno\n\n00:00:07.010 --> 00:00:08.000\nno\nno\n";
    check("a.vtt", timed, &[("a", "my list gets wet a lot no no")]);
    let plain = "1\n00:00:01,000 --> 00:00:03,000\nmy list gets\n\n2\n00:00:03,000 --> 00:00:03,010\nmy list gets\n\n3\n00:00:03,010 --> 00:00:05,000\nmy list gets\nwet a lot\n\n4\n00:00:05,000 --> 00:00:07,000\nwet a lot\nin May\n";
    check("a.srt", plain, &[("a", "my list gets wet a lot in May")]);
    let growing = "00:00:01,000 --> 00:00:02,000\nmy\n\n00:00:02,000 --> 00:00:03,000\nmy list\n\n00:00:03,000 --> 00:00:04,000\nmy list gets\n\n00:00:04,000 --> 00:00:05,000\nmy list gets\nwet\n";
    check("a.srt", growing, &[("a", "my list gets wet")]);
}

#[test]
fn rolling_captions_keep_their_speakers() {
    let file = "WEBVTT\n\n00:01.000 --> 00:02.000\n&gt;&gt; why<00:01.500><c> so</c>\n\n00:02.000 --> 00:03.000\n&gt;&gt; why so\n&gt;&gt; it<00:02.500><c> rains</c>\n\n00:03.000 --> 00:03.010\n&gt;&gt; it rains\n";
    check("a.vtt", file, &[("a unnamed speaker", "why so"), ("a unnamed speaker", "it rains")]);
}

#[test]
fn words_that_are_said_twice_are_kept() {
    check(
        "a.srt",
        &srt(&["Mia: Yes.", "Yes.", "I mean it.", "Bo: Yes.", "Bo: Yes."]),
        &[("Mia", "Yes. Yes. I mean it."), ("Bo", "Yes. Yes.")],
    );
}

#[test]
fn a_wrapped_line_with_a_colon_names_no_one() {
    let cues = [
        "Mia: I asked myself one\nquestion: who wrote it?",
        "Bo: And?",
        "Mia: Right: it was you.",
        "Bo: Oh.",
    ];
    check(
        "a.srt",
        &srt(&cues),
        &[
            ("Mia", "I asked myself one question: who wrote it?"),
            ("Bo", "And?"),
            ("Mia", "Right: it was you."),
            ("Bo", "Oh."),
        ],
    );
    let across = ["Mia: There is one", "question: who wrote it?", "Bo: And?", "Mia: You.", "Bo: Oh."];
    check(
        "a.srt",
        &srt(&across),
        &[("Mia", "There is one question: who wrote it?"), ("Bo", "And?"), ("Mia", "You."), ("Bo", "Oh.")],
    );
}

#[test]
fn a_label_that_occurs_once_takes_no_words() {
    let cues =
        ["Mia: I bake.", "Bo: Well.", "Mia: It is slow.", "Monday: that is the worst.", "Bo: Oh.", "still"];
    check(
        "a.srt",
        &srt(&cues),
        &[
            ("Mia", "I bake."),
            ("Bo", "Well."),
            ("Mia", "It is slow. Monday: that is the worst."),
            ("Bo", "Oh. still"),
        ],
    );
}

#[test]
fn an_only_label_leaves_the_words_to_the_files_person() {
    check(
        "a.srt",
        &srt(&["I bake.", "Daily.", "CS1: a note", "I sell."]),
        &[("a", "I bake. Daily. CS1: a note I sell.")],
    );
}

#[test]
fn a_first_speaker_keeps_the_words_until_the_next_name() {
    check(
        "a.srt",
        &srt(&["Mia: I bake.", "Every day.", "Bo: Why?"]),
        &[("Mia", "I bake. Every day."), ("Bo", "Why?")],
    );
    check(
        "a.vtt",
        &vtt(&["<v Mia>I bake.", "Every day.", "<v.loud Bo Lund>Why?</v>"]),
        &[("Mia", "I bake. Every day."), ("Bo Lund", "Why?")],
    );
}

#[test]
fn words_before_the_first_name_are_not_the_files_persons() {
    let document = Document::parse("talk.vtt", vtt(&["Hello?", "<v Mia>Yes."]).as_bytes()).unwrap();
    let turns: Vec<_> = document.turns.iter().map(|turn| (&*turn.speaker, turn.role)).collect();
    assert_eq!(turns[0], ("talk unnamed speaker", SpeakerRole::Unclear));
    assert_eq!(turns[1].0, "Mia");
}

#[test]
fn names_in_brackets_are_speakers_and_sounds_are_not() {
    let cues = [
        "[Jo Marsh] How so?",
        "(Mia Holt) I bake.",
        "[Music]\n[Jo Marsh] And?",
        "(Mia Holt): Daily. [Music]",
        "[Laughter] yes",
    ];
    check(
        "a.srt",
        &srt(&cues),
        &[
            ("Jo Marsh", "How so?"),
            ("Mia Holt", "I bake. [Music]"),
            ("Jo Marsh", "And?"),
            ("Mia Holt", "Daily. [Music] [Laughter] yes"),
        ],
    );
    let alone = ["[Mia]\nI bake.", "[Bo]\nWhy?", "[Mia]\nSo.", "[Bo]\nOh."];
    check("a.vtt", &vtt(&alone), &[("Mia", "I bake."), ("Bo", "Why?"), ("Mia", "So."), ("Bo", "Oh.")]);
}

#[test]
fn arrows_and_dashes_change_the_speaker() {
    let named = [">> JO: How so?", ">> MIA: I bake.\nDaily.", "&gt;&gt; And then? >> I sell it."];
    check(
        "a.vtt",
        &vtt(&named),
        &[
            ("JO", "How so?"),
            ("MIA", "I bake. Daily."),
            ("a unnamed speaker", "And then?"),
            ("a unnamed speaker", "I sell it."),
        ],
    );
    let dashes = [
        "- Jo: How so?\n- Mia: I bake -\n-- daily - yes",
        "- Jo: Where?",
        "- Mia: -5 degrees\n— cold",
        "-Who?\n-We.",
    ];
    check(
        "a.srt",
        &srt(&dashes),
        &[
            ("Jo", "How so?"),
            ("Mia", "I bake - -- daily - yes"),
            ("Jo", "Where?"),
            ("Mia", "-5 degrees — cold"),
            ("a unnamed speaker", "Who?"),
            ("a unnamed speaker", "We."),
        ],
    );
    check("a.srt", &srt(&["I bake", "- and I sell", "it"]), &[("a", "I bake - and I sell it")]);
}

#[test]
fn turns_begin_at_the_times_of_their_cues() {
    let file = "WEBVTT\n\n00:03.900 --> 00:04.000\n<v Mia>I bake.\n\n00:05.000 --> 00:06.000\nDaily.\n\n00:12:41.100 --> 00:12:44.000\n<v Bo>\n\n01:02:41.000 --> 01:02:44.000\nWhy? <v Mia>So.\n";
    let document = Document::parse("a.vtt", file.as_bytes()).unwrap();
    let times: Vec<_> = document.turns.iter().map(|turn| (&*turn.speaker, turn.time.as_deref())).collect();
    assert_eq!(times, [("Mia", Some("0:03")), ("Bo", Some("1:02:41")), ("Mia", Some("1:02:41"))]);
}

#[test]
fn a_name_beside_the_number_of_a_cue_is_the_speakers() {
    let file = "WEBVTT\n\n1 \"Jo Marsh\" (31)\n00:01.000 --> 00:02.000\nWhy?\n\n2 \"Mia Holt\" (32)\n00:03.000 --> 00:04.000\nI bake.\n";
    check("a.vtt", file, &[("Jo Marsh", "Why?"), ("Mia Holt", "I bake.")]);
}

#[test]
fn captions_in_a_text_file_are_recognised() {
    let cues = ["Mia: I bake.", "Mia: Daily."];
    check("a.txt", &srt(&cues), &[("Mia", "I bake. Daily.")]);
    check("a.md", &vtt(&cues), &[("Mia", "I bake. Daily.")]);
    assert!(looks_like(&format!("Our talk\n\n{}", srt(&cues))));
    assert!(!looks_like("WEBVTT is a format\n\nIt has cues.\n"));
    assert!(!looks_like("Cues look like this:\n\n```\n00:01.000 --> 00:02.000\nSo\n```\n"));
    assert!(!looks_like("Mia: from here --> there\nBo: 10:30 --> 11:00\n"));
    check_failure(
        "a.txt",
        "1\n00:00:01,000 --> 00:00:02,000\nMia: So\n\n00:00:03,000 --> x\nwell\n",
        "a.txt:5: invalid cue times: 00:00:03,000 --> x",
    );
}
