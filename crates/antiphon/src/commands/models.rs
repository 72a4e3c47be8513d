//! `models`: the models of a provider, or of the local engines that answer.
//!
//! Stdout has a list for each provider, with the context window in tokens and the price, or with `--json` one document
//! of the schema `antiphon.models/1`; a provider that cannot be listed is an error on stderr and does not hide the
//! others. Listing sends no prompt, so that nothing is billed. Ctrl-C ends the command.
//!
//! | exit code | case |
//! |---|---|
//! | 0 | all providers were listed, or no engine answers |
//! | 3 | a provider has a wrong configuration or key |
//! | 4 | some providers failed |
//! | 5 | all providers failed |

use serde_json::json;

use super::cli::ModelsArgs;
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED};
use super::front::Front;
use super::output::{self, Talk};
use crate::operations::{self, ModelInfo, OperationError, ProviderModels};

/// Lists the models of the providers that the flags and the settings name.
pub(super) async fn run(args: &ModelsArgs, talk: &Talk) -> Result<u8, CommandError> {
    let settings = Front::new(&args.flags(), talk).await?.settings;
    let all = operations::models(&settings).await?;
    if all.is_empty() {
        talk.line("no provider is named and no local engine answers");
        talk.hint("name a provider, such as --provider openai; antiphon doctor lists all providers");
    }
    let document = || json!({ "schema": "antiphon.models/1", "providers": all });
    output::print(args.json.then(document), || as_list(&all, args.all))?;
    Ok(report_failures(&all, talk))
}

/// Reports the providers that could not be listed, and returns the exit code.
fn report_failures(all: &[ProviderModels], talk: &Talk) -> u8 {
    let some_are_well = all.iter().any(|provider| provider.models.is_ok());
    let failed = all.iter().filter_map(|provider| provider.models.as_ref().err()).map(|err| {
        let err = CommandError::from(OperationError::from(err));
        talk.error(&err);
        err.code()
    });
    // A configuration error takes precedence over a failure.
    let code = failed.min();
    code.map_or(OK, |code| if some_are_well && code == ALL_FAILED { SOME_FAILED } else { code })
}

/// Formats the models of all providers that could be listed. Models that generate no text, such as embedders, are only
/// counted unless `with_others` is set.
fn as_list(all: &[ProviderModels], with_others: bool) -> String {
    let mut text = String::new();
    for ProviderModels { provider, models, .. } in all {
        let Ok(models) = models else { continue };
        let shown: Vec<&ModelInfo> = models.iter().filter(|model| with_others || model.answers).collect();
        text.push_str(&format!("{provider}\n"));
        let width = shown.iter().map(|model| model.id.len()).max().unwrap_or(0);
        text.extend(shown.iter().map(|model| line(model, width)));
        let hidden = models.len() - shown.len();
        if hidden > 0 {
            text.push_str(&format!("  and {hidden} that generate no text (--all)\n"));
        }
    }
    text
}

/// Formats a model: its name, its context window and its price, as far as they are known.
fn line(model: &ModelInfo, width: usize) -> String {
    let context = model.context_window.map_or(String::new(), |tokens| format!("{tokens} tokens"));
    let line = format!("  {:<width$}  {context:<16}{}", model.id, price(model));
    format!("{}\n", line.trim_end())
}

/// Formats the price of a model in US dollars per million tokens; empty if it is not known.
fn price(model: &ModelInfo) -> String {
    let dollars = |micros: u64| {
        #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^52")]
        let dollars = micros as f64 / 1e6;
        format!("${dollars}")
    };
    match model.price {
        Some(price) if price == antiphon_llm::Price::FREE => "no cost".to_owned(),
        Some(price) => {
            format!("{} in, {} out per million tokens", dollars(price.input), dollars(price.output))
        }
        None => String::new(),
    }
}
