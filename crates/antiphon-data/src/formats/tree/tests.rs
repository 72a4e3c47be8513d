//! The shapes of transcription services, with our own words.

use crate::{Document, SpeakerRole};

/// A short dialogue in each shape: two speakers, the second one twice.
const ASKED: &str = "How do you plan your week?";
const FIRST: &str = "I write it on the fridge.";
const SECOND: &str = "My sister tears it down.";

/// Checks the turns of a document, each as (speaker, words, time).
#[track_caller]
fn check(name: &str, text: &str, expected: &[(&str, &str, &str)]) -> Document {
    let document = Document::parse(name, text.as_bytes()).unwrap();
    let turns: Vec<_> = document
        .turns
        .iter()
        .map(|turn| (&*turn.speaker, document.words(turn), turn.time.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(turns, expected, "{}", document.text);
    document
}

/// Checks that a JSON text becomes the dialogue of two speakers with these names, and nothing else.
#[track_caller]
fn check_dialogue(text: &str, names: [&str; 2], times: [&str; 2]) {
    let document = check("a.json", text, &[(names[0], ASKED, times[0]), (names[1], FIRST, times[1])]);
    let words = document.text.split_whitespace().count();
    assert!(words <= 20, "{words} words instead of 12: {}", document.text);
}

/// Returns the words of a text as JSON objects made by a template, in which `W` is the word, `N` its number and `S` the
/// speaker.
fn words(template: &str) -> String {
    let speakers =
        [ASKED, FIRST].iter().zip(0..).flat_map(|(text, at)| text.split(' ').map(move |word| (word, at)));
    let item = |(number, (word, speaker)): (usize, (&str, usize))| {
        template.replace('W', word).replace('N', &number.to_string()).replace('S', &speaker.to_string())
    };
    speakers.enumerate().map(item).collect::<Vec<_>>().join(",")
}

#[test]
fn whisper_has_the_text_once() {
    let segments = format!(
        r#"{{"id":0,"seek":0,"start":0.0,"end":2.5,"text":" {ASKED}","tokens":[50364,440],"avg_logprob":-0.2}},
        {{"id":1,"seek":0,"start":2.5,"end":5.0,"text":" {FIRST}","tokens":[50614,286],"avg_logprob":-0.2}}"#
    );
    let words = words(r#"{"word":"W","start":N.25,"end":N.5}"#);
    let plain = format!(
        r#"{{"task":"transcribe","language":"english","duration":5.0,"text":"{ASKED} {FIRST}","segments":[{segments}],"words":[{words}]}}"#
    );
    let document = check("a.json", &plain, &[("a", &format!("{ASKED} {FIRST}"), "")]);
    assert!(!document.text.contains("0.25") && !document.text.contains("logprob"), "{}", document.text);
    let diarised = format!(
        r#"{{"text":"{ASKED} {FIRST}","segments":[
        {{"type":"transcript.text.segment","id":"seg_1","start":0.0,"end":2.5,"speaker":"A","text":"{ASKED}"}},
        {{"type":"transcript.text.segment","id":"seg_2","start":62.5,"end":65.0,"speaker":"B","text":"{FIRST}"}}]}}"#
    );
    check_dialogue(&diarised, ["a Speaker A", "a Speaker B"], ["0:00", "1:02"]);
}

#[test]
fn whisperx_has_speakers_in_segments_and_words() {
    let word = |word: &str, speaker: u8| {
        format!(r#"{{"word":"{word}","start":0.1,"end":0.2,"score":0.9,"speaker":"SPEAKER_0{speaker}"}}"#)
    };
    let text = format!(
        r#"{{"segments":[
        {{"start":0.1,"end":2.0,"text":" {ASKED}","words":[{}],"speaker":"SPEAKER_00"}},
        {{"start":3.1,"end":5.0,"text":" {FIRST}","words":[{}],"speaker":"SPEAKER_01"}}],
        "word_segments":[{},{}],"language":"en"}}"#,
        word("How", 0),
        word("I", 1),
        word("How", 0),
        word("I", 1)
    );
    check_dialogue(&text, ["a SPEAKER_00", "a SPEAKER_01"], ["0:00", "0:03"]);
}

