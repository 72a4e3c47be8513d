use antiphon_data::{Failure, Skipped};
use antiphon_llm::Usage;

/// Something that happened to a run, for those who watch it. Events come in order and may come from any thread.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Files are being read.
    Loading {
        /// Files done.
        done: usize,
        /// Files in all.
        total: usize,
    },
    /// All files are read.
    Loaded {
        /// Documents that can be used.
        documents: usize,
        /// Bytes of their text.
        bytes: usize,
        /// Files that could not be used.
        failures: Vec<Failure>,
        /// Files of other kinds.
        skipped: Vec<Skipped>,
    },
    /// A job begins: a call of the provider, or two if it has to be asked again.
    JobStarted,
    /// A piece of the answer has come.
    Words {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A job has ended, well or not.
    JobFinished {
        /// Whether there is a result.
        ok: bool,
        /// Tokens of all its calls, as far as they were told.
        usage: Usage,
        /// What they cost, in millionths of a US dollar; `None` if that is not known.
        cost_usd_micros: Option<u64>,
    },
}
