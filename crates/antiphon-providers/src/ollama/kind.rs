//! Ollama's entry in the registry, with the probe by which discovery finds it and its support for pulling
//! models.

use super::host::url_of_host;
use crate::registry::{Kind, LocalServer, ModelPull, Probe, SlotSetting, Variable, if_built};

/// The address at which the server listens by default, on this machine only.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:11434";

/// Ollama as the registry lists it.
pub(crate) static KIND: Kind = Kind {
    name: "ollama",
    help: "Ollama at OLLAMA_HOST",
    base_url_env: Some(Variable {
        name: "OLLAMA_HOST",
        help: "Where Ollama listens [default: 127.0.0.1:11434]",
    }),
    base_url: Some(DEFAULT_URL),
    routes: &["chat", "generate"],
    options: &["route", "context"],
    servers: &[LocalServer {
        name: "ollama",
        title: "Ollama",
        ports: &[11_434],
        start: "ollama serve",
        slots: Some(SlotSetting::Variable("OLLAMA_NUM_PARALLEL")),
        is_service: true,
        probe: Some(Probe { path: "/api/version", identifies: |body| body["version"].is_string() }),
        host_form: Some(url_of_host),
    }],
    pull: Some(ModelPull {
        install: "https://ollama.com",
        example: "llama3.2",
        run: if_built!("ollama", super::config::pull),
    }),
    build: if_built!("ollama", super::config::build),
    ..Kind::EMPTY
};