#[test]
fn assemblyai_has_milliseconds_and_letters() {
    let words = words(r#"{"text":"W","start":1N00,"end":1N50,"confidence":0.9,"speaker":"A"}"#);
    let text = format!(
        r#"{{"id":"t1","status":"completed","text":"{ASKED} {FIRST}","words":[{words}],
        "utterances":[
        {{"speaker":"A","text":"{ASKED}","start":250,"end":2600,"confidence":0.9,"words":[{words}]}},
        {{"speaker":"B","text":"{FIRST}","start":61000,"end":64000,"confidence":0.9,"words":[{words}]}}],
        "sentiment_analysis_results":[{{"text":"{FIRST}","start":61000,"end":64000,"sentiment":"NEUTRAL","speaker":"B"}}],
        "chapters":[{{"gist":"Planning","headline":"They talk about weeks","summary":"Two people plan.","start":0,"end":64000}}]}}"#
    );
    check_dialogue(&text, ["a Speaker A", "a Speaker B"], ["0:00", "1:01"]);
}

#[test]
fn deepgram_is_read_from_utterances_paragraphs_or_words() {
    let words = words(
        r#"{"word":"w","start":N.5,"end":N.9,"confidence":0.9,"speaker":S,"speaker_confidence":0.5,"punctuated_word":"W"}"#,
    );
    let paragraph = |start: u8, speaker: u8, text: &str| {
        format!(
            r#"{{"sentences":[{{"text":"{text}","start":{start}.5,"end":9.0}}],"speaker":{speaker},"num_words":6,"start":{start}.5,"end":9.0}}"#
        )
    };
    let paragraphs = format!(
        r#"{{"transcript":"\nSpeaker 0: {ASKED}\n\nSpeaker 1: {FIRST}","paragraphs":[{},{}]}}"#,
        paragraph(0, 0, ASKED),
        paragraph(6, 1, FIRST)
    );
    let utterance = |start: u8, speaker: u8, text: &str| {
        format!(
            r#"{{"start":{start}.5,"end":9.0,"confidence":0.9,"channel":0,"transcript":"{text}","words":[{words}],"speaker":{speaker},"id":"u"}}"#
        )
    };
    let utterances = format!("[{},{}]", utterance(0, 0, ASKED), utterance(6, 1, FIRST));
    let alternative = format!(r#""transcript":"{ASKED} {FIRST}","confidence":0.9,"words":[{words}]"#);
    let file = |alternative: &str, more: &str| {
        format!(
            r#"{{"metadata":{{"request_id":"r","duration":9.0,"channels":1,"model_info":{{"m":{{"name":"general two","version":"v1"}}}}}},
            "results":{{"channels":[{{"alternatives":[{{{alternative}}}]}}]{more}}}}}"#
        )
    };
    let names = ["a Speaker 0", "a Speaker 1"];
    check_dialogue(&file(&alternative, &format!(r#","utterances":{utterances}"#)), names, ["0:00", "0:06"]);
    check_dialogue(
        &file(&format!(r#"{alternative},"paragraphs":{paragraphs}"#), ""),
        names,
        ["0:00", "0:06"],
    );
    check_dialogue(&file(&alternative, ""), names, ["0:00", "0:06"]);
}

#[test]
fn google_has_the_speakers_in_its_last_result() {
    let tagged = words(r#"{"startTime":"N.200s","endTime":"N.900s","word":"W","speakerTag":S}"#);
    let text = format!(
        r#"{{"results":[
        {{"alternatives":[{{"transcript":"{ASKED}","confidence":0.9}},{{"transcript":"How to plan a week"}}],"languageCode":"en-us"}},
        {{"alternatives":[{{"transcript":" {FIRST}","confidence":0.9}}],"resultEndTime":"9.5s"}},
        {{"alternatives":[{{"words":[{tagged}]}}],"languageCode":"en-us"}}]}}"#
    );
    check_dialogue(&text, ["a Speaker 0", "a Speaker 1"], ["0:00", "0:06"]);
}

/// Returns the items of AWS for a text of one speaker, whose words begin at this second.
fn aws(text: &str, start: u8, speaker: &str) -> String {
    let item = |word: &str| {
        let plain = word.trim_end_matches(['.', '?']);
        let mark = &word[plain.len()..];
        let punctuation = format!(
            r#",{{"type":"punctuation","alternatives":[{{"confidence":"0.0","content":"{mark}"}}]}}"#
        );
        let word = format!(
            r#"{{"start_time":"{start}.07","end_time":"{start}.9",{speaker}"alternatives":[{{"confidence":"0.99","content":"{plain}"}}],"type":"pronunciation"}}"#
        );
        if mark.is_empty() { word } else { word + &punctuation }
    };
    text.split(' ').map(item).collect::<Vec<_>>().join(",")
}

#[test]
fn aws_items_are_joined_to_turns() {
    let segment = |start: u8, speaker: u8| {
        format!(
            r#"{{"start_time":"{start}.07","end_time":"9.9","speaker_label":"spk_{speaker}","items":[{{"start_time":"{start}.07","end_time":"9.9","speaker_label":"spk_{speaker}"}}]}}"#
        )
    };
    let file = |items: &str, more: &str| {
        format!(
            r#"{{"jobName":"j","results":{{"transcripts":[{{"transcript":"{ASKED} {FIRST}"}}],
            "speaker_labels":{{"speakers":2,"segments":[{},{}]}},"items":[{items}]{more}}},"status":"COMPLETED"}}"#,
            segment(1, 0),
            segment(4, 1)
        )
    };
    let names = ["a spk_0", "a spk_1"];
    let label = |speaker: u8| format!(r#""speaker_label":"spk_{speaker}","#);
    let labelled = [aws(ASKED, 1, &label(0)), aws(FIRST, 4, &label(1))].join(",");
    let segments = format!(
        r#","audio_segments":[{{"id":0,"transcript":"{ASKED}","start_time":"1.07","end_time":"2.9","speaker_label":"spk_0","items":[0,1]}},
        {{"id":1,"transcript":"{FIRST}","start_time":"4.07","end_time":"5.9","speaker_label":"spk_1","items":[2,3]}}]"#
    );
    check_dialogue(&file(&labelled, ""), names, ["0:01", "0:04"]);
    check_dialogue(&file(&labelled, &segments), names, ["0:01", "0:04"]);
    // Earlier outputs have the labels only apart from the items.
    let apart = [aws(ASKED, 1, ""), aws(FIRST, 4, "")].join(",");
    check_dialogue(&file(&apart, ""), names, ["0:01", "0:04"]);
}

