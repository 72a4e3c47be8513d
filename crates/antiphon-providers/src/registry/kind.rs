//! Kinds of providers: each is a static description, which a vendor's folder has and the table lists.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use antiphon_llm::{Error, ErrorKind, SamplingParams};
use serde::{Deserialize, Deserializer, de};

use super::built::Built;
use super::entry::RegistryEntry;
use super::error::BuildError;
use super::options::{COMMON, Options, SPECIAL};
use super::pull::{ModelPull, PullProgress};
use super::server::LocalServer;
use super::table::kinds;

/// A kind of provider: a vendor's wire format, as data and a constructor.
///
/// Kinds are static: [`kinds`](super::kinds) lists them, and [`find`](Self::find) looks one up by its name. A program that knows
/// its vendor at compile time uses the provider's type, such as `Ollama`, instead.
///
/// ```
/// use antiphon_providers::registry::{BuildError, Kind, Options};
///
/// let ollama = Kind::find("ollama").ok_or("unknown")?;
/// assert_eq!(ollama.routes, ["chat", "generate"]);
/// match ollama.build(&Options::new("ollama").base_url("box:11434")) {
///     Ok(built) => assert_eq!(built.provider.scope().base_url.as_deref(), Some("http://box:11434")),
///     Err(BuildError::NotBuilt { feature }) => assert_eq!(feature, "ollama"),
///     Err(err) => return Err(err.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Kind {
    /// The name in configuration, which is also that of its cargo feature.
    pub name: &'static str,
    /// One line for help texts.
    pub help: &'static str,
    /// The environment variables in which the key is looked up, in this order; empty if no key is needed.
    pub key_env: &'static [&'static str],
    /// The environment variable for the address.
    pub base_url_env: Option<Variable>,
    /// The default address; `None` if the caller must name one, or if none is needed.
    pub base_url: Option<&'static str>,
    /// The default model, for a caller that names none; `None` if the kind has none. Then a vendor's description may set one, or
    /// the first model of a server that lists only usable ones is taken.
    pub default_model: Option<&'static str>,
    /// The routes of the API to choose from, such as `chat` and `responses`; the first is the default. Empty if there is no
    /// choice.
    pub routes: &'static [&'static str],
    /// The options that the kind supports in addition to those of all kinds, by the names of their fields in [`Options`].
    pub options: &'static [&'static str],
    /// The engines that speak this format and that users run themselves; empty for a cloud.
    pub servers: &'static [LocalServer],
    /// The vendor's name in the table of prices, if it is one vendor's.
    pub price_vendor: Option<&'static str>,
    /// Whether the provider calls no server and no model.
    pub is_offline: bool,
    /// The server's support for pulling (downloading) models, if it has any.
    pub pull: Option<ModelPull>,
    /// The shipped vendors of this kind.
    pub(crate) vendors: Option<fn() -> Vec<RegistryEntry>>,
    /// The constructor; `None`: not compiled in.
    pub(crate) build: Option<Build>,
}

/// A constructor: options in, a provider out.
type Build = fn(&Kind, &Options) -> Result<Built, BuildError>;

/// An environment variable and its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// The variable's name.
    pub name: &'static str,
    /// One line for help texts.
    pub help: &'static str,
}

impl Kind {
    /// An empty kind, from which descriptions are built.
    pub(crate) const EMPTY: Self = Self {
        name: "",
        help: "",
        key_env: &[],
        base_url_env: None,
        base_url: None,
        default_model: None,
        routes: &[],
        options: &[],
        servers: &[],
        price_vendor: None,
        is_offline: false,
        pull: None,
        vendors: None,
        build: None,
    };

