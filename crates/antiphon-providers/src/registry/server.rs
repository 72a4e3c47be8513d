use std::fmt;

use serde_json::Value;

/// An engine that users run themselves: its default ports, how it identifies itself, and how it is started.
#[non_exhaustive]
pub struct LocalServer {
    /// The name in the registry.
    pub name: &'static str,
    /// The name in messages.
    pub title: &'static str,
    /// The default ports, in the order in which they are tried.
    pub ports: &'static [u16],
    /// The command that starts the engine.
    pub start: &'static str,
    /// The setting for its concurrency limit.
    pub slots: Option<SlotSetting>,
    /// Whether the engine usually runs in the background as a service. Engines that users start on purpose are preferred to it.
    pub is_service: bool,
    /// The probe by which discovery identifies it; `None`: it cannot be identified, and is not looked for.
    pub(crate) probe: Option<Probe>,
    /// A function that turns the value of its environment variable into a URL, which then is the only address; `None`: the
    /// value is a URL, and the default ports are tried as well.
    pub(crate) host_form: Option<fn(&str) -> String>,
}

/// The setting for an engine's concurrency limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotSetting {
    /// A flag of the command that starts it, with an example.
    Flag(&'static str),
    /// An environment variable of the engine, for an engine that does not report its limit.
    Variable(&'static str),
}

/// A request that only one engine answers in its way, since another program may listen on the port.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "_http"), expect(dead_code, reason = "asked only where there is an HTTP client"))]
pub(crate) struct Probe {
    /// The path of the request.
    pub(crate) path: &'static str,
    /// A predicate: whether the answer is this engine's.
    pub(crate) identifies: fn(&Value) -> bool,
}

impl LocalServer {
    /// Returns whether discovery looks for the engine.
    #[must_use]
    pub fn is_discoverable(&self) -> bool {
        self.probe.is_some()
    }
}

impl fmt::Debug for LocalServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ports, start, .. } = self;
        f.debug_struct("LocalServer")
            .field("name", name)
            .field("ports", ports)
            .field("start", start)
            .finish_non_exhaustive()
    }
}
