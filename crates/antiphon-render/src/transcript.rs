//! Transcripts of the cited documents, for the page.
//!
//! Citations are byte ranges of the documents' texts. Ranges that overlap are joined into one mark, since HTML elements
//! cannot overlap, and each mark has an anchor: `t0-1` is the second mark of the first document. Documents are numbered
//! in the order of their names.
//!
//! A page with whole transcripts of hundreds of documents would be too large for a browser. Above a limit, only the
//! turns around citations are shown, with gaps between them.

use std::collections::BTreeMap;
use std::ops::Range;

use antiphon_data::{Document, SpeakerRole, Turn};
use serde::Serialize;

/// Maximum bytes of the cited documents for full transcripts; beyond it only the turns around citations are shown.
const WHOLE: usize = 512 << 10;
/// Number of turns to show on each side of a cited one.
const AROUND: usize = 2;

/// The transcript of one document.
#[derive(Debug, Serialize)]
pub(crate) struct Transcript {
    /// The id of its element: `t` and the document's number.
    pub(crate) id: String,
    /// The document's name.
    pub(crate) name: String,
    /// The turns and gaps in order.
    pub(crate) rows: Vec<Row>,
}

/// A turn, or a gap of turns that are left out. `asks` is whether the speaker is the interviewer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Row {
    Turn { speaker: String, time: Option<String>, asks: bool, line: u32, pieces: Vec<Piece> },
    Gap { left_out: usize },
}

/// A piece of text, marked if it is cited.
#[derive(Debug, Serialize)]
pub(crate) struct Piece {
    /// The text, with wrapped lines joined.
    pub(crate) text: String,
    /// The anchor of the citation, if it is one.
    pub(crate) mark: Option<String>,
}

/// The citations in all documents, each with an anchor.
#[derive(Debug, Default)]
pub(crate) struct Citations {
    /// The ranges by the document's name; sorted and without overlaps after [`settle`](Self::settle).
    spans: BTreeMap<String, Vec<Range<usize>>>,
}

impl Citations {
    /// Adds a citation: a byte range of the document's text.
    pub(crate) fn add(&mut self, document: &str, span: Range<usize>) {
        self.spans.entry(document.to_owned()).or_default().push(span);
    }

    /// Joins citations that overlap, so that each byte is marked once.
    pub(crate) fn settle(&mut self) {
        for spans in self.spans.values_mut() {
            spans.sort_by_key(|span| (span.start, span.end));
            let mut joined: Vec<Range<usize>> = Vec::with_capacity(spans.len());
            for span in spans.drain(..) {
                match joined.last_mut() {
                    Some(last) if span.start < last.end => last.end = last.end.max(span.end),
                    _ => joined.push(span),
                }
            }
            *spans = joined;
        }
    }

    /// Returns the anchor of a citation. Call [`settle`](Self::settle) first. A citation that was not added has the
    /// anchor of the first mark.
    pub(crate) fn anchor(&self, document: &str, start: usize) -> String {
        let number = self.spans.keys().position(|name| name == document).unwrap_or(0);
        let spans = self.spans.get(document).map_or(&[][..], Vec::as_slice);
        // The spans are in order and do not overlap.
        let mark = spans.partition_point(|span| span.end <= start);
        let is_marked = spans.get(mark).is_some_and(|span| span.contains(&start));
        anchor(number, if is_marked { mark } else { 0 })
    }

    /// Returns the transcripts of the cited documents; a document that is not in `documents` has none.
    pub(crate) fn transcripts(&self, documents: &[Document]) -> Vec<Transcript> {
        let by_name: BTreeMap<&str, &Document> =
            documents.iter().map(|document| (document.name.as_str(), document)).collect();
        let cited = self.spans.iter().enumerate().filter_map(|(number, (name, spans))| {
            by_name.get(name.as_str()).map(|document| (number, *document, spans.as_slice()))
        });
        let size: usize = cited.clone().map(|(_, document, _)| document.text.len()).sum();
        let whole = size <= WHOLE;
        cited
            .map(|(number, document, spans)| Transcript {
                id: format!("t{number}"),
                name: document.name.clone(),
                rows: rows(number, document, spans, whole),
            })
            .collect()
    }
}

/// Returns the anchor of a mark in a document, by their numbers.
fn anchor(document: usize, mark: usize) -> String {
    format!("t{document}-{mark}")
}

