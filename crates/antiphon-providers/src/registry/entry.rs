use super::kind::Kind;

/// A name by which a provider can be chosen: that of a [`Kind`], or that of a shipped vendor of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryEntry {
    /// The name in configuration and on the command line.
    pub name: String,
    /// The kind of provider that has this name.
    pub kind: &'static Kind,
    /// One line for help texts.
    pub help: String,
    /// The environment variables in which the key is looked up, in this order; empty if no key is needed.
    pub key_env: Vec<String>,
    /// The default address; `None` if the caller must name one, or if none is needed.
    pub base_url: Option<String>,
}

impl RegistryEntry {
    /// Creates the entry of a kind under the kind's own name.
    pub(super) fn of_kind(kind: &'static Kind) -> Self {
        Self {
            name: kind.name.to_owned(),
            kind,
            help: kind.help.to_owned(),
            key_env: kind.key_env.iter().map(|&variable| variable.to_owned()).collect(),
            base_url: kind.base_url.map(str::to_owned),
        }
    }
}
