//! The contract between a vendor's decoder and the reader: a decoder takes pieces and fills in an [`Answer`].
//!
//! The decoder is pure data in, data out. Everything that depends on time, on the connection or on the caller
//! (deltas, time-outs, billing, cancellation) is the reader's, so that a new vendor's decoder is tested with
//! plain strings.

use antiphon_llm::{FinishReason, Usage};

use super::ending::{Ending, ending};
use super::fault::Fault;
use super::framing::Framing;

/// The answer as far as it has been received.
///
/// `text` only grows while pieces arrive: a decoder appends to texts and counts, and replaces `usage` by a
/// newer total. The reader derives the deltas from the growth of `text`.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The text of the answer, without reasoning that the vendor sends apart; the reader takes tagged reasoning out of it.
    pub(crate) text: String,
    /// The model's reasoning, where the vendor sends it apart.
    pub(crate) reasoning: String,
    /// The model's refusal, if it declined to answer.
    pub(crate) refusal: String,
    /// Bytes of the model's output beside text and refusal: reasoning, tool calls. Output that is encrypted or not shown counts
    /// as one byte for each part that the vendor reports.
    pub(crate) hidden_bytes: usize,
    /// The reason why the answer ended. Without one it is incomplete, even if the connection was closed.
    pub(crate) finish: Option<FinishReason>,
    /// The vendor's own word for that reason.
    pub(crate) raw_finish: Option<String>,
    /// The vendor's explanations of the end, such as the categories of a filter.
    pub(crate) details: Vec<String>,
    /// The name of the first tool that the model called; empty where it has none.
    pub(crate) tool: Option<String>,
    /// The token counts of the whole answer so far, as the vendor last reported them.
    pub(crate) usage: Usage,
    /// The model that served the answer, where the answer itself reports it.
    pub(crate) model: Option<String>,
    /// The vendor's identifier of the answer, where the answer itself reports it.
    pub(crate) id: Option<String>,
    /// Whether the answer costs nothing, even if tokens were counted.
    pub(crate) is_free: bool,
    /// Whether output has arrived in pieces: a whole message behind them repeats it.
    #[cfg(feature = "_chat")]
    pub(crate) is_in_pieces: bool,
    /// Whether the output has stand-ins for halves of characters, which the reader joins.
    pub(crate) has_halves: bool,
    /// Whether the server itself closed the answer (`[DONE]`), so that its token counts are final.
    pub(crate) is_closed: bool,
    /// Whether the answer is finished: no further piece follows.
    pub(crate) is_over: bool,
}

/// A decoder of a vendor's answer format, fed piece by piece. It does no I/O and reads no clock.
///
/// One decoder decodes one answer. The order of the calls is `take` for each piece, in the order of the body,
/// and then `finish`, unless the answer ends before: by [`Answer::is_over`], an error or a time-out.
pub(crate) trait Decode: Send + Unpin + 'static {
    /// The framing that separates the pieces.
    const FRAMING: Framing;

    /// Decodes one piece: an event's type, if it has one, and its data. An answer that is not streamed is one piece.
    ///
    /// Unknown events and fields are ignored.
    ///
    /// # Errors
    /// The error that the piece contains, with the vendor's kind; `InvalidResponse` for a piece that is not in
    /// the vendor's format. With [`Framing::Lines`] the reader reports `InvalidResponse` only when another line
    /// follows, since the last line of a broken connection is often incomplete.
    fn take(&mut self, event: &str, data: &str, answer: &mut Answer) -> Result<(), Fault>;

    /// Ends the decoding: no further piece follows.
    ///
    /// The default accepts any end: whether the answer is complete is decided by [`Answer::finish`].
    ///
    /// # Errors
    /// The error of an answer that cannot end here.
    fn finish(&mut self, _: &mut Answer) -> Result<(), Fault> {
        Ok(())
    }
}

