use super::Spoken;

/// Returns the text and the reasoning of an output that arrives in pieces of `size` characters, with the text before the end.
fn split(output: &str, size: usize) -> (String, String, String) {
    let letters: Vec<char> = output.chars().collect();
    let mut spoken = Spoken::default();
    for piece in letters.chunks(size.max(1)) {
        spoken.add(&String::from_iter(piece));
    }
    let early = spoken.text.clone();
    spoken.finish();
    spoken.finish();
    (spoken.text, spoken.reasoning, early)
}

#[track_caller]
fn check(output: &str, text: &str, reasoning: &str) {
    for size in [1, 2, 3, 5, 7, 1_000] {
        let (said, thought, _) = split(output, size);
        assert_eq!((said.as_str(), thought.trim()), (text, reasoning), "{output:?} in pieces of {size}");
    }
}

/// Checks an output without reasoning.
#[track_caller]
fn check_text(output: &str) {
    check(output, output, "");
}

#[test]
fn white_space_without_end_is_looked_at_once() {
    // Looked at again with each piece, it would take 10^12 steps.
    let mut spoken = Spoken::default();
    for _ in 0..2 << 20 {
        spoken.add(" ");
    }
    assert_eq!((spoken.text_len(), spoken.blank), (2 << 20, 2 << 20));
    spoken.add("<think>x</think> y");
    spoken.finish();
    assert_eq!((spoken.text.as_str(), spoken.reasoning.as_str()), ("y", "x"));
}

#[test]
fn reasoning_before_the_answer_is_no_text() {
    check("<think>hm</think>\n\nBlue.", "Blue.", "hm");
    check("\n<THINK>hm</THINK>Blue.", "Blue.", "hm");
    check("<thinking>hm</thinking> Blue.", "Blue.", "hm");
    check("<thought>hm</thought>Blue.", "Blue.", "hm");
    check("<reasoning effort=\"low\">hm</reasoning>Blue.", "Blue.", "hm");
    check("◁think▷hm◁/think▷Blue.", "Blue.", "hm");
    check("[THINK]hm[/THINK]Blue.", "Blue.", "hm");
    check("<seed:think>hm</seed:think>Blue.", "Blue.", "hm");
    check(
        "<|begin_of_thought|>hm<|end_of_thought|>\n<|begin_of_solution|>Blue.<|end_of_solution|>",
        "Blue.",
        "hm",
    );
    check("<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Blue.<|END_RESPONSE|>", "Blue.", "hm");
    check("<think></think>\n\nBlue.", "Blue.", "");
    check("<think>a</think>\n<think>b</think>\nBlue.", "Blue.", "ab");
    check("<think>a < b > c </thin </think>{\"a\": 1}", "{\"a\": 1}", "a < b > c </thin");
}

#[test]
fn harmony_messages_are_split_by_channel() {
    let analysis = "<|channel|>analysis<|message|>hm";
    let end = "<|start|>assistant<|channel|>final<|message|>Blue.";
    check(&format!("{analysis}<|end|>{end}<|return|>"), "Blue.", "hm");
    check(&format!("{analysis}{end}"), "Blue.", "hm");
    check(&format!("<|start|>assistant{analysis}<|end|>{end}"), "Blue.", "hm");
    check(analysis, "", "hm");
    check("<|channel|>final <|constrain|>json<|message|>{\"a\": 1}", "{\"a\": 1}", "");
    check("<|channel|>commentary to=functions.f<|message|>{}<|call|>", "", "{}");
    check("analysisThey ask for one word.assistantfinalBlue.", "Blue.", "analysisThey ask for one word.");
    check(
        "They ask.<|end|><|start|>assistant<|channel|>final<|message|>Blue.",
        "Blue.",
        "They ask.<|end|><|start|>assistant",
    );
}

#[test]
fn an_answer_that_is_only_reasoning_is_empty() {
    check("<think>They ask for one word.</think>", "", "They ask for one word.");
    check("<think>They ask for one word.", "", "They ask for one word.");
    check("<think>They ask for one word.</thi", "", "They ask for one word.</thi");
    check("[THINK]They ask", "", "They ask");
    check("They ask for one word.</think>", "", "They ask for one word.");
    check("They ask for one word.\n</think>\n\n", "", "They ask for one word.");
}

#[test]
fn a_closing_tag_without_an_opening_one_ends_the_reasoning() {
    check("They ask.\n</think>\n\nBlue.", "Blue.", "They ask.");
    check("so it is</think> {\"a\": 1}", "{\"a\": 1}", "so it is");
    check("They ask.[/THINK]Blue.", "Blue.", "They ask.");
    check("They ask.◁/think▷Blue.", "Blue.", "They ask.");
    check("a {\"draft\": 1}</think>{\"a\": 1}", "{\"a\": 1}", "a {\"draft\": 1}");
    check("<think>the <think> tag </think> is odd.\n</think>\nBlue.", "Blue.", "the <think> tag is odd.");
}

#[test]
fn tags_in_the_middle_are_content() {
    check_text("Use <think> and </think> around it.");
    check_text("Sure. <think>x</think> is the form.");
    check_text("The closing tag `</think>` ends it.");
    check_text("Close it with </think> and continue.");
    check_text("{\"note\": \"<think>x</think>\"}");
    check_text("{\"note\": \"ends with </think> ok\"}");
    check_text("[\"</think>\"]");
    check_text("<thinker>x</thinker>");
    check_text("<b>x</b>");
    check_text("[think about it]");
    check_text("  spaces\n");
    check_text("<");
    check_text("[1, 2]");
    check_text("analysis of the words");
    check("<think>hm</think>The tag `</think>` ends it.", "The tag `</think>` ends it.", "hm");
    check("<think>hm</think>It ends.</think> Really.", "It ends.</think> Really.", "hm");
}

#[test]
fn text_is_passed_on_as_it_arrives() {
    let (_, _, early) = split("<think>hm</think>\n\nBlue or green", 4);
    assert_eq!(early, "Blue or green");
    assert_eq!(split("Blue or green", 4).2, "Blue or green");
    assert_eq!(split("<think>hm, one two three", 4).2, "");
}
