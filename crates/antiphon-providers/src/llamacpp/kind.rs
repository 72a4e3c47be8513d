//! llama.cpp's entry in the registry, with the ports and the probe by which discovery finds it.

use crate::registry::{Kind, LocalServer, Probe, SlotSetting, if_built};

/// The default address, on this machine only. Newer servers listen on port 9931, which discovery tries as well.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// llama.cpp's server as the registry lists it.
pub(crate) static KIND: Kind = Kind {
    name: "llamacpp",
    help: "llama.cpp's server; its own /completion with route = \"native\"",
    base_url: Some(DEFAULT_URL),
    routes: &["chat", "native"],
    options: &["route"],
    servers: &[LocalServer {
        name: "llamacpp",
        title: "llama.cpp",
        // The default until the summer of 2026, and the default since.
        ports: &[8080, 9931],
        start: "llama-server -m MODEL.gguf -np 4",
        slots: Some(SlotSetting::Flag("-np 4")),
        is_service: false,
        probe: Some(Probe {
            path: "/props",
            identifies: |body| {
                body["total_slots"].is_u64() && body["default_generation_settings"].is_object()
            },
        }),
        host_form: None,
    }],
    build: if_built!("llamacpp", super::config::build),
    ..Kind::EMPTY
};
