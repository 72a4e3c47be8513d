//! The split of a model's output into its answer and its reasoning, for servers that leave both in one text.
//!
//! ```text
//! <think>They ask for one word.</think>\n\nBlue.
//! └──────────── reasoning ────────────┘    └ text
//! ```
//!
//! Reasoning begins with the answer: a tag in the middle of a text, or in a JSON string, is content. Three cases need more
//! than the tags:
//!
//! - An opening tag without a closing one: all of it is reasoning, and the answer is empty.
//! - A closing tag without an opening one: chat templates of DeepSeek R1 and Qwen put the opening tag into the prompt. What
//!   precedes the tag is reasoning, which shows only when the tag arrives: see [`Spoken::finish`].
//! - Models of OpenAI's harmony format name a channel before each message
//!   (<https://github.com/openai/harmony/blob/main/docs/format.md>).

use serde::de::IgnoredAny;

/// A pair of tags around reasoning, in lower case. An opening tag without its `>` may have attributes.
struct Tag {
    open: &'static str,
    close: &'static str,
}

/// The tags of the models in use, longer names before their prefixes.
static TAGS: [Tag; 20] = [
    Tag { open: "<think", close: "</think>" },
    Tag { open: "<thinking", close: "</thinking>" },
    Tag { open: "<thought", close: "</thought>" },
    Tag { open: "<thoughts", close: "</thoughts>" },
    Tag { open: "<reasoning", close: "</reasoning>" },
    Tag { open: "<seed:think", close: "</seed:think>" },
    Tag { open: "<mm:think", close: "</mm:think>" },
    Tag { open: "<antthinking", close: "</antthinking>" },
    Tag { open: "<ant_thinking", close: "</ant_thinking>" },
    Tag { open: "<longcat_think", close: "</longcat_think>" },
    Tag { open: "<inner_thoughts", close: "</inner_thoughts>" },
    Tag { open: "◁think▷", close: "◁/think▷" },
    Tag { open: "[think]", close: "[/think]" },
    Tag { open: "<|think|>", close: "<|/think|>" },
    Tag { open: "<|thinking|>", close: "<|/thinking|>" },
    Tag { open: "<|begin_of_thought|>", close: "<|end_of_thought|>" },
    Tag { open: "<|start_thinking|>", close: "<|end_thinking|>" },
    Tag { open: "<|begin_thinking|>", close: "<|end_of_thinking|>" },
    Tag { open: "<|channel>thought", close: "<channel|>" },
    Tag { open: "<unused94>", close: "<unused95>" },
];

/// Tags around the answer itself, which are left out.
static SPEECH: [Tag; 2] = [
    Tag { open: "<|begin_of_solution|>", close: "<|end_of_solution|>" },
    Tag { open: "<|start_response|>", close: "<|end_response|>" },
];

/// The tokens of the harmony format that begin a message's header.
const HEADERS: [&str; 2] = ["<|start|>", "<|channel|>"];

/// The token that ends a message's header.
const MESSAGE: &str = "<|message|>";

/// The tokens that end a message of reasoning; those of [`HEADERS`] begin the next one.
const ENDS: [&str; 5] = ["<|end|>", "<|return|>", "<|call|>", "<|start|>", "<|channel|>"];

/// The tokens that end the answer.
const LAST: [&str; 2] = ["<|return|>", "<|end|>"];

/// The maximum length in bytes of an opening tag with attributes, and of a header.
const MAX_OPENING: usize = 200;

/// A model's output, split as it arrives.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    /// The text of the answer.
    pub(crate) text: String,
    /// The reasoning that was in the output.
    pub(crate) reasoning: String,
    /// Output that cannot be assigned yet, such as the beginning of a tag.
    pending: String,
    /// The length of the white space at the beginning of `pending` that was looked at: some models write it without end.
    blank: usize,
    /// The part of the output that is being read.
    state: State,
}

/// The part of the output that is being read.
#[derive(Debug, Default)]
enum State {
    /// The beginning, before the first letter that is neither white space nor a tag.
    #[default]
    Start,
    /// The text after reasoning, before its first letter.
    Between,
    /// Reasoning, up to one of these.
    Thinking(&'static [&'static str]),
    /// The answer, up to one of these.
    Speaking(&'static [&'static str]),
    /// The end; what follows is left out.
    Ended,
}

/// The beginning of a text.
#[derive(Debug, PartialEq)]
enum Opening {
    /// The answer.
    None,
    /// Too little to know.
    Unclear,
    /// Reasoning after a tag of this length, up to one of these.
    Thought(usize, &'static [&'static str]),
    /// The answer after a tag of this length, up to one of these.
    Speech(usize, &'static [&'static str]),
}

