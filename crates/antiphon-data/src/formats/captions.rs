use crate::builder::Body;
use crate::error::Malformed;
use crate::speakers;

/// WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format", section 4): cues after a `WEBVTT` line.
pub(crate) fn vtt(text: &str, stem: &str) -> Result<Body, Malformed> {
    if !text.starts_with("WEBVTT") {
        return Err(Malformed::at(1, "a WebVTT file begins with a line WEBVTT"));
    }
    let mut captions = Captions::new(stem);
    for block in blocks(text).skip(1) {
        let first = block[0].1;
        if ["NOTE", "STYLE", "REGION"].iter().any(|kind| first.starts_with(kind)) {
            continue;
        }
        captions.add(&block)?;
    }
    Ok(captions.body)
}

/// SubRip: numbered cues, of which the speaker may stand first as `P05: …`.
pub(crate) fn srt(text: &str, stem: &str) -> Result<Body, Malformed> {
    let mut captions = Captions::new(stem);
    blocks(text).try_for_each(|block| captions.add(&block))?;
    Ok(captions.body)
}

struct Captions<'a> {
    body: Body,
    stem: &'a str,
    speaker: Option<String>,
}

impl<'a> Captions<'a> {
    fn new(stem: &'a str) -> Self {
        Self { body: Body::default(), stem, speaker: None }
    }

    /// Adds a cue: an optional name, its times, and its words in one line or more.
    fn add(&mut self, block: &[(u32, &str)]) -> Result<(), Malformed> {
        let timing = block.iter().take(2).position(|(_, line)| line.contains("-->"));
        let Some(timing) = timing else {
            let reason = "a cue without its times, such as 00:00:01.000 --> 00:00:04.000";
            return Err(Malformed::at(block[0].0, reason));
        };
        let (line, times) = block[timing];
        let (from, to) = times.split_once("-->").unwrap_or((times, ""));
        let to = to.split_whitespace().next().unwrap_or("");
        if !is_time(from.trim()) || !is_time(to) {
            return Err(Malformed::at(line, format!("these are no times: {}", times.trim())));
        }
        for (line, words) in &block[timing + 1..] {
            self.say(*line, words);
        }
        Ok(())
    }

    fn say(&mut self, line: u32, words: &str) {
        let (speaker, words) = voice(words);
        let words = words.trim();
        let goes_on = speaker.is_none() || speaker == self.speaker;
        if goes_on && !self.body.turns.is_empty() {
            if !words.is_empty() {
                self.body.go_on(words, line);
            }
            return;
        }
        let label = speaker.as_deref().unwrap_or(self.stem).to_owned();
        self.body.say(&label, speakers::speaker_of(&label, self.stem), words, line);
        self.speaker = Some(label);
    }
}

/// Who speaks, by a voice tag or by a label, and the words without tags and entities.
fn voice(words: &str) -> (Option<String>, String) {
    let tag = words.find("<v").and_then(|start| {
        let (head, _) = words[start..].split_once('>')?;
        // `<v.loud Anna>`: the name follows the classes.
        let (_, name) = head.split_once(' ')?;
        Some(name.trim().to_owned())
    });
    let plain = without_tags(words);
    if tag.is_some() {
        return (tag, plain);
    }
    match plain.split_once(": ") {
        Some((label, rest)) if is_label(label) => (Some(label.to_owned()), rest.to_owned()),
        _ => (None, plain),
    }
}

/// One or two words, each beginning like a name: captions are short, and "The thing is:" is no name.
fn is_label(label: &str) -> bool {
    let name = |word: &str| word.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
    label.len() <= 30 && label.split(' ').count() <= 2 && label.split(' ').all(name)
}

fn without_tags(words: &str) -> String {
    let mut plain = String::with_capacity(words.len());
    let mut rest = words;
    while let Some((before, tag)) = rest.split_once('<') {
        plain.push_str(before);
        match tag.split_once('>') {
            Some((_, after)) => rest = after,
            None => {
                plain.push('<');
                rest = tag;
            }
        }
    }
    plain.push_str(rest);
    if !plain.contains('&') {
        return plain;
    }
    plain.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
}

/// `01:02:03.004`, `02:03.004`, or with a comma as SubRip writes it.
fn is_time(text: &str) -> bool {
    let Some((clock, millis)) = text.split_once(['.', ',']) else { return false };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (2..=3).contains(&clock.split(':').count()) && clock.split(':').all(digits) && digits(millis)
}

/// Runs of lines between empty ones, each line with its number.
fn blocks(text: &str) -> impl Iterator<Item = Vec<(u32, &str)>> {
    let mut lines = (1_u32..).zip(text.split('\n')).peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|(_, line)| line.trim().is_empty()).is_some() {}
        let mut block = Vec::new();
        while let Some(line) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
            block.push(line);
        }
        (!block.is_empty()).then_some(block)
    })
}
