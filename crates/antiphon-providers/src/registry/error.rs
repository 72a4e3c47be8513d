use std::fmt;

use antiphon_llm::Error;

/// The reason why a provider could not be constructed. Its messages never contain a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The kind is not compiled in.
    NotBuilt {
        /// The cargo feature that compiles it in, which has the kind's name.
        feature: &'static str,
    },
    /// The key is missing.
    MissingKey {
        /// The environment variables in which the caller looked up the key.
        variables: Vec<String>,
    },
    /// An option is set that this kind does not support, so that it would have no effect.
    UnusedOption {
        /// The provider's name.
        provider: String,
        /// The kind's name.
        kind: &'static str,
        /// The option's name in configuration.
        option: &'static str,
    },
    /// An option is missing or has an invalid value.
    Invalid(Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt { feature } => {
                write!(f, "this build has no provider {feature}: its cargo feature {feature} is off")
            }
            Self::MissingKey { variables } if variables.is_empty() => f.write_str("the key is missing"),
            Self::MissingKey { variables } => {
                write!(f, "the environment variable {} is not set", variables.join(" or "))
            }
            Self::UnusedOption { provider, kind, option } => {
                write!(f, "the provider {provider} is of the kind {kind} and has no {option}")
            }
            Self::Invalid(err) => err.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Invalid(err) => std::error::Error::source(err),
            Self::NotBuilt { .. } | Self::MissingKey { .. } | Self::UnusedOption { .. } => None,
        }
    }
}

impl From<Error> for BuildError {
    fn from(err: Error) -> Self {
        Self::Invalid(err)
    }
}
