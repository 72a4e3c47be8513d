use antiphon_llm::{FinishReason, Usage};

use super::fault::Fault;
use super::framing::Framing;

/// What has come of an answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// What the model said instead of an answer.
    pub(crate) refusal: String,
    /// Bytes of what the model has produced beside text and refusal: reasoning, calls of tools. Of what is encrypted or not
    /// shown, one for each part of which the vendor reports that it came.
    pub(crate) hidden_bytes: usize,
    /// Why it ended. Without one it has not, whatever the connection says.
    pub(crate) finish: Option<FinishReason>,
    pub(crate) usage: Usage,
    /// The model that serves it, and the vendor's name for it, where the answer itself tells.
    pub(crate) model: Option<String>,
    pub(crate) id: Option<String>,
    /// It costs nothing, whatever was counted.
    pub(crate) is_free: bool,
    /// Nothing more is to come.
    pub(crate) is_over: bool,
}

/// How a vendor tells an answer, piece by piece. It does no I/O and reads no clock.
pub(crate) trait Decode: Send + Unpin + 'static {
    /// How the pieces are told apart.
    const FRAMING: Framing;

    /// Takes one piece: an event's type, if it has one, and its data. An answer that comes all at once is one piece.
    ///
    /// What it does not know it passes over.
    fn take(&mut self, event: &str, data: &str, answer: &mut Answer) -> Result<(), Fault>;

    /// No further piece comes.
    fn finish(&mut self, _: &mut Answer) -> Result<(), Fault> {
        Ok(())
    }
}

impl Answer {
    /// Records the vendor's names for the answer and for the model that serves it; the first of each is kept.
    pub(crate) fn identify(&mut self, id: Option<&str>, model: Option<&str>) {
        for (known, said) in [(&mut self.id, id), (&mut self.model, model)] {
            if known.is_none() {
                *known = said.filter(|said| !said.is_empty()).map(str::to_owned);
            }
        }
    }
}