#[test]
fn azure_phrases_are_read_from_their_best_alternative() {
    let phrase = |start: u8, speaker: u8, text: &str| {
        let lexical = text.to_lowercase();
        format!(
            r#"{{"recognitionStatus":"Success","channel":0,"speaker":{speaker},"offset":"PT{start}.07S","duration":"PT1.59S","offsetInTicks":7{start}0.0,
            "nBest":[{{"confidence":0.9,"lexical":"{lexical}","itn":"{lexical}","maskedITN":"{lexical}","display":"{text}","words":[{{"word":"twenty","offset":"PT1S"}}]}},{{"confidence":0.1,"display":"Something else"}}]}}"#
        )
    };
    let text = format!(
        r#"{{"source":"call.wav","duration":"PT9S","combinedRecognizedPhrases":[{{"channel":0,"lexical":"x","display":"{ASKED} {FIRST}"}}],
        "recognizedPhrases":[{},{}]}}"#,
        phrase(0, 1, ASKED),
        phrase(62, 2, FIRST)
    );
    check_dialogue(&text, ["a Speaker 1", "a Speaker 2"], ["0:00", "1:02"]);
    let fast = format!(
        r#"{{"durationMilliseconds":9000,"combinedPhrases":[{{"text":"{ASKED} {FIRST}"}}],"phrases":[
        {{"speaker":1,"offsetMilliseconds":80,"durationMilliseconds":1000,"text":"{ASKED}","words":[{{"text":"How","offsetMilliseconds":80}}],"locale":"en-US","confidence":0.9}},
        {{"speaker":2,"offsetMilliseconds":62000,"durationMilliseconds":1000,"text":"{FIRST}","words":[{{"text":"I","offsetMilliseconds":62000}}],"locale":"en-US","confidence":0.9}}]}}"#
    );
    check_dialogue(&fast, ["a Speaker 1", "a Speaker 2"], ["0:00", "1:02"]);
}

