//! The walk over a tree, which turns its values into parts of a document.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::notices::is_notice;
use super::once::{self, Group};
use super::{Node, Nodes, Part, joined, pieces};
use crate::formats::clock::{self, Unit};
use crate::formats::people::People;
use crate::formats::record::{self, Field, Row, normal};
use crate::speakers;

/// Normalised keys of lists of which only the first item counts.
const ALTERNATIVES: [&str; 3] = ["alternatives", "nbest", "hypotheses"];
/// Normalised keys of values that a service concludes from the words, or that describe the file.
const ASIDES: [&str; 15] = [
    "metadata",
    "summary",
    "summaries",
    "summarization",
    "chapters",
    "topics",
    "entities",
    "intents",
    "keywords",
    "autohighlightsresult",
    "iabcategoriesresult",
    "contentsafetylabels",
    "translation",
    "translations",
    "actionitems",
];
/// Normalised keys of values that are no one's words in any file.
const NEVER_READ: [&str; 8] = [
    "reactions",
    "userprofile",
    "wordconfidence",
    "speakerlabels",
    "channellabels",
    "modelinfo",
    "params",
    "usage",
];
/// More such keys, beside the words of a message.
const BESIDE_MESSAGES: [&str; 2] = ["attachments", "files"];
/// Normalised keys of what a row of any kind has for machines.
const MACHINE_ALWAYS: [&str; 9] = [
    "confidence",
    "avglogprob",
    "compressionratio",
    "nospeechprob",
    "lexical",
    "itn",
    "maskeditn",
    "rawtext",
    "subtitles",
];
/// Normalised keys of scalars for machines.
const MACHINE: [&str; 44] = [
    "resultindex",
    "resultendtime",
    "resultendoffset",
    "start",
    "end",
    "starttime",
    "endtime",
    "startms",
    "endms",
    "starttimems",
    "endtimems",
    "startoffset",
    "endoffset",
    "offset",
    "offsetinticks",
    "offsetmilliseconds",
    "duration",
    "durationinticks",
    "durationms",
    "durationmilliseconds",
    "begin",
    "from",
    "to",
    "ts",
    "endts",
    "confidence",
    "score",
    "probability",
    "avglogprob",
    "compressionratio",
    "nospeechprob",
    "temperature",
    "seek",
    "channel",
    "channeltag",
    "speaker",
    "speakertag",
    "speakerid",
    "speakerconfidence",
    "index",
    "numwords",
    "wordcount",
    "isfinal",
    "final",
];
/// Normalised keys of texts for machines, or that repeat the words.
const MACHINE_TEXT: [&str; 15] = [
    "languages",
    "lexical",
    "itn",
    "maskeditn",
    "rawtext",
    "textraw",
    "language",
    "languagecode",
    "locale",
    "speakerlabel",
    "channellabel",
    "startoffset",
    "endoffset",
    "recognitionstatus",
    "uuid",
];

/// The surroundings of a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Context<'n> {
    /// The key of the value, or of the list in which it is; normalised.
    pub(super) key: String,
    /// The key as it is written.
    shown: &'n str,
    /// The label of the speaker of the values around it.
    pub(super) speaker: Option<Cow<'n, str>>,
    /// The time of the value around an alternative.
    time: Option<String>,
    /// The unit of bare times.
    pub(super) unit: Unit,
    /// Labels of speakers by the beginnings of words, for services that have them apart from the words.
    pub(super) labels: Option<Rc<HashMap<String, String>>>,
}

/// A walk over the values of a file.
pub(super) struct Walk<'p> {
    people: &'p People<'p>,
    /// Whether values such as summaries are read as any other.
    reads_asides: bool,
}

impl<'p> Walk<'p> {
    /// Creates a walk that reads summaries and the like as lines that no one said.
    pub(super) fn new(people: &'p People<'p>) -> Self {
        Self { people, reads_asides: false }
    }

    /// Reads summaries and the like as any other value.
    pub(super) fn with_asides(self) -> Self {
        Self { reads_asides: true, ..self }
    }

    /// Returns the parts of a file.
    pub(super) fn roots<'n>(&self, roots: Nodes<'_, 'n>) -> Vec<Part<'n>> {
        let context = Context { unit: unit_of(roots.clone()).unwrap_or_default(), ..Context::default() };
        joined(roots.map(|root| self.node(root, &context)))
    }

