//! The origins of values: so that a message names the place to change, and a rule can depend on who set a value.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::config_file::ConfigFile;
use crate::entry::ProviderEntry;
use crate::error::ConfigError;

/// A value and its origin.
///
/// The origin is kept for messages, so that a user finds the place to change, and for precedence: a value of a flag is an explicit
/// wish, which a default of the configuration is not.
///
/// ```
/// use antiphon_connect::{Environment, Flags, Origin, resolve};
///
/// let environment = Environment::from_iter([("ANTIPHON_WORKERS", "8")]);
/// let settings = resolve(&Flags::default(), &environment, &[])?;
/// let most = settings.max_concurrency.ok_or("no concurrency limit")?;
/// assert_eq!((most.value, most.origin.to_string().as_str()), (8, "environment variable ANTIPHON_WORKERS"));
/// assert_eq!(settings.out.origin, Origin::Default);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The origin of the value.
    pub origin: Origin,
}

/// The origin of a value, from the highest precedence to the lowest. `Display` writes it for messages, such as
/// `antiphon.toml:3`. Serialised, it is an object with `from` (`flag`, `environment`, `file` or `default`), `name` and `line`, of
/// which the last two may be `null`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A flag of the command line, by its name.
    Flag(&'static str),
    /// An environment variable, by its name.
    Environment(String),
    /// A configuration file.
    File {
        /// The path of the file.
        path: String,
        /// The line of the setting, from 1.
        line: usize,
    },
    /// The default: no one set the value.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Origin {
    /// Returns the origin of a variable.
    pub(crate) fn of_variable(name: &str) -> Self {
        Self::Environment(name.to_owned())
    }

    /// Creates the error of a mistake at this place, which the message begins with.
    pub(crate) fn error(&self, message: impl fmt::Display) -> ConfigError {
        ConfigError::new(message.to_string()).at(self)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (from, name, line) = match self {
            Self::Flag(name) => ("flag", Some(*name), None),
            Self::Environment(name) => ("environment", Some(name.as_str()), None),
            Self::File { path, line } => ("file", Some(path.as_str()), Some(*line)),
            Self::Default => ("default", None, None),
        };
        let mut fields = serializer.serialize_struct("Origin", 3)?;
        fields.serialize_field("from", from)?;
        fields.serialize_field("name", &name)?;
        fields.serialize_field("line", &line)?;
        fields.end()
    }
}

impl<T> Sourced<T> {
    /// Creates a value with its origin.
    pub(crate) fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

/// Returns the first value that a file has, with the line of its key as its origin. Files are sorted from the nearest to the
/// farthest.
pub(crate) fn in_files<T>(
    files: &[ConfigFile],
    key: &[&str],
    value: impl Fn(&ConfigFile) -> Option<T>,
) -> Option<Sourced<T>> {
    files.iter().find_map(|file| Some(Sourced::new(value(file)?, file.origin(key))))
}

/// Returns the first value that the entry of a provider has in a file, with its origin.
pub(crate) fn in_entries<T>(
    files: &[ConfigFile],
    name: &str,
    field: &str,
    value: impl Fn(&ProviderEntry) -> Option<T>,
) -> Option<Sourced<T>> {
    in_files(files, &["providers", name, field], |file| value(file.content.providers.get(name)?))
}
