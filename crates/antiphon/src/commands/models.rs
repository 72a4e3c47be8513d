use serde::Serialize;

use super::cli::ModelsArgs;
use super::config;
use super::error::{ALL_FAILED, CommandError, OK, SOME_FAILED};
use super::output::{self, Talk};
use crate::operations::{self, ModelInfo, OperationError, ProviderModels};
use crate::runtime::{Environment, resolve};

pub(super) async fn run(args: &ModelsArgs, talk: &Talk) -> Result<u8, CommandError> {
    let env = Environment::read();
    let settings = resolve(&args.flags(), &env, &config::files(&env).await?)?;
    let all = operations::models(&settings).await?;
    if all.is_empty() {
        talk.line("no provider is named and no local engine answers");
        talk.hint(
            "name a provider, as in --provider openai; antiphon doctor shows which ones could be asked",
        );
    }
    output::result(&if args.json { as_json(&all)? } else { as_list(&all, args.all) })?;
    let some_are_well = all.iter().any(|provider| provider.models.is_ok());
    let failed = all.iter().filter_map(|provider| provider.models.as_ref().err()).map(|err| {
        let err = CommandError::from(OperationError::from(err));
        talk.error(&err);
        err.code()
    });
    // What is wrong with the configuration goes before what has failed.
    let code = failed.min();
    Ok(code.map_or(OK, |code| if some_are_well && code == ALL_FAILED { SOME_FAILED } else { code }))
}

fn as_list(all: &[ProviderModels], with_others: bool) -> String {
    let mut text = String::new();
    for ProviderModels { provider, models, .. } in all {
        let Ok(models) = models else { continue };
        let shown: Vec<&ModelInfo> = models.iter().filter(|model| with_others || model.answers).collect();
        text.push_str(&format!("{provider}\n"));
        let width = shown.iter().map(|model| model.id.len()).max().unwrap_or(0);
        for model in &shown {
            let context = model.context_window.map_or(String::new(), |tokens| format!("{tokens} tokens"));
            let line = format!("  {:<width$}  {context:<16}{}", model.id, price(model));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let hidden = models.len() - shown.len();
        if hidden > 0 {
            text.push_str(&format!("  and {hidden} that write no text (--all)\n"));
        }
    }
    text
}

fn price(model: &ModelInfo) -> String {
    let dollars = |micros: u64| {
        #[expect(clippy::cast_precision_loss, reason = "prices are far below 2^52")]
        let dollars = micros as f64 / 1e6;
        format!("${dollars}")
    };
    match model.price {
        Some(price) if price == antiphon_llm::Price::FREE => "no cost".to_owned(),
        Some(price) => format!("{} in, {} out a million tokens", dollars(price.input), dollars(price.output)),
        None => String::new(),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    providers: Vec<Listed<'a>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    provider: &'a str,
    error: Option<String>,
    models: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    answers: bool,
    context_window: Option<u64>,
    max_output: Option<u64>,
    /// Millionths of a US dollar for a million tokens.
    input_usd_micros: Option<u64>,
    output_usd_micros: Option<u64>,
}

fn as_json(all: &[ProviderModels]) -> Result<String, CommandError> {
    let entry = |model| {
        let ModelInfo { id, context_window, max_output, price, answers, .. }: &ModelInfo = model;
        Entry {
            id,
            answers: *answers,
            context_window: *context_window,
            max_output: *max_output,
            input_usd_micros: price.map(|price| price.input),
            output_usd_micros: price.map(|price| price.output),
        }
    };
    let listed = |provider| {
        let ProviderModels { provider, models, .. }: &ProviderModels = provider;
        Listed {
            provider,
            error: models.as_ref().err().map(ToString::to_string),
            models: models.iter().flatten().map(entry).collect(),
        }
    };
    let providers = all.iter().map(listed).collect();
    output::json(&Document { schema: "antiphon.models/1", providers })
}