    /// Returns the parts of a value.
    fn node<'n>(&self, node: Node<'_, 'n>, context: &Context<'n>) -> Vec<Part<'n>> {
        if node.is_list() {
            self.list(node.items(), context)
        } else if node.is_map() {
            self.map(node, context)
        } else {
            note(node.field(context.shown), &context.key).into_iter().collect()
        }
    }

    /// Returns the parts of a list.
    fn list<'n>(&self, mut items: Nodes<'_, 'n>, context: &Context<'n>) -> Vec<Part<'n>> {
        if ALTERNATIVES.contains(&&*context.key) {
            return items.next().map(|first| self.node(first, context)).unwrap_or_default();
        }
        if let Some(turns) = pieces::join(&items, context, self.people) {
            return turns;
        }
        if let Some(rows) = self.dialogue(items.clone(), context) {
            return rows;
        }
        let context = Context { unit: unit_of(items.clone()).unwrap_or(context.unit), ..context.clone() };
        let parts = joined(items.map(|item| self.node(item, &context)));
        match &*context.key {
            "sentences" if context.speaker.is_some() => one_turn(parts),
            key if once::is_rendering(key) => once::prefer_named(parts),
            _ => parts,
        }
    }

    /// Returns the rows of a list of maps of one entry whose keys are speakers, as in `- Ana: I bake.`; `None` for any other
    /// list.
    fn dialogue<'n>(&self, items: Nodes<'_, 'n>, context: &Context<'n>) -> Option<Vec<Part<'n>>> {
        let entry = |item: Node<'_, 'n>| {
            let mut entries = item.entries();
            let (key, node) = entries.next().filter(|(_, node)| node.text().is_some())?;
            entries.next().is_none().then(|| (key, node.field("text")))
        };
        let entries: Vec<(&'n str, Field<'n>)> = items.map(entry).collect::<Option<_>>()?;
        let keys = entries.iter().map(|(key, _)| *key).filter(|key| speakers::can_be_label(key));
        let labels = speakers::accepted_labels(keys);
        let is_dialogue = entries.len() > 1 && entries.iter().all(|(key, _)| labels.contains(key));
        let row = |(key, words): (&'n str, Field<'n>)| {
            let name = Field { key: "speaker", text: key.into(), is_text: true, ..words.clone() };
            Part::Row(Row::new(vec![name, words], context.unit, self.people))
        };
        is_dialogue.then(|| entries.into_iter().map(row).collect())
    }

    /// Returns the parts of a map: a row with what is nested in it, or a container.
    fn map<'n>(&self, node: Node<'_, 'n>, context: &Context<'n>) -> Vec<Part<'n>> {
        if is_notice(node) {
            return Vec::new();
        }
        let mut row = self.row(fields(node), node, context);
        if row.text().is_none() && node.entries().any(|(_, node)| node.is_nested()) {
            return self.container(node, row.time, context);
        }
        let is_timed = row.time.as_ref().is_some_and(|time| !time.contains(['-', '/']));
        let mut fields = row.take_fields();
        fields.retain(|field| !is_for_machines(field, is_timed));
        let time = row.time.take();
        let mut row = self.row(fields, node, context);
        row.time = time;
        let label = row.label(self.people).filter(|_| row.is_named());
        let inner = Context { speaker: label, time: None, ..context.clone() };
        let has_speaker = row.names_speaker();
        let key = row.text().map(|field| normal(field.key)).unwrap_or_default();
        let mut groups = vec![Group { key, parts: vec![Part::Row(row)] }];
        for (key, node) in node.entries().filter(|(_, node)| node.is_nested()) {
            let normal = normal(key);
            let is_known = NEVER_READ.contains(&&*normal) || BESIDE_MESSAGES.contains(&&*normal);
            let is_again = has_speaker && matches!(&*normal, "words" | "tokens");
            if is_known || is_again || !fields_of(&normal, key, node).is_empty() {
                continue;
            }
            let context = Context { key: normal, shown: key, ..inner.clone() };
            let parts = self.beside(node, &context, is_timed);
            groups.push(Group { key: context.key, parts });
        }
        once::pick(groups)
    }

    /// Returns a row of fields within the values around it.
    fn row<'n>(&self, fields: Vec<Field<'n>>, node: Node<'_, 'n>, context: &Context<'n>) -> Row<'n> {
        let mut row = Row::new(fields, context.unit, self.people);
        row.time = row.time.take().or_else(|| times_of(node)).or_else(|| context.time.clone());
        row.around.clone_from(&context.speaker);
        row
    }

    /// Returns what is nested beside the words of a row: what the same speaker says, and texts.
    fn beside<'n>(&self, node: Node<'_, 'n>, context: &Context<'n>, is_timed: bool) -> Vec<Part<'n>> {
        let parts = self.node(node, context);
        if ASIDES.contains(&&*context.key) {
            return aside(parts);
        }
        let is_answer = |field: &Field<'_>| field.is_text && field.text.split_whitespace().nth(1).is_some();
        let kept = parts.into_iter().filter_map(|part| match part {
            Part::Row(row) => row.is_speech().then_some(Part::Row(row)),
            Part::Note(field) if is_answer(&field) => {
                let mut row = Row::new(vec![field], Unit::Seconds, self.people);
                row.around.clone_from(&context.speaker);
                Some(Part::Row(row))
            }
            Part::Note(field) => (field.is_text && !is_timed).then_some(Part::Note(field)),
        });
        kept.collect()
    }

    /// Returns the parts of a map without words; `time` is that of the map.
    fn container<'n>(
        &self,
        node: Node<'_, 'n>,
        time: Option<String>,
        context: &Context<'n>,
    ) -> Vec<Part<'n>> {
        let around = fields(node).into_iter().filter(|field| record::is_speaker_around(&normal(field.key)));
        let around = Row::new(around.collect(), context.unit, self.people);
        let label = around.label(self.people).filter(|_| around.is_named());
        let mut inner = Context { speaker: label.or_else(|| context.speaker.clone()), ..context.clone() };
        let labels = node.first(&["speakerlabels", "channellabels"]).map(labels_by_start);
        inner.labels = labels.filter(|labels| !labels.is_empty()).map(Rc::new).or(inner.labels);
        let mut groups = Vec::new();
        for (key, node) in node.entries() {
            let normal = normal(key);
            if node.is_nested() && NEVER_READ.contains(&&*normal) {
                continue;
            }
            let is_alternative = ALTERNATIVES.contains(&&*normal) || normal == "sentences";
            let time = time.clone().filter(|_| is_alternative);
            let context = Context { key: normal, shown: key, time, ..inner.clone() };
            let parts = self.node(node, &context);
            let is_aside = !self.reads_asides && ASIDES.contains(&&*context.key);
            let parts = if is_aside { aside(parts) } else { parts };
            groups.push(Group { key: context.key, parts });
        }
        once::pick(groups)
    }
}

