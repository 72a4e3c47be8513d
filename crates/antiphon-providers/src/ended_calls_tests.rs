//! The end of calls by their deadline and their cancellation, at every provider and by every method.

use std::sync::Arc;
use std::time::Duration;

use antiphon_llm::{
    CallContext, CancellationToken, Deadline, Delta, Embedder, Error, ErrorKind, Message, Prompt, Provider,
    TimeoutPhase,
};
use futures_util::StreamExt;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{Anthropic, Compatible, Gemini, LlamaCpp, Ollama, OpenAi};

const SHORT: Duration = Duration::from_millis(30);
const TOO_LATE: ErrorKind = ErrorKind::Timeout { phase: TimeoutPhase::Total };

/// Starts a server that sends `answer` to each request and then nothing; it is stopped when the set is dropped.
async fn server(answer: &'static str) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                std::future::pending::<()>().await;
            });
        }
    });
    (url, tasks)
}

fn key() -> SecretString {
    SecretString::from("k")
}

fn providers(url: &str) -> Vec<Arc<dyn Provider>> {
    vec![
        Arc::new(OpenAi::new(key()).base_url(url).unwrap()),
        Arc::new(OpenAi::new(key()).base_url(url).unwrap().responses()),
        Arc::new(Anthropic::new(key()).base_url(url).unwrap()),
        Arc::new(Gemini::new(key()).base_url(url).unwrap()),
        Arc::new(Ollama::new(url).unwrap()),
        Arc::new(LlamaCpp::new(url).unwrap()),
        Arc::new(LlamaCpp::new(url).unwrap().native()),
        Arc::new(Compatible::new(url).unwrap()),
    ]
}

fn embedders(url: &str) -> Vec<Box<dyn Embedder>> {
    vec![
        Box::new(OpenAi::new(key()).base_url(url).unwrap()),
        Box::new(Gemini::new(key()).base_url(url).unwrap()),
        Box::new(Ollama::new(url).unwrap()),
        Box::new(LlamaCpp::new(url).unwrap()),
        Box::new(Compatible::new(url).unwrap()),
    ]
}

fn prompt() -> Prompt {
    Prompt::new("m", [Message::user("?")])
}

/// The ways in which a call ends.
#[derive(Debug, Clone, Copy)]
enum Ended {
    Deadline,
    Cancelled,
    CancelledBefore,
}

impl Ended {
    fn kind(self) -> ErrorKind {
        match self {
            Self::Deadline => TOO_LATE,
            Self::Cancelled | Self::CancelledBefore => ErrorKind::Cancelled,
        }
    }

    /// Makes a call that ends in this way, soon after its beginning.
    async fn call<T>(self, call: impl AsyncFnOnce(CallContext) -> T) -> T {
        let (context, cancel) = (CallContext::default(), CancellationToken::new());
        let context = match self {
            Self::Deadline => context.deadline(Deadline::after(SHORT)),
            Self::Cancelled | Self::CancelledBefore => context.cancel(cancel.clone()),
        };
        if matches!(self, Self::CancelledBefore) {
            cancel.cancel();
        }
        let soon = async {
            sleep(SHORT).await;
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(timeout(Duration::from_secs(4), call(context)), soon);
        ended.expect("it ends with its call, and not with a timeout of the provider")
    }

    async fn check<T>(self, name: &str, call: impl AsyncFnOnce(CallContext) -> Result<T, Error>) {
        let err = self.call(call).await.err().expect("nothing was answered");
        assert_eq!(err.kind(), self.kind(), "{name}, {self:?}: {err}");
    }
}

const EVERY: [Ended; 3] = [Ended::Deadline, Ended::Cancelled, Ended::CancelledBefore];

#[tokio::test]
async fn every_method_of_every_provider_ends_with_its_call() {
    let (url, _server) = server("").await;
    for provider in providers(&url) {
        for ended in EVERY {
            let name = format!("{}", provider.scope());
            ended.check(&name, async |context| provider.stream(&prompt(), &context).await).await;
            ended.check(&name, async |context| provider.models(&context).await).await;
            ended.check(&name, async |context| provider.health(&context).await).await;
            ended.call(async |context| provider.capabilities("m", &context).await).await;
        }
    }
}

#[tokio::test]
async fn embeddings_end_with_their_call() {
    let (url, _server) = server("").await;
    for embedder in embedders(&url) {
        for ended in EVERY {
            let embed = async |context| embedder.embed("m", &["text".to_owned()], &context).await;
            ended.check(&format!("{embedder:?}"), embed).await;
        }
    }
}

#[tokio::test]
async fn a_body_that_stalls_ends_with_its_call() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"data\":";
    let (url, _server) = server(half).await;
    let provider = Compatible::new(&url).unwrap();
    for ended in EVERY {
        ended.check("models", async |context| provider.models(&context).await).await;
        ended.check("whole answer", async |context| provider.stream(&prompt(), &context).await).await;
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_ends_with_its_call_and_has_its_text() {
    let (url, _server) = server(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
         data: {\"choices\":[{\"delta\":{\"content\":\"so far\"}}]}\n\n",
    )
    .await;
    let provider = Compatible::new(&url).unwrap();
    for ended in [Ended::Deadline, Ended::Cancelled] {
        let items: Vec<_> = ended
            .call(async |context| provider.stream(&prompt(), &context).await.unwrap().collect().await)
            .await;
        assert!(matches!(&items[0], Ok(Delta::Text(text)) if text == "so far"), "{items:?}");
        let err = items[1].as_ref().unwrap_err();
        assert_eq!((err.kind(), items.len()), (ended.kind(), 2), "{err}");
        assert_eq!(err.partial().unwrap().text, "so far");
    }
}
