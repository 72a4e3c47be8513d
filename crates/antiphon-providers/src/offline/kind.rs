use crate::registry::{Kind, if_built};

/// The model name of the text statistics.
pub(super) const MODEL: &str = "extractive-1";

/// Text statistics as the registry lists them.
pub(crate) static KIND: Kind = Kind {
    name: "offline",
    help: "no model: drafts by text statistics",
    default_model: Some(MODEL),
    is_offline: true,
    build: if_built!("offline", super::drafts::build),
    ..Kind::EMPTY
};
