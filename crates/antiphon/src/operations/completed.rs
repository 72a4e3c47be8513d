//! The completion of a request by its recipe, the configuration and the provider, before it is stored, and the checks of the
//! whole.

use antiphon_engine::{Recipe, RunLimits, at_param, read_toml};
use antiphon_llm::SamplingParams;
use antiphon_pipeline::PersonaRecipe;

use super::error::{OperationError, OperationErrorKind};
use super::request::{ContentRecipe, RecipeSource, RunKind, RunRequest};
use crate::runtime::{Session, Settings};

/// Completes a request by the model and the fallbacks of its recipe where it has none. Returns the recipe of a map run, and the
/// sampling parameters of any.
pub(super) fn complete_by_recipe(
    request: &mut RunRequest,
) -> Result<(Option<Recipe>, SamplingParams), OperationError> {
    let RecipeSource { name, text } = &request.recipe;
    let (recipe, parameters, fallback) = match request.kind {
        RunKind::Map => {
            let recipe = Recipe::read(name, text)?;
            let (parameters, fallback) = (recipe.parameters.clone(), recipe.fallback.clone());
            (Some(recipe), parameters, fallback)
        }
        RunKind::Personas => {
            let recipe = PersonaRecipe::parse(name, text)?;
            (None, recipe.parameters, recipe.fallback)
        }
        RunKind::Content => (None, read_toml::<ContentRecipe>(name, text)?.parameters, Vec::new()),
    };
    request.model = request.model.take().or_else(|| recipe.as_ref()?.model.clone());
    if request.fallback.is_none() && !fallback.is_empty() {
        request.fallback = Some(fallback);
    }
    Ok((recipe, parameters))
}

/// Checks the sampling parameters of a run before its first call: their values, and that all providers have them.
///
/// # Errors
/// `Request`, with the line of the recipe that has the parameter.
pub(super) fn check_parameters(
    session: &Session,
    request: &RunRequest,
    parameters: &SamplingParams,
) -> Result<(), OperationError> {
    let RecipeSource { name, text } = &request.recipe;
    let checked = parameters.check().and_then(|()| session.check_parameters(parameters));
    checked.map_err(|err| {
        // Of other kinds, the text is not that of a file.
        let is_of_file = request.kind == RunKind::Map && text.contains(err.name);
        let message = if is_of_file { at_param(name, text, &err) } else { err.to_string() };
        OperationError::new(OperationErrorKind::Request, message)
    })
}

/// Completes a request by the provider that was chosen and by the limits of the configuration, so that a run that is
/// resumed does not depend on defaults that have changed since.
pub(super) fn complete_by_session(request: &mut RunRequest, session: &Session, settings: &Settings) {
    request.provider = Some(session.name.clone());
    request.model = Some(session.model.clone());
    // An empty list is stored, too: a resumed run does not use the fallbacks of another machine's configuration.
    request.fallback = Some(session.fallbacks.clone());
    request.parameters.get_or_insert_with(|| settings.parameters.clone());
    let limits = RunLimits::default()
        .max_cost(settings.max_cost.as_ref().map(|cost| cost.value))
        .max_concurrency(settings.max_concurrency.as_ref().map(|most| most.value));
    request.limits = limits.overridden_by(&request.limits);
}

/// Checks that the budget of a run, if it has one, can be kept: the prices of all models that may answer are known.
pub(super) fn check_budget(session: &Session, limits: &RunLimits) -> Result<(), OperationError> {
    if let Some(why) = session.cost_unknown().filter(|_| limits.max_cost.is_some()) {
        let message = format!("a budget cannot be kept, since {why}. Leave it out, or --max-cost");
        return Err(OperationError::new(OperationErrorKind::Request, message));
    }
    let unpriced = session.unpriced_model().filter(|_| limits.max_cost.is_some());
    let Some(model) = unpriced else { return Ok(()) };
    let message = format!(
        "a budget cannot be kept, since the price of {model} is not known. Set it in [prices] of antiphon.toml, or leave \
         --max-cost out"
    );
    Err(OperationError::new(OperationErrorKind::Request, message))
}