/// Returns the fields of a map: its scalars, texts in parts, and the names of authors that are maps.
fn fields<'n>(node: Node<'_, 'n>) -> Vec<Field<'n>> {
    let mut fields = Vec::with_capacity(node.entries().count());
    for (key, value) in node.entries() {
        if value.is_nested() {
            fields.extend(fields_of(&normal(key), key, value));
        } else {
            fields.push(value.field(key));
        }
    }
    fields
}

/// Returns the fields that a nested value with a normalised key is read as; empty if it is nested for another reason.
fn fields_of<'n>(normal: &str, key: &'n str, value: Node<'_, 'n>) -> Vec<Field<'n>> {
    match normal {
        "content" | "parts" | "text" | "message" => {
            let text = parts_of(value).map(Cow::Owned);
            let field = text.map(|text| Field { key: "content", text, is_text: true, ..value.field(key) });
            field.into_iter().collect()
        }
        "author" | "user" | "sender" | "from" | "speaker" | "participant" => {
            let name = value.first(&["name", "displayname", "nickname", "realname", "username", "label"]);
            let name = name.filter(|name| !name.scalar().trim().is_empty()).map(|name| name.field("speaker"));
            name.into_iter().chain(value.first(&["role"]).map(|role| role.field("role"))).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns a text that is a list of its parts, as in `["Hi ", {"type": "link", "text": "x"}]`, or a map with one.
fn parts_of(node: Node<'_, '_>) -> Option<String> {
    if let Some(parts) = node.first(&["parts"]) {
        return parts_of(parts);
    }
    let parts: Vec<&str> = node.items().map(part_of).collect::<Option<_>>()?;
    let mut text = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let is_apart = text.ends_with(char::is_alphanumeric) && part.starts_with(char::is_alphanumeric);
        text.push_str(if is_apart { " " } else { "" });
        text.push_str(part);
    }
    (!text.trim().is_empty()).then_some(text)
}

/// Returns an item of a text in parts: a string, or the text of a small map with a type; `None` for any other value.
fn part_of<'n>(item: Node<'_, 'n>) -> Option<&'n str> {
    if let Some((text, _)) = item.text() {
        return Some(text);
    }
    let is_typed = || item.first(&["type"]).is_some_and(|kind| !record::is_side(kind.scalar()));
    let is_part = item.is_map() && item.entries().nth(3).is_none() && is_typed();
    is_part.then(|| item.first(&["text"]).map(Node::scalar).unwrap_or_default())
}

/// Returns the time of a map whose times are a list or a map: `{"timestamp": [0.0, 3.2]}`.
fn times_of(node: Node<'_, '_>) -> Option<String> {
    let times = node.first(&["timestamp", "timestamps", "starttime", "startoffset"])?;
    let start = times.items().next().or_else(|| times.first(&["from", "start", "seconds"]))?;
    clock::time_of("start", start.scalar(), Unit::Seconds)
}

/// Returns a field outside a row as a line, unless it is for machines.
fn note<'n>(field: Field<'n>, key: &str) -> Option<Part<'n>> {
    let is_number = !field.is_text || clock::time_of(key, &field.text, Unit::Seconds).is_some();
    let is_machine = (is_number && MACHINE.contains(&key)) || MACHINE_TEXT.contains(&key);
    (!is_machine).then_some(Part::Note(field))
}