impl Answer {
    /// Records the end of the answer by the vendor's word for it, whatever its spelling; a word that says nothing is no end.
    pub(crate) fn ends(&mut self, word: &str) {
        // A word of megabytes is none.
        let word = &word[..word.floor_char_boundary(200)];
        match ending(word) {
            Ending::None => {}
            Ending::Finish(finish, detail) => {
                self.ends_as(finish, word);
                self.explain(detail.unwrap_or_default().to_owned());
            }
            Ending::Tool => {
                self.ends_as(FinishReason::Unknown(word.to_owned()), word);
                self.calls_tool(None);
            }
            Ending::Refusal => {
                self.refuses("");
                self.raw_finish.get_or_insert_with(|| word.to_owned());
            }
        }
    }

    /// Records the end of the answer, with the vendor's word for it.
    ///
    /// A natural end does not replace another one: some servers repeat the end in another form.
    pub(crate) fn ends_as(&mut self, finish: FinishReason, word: &str) {
        let is_known = self.finish.as_ref().is_some_and(|before| *before != FinishReason::Stop);
        if is_known && finish == FinishReason::Stop {
            return;
        }
        self.finish = Some(finish);
        self.raw_finish = Some(word.to_owned()).filter(|word| !word.is_empty());
    }

    /// Records that the model declined to answer, with its explanation if there is one.
    pub(crate) fn refuses(&mut self, why: &str) {
        self.finish.get_or_insert(FinishReason::Stop);
        match why {
            "" if self.refusal.is_empty() => "no reason was reported".clone_into(&mut self.refusal),
            "" => {}
            why => why.clone_into(&mut self.refusal),
        }
    }

    /// Adds an explanation of the end, once; a server may send a new one with each piece, of which the first are kept.
    pub(crate) fn explain(&mut self, detail: String) {
        const MOST: usize = 8;
        if !detail.is_empty() && self.details.len() < MOST && !self.details.contains(&detail) {
            self.details.push(detail);
        }
    }

    /// Records that the model called a tool; the first name is kept.
    pub(crate) fn calls_tool(&mut self, name: Option<&str>) {
        let tool = self.tool.get_or_insert_default();
        if tool.is_empty() {
            name.unwrap_or_default().clone_into(tool);
        }
    }

    /// Adds a whole message to an answer of which pieces may have arrived: each of its texts only as far as it is new, so that
    /// nothing is doubled and nothing is lost.
    ///
    /// Servers repeat the answer in a message at its end, or send the message so far in each event. Texts that differ are pieces,
    /// unless there are real ones.
    #[cfg(feature = "_chat")]
    pub(crate) fn completes(&mut self, whole: &Self) {
        let (is_in_pieces, before) = (self.is_in_pieces, self.reasoning.len());
        // Reasoning between tags is in the text of the pieces.
        if !self.text.contains(whole.reasoning.trim()) {
            complete(&mut self.reasoning, &whole.reasoning, is_in_pieces);
        }
        complete(&mut self.text, &whole.text, is_in_pieces);
        complete(&mut self.refusal, &whole.refusal, is_in_pieces);
        // A message so far has the reasoning of the earlier ones.
        self.hidden_bytes = (self.hidden_bytes + self.reasoning.len() - before).max(whole.hidden_bytes);
        if let Some(tool) = &whole.tool {
            self.calls_tool(Some(tool));
        }
    }

    /// Records the vendor's names for the answer and for the model that serves it; the first non-empty one of each is kept.
    ///
    /// Servers repeat both in each piece, and some send an empty text where they have none.
    pub(crate) fn identify(&mut self, id: Option<&str>, model: Option<&str>) {
        for (known, said) in [(&mut self.id, id), (&mut self.model, model)] {
            if known.is_none() {
                *known = said.filter(|said| !said.is_empty()).map(str::to_owned);
            }
        }
    }
}

/// Adds what a whole text has beyond the known one.
#[cfg(feature = "_chat")]
fn complete(known: &mut String, whole: &str, is_in_pieces: bool) {
    match whole.strip_prefix(known.as_str()) {
        Some(rest) => known.push_str(rest),
        None if is_in_pieces => {}
        None => known.push_str(whole),
    }
}

/// Returns whether a status is that of an answer: gateways send 201, 202 and 203 for 200, and 206 for a whole body, of which no
/// range was requested.
pub(super) fn is_answer(status: u16, is_range: bool) -> bool {
    matches!(status, 200..=203) || (status == 206 && !is_range)
}
