//! The entry of compatible servers in the registry, with the engines among them that users run themselves.

use crate::registry::{Kind, LocalServer, Probe, if_built};

/// Servers that speak chat completions as the registry lists them.
pub(crate) static KIND: Kind = Kind {
    name: "compatible",
    help: "any server that speaks OpenAI's format, at --base-url",
    options: &["auth", "schema", "token_limit"],
    servers: &[
        LocalServer {
            name: "lmstudio",
            title: "LM Studio",
            ports: &[1234],
            start: "lms server start",
            slots: None,
            is_service: false,
            // The greeting that its own tools use.
            probe: Some(Probe { path: "/lmstudio-greeting", identifies: |body| body["lmstudio"] == true }),
            host_form: None,
        },
        LocalServer {
            name: "vllm",
            title: "vLLM",
            ports: &[8000],
            start: "vllm serve MODEL",
            slots: None,
            is_service: false,
            // Other servers listen on that port and answer in the same way.
            probe: None,
            host_form: None,
        },
    ],
    vendors: if_built!("compatible", super::vendor::entries),
    build: if_built!("compatible", super::config::build),
    ..Kind::EMPTY
};
