//! The replay of cassettes: a session whose provider and fallbacks are recordings.
//!
//! A replay needs neither network nor key, and costs nothing. It takes the provider and the model from the settings if these
//! name them (a provider that was not recorded is an error), and otherwise from the recording, so that a folder can be replayed without repeating the flags with which it
//! was recorded. Limiters are the session's own: they count calls in progress, and must not teach those of a live server.

use std::path::Path;
use std::sync::Arc;

use antiphon_llm::{CallContext, LimiterRegistry, Price, Provider, Replayed};
use antiphon_providers::registry::Built;

use crate::build::build;
use crate::connect::{ConnectError, is_handed_on};
use crate::origin::{Origin, Sourced};
use crate::provider::ProviderSettings;
use crate::session::Session;
use crate::settings::Settings;
use crate::target::{PriceOf, ServerLoad, Target};

/// A folder of cassettes that replaces all providers.
struct Replay<'a> {
    settings: &'a Settings,
    /// The folder, for messages.
    folder: &'a Path,
    /// The answers of all providers in the folder.
    all: Replayed,
}

/// The recorded answers of one provider, and its properties that are known without calling it.
struct Tape {
    /// The answers of this provider alone.
    answers: Replayed,
    /// The live provider; `None` if it cannot be built here.
    built: Option<Built>,
    /// Whether this is the provider that the settings name.
    is_named: bool,
}

/// Opens a session that replays recorded answers instead of calling the provider and its fallbacks; a fallback that was not
/// recorded is left out.
pub(crate) async fn replay(settings: &Settings, folder: &Path) -> Result<Session, ConnectError> {
    let all = Replayed::open(folder).await.map_err(|err| ConnectError::Cassette(err.to_string()))?;
    let replay = Replay { settings, folder, all };
    let tape = replay.first()?;
    let model = replay.model(&tape).await?;
    let limiters = LimiterRegistry::default();
    let fallbacks = settings.fallback.value.iter().filter_map(|fallback| {
        let tape = replay.of(&fallback.provider)?;
        Some(target(settings, tape, fallback.model.clone(), &limiters))
    });
    let session = Session::of(settings, target(settings, tape, model, &limiters), fallbacks.collect());
    let why = format!("{}; replayed from {}, at no cost", session.why, folder.display());
    Ok(Session { why, is_replayed: true, ..session })
}

/// Makes a target of a cassette. It has its own limiters, to count the calls in progress, and no breaker: no server can fail.
fn target(settings: &Settings, tape: Tape, model: String, limiters: &LimiterRegistry) -> Target {
    let scope = tape.answers.scope();
    let is_free = match &tape.built {
        Some(built) => {
            PriceOf::live(settings, built, is_handed_on(&model)).of(&model, 0) == Some(Price::FREE)
        }
        None => scope.base_url.is_none(),
    };
    Target {
        // Parameters without an effect on a recording are harmless.
        built: None,
        provider: Arc::new(tape.answers),
        price: if is_free { PriceOf::Nothing } else { PriceOf::Prepaid },
        limiters: scope.base_url.is_some().then(|| limiters.clone()),
        breaker: None,
        slots: None,
        load: ServerLoad::default(),
        scope,
        model,
    }
}