impl Spoken {
    /// Returns the length in bytes of the text, with the output that cannot be assigned yet.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len() + self.pending.len()
    }

    /// Adds output.
    pub(crate) fn add(&mut self, output: &str) {
        if let State::Speaking([]) = self.state {
            self.text.push_str(output);
            return;
        }
        if let State::Ended = self.state {
            return;
        }
        self.pending.push_str(output);
        while self.advance() {}
    }

    /// Assigns a part of the pending output; returns whether more can be assigned.
    fn advance(&mut self) -> bool {
        match self.state {
            State::Start | State::Between => self.open(),
            State::Thinking(closes) => {
                let (thought, end) = up_to(&self.pending, closes);
                self.reasoning.push_str(&self.pending[..thought]);
                self.pending.drain(..thought + end.unwrap_or(0));
                if end.is_some() {
                    self.state = State::Between;
                }
                end.is_some()
            }
            State::Speaking(closes) => {
                let (text, end) = up_to(&self.pending, closes);
                self.text.push_str(&self.pending[..text]);
                self.pending.drain(..text);
                if end.is_some() {
                    self.state = State::Ended;
                }
                false
            }
            State::Ended => false,
        }
    }

    /// Reads a tag at the beginning of the pending output, or the beginning of the answer.
    fn open(&mut self) -> bool {
        let behind = &self.pending[self.blank..];
        let begin = self.blank + behind.len() - behind.trim_start().len();
        self.blank = begin;
        match opening(&self.pending[begin..]) {
            Opening::Unclear => return false,
            Opening::Thought(length, closes) => {
                self.blank = 0;
                self.pending.drain(..begin + length);
                self.state = State::Thinking(closes);
            }
            Opening::Speech(length, closes) => {
                self.blank = 0;
                self.pending.drain(..begin + length);
                self.state = State::Speaking(closes);
            }
            Opening::None => {
                self.blank = 0;
                // White space after reasoning separates it from the answer; other white space is the model's.
                if matches!(self.state, State::Between) {
                    self.pending.drain(..begin);
                }
                self.state = State::Speaking(&[]);
            }
        }
        true
    }

    /// Ends the output: assigns the rest, and takes the reasoning before a closing tag out of the text.
    ///
    /// The text that was read before such a tag has been reported as a piece of the answer; only the text at the end is right.
    /// Returns whether that was the case. A second call changes nothing.
    pub(crate) fn finish(&mut self) -> bool {
        let rest = std::mem::take(&mut self.pending);
        self.blank = 0;
        match self.state {
            State::Start | State::Speaking(_) => self.text.push_str(&rest),
            State::Between => self.text.push_str(rest.trim_start()),
            State::Thinking(_) => self.reasoning.push_str(&rest),
            State::Ended => {}
        }
        if let State::Ended = std::mem::replace(&mut self.state, State::Ended) {
            return false;
        }
        let Some((thought, speech)) = closed(&self.text, &self.reasoning) else { return false };
        self.reasoning.push_str(&self.text[..thought]);
        self.text.drain(..speech);
        let begin = self.text.len() - self.text.trim_start().len();
        self.text.drain(..begin);
        true
    }
}

/// Returns the length of a text before the first of `ends`, and the length of that end. Without an end, what may be the
/// beginning of one is left out.
///
/// The length of an end that begins the next header is 0.
fn up_to(text: &str, ends: &[&str]) -> (usize, Option<usize>) {
    let lower = text.to_ascii_lowercase();
    let found = ends.iter().filter_map(|end| Some((lower.find(end)?, *end))).min_by_key(|(at, _)| *at);
    if let Some((at, end)) = found {
        return (at, Some(if HEADERS.contains(&end) { 0 } else { end.len() }));
    }
    let longest = ends.iter().map(|end| end.len()).max().unwrap_or(0);
    let from = lower.len().saturating_sub(longest);
    let may_begin =
        |at: &usize| lower.get(*at..).is_some_and(|tail| ends.iter().any(|end| end.starts_with(tail)));
    ((from..lower.len()).find(may_begin).unwrap_or(lower.len()), None)
}

/// The characters with which all tags and headers begin.
const BRACKETS: [char; 3] = ['<', '[', '◁'];

