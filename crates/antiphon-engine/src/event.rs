use serde::{Deserialize, Serialize};

use crate::status::Status;

/// The version of [`RunEvent`]'s JSON form.
pub const EVENT_SCHEMA: &str = "antiphon.event/1";

/// An event of a run: what every progress display is driven by. Events come in order and may come from any thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The provider is known.
    Connected {
        /// Which provider and model, and why, in one line.
        provider: String,
        /// Whether no one named it.
        by_default: bool,
        /// Whether answers come from text statistics and no language model.
        offline: bool,
    },
    /// The run is in the store: from here on it has an id.
    Started {
        /// The run's id.
        run_id: String,
        /// Whether an earlier process worked on it.
        resumed: bool,
    },
    /// Files are being read.
    Loading {
        /// Files that were read.
        done: u64,
        /// Files in all.
        total: u64,
    },
    /// All files were read.
    Loaded {
        /// Documents that can be used.
        documents: u64,
        /// Bytes of their text.
        bytes: u64,
        /// Files that could not be used, each with the reason.
        failures: Vec<String>,
        /// Files of other kinds.
        skipped: Vec<String>,
    },
    /// A step of the run begins.
    Step {
        /// Its number, from 1.
        step: u32,
        /// How many there are.
        steps: u32,
        /// A few words about it.
        message: String,
    },
    /// A job begins that is the whole run.
    JobStarted,
    /// A piece of an answer has arrived.
    Text {
        /// Its length in bytes.
        bytes: u64,
    },
    /// The counters of the run, a few times a second.
    Progress(Box<Status>),
    /// A job that is the whole run has ended.
    JobFinished {
        /// Whether it has a result.
        ok: bool,
        /// The cost of all its calls, in millionths of a US dollar; `None` if a price is not known.
        cost_usd_micros: Option<u64>,
    },
}