impl Replay<'_> {
    /// Returns the answers of the first provider: the one that is named, else the first that is not a fallback.
    fn first(&self) -> Result<Tape, ConnectError> {
        let named = self.settings.provider.as_ref();
        if let Some(tape) = named.and_then(|named| self.of(&named.value)) {
            return Ok(tape);
        }
        if let Some(Sourced { value: named, origin: Origin::Flag(_) }) = named {
            return Err(self.no_answers_of(&named.name));
        }
        let fallbacks = &self.settings.fallback.value;
        let is_fallback = |name: &str| fallbacks.iter().any(|fallback| fallback.provider.name == name);
        let first = self.all.scopes().into_iter().find(|scope| !is_fallback(&scope.vendor));
        let answers = first.and_then(|scope| self.all.of_scope(&scope)).unwrap_or_else(|| self.all.clone());
        let scope = answers.scope();
        let engine = self.settings.engines.get(scope.vendor.as_str());
        let engine = engine.map(|engine| ProviderSettings { base_url: scope.base_url, ..engine.clone() });
        let built = engine.and_then(|engine| self.built(&engine));
        Ok(Tape { answers, built, is_named: false })
    }

    /// Creates the error of a provider that a flag names and that was not recorded.
    fn no_answers_of(&self, name: &str) -> ConnectError {
        let scopes: Vec<String> = self.all.scopes().iter().map(ToString::to_string).collect();
        let (folder, found) = (self.folder.display(), scopes.join(", "));
        ConnectError::Cassette(format!(
            "cannot replay {folder}: it has answers of {found}, and none of {name}. Name that provider, or record again"
        ))
    }

    /// Returns the answers of a provider: those of the same address and options, else the first under its name.
    fn of(&self, named: &ProviderSettings) -> Option<Tape> {
        let built = self.built(named);
        let same = built.as_ref().and_then(|built| self.all.of_scope(&built.provider.scope()));
        let answers = same.or_else(|| {
            let scope = self.all.scopes().into_iter().find(|scope| scope.vendor == named.name)?;
            self.all.of_scope(&scope)
        });
        Some(Tape { answers: answers?, built, is_named: true })
    }

    /// Builds the live provider, without a key, since it is not called.
    /// Built for its scope and its properties alone, such as whether it is local and which model is its default.
    fn built(&self, named: &ProviderSettings) -> Option<Built> {
        let mut named = named.clone();
        if !named.key_env.is_empty() {
            named.key.get_or_insert_with(|| "of a recording".into());
        }
        build(self.settings, &named).ok()
    }

    /// Returns the model that is named, else the one that was recorded.
    /// Of several recorded models the provider's default is taken, else the only one that is not a fallback.
    async fn model(&self, tape: &Tape) -> Result<String, ConnectError> {
        if let Some(named) = self.named_model(tape) {
            return Ok(named);
        }
        let vendor = tape.answers.scope().vendor;
        let listed = tape.answers.models(&CallContext::default()).await.map_err(ConnectError::Provider)?;
        let mut recorded: Vec<String> = listed.into_iter().map(|model| model.id).collect();
        let usual = tape.built.as_ref().and_then(|built| built.default_model.clone());
        if let Some(usual) = usual.filter(|usual| recorded.contains(usual)) {
            return Ok(usual);
        }
        if recorded.len() > 1 {
            self.drop_fallbacks(&vendor, &mut recorded);
        }
        match &recorded[..] {
            [model] => Ok(model.clone()),
            _ => Err(self.no_single_model(&vendor, &recorded)),
        }
    }

    /// Returns the model that the settings name, unless it is meant for another provider than the recorded one.
    fn named_model(&self, tape: &Tape) -> Option<String> {
        let has_models = tape.built.as_ref().is_none_or(|built| built.has_models);
        let is_its_own = |origin: &Origin| tape.is_named || matches!(origin, Origin::Flag(_));
        let named = self.settings.model.as_ref()?;
        (has_models && is_its_own(&named.origin)).then(|| named.value.clone())
    }

    /// Removes the models that the settings name as fallbacks at a vendor: the first provider was asked for another one.
    fn drop_fallbacks(&self, vendor: &str, recorded: &mut Vec<String>) {
        let fallbacks = self.settings.fallback.value.iter();
        let of_it: Vec<_> = fallbacks.filter(|fallback| fallback.provider.name == vendor).collect();
        recorded.retain(|model| of_it.iter().all(|fallback| fallback.model != *model));
    }

    /// Creates the error of a vendor with several recorded models, or with none.
    fn no_single_model(&self, vendor: &str, recorded: &[String]) -> ConnectError {
        let (folder, found) = (self.folder.display(), recorded.join(", "));
        ConnectError::Cassette(if recorded.is_empty() {
            format!(
                "cannot replay {folder}: no answer of {vendor} was recorded. Name the model with --model, or record again"
            )
        } else {
            format!(
                "cannot replay {folder}: several models of {vendor} were recorded. Name one with --model: {found}"
            )
        })
    }
}