/// Returns what a text begins with.
fn opening(text: &str) -> Opening {
    // Most answers begin with a letter.
    if text.starts_with(|c| !BRACKETS.contains(&c)) {
        return Opening::None;
    }
    let shortened: String = text.chars().take(MAX_OPENING).collect();
    let text = shortened.to_ascii_lowercase();
    if text.is_empty() {
        return Opening::Unclear;
    }
    if HEADERS.iter().any(|header| text.starts_with(header)) {
        return header(&text);
    }
    let mut is_unclear = HEADERS.iter().any(|header| header.starts_with(&text));
    for tag in &TAGS {
        match tag_length(&text, tag.open) {
            Some(Some(length)) => return Opening::Thought(length, std::slice::from_ref(&tag.close)),
            Some(None) => is_unclear = true,
            None => {}
        }
    }
    for tag in &SPEECH {
        match tag_length(&text, tag.open) {
            Some(Some(length)) => return Opening::Speech(length, std::slice::from_ref(&tag.close)),
            Some(None) => is_unclear = true,
            None => {}
        }
    }
    if is_unclear { Opening::Unclear } else { Opening::None }
}

/// Returns the length of an opening tag at the beginning of a text in lower case: `Some(None)` where the text is too short to
/// know, `None` for another beginning.
fn tag_length(text: &str, open: &str) -> Option<Option<usize>> {
    let Some(rest) = text.strip_prefix(open) else { return open.starts_with(text).then_some(None) };
    if !open.starts_with('<') || open.ends_with('>') || open.starts_with("<|") {
        return Some(Some(open.len()));
    }
    match rest.chars().next() {
        None => Some(None),
        Some('>') => Some(Some(open.len() + 1)),
        Some(c) if c.is_whitespace() => match rest.find('>') {
            Some(end) if !rest[..end].contains('<') => Some(Some(open.len() + end + 1)),
            None if text.chars().count() < MAX_OPENING => Some(None),
            _ => None,
        },
        Some(_) => None,
    }
}

/// Reads a header of the harmony format: `<|start|>assistant<|channel|>analysis<|message|>`.
fn header(text: &str) -> Opening {
    match text.find(MESSAGE) {
        Some(end) if text[..end].contains("<|channel|>") && !text[..end].contains("final") => {
            Opening::Thought(end + MESSAGE.len(), &ENDS)
        }
        Some(end) => Opening::Speech(end + MESSAGE.len(), &LAST),
        None if text.chars().count() < MAX_OPENING => Opening::Unclear,
        None => Opening::None,
    }
}

/// Returns the lengths of a text up to a closing tag that no opening one precedes, and up to its end; `None` if it has none.
///
/// `before` is the reasoning that preceded the text: a tag that it mentions may have been closed too early.
fn closed(text: &str, before: &str) -> Option<(usize, usize)> {
    // A tag within JSON is a part of a value. Nearly no answer has one, so that the tags are looked for first.
    end_of_thoughts(text, before).filter(|_| !is_json(text))
}

/// Returns whether a text is JSON.
fn is_json(text: &str) -> bool {
    let begin = text.trim_start();
    begin.starts_with(['{', '[', '"']) && serde_json::from_str::<IgnoredAny>(begin).is_ok()
}

/// Returns what [`closed`] does, of a text that may be JSON.
fn end_of_thoughts(text: &str, before: &str) -> Option<(usize, usize)> {
    // Nearly no text has a tag: those of channels are words without one.
    let has_tag = || ["<", "[/", "◁/"].iter().any(|begin| text.contains(begin));
    if !text.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("analysis")) && !has_tag() {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    // Servers that leave out special tokens keep the names of the channels.
    if lower.starts_with("analysis")
        && let Some(at) = lower.find("assistantfinal")
    {
        return Some((at, at + "assistantfinal".len()));
    }
    let mut found = TAGS.iter().filter_map(|tag| {
        let at =
            lower.match_indices(tag.close).map(|(at, _)| at).find(|at| !is_mention(text, *at, tag.close))?;
        let is_free = before.is_empty() || before.to_ascii_lowercase().contains(tag.open);
        (is_free && !lower[..at].contains(tag.open)).then_some((at, at + tag.close.len()))
    });
    let first = found.next();
    let last = "<|channel|>final<|message|>";
    first.or_else(|| lower.find(last).map(|at| (at, at + last.len())))
}

/// Returns whether a closing tag is mentioned in a sentence or quoted.
fn is_mention(text: &str, at: usize, tag: &str) -> bool {
    let (before, after) = (&text[..at], &text[at + tag.len()..]);
    let is_quote = |c: Option<char>| c.is_some_and(|c| matches!(c, '`' | '"' | '\'' | '“' | '”' | '’' | '‘'));
    if is_quote(before.chars().next_back()) || is_quote(after.chars().next()) {
        return true;
    }
    let is_in_sentence = before.ends_with(' ') && before.trim_end().ends_with(char::is_alphanumeric);
    let mut following = after.chars();
    let continues = match following.next() {
        Some(' ') => following.next().is_some_and(char::is_lowercase),
        Some(c) => matches!(c, ',' | '.' | ';' | ')'),
        None => false,
    };
    is_in_sentence && continues
}

#[cfg(test)]
mod tests;