/// Returns whether a field of a row is for machines. A row with a time is one of a service: it has no other numbers.
fn is_for_machines(field: &Field<'_>, is_timed: bool) -> bool {
    let key = normal(field.key);
    if MACHINE_ALWAYS.contains(&&*key) {
        return true;
    }
    if !is_timed || record::is_text_key(&key) || record::is_person_key(&key) {
        return false;
    }
    let is_id = key == "id" || (key == "type" && !record::is_side(&field.text));
    !field.is_text || is_id || MACHINE.contains(&&*key) || MACHINE_TEXT.contains(&&*key)
}

/// Returns what a value aside from the words adds: its texts as lines, and rows whose speakers are named.
fn aside(parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    let lines = |part| match part {
        Part::Note(field) => vec![Part::Note(field)],
        Part::Row(row) if row.text().is_some() && row.names_speaker() => vec![Part::Row(row)],
        Part::Row(row) if row.time.is_some() => Vec::new(),
        Part::Row(row) => row.fields.into_iter().map(Part::Note).collect(),
    };
    let is_kept = |part: &Part<'_>| matches!(part, Part::Row(_) | Part::Note(Field { is_text: true, .. }));
    parts.into_iter().flat_map(lines).filter(is_kept).collect()
}

/// Joins the sentences of one speaker to one turn.
fn one_turn(parts: Vec<Part<'_>>) -> Vec<Part<'_>> {
    let is_plain = |part: &Part<'_>| matches!(part, Part::Row(row) if row.text().is_some() && !row.names_speaker() && row.fields.len() == 1);
    if !parts.iter().all(is_plain) {
        return parts;
    }
    let mut rows = parts.into_iter().filter_map(|part| match part {
        Part::Row(row) => Some(row),
        Part::Note(_) => None,
    });
    let Some(mut first) = rows.next() else { return Vec::new() };
    let others: Vec<Row<'_>> = rows.collect();
    if let Some(words) = first.fields.first_mut() {
        let texts = others.iter().filter_map(Row::text).map(|field| field.text.trim());
        words.text = Cow::Owned(texts.fold(words.text.trim().to_owned(), |text, more| text + " " + more));
    }
    vec![Part::Row(first)]
}

/// Returns the labels of speakers by the beginnings of words, from a list apart from the words.
fn labels_by_start(node: Node<'_, '_>) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        let start = node.first(&["starttime", "from"]).map(Node::scalar);
        let label = node.first(&["speakerlabel", "speaker", "channellabel"]).map(Node::scalar);
        if let (Some(start), Some(label)) = (start, label.filter(|label| !label.is_empty())) {
            found.insert(start.to_owned(), label.to_owned());
        }
        open.extend(node.items());
        open.extend(node.entries().map(|(_, node)| node));
    }
    found
}

/// The most units for each word of rows whose times are seconds: a word takes less than half a second, in milliseconds
/// some hundred.
const UNITS_PER_WORD: u64 = 50;

/// Returns the unit of the times of a list of rows or words; `None` if it has no bare times.
pub(super) fn unit_of(items: Nodes<'_, '_>) -> Option<Unit> {
    let (mut span, mut words, mut ends) = (0_u64, 0_u64, Vec::new());
    for item in items {
        let Some(start) = item.first(&["start", "starttime", "startoffset"]).map(Node::scalar) else {
            continue;
        };
        let end = item.first(&["end", "endtime", "endoffset"]).map(Node::scalar).unwrap_or(start);
        if [start, end].iter().any(|time| time.contains('.')) {
            return Some(Unit::Seconds);
        }
        let (Ok(start), Ok(end)) = (start.parse::<u64>(), end.parse::<u64>()) else { continue };
        span = span.saturating_add(end.saturating_sub(start));
        ends.push(start);
        let text = item.first(&["text", "word", "transcript", "sentence", "content"]).map(Node::scalar);
        let count = text.unwrap_or_default().split_whitespace().count();
        words = words.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    if words == 0 {
        return None;
    }
    let whole = ends.iter().max()?.saturating_sub(*ends.iter().min()?);
    let span = if span > 0 { span } else { whole };
    Some(if span > words.saturating_mul(UNITS_PER_WORD) { Unit::Milliseconds } else { Unit::Seconds })
}