#[test]
fn rev_monologues_are_put_together_from_their_elements() {
    let elements = |text: &str| {
        let piece = |word: &str| {
            let plain = word.trim_end_matches(['.', '?']);
            let mark = if plain.len() < word.len() { &word[plain.len()..] } else { " " };
            format!(
                r#"{{"type":"text","value":"{plain}","ts":4.27,"end_ts":4.48,"confidence":0.9}},{{"type":"punct","value":"{mark}"}}"#
            )
        };
        text.split(' ').map(piece).collect::<Vec<_>>().join(",")
    };
    let monologues = format!(
        r#""monologues":[{{"speaker":0,"elements":[{}]}},{{"speaker":1,"elements":[{}]}}]"#,
        elements(ASKED),
        elements(FIRST)
    );
    check_dialogue(&format!("{{{monologues}}}"), ["a Speaker 0", "a Speaker 1"], ["0:04", "0:04"]);
    let named =
        format!(r#"{{"speakers":[{{"id":0,"name":"Sam Lee"}},{{"id":1,"name":"Ana Berg"}}],{monologues}}}"#);
    let document = Document::parse("a.json", named.as_bytes()).unwrap();
    let names: Vec<&str> = document.turns.iter().map(|turn| &*turn.speaker).collect();
    assert_eq!(names, ["Sam Lee", "Ana Berg"]);
}

#[test]
fn speechmatics_and_elevenlabs_have_only_words() {
    let item = |text: &str, speaker: &str| {
        aws(text, 3, "").replace("content\":", &format!("speaker\":\"{speaker}\",\"content\":"))
    };
    let results = [item(ASKED, "S1"), item(FIRST, "S2")].join(",").replace("pronunciation", "word");
    let text = format!(r#"{{"format":"2.9","job":{{"id":"x"}},"results":[{results}]}}"#);
    check_dialogue(&text, ["a Speaker S1", "a Speaker S2"], ["0:03", "0:03"]);
    let words = words(
        r#"{"text":"W","start":N.1,"end":N.2,"type":"word","speaker_id":"speaker_S"},{"text":" ","start":N.2,"end":N.3,"type":"spacing","speaker_id":"speaker_S"}"#,
    );
    let text = format!(r#"{{"language_code":"en","text":"{ASKED} {FIRST}","words":[{words}]}}"#);
    check_dialogue(&text, ["a speaker_0", "a speaker_1"], ["0:00", "0:06"]);
}

#[test]
fn gladia_fireflies_teams_and_watson_are_read() {
    let row = |start: u8, speaker: u8, text: &str| {
        format!(
            r#"{{"text":"{text}","language":"en","start":{start}.5,"end":9.5,"confidence":0.9,"channel":0,"speaker":{speaker},"words":[{{"word":"x","start":0.5,"end":0.6}}]}}"#
        )
    };
    let rows = [row(0, 0, ASKED), row(4, 1, FIRST)].join(",");
    let gladia = format!(
        r#"{{"id":"x","status":"done","result":{{"metadata":{{"audio_duration":9.5}},"transcription":{{"full_transcript":"{ASKED} {FIRST}","languages":["en"],"utterances":[{rows}],"sentences":[{rows}],"subtitles":[{{"format":"srt","subtitles":"1\n00:00:00,500 --> 00:00:09,500\n{ASKED}"}}]}}}}}}"#
    );
    check_dialogue(&gladia, ["a Speaker 0", "a Speaker 1"], ["0:00", "0:04"]);
    let fireflies = format!(
        r#"{{"data":{{"transcript":{{"sentences":[
        {{"index":0,"speaker_name":"Sam Lee","speaker_id":0,"text":"{ASKED}","raw_text":"{ASKED}","start_time":0.5,"end_time":2.5}},
        {{"index":1,"speaker_name":"Ana Berg","speaker_id":1,"text":"{FIRST}","raw_text":"{FIRST}","start_time":4.5,"end_time":6.5}}],
        "summary":{{"keywords":["week"],"gist":"Weeks"}}}}}}}}"#
    );
    check_dialogue(&fireflies, ["Sam Lee", "Ana Berg"], ["0:00", "0:04"]);
    let teams = format!(
        r#"{{"entries":[{{"id":"x/1","text":"{ASKED}","speakerId":"u1","speakerDisplayName":"Sam Lee","confidence":0.9,"startOffset":"00:00:00.5100000","endOffset":"00:00:02.1"}},
        {{"id":"x/2","text":"{FIRST}","speakerId":"u2","speakerDisplayName":"Ana Berg","confidence":0.9,"startOffset":"00:00:04.5100000","endOffset":"00:00:06.1"}}]}}"#
    );
    check_dialogue(&teams, ["Sam Lee", "Ana Berg"], ["0:00", "0:04"]);
    let stamps = words(r#"["W",N.5,N.9]"#);
    let labels = words(r#"{"from":N.5,"to":N.9,"speaker":S,"confidence":0.5,"final":false}"#);
    let watson = format!(
        r#"{{"result_index":0,"results":[{{"final":true,"alternatives":[{{"transcript":"{ASKED} {FIRST} ","confidence":0.9,"timestamps":[{stamps}]}}]}}],"speaker_labels":[{labels}]}}"#
    );
    check_dialogue(&watson, ["a Speaker 0", "a Speaker 1"], ["0:00", "0:06"]);
}

#[test]
fn a_program_is_no_participant() {
    let message = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
    let messages = [
        message("system", "You are a helpful planner."),
        message("user", FIRST),
        message("assistant", "Use two magnets."),
        format!(
            r#"{{"role":"user","content":[{{"type":"text","text":"{SECOND}"}},{{"type":"image_url","image_url":{{"url":"x"}}}}]}}"#
        ),
    ];
    let chat = format!(r#"{{"messages":[{}]}}"#, messages.join(","));
    for (name, text) in [("a.jsonl", chat), ("a.json", format!("[{}]", messages.join(",\n")))] {
        let document = check(name, &text, &[("a", FIRST, ""), ("a", SECOND, "")]);
        assert!(document.turns.iter().all(|turn| turn.role == SpeakerRole::Participant));
        assert!(document.text.contains("assistant: Use two magnets.") && !document.text.contains("helpful"));
    }
    let shared = format!(
        r#"{{"conversations":[{{"from":"human","value":"{FIRST}"}},{{"from":"gpt","value":"Use two magnets."}}]}}"#
    );
    check("a.json", &shared, &[("a", FIRST, "")]);
    let alone = format!("[{}]", message("assistant", "Use two magnets."));
    assert!(Document::parse("a.json", alone.as_bytes()).is_err(), "no one has said a word");
    check(
        "a.jsonl",
        "{\"name\":\"Bo\",\"role\":\"assistant\",\"text\":\"I bake.\"}",
        &[("Bo", "I bake.", "")],
    );
}

#[test]
fn chats_of_people_have_names_and_dates() {
    let telegram = r#"{"name":"Weeks","messages":[
        {"id":1,"type":"message","date":"2026-01-05T10:30:00","from":"Ana Berg","from_id":"user1","text":["I write it on ",{"type":"bold","text":"the fridge"},"."]}]}"#;
    check("a.json", telegram, &[("Ana Berg", FIRST, "2026-01-05T10:30:00")]);
    let discord = r#"{"messages":[{"id":"1","timestamp":"2026-01-05T10:30:00+00:00","content":"I write it on the fridge.","author":{"id":"7","name":"ana","nickname":"Ana Berg"},"reactions":[{"emoji":{"name":"thumbs up"},"count":2}]}]}"#;
    check("a.json", discord, &[("ana", FIRST, "2026-01-05T10:30:00+00:00")]);
}