    /// Returns the kind of this name, whether it is compiled in or not.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        kinds().iter().copied().find(|kind| kind.name == name)
    }

    /// Returns whether the kind is compiled in.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.build.is_some()
    }

    /// Returns whether the kind's server has several default ports, so that its address has to be discovered.
    #[must_use]
    pub fn has_several_ports(&self) -> bool {
        self.server(self.name).is_some_and(|server| server.ports.len() > 1)
    }

    /// Returns the default maximum time to the first token, and between two tokens: 120 s for a vendor's own service, whose
    /// reasoning models send nothing while they reason, and 300 s for a server that users run themselves.
    #[must_use]
    pub fn default_token_timeout(&self) -> Duration {
        if self.price_vendor.is_some() { Duration::from_secs(120) } else { Duration::from_secs(300) }
    }

    /// Returns the engine of this kind that has a provider's name; if there is none, the kind's own engine.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&'static LocalServer> {
        let named = |name: &str| self.servers.iter().find(|server| server.name == name);
        named(name).or_else(|| named(self.name))
    }

    /// Validates options: rejects an option that this kind does not support, a route that it does not have, and a header or a
    /// parameter of the query that belongs to this crate, or carries a key.
    ///
    /// [`build`](Self::build) calls this, too; call it alone to validate a configuration without constructing a provider.
    ///
    /// # Errors
    /// [`BuildError::UnusedOption`] names the option, without its value; [`BuildError::Invalid`] names the routes.
    pub fn check(&self, options: &Options) -> Result<(), BuildError> {
        let unused = SPECIAL.iter().find(|(name, is_set)| is_set(options) && !self.options.contains(name));
        let unused = unused.or_else(|| COMMON.iter().find(|(_, is_set)| self.is_offline && is_set(options)));
        if let Some(&(option, _)) = unused {
            let provider = options.name.clone();
            return Err(BuildError::UnusedOption { provider, kind: self.name, option });
        }
        self.route(options)?;
        match options.mistake() {
            Some(why) => Err(Error::new(ErrorKind::InvalidRequest, why).into()),
            None => Ok(()),
        }
    }

    /// Returns the route that options name, else the default one; none where there is no choice.
    pub(crate) fn route(&self, options: &Options) -> Result<Option<&'static str>, Error> {
        let Some(wanted) = options.route.as_deref() else { return Ok(self.routes.first().copied()) };
        let route = self.routes.iter().copied().find(|route| *route == wanted);
        route.map(Some).ok_or_else(|| {
            let known: Vec<String> = self.routes.iter().map(|route| format!("{route:?}")).collect();
            let (name, known) = (&options.name, known.join(" or "));
            let message = format!("the provider {name} has no route {wanted:?}: it is {known}");
            Error::new(ErrorKind::InvalidRequest, message)
        })
    }

    /// Constructs a provider from options. No request is sent.
    ///
    /// # Errors
    /// [`BuildError::NotBuilt`] if the kind's cargo feature is off, [`BuildError::MissingKey`] without a key where one is
    /// needed, [`BuildError::UnusedOption`] and [`BuildError::Invalid`] for an option.
    pub fn build(&self, options: &Options) -> Result<Built, BuildError> {
        self.check(options)?;
        let build = self.build.ok_or(BuildError::NotBuilt { feature: self.name })?;
        let built = build(self, options)?;
        built.check(&SamplingParams::default()).map_err(Error::from)?;
        // Any server may be of the kind of compatible servers: its name says nothing of a price.
        let of_kind = Some(self.name).filter(|name| *name != options.name && *name != "compatible");
        let names = std::iter::once(options.name.as_str()).chain(of_kind);
        #[cfg(feature = "_http")]
        let unpriced_field = crate::exchange::unpriced_field(&options.extra_body);
        #[cfg(not(feature = "_http"))]
        let unpriced_field = None;
        Ok(Built { price_names: names.map(str::to_owned).collect(), unpriced_field, ..built })
    }

    /// Pulls a model: the server downloads it, and `on_progress` is called with each step.
    ///
    /// # Errors
    /// An error with the reason why the model cannot be pulled; `Unsupported` for a kind that pulls no models, or is not compiled
    /// in.
    ///
    /// # Cancel safety
    /// A dropped call closes the connection. The server keeps what it has, and resumes at the next request for the model.
    pub async fn pull(
        &self,
        options: &Options,
        model: &str,
        mut on_progress: impl FnMut(PullProgress) + Send,
    ) -> Result<(), Error> {
        let unsupported = |message: String| Error::new(ErrorKind::Unsupported, message);
        let Some(pull) = &self.pull else {
            return Err(unsupported(format!("{} fetches no models", self.name)));
        };
        let Some(run) = pull.run else {
            return Err(unsupported(BuildError::NotBuilt { feature: self.name }.to_string()));
        };
        run(options, model, &mut on_progress).await
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&self.name).finish()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<'de> Deserialize<'de> for &'static Kind {
    /// Reads a kind by its name; an unknown name is an error that lists the known ones.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        static NAMES: LazyLock<Vec<&'static str>> =
            LazyLock::new(|| kinds().iter().map(|kind| kind.name).collect());
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Kind::find(&name).ok_or_else(|| de::Error::unknown_variant(&name, &NAMES))
    }
}

/// Expands to a vendor's function, or to `None` where its cargo feature is off.
macro_rules! if_built {
    ($feature:literal, $function:path) => {{
        #[cfg(feature = $feature)]
        {
            Some($function)
        }
        #[cfg(not(feature = $feature))]
        {
            None
        }
    }};
}

pub(crate) use if_built;