/// Returns the rows of a document: all turns if the documents are small enough (`whole`), otherwise the turns around
/// citations.
fn rows(number: usize, document: &Document, spans: &[Range<usize>], whole: bool) -> Vec<Row> {
    let near = if whole { Vec::new() } else { near_citations(&document.turns, spans) };
    let mut rows = Vec::new();
    let mut left_out = 0;
    for (index, turn) in document.turns.iter().enumerate() {
        if !whole && near.get(index) != Some(&true) {
            left_out += 1;
            continue;
        }
        rows.extend(gap(&mut left_out));
        rows.push(turn_row(number, document, turn, spans));
    }
    rows.extend(gap(&mut left_out));
    rows
}

/// Returns whether each turn is cited, or is at most [`AROUND`] turns from a cited one. Takes time in proportion to the turns.
fn near_citations(turns: &[Turn], spans: &[Range<usize>]) -> Vec<bool> {
    let mut near = vec![false; turns.len()];
    for (index, turn) in turns.iter().enumerate() {
        if !cited_in(turn, spans).is_empty() {
            let to = (index + AROUND + 1).min(turns.len());
            near[index.saturating_sub(AROUND)..to].fill(true);
        }
    }
    near
}

/// Returns the indices of the citations that overlap a turn. The citations are in order and do not overlap each other.
fn cited_in(turn: &Turn, spans: &[Range<usize>]) -> Range<usize> {
    let from = spans.partition_point(|span| span.end <= turn.span.start);
    let to = from + spans[from..].partition_point(|span| span.start < turn.span.end);
    from..to
}

/// Returns the row for the turns that were left out since the last row, and resets their number; `None` if there are
/// none.
fn gap(left_out: &mut usize) -> Option<Row> {
    let left_out = std::mem::take(left_out);
    (left_out > 0).then_some(Row::Gap { left_out })
}

/// Returns the row of a turn.
fn turn_row(number: usize, document: &Document, turn: &Turn, spans: &[Range<usize>]) -> Row {
    Row::Turn {
        speaker: turn.speaker.to_string(),
        time: turn.time.as_ref().map(ToString::to_string),
        asks: turn.role == SpeakerRole::Interviewer,
        line: document.line_at(turn.span.start),
        pieces: pieces(number, document, turn, spans),
    }
}

/// Splits a turn at the citations in it. A citation that extends over several turns is marked in each of them, with one
/// anchor.
fn pieces(number: usize, document: &Document, turn: &Turn, spans: &[Range<usize>]) -> Vec<Piece> {
    let piece = |span: Range<usize>, mark: Option<String>| {
        let text = document.text.get(span).filter(|text| !text.is_empty())?;
        Some(Piece { text: unwrapped(text), mark })
    };
    let mut pieces = Vec::new();
    let mut at = turn.span.start;
    for index in cited_in(turn, spans) {
        let span = &spans[index];
        let (start, end) = (span.start.max(at), span.end.min(turn.span.end));
        if start < end {
            pieces.extend(piece(at..start, None));
            pieces.extend(piece(start..end, Some(anchor(number, index))));
            at = end;
        }
    }
    pieces.extend(piece(at..turn.span.end, None));
    pieces
}

/// Joins wrapped lines: only an empty line begins another paragraph.
fn unwrapped(text: &str) -> String {
    let paragraphs: Vec<String> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    use antiphon_data::Document;

    use super::{Citations, Row};

    #[test]
    fn overlapping_citations_share_a_mark_and_an_anchor() {
        let document = Document::parse("a.txt", b"P1: one two three four\n").unwrap();
        let mut citations = Citations::default();
        [4..11, 8..17, 18..22].into_iter().for_each(|span| citations.add("a.txt", span));
        citations.settle();
        assert_eq!([4, 8, 18].map(|at| citations.anchor("a.txt", at)), ["t0-0", "t0-0", "t0-1"]);
        let transcripts = citations.transcripts(&[document]);
        let Row::Turn { pieces, .. } = &transcripts[0].rows[0] else { panic!("a turn") };
        let pieces: Vec<_> =
            pieces.iter().map(|piece| (piece.text.as_str(), piece.mark.as_deref())).collect();
        assert_eq!(pieces, [("one two three", Some("t0-0")), (" ", None), ("four", Some("t0-1"))]);
    }

    #[test]
    fn large_documents_show_only_turns_around_citations() {
        let text: String = (0..20_000).map(|n| format!("P1: this is turn number {n} of many\n")).collect();
        let document = Document::parse("a.txt", text.as_bytes()).unwrap();
        let mut citations = Citations::default();
        citations.add("a.txt", document.turns[100].span.clone());
        citations.settle();
        let rows = &citations.transcripts(&[document])[0].rows;
        assert_eq!(rows.len(), 7);
        assert!(
            matches!(rows[0], Row::Gap { left_out: 98 }) && matches!(rows[6], Row::Gap { left_out: 19_897 })
        );
    }
}