#[test]
fn lists_beside_an_answer_are_kept() {
    let text = r#"{"who":"P1","answer":"I bake.","more":["I sell cakes at noon","My sister helps me"],"tags":["bread"],
        "follow_ups":[{"question":"Why?","answer":"It is near."}]}"#;
    let document = check(
        "a.json",
        text,
        &[
            ("P1", "I bake.", ""),
            ("P1", "I sell cakes at noon", ""),
            ("P1", "My sister helps me", ""),
            ("P1", "It is near.", ""),
        ],
    );
    assert!(
        document.text.contains("tags: bread") && document.text.contains("question: Why?"),
        "{}",
        document.text
    );
    let twice = r#"{"morning":{"question":"Why?","answer":"It is near."},"evening":{"question":"And?","answer":"It is near."}}"#;
    check("a.json", twice, &[("a", "It is near.", ""), ("a", "It is near.", "")]);
    let rows = r#"[{"participant":"P1","score":5,"text":"I bake."}]"#;
    assert!(check("a.json", rows, &[("P1", "I bake.", "")]).text.contains("score: 5"));
}

#[test]
fn a_speaker_around_rows_is_theirs() {
    let text = r#"{"participant":"P7","interviewer":"Jo","turns":[{"speaker":"Jo","text":"Well?"},{"text":"I bake."}]}"#;
    let document = check("a.json", text, &[("Jo", "Well?", ""), ("P7", "I bake.", "")]);
    assert_eq!(document.turns[0].role, SpeakerRole::Interviewer);
}

#[test]
fn interviewers_named_in_each_row_take_linear_time() {
    let row = |at: usize| {
        format!("{{\"interviewer\":\"Jo {at}\",\"speaker\":\"P{at}\",\"text\":\"I bake bread {at}.\"}}\n")
    };
    let text: String = (0..20_000).map(row).collect();
    assert_eq!(Document::parse("a.jsonl", text.as_bytes()).unwrap().turns.len(), 20_000);
}
