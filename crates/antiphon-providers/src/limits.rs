//! The limits on the bytes that a server can make this process read and keep.
//!
//! All of them count bytes after decompression. Those of an answer follow from its prompt: see [`AnswerLimits`]. A body that is
//! larger than its limit is no longer read, and its connection is closed.
//!
//! | bytes | limit | beyond it |
//! |---|---|---|
//! | text, reasoning, arguments of tools | [`AnswerLimits`] | the answer ends as one that was cut, with what has arrived |
//! | one event or line of a stream; an answer that is not streamed | [`AnswerLimits::piece`] | the answer ends as one that was cut, with the text before it, or `InvalidResponse` where there is none; of an answer that is not streamed, the text up to there is kept |
//! | a stream without output: keep-alives, comments, empty events | [`AnswerLimits::silent`] | the same |
//! | the body of an error | [`MAX_ERROR`] | the beginning is read; a message has at most 300 characters of it |
//! | a list of models, properties, metrics and other small bodies | [`MAX_LIST`] for each page, [`MAX_PAGES`] | an error |
//! | embeddings | [`embeddings`] | an error |
//! | a line of a download's progress | [`MAX_PROGRESS`] | an error |
//! | headers of a response | those of hyper: 100 headers and about 400 KiB with HTTP/1.1, 16 KiB with HTTP/2 | an error |
//!
//! [`AnswerLimits`]: antiphon_llm::AnswerLimits
//! [`AnswerLimits::piece`]: antiphon_llm::AnswerLimits::piece
//! [`AnswerLimits::silent`]: antiphon_llm::AnswerLimits::silent

/// The maximum size in bytes of the body of an error that is read.
pub const MAX_ERROR: usize = 1 << 20;

/// The maximum size in bytes of a page of a list of models, and of the other bodies that describe a server: its properties, its
/// metrics, the details of a model. The longest list in use, that of OpenRouter, has less than 1 MiB.
pub const MAX_LIST: usize = 4 << 20;

/// The maximum number of pages of a list of models. A page has up to 1,000 models.
pub const MAX_PAGES: usize = 100;

/// The maximum size in bytes of a line that reports the progress of a download.
pub const MAX_PROGRESS: usize = 64 << 10;

/// The maximum number of dimensions of an embedding: the longest in use has 12,288.
pub const MAX_DIMENSIONS: usize = 16_384;

/// The bytes of one dimension: a number with all its digits, a sign, an exponent and a comma.
const DIMENSION_BYTES: usize = 32;

/// The maximum size in bytes of the embeddings of one call, whatever the number of its texts is.
const MAX_EMBEDDINGS: usize = 256 << 20;

/// Checks embeddings: all have the same length, of at most [`MAX_DIMENSIONS`], and every number is finite.
///
/// # Errors
/// The reason why they cannot be used.
#[cfg(any(feature = "_chat", feature = "gemini", feature = "ollama"))]
pub(crate) fn check_embeddings(vectors: &[Vec<f32>]) -> Result<(), String> {
    let length = vectors.first().map_or(0, Vec::len);
    if length > MAX_DIMENSIONS {
        return Err(format!("{length} dimensions, which are more than {MAX_DIMENSIONS}"));
    }
    if vectors.iter().any(|vector| vector.len() != length) {
        return Err("vectors of different lengths".to_owned());
    }
    let is_finite = vectors.iter().flatten().all(|number| number.is_finite());
    if is_finite { Ok(()) } else { Err("a number that is not finite".to_owned()) }
}

/// Returns the maximum size in bytes of the body with the embeddings of so many texts.
///
/// ```
/// use antiphon_providers::limits;
/// assert_eq!(limits::embeddings(1), (1 << 20) + 16_384 * 32);
/// assert_eq!(limits::embeddings(1_000_000), 256 << 20);
/// ```
#[must_use]
pub fn embeddings(texts: usize) -> usize {
    texts.saturating_mul(MAX_DIMENSIONS * DIMENSION_BYTES).saturating_add(1 << 20).min(MAX_EMBEDDINGS)
}
