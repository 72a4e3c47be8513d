//! Advice about errors and stops, as data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Advice about an error or a stop, as data that a front end phrases for its users.
///
/// A hint names an action and its subject, and no flag or button, since these differ between front ends. In JSON,
/// `advice` is the name of the hint, and the other fields are its subject:
///
/// ```json
/// { "advice": "similar_models", "models": ["gpt-4.1-mini", "gpt-4.1"] }
/// ```
///
/// New variants may be added: a front end should ignore advice that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "advice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Hint {
    /// Check the key and its permissions.
    CheckKey,
    /// Set the environment variable for the key.
    SetVariable {
        /// The variable's name.
        name: String,
    },
    /// Check the account's billing: it has no credit or quota left.
    CheckBilling,
    /// Name a model that the server has.
    NameModel,
    /// Name one of the provider's models with a similar name.
    SimilarModels {
        /// The models, the most similar first.
        models: Vec<String>,
    },
    /// Name a provider: no local engine answers.
    NameProvider,
    /// Try the simulated vendor.
    TrySimulator,
    /// Draft personas or sites offline, which needs no key and no network.
    TryOffline,
    /// Check whether the server is running, and its address.
    CheckServer,
    /// Check whether the address is that of this provider's API.
    CheckAddress,
    /// Run the doctor, to see which providers answer.
    RunDoctor,
    /// Change the parameters that the provider does not accept.
    ChangeParameters,
    /// Allow more time with a later deadline.
    RaiseDeadline,
    /// Raise the limit of open files (each connection is one), or lower the concurrency.
    RaiseOpenFiles,
    /// Allow more time for one answer.
    RaiseCallTimeout,
    /// Allow more time between tokens.
    RaiseTokenTimeout,
    /// Allow longer answers, or ask for fewer personas.
    AllowLongerAnswers,
    /// Replace the existing file, or name another one.
    Overwrite,
    /// Start a fresh run with the changed input, since the earlier one cannot be resumed with it.
    StartFresh,
    /// Make the same request again.
    RunAgain,
    /// Make the same request again later, for example when the rate limit has reset.
    RunAgainLater,
    /// Use a larger model or a smaller task, for which the schema is easier to satisfy.
    UseLargerModel,
    /// Raise the model's context size, or use less input.
    RaiseContext,
    /// Wait, or use another provider: this one fails so often that its circuit breaker is open.
    ProviderFailing,
    /// Raise the budget: the same request then resumes.
    RaiseMaxCost,
    /// Set the budget of the run.
    SetMaxCost,
    /// Make the same request again: it resumes with the rows that are left.
    Resumes,
    /// Fix the cause, which is outside this program; then the same request resumes.
    ResumesWhenFixed,
    /// Make the same request again: it starts a new run, since this one was cancelled.
    StartAgain,
    /// Resume the run: no row has failed, so there is nothing to retry.
    ResumeRun {
        /// The run's id.
        run: String,
        /// The folder of runs that it is in.
        #[serde(default)]
        folder: PathBuf,
    },
    /// Name the speakers who ask, or those who answer: the documents do not show the sides.
    NameSpeakers,
    /// Name the encoding of the files, which are not UTF-8.
    NameEncoding {
        /// The encoding that they probably have.
        probably: Option<String>,
    },
    /// Allow this program to write into a folder.
    AllowWriting {
        /// The folder.
        folder: PathBuf,
    },
    /// Use a similar name that exists.
    DidYouMean {
        /// The name.
        name: String,
    },
    /// A file that could not be used, and why.
    Unread {
        /// The file with the reason.
        failure: String,
    },
    /// Name a folder or a file that can be written.
    NamePlace,
    /// Fetch the document first: the input is an address, and runs read files.
    FetchFirst,
    /// Allow plain HTTP and addresses of this machine.
    AllowLocal,
    /// The subject of the error, such as an experiment.
    About {
        /// The subject's name.
        what: String,
    },
    /// List the experiments.
    ListExperiments,
    /// Add data to an experiment.
    AddData {
        /// The experiment's name.
        experiment: String,
    },
    /// Repeat the whole command with its input, since the rows are not in the store.
    GiveCommandAgain,
    /// See the partial results in the run's folder.
    SeeFolder {
        /// The folder.
        folder: PathBuf,
    },
}
