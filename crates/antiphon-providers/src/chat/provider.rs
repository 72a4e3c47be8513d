use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use antiphon_http::{Client, Request, Response};
use antiphon_llm::{
    CallContext, Capabilities, Error, ErrorKind, Model, Output, Prompt, Provider, Scope, Streaming,
    async_trait,
};
use futures_util::stream::once;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::info;

use super::config::Config;
use super::errors::{self, Said};
use super::stream::Reader;
use super::wire::{self, Format};

/// A list of models takes no thinking.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that speaks chat completions.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    config: Config,
    client: Client,
    /// How this server takes schemas, learnt from its refusals.
    format: Arc<AtomicU8>,
    /// Asked for once; kept when it was answered.
    models: Arc<OnceCell<Vec<Model>>>,
}

impl Chat {
    pub(crate) fn new(config: Config) -> Self {
        // The reader's own clock, which knows words from comments, is to ring first.
        let later = config.token_timeout.saturating_add(Duration::from_secs(5));
        let client = Client::builder().first_byte_timeout(config.token_timeout).idle_timeout(later);
        let client = client.max_connections(config.max_connections).build();
        let format = Arc::new(AtomicU8::new(Format::JsonSchema as u8));
        Self { config, client, format, models: Arc::default() }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    fn authorised(&self, request: Request) -> Request {
        match &self.config.key {
            Some(key) => request.bearer(key),
            None => request,
        }
    }

    async fn ask(&self, prompt: &Prompt, format: Format) -> Result<Response, Error> {
        let url = format!("{}/chat/completions", self.config.base_url);
        info!("asking {} for {}", self.config.base_url, prompt.model);
        let request = Request::post(&url).json(&wire::request(prompt, &self.config, format));
        let sent = self.client.send(self.authorised(request)).await.map_err(|err| errors::of_http(&err))?;
        match sent.status() {
            200 => Ok(sent),
            _ => Err(errors::of_response(sent, self.config.key.as_ref()).await),
        }
    }

    /// Asks in the surest form that the server is known to take, and in a weaker one where it refuses that form.
    async fn ask_in_some_form(&self, prompt: &Prompt) -> Result<Response, Error> {
        loop {
            let format = Format::from_u8(self.format.load(Ordering::Relaxed));
            let err = match self.ask(prompt, format).await {
                Ok(response) => return Ok(response),
                Err(err) => err,
            };
            let weaker = format.weaker().filter(|_| refuses_form(&err, &prompt.output));
            let Some(weaker) = weaker else { return Err(err) };
            info!("{err}; asking for {weaker:?} instead");
            self.format.fetch_max(weaker as u8, Ordering::Relaxed);
        }
    }

    async fn list(&self) -> Result<Vec<Model>, Error> {
        let request =
            Request::get(&format!("{}/models", self.config.base_url)).first_byte_timeout(LIST_TIMEOUT);
        let sent = self.client.send(self.authorised(request)).await.map_err(|err| errors::of_http(&err))?;
        if sent.status() != 200 {
            return Err(errors::of_response(sent, self.config.key.as_ref()).await);
        }
        let place = sent.place();
        let body = sent.text().await.map_err(|err| errors::of_http(&err))?;
        let listed = serde_json::from_str::<Value>(&body).ok().and_then(|body| models(&body));
        listed.ok_or_else(|| {
            let message = format!("{place}: what it answers is no list of models; is the base URL right?");
            Error::new(ErrorKind::InvalidResponse, message)
        })
    }

    /// An answer of a server that does not stream, or an error under status 200, as some servers send.
    async fn whole(&self, response: Response, prompt: &Prompt, began: Instant) -> Result<Streaming, Error> {
        let key = self.config.key.clone();
        let (place, kind) = (response.place(), response.header("content-type").unwrap_or("").to_owned());
        let version = response.version();
        let body = response.text().await.map_err(|err| errors::of_http(&err))?;
        let strange = |what: &str| {
            let said = errors::cleaned(&body, key.as_ref());
            let message = format!(
                "{place}: it answers with {what} and not with a completion; is the base URL right? ({said})"
            );
            Error::new(ErrorKind::InvalidResponse, message)
        };
        let Ok(value) = serde_json::from_str::<Value>(&body) else {
            return Err(strange(if kind.is_empty() { "something unnamed" } else { &kind }));
        };
        if let Some(said) = Said::read(&value) {
            return Err(errors::of_event(&said, &place, key.as_ref()));
        }
        match value["choices"].as_array() {
            Some(choices) if !choices.is_empty() => {
                let mut reader = Reader::whole(place, version, prompt.output.clone(), began).key(key);
                reader.take(value)?;
                let head = reader.head();
                let end = reader.end();
                Streaming::begun(head, once(std::future::ready(end))).await
            }
            _ => Err(strange("other JSON")),
        }
    }
}

#[async_trait]
impl Provider for Chat {
    fn scope(&self) -> Scope {
        Scope::new(&self.config.vendor, Some(self.config.base_url.clone()))
    }

    async fn stream(&self, prompt: &Prompt, _: &CallContext) -> Result<Streaming, Error> {
        let began = Instant::now();
        let response = self.ask_in_some_form(prompt).await?;
        let is_stream =
            response.header("content-type").is_none_or(|kind| kind.starts_with("text/event-stream"));
        if !is_stream {
            return self.whole(response, prompt, began).await;
        }
        let reader = Reader::new(response, prompt.output.clone(), self.config.key.clone(), began)
            .token_timeout(self.config.token_timeout);
        Streaming::begun(reader.head(), reader.into_stream()).await
    }

    async fn models(&self, _: &CallContext) -> Result<Vec<Model>, Error> {
        self.models.get_or_try_init(|| self.list()).await.cloned()
    }

    async fn capabilities(&self, model: &str, context: &CallContext) -> Capabilities {
        // One that cannot list its models may still answer.
        let models = self.models(context).await.unwrap_or_default();
        let known = models.iter().find(|known| known.id == model);
        Capabilities::default().context_window(known.and_then(|known| known.context_window))
    }
}

/// Whether an error is about the form asked for: servers name the field, the form, or the grammar they make of it.
fn refuses_form(err: &Error, output: &Output) -> bool {
    let message = err.to_string().to_lowercase();
    matches!(output, Output::Json(_))
        && matches!(err.kind(), ErrorKind::InvalidRequest | ErrorKind::Unsupported)
        && ["response_format", "json_schema", "json_object", "grammar"]
            .iter()
            .any(|word| message.contains(word))
}

/// The models of a list, with the size of their context where the server tells: vLLM in `max_model_len`, llama.cpp in
/// `meta.n_ctx`, others in `context_length`.
fn models(body: &Value) -> Option<Vec<Model>> {
    let model = |entry: &Value| {
        let window = ["/max_model_len", "/meta/n_ctx", "/context_length"].iter();
        let window = window.filter_map(|place| entry.pointer(place)?.as_u64()).next();
        Some(Model::new(entry["id"].as_str()?, window))
    };
    Some(body["data"].as_array()?.iter().filter_map(model).collect())
}
