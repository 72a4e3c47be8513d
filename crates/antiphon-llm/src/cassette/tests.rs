use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;

use super::{Recorded, Replayed};
use crate::scripted::Scripted;
use crate::{
    BlockingProvider, CallContext, Capabilities, Completion, Error, ErrorKind, Fallback, FinishReason,
    Message, Prompt, Provider, ProviderExt, Scope, SingleFlight, SyncProvider, Usage,
};

fn prompt(text: &str) -> Prompt {
    Prompt::new("m", [Message::user(text)])
}

async fn lines(path: &Path) -> Vec<String> {
    antiphon_fs::read_to_string(path).await.unwrap().text.lines().map(str::to_owned).collect()
}

/// A provider with an address and an account that answers with the prompt's first message, repeated.
#[derive(Debug)]
struct Echo(usize);

impl SyncProvider for Echo {
    fn scope(&self) -> Scope {
        Scope::new("echo", Some("http://echo.test/v1".to_owned())).variant("chat").key("sk-secret")
    }

    fn complete(&self, prompt: &Prompt) -> Result<Completion, Error> {
        Ok(Completion::new(prompt.messages[0].rendered().repeat(self.0)))
    }
}

#[tokio::test]
async fn recorded_answers_are_replayed_without_keys() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join("new/cassette.jsonl");
    let answers = ["one", "two sk-planted-key-1"].map(|text| {
        let done = Completion::new(text).finish(FinishReason::Length);
        Ok(done.usage(Usage::new(Some(3), Some(1))))
    });
    let provider = Recorded::new(Scripted::new(answers), &path);
    let prompt = prompt("my key is sk-planted-key-2").system("Bearer planted-token-0123456789");
    let context = CallContext::default();
    for _ in 0..2 {
        provider.complete(&prompt, &context).await.unwrap();
    }
    let written = lines(&path).await;
    assert!(!written.concat().contains("planted") && written.len() == 3, "{written:?}");
    let replayed = Replayed::open(&path).await.unwrap();
    let mut texts = Vec::new();
    for _ in 0..3 {
        let done = replayed.complete(&prompt, &context).await.unwrap();
        assert_eq!((done.finish, done.usage.input), (FinishReason::Length, Some(3)));
        texts.push(done.text);
    }
    assert_eq!(texts, ["one", "two [key]", "two [key]"]);
}

#[tokio::test]
async fn scope_models_and_capabilities_are_those_of_the_recorded_provider() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let context = CallContext::default();
    let recorded = Recorded::in_dir(Roomy, folder.path());
    let known = recorded.capabilities("m", &context).await;
    recorded.complete(&prompt("?"), &context).await.unwrap();
    recorded.capabilities("m", &context).await;
    assert_eq!(lines(recorded.path()).await.len(), 3, "the capabilities are written once");
    let replayed = Replayed::open(folder.path()).await.unwrap();
    let scope = recorded.scope();
    assert!(scope.key_digest.is_some(), "the recorded provider has an account");
    assert_eq!(replayed.scope(), Scope { key_digest: None, ..scope });
    assert_eq!(replayed.capabilities("m", &context).await, known);
    let models = replayed.models(&context).await.unwrap();
    let models: Vec<_> = models.into_iter().map(|model| (model.id, model.context_window)).collect();
    assert_eq!(models, [("m".to_owned(), Some(8_192))]);
    assert_eq!(replayed.health(&context).await.unwrap().models, Some(1));
    assert_eq!(replayed.capabilities("n", &context).await, Capabilities::default());
}

/// An [`Echo`] with known capabilities.
#[derive(Debug)]
struct Roomy;

#[crate::async_trait]
impl Provider for Roomy {
    fn scope(&self) -> Scope {
        Echo(1).scope()
    }

    async fn stream(&self, prompt: &Prompt, context: &CallContext) -> Result<crate::Streaming, Error> {
        BlockingProvider::new(Echo(1), 1).stream(prompt, context).await
    }

    async fn models(&self, _: &CallContext) -> Result<Vec<crate::Model>, Error> {
        Err(Error::new(ErrorKind::Connect, "no network"))
    }

    async fn health(&self, _: &CallContext) -> Result<crate::Health, Error> {
        Err(Error::new(ErrorKind::Connect, "no network"))
    }

    async fn capabilities(&self, _: &str, _: &CallContext) -> Capabilities {
        Capabilities::default().context_window(Some(8_192)).max_output(Some(512))
    }
}

#[tokio::test]
async fn concurrent_calls_append_whole_lines() {
    // Longer than a block of the writer.
    const LONG: usize = 30_000;
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join("c.jsonl");
    // Two independent handles, as in two processes.
    let handles = [0, 1].map(|_| Arc::new(Recorded::new(BlockingProvider::new(Echo(LONG), 4), &path)));
    let calls = (0..24).map(|n| {
        let provider = handles[n % 2].clone();
        async move { provider.complete(&prompt(&format!("number {n} ")), &CallContext::default()).await }
    });
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    let replayed = Replayed::open(&path).await.unwrap();
    for n in 0..24 {
        let said = format!("number {n} ");
        let answer = replayed.complete(&prompt(&said), &CallContext::default()).await.unwrap();
        assert_eq!(answer.text, said.repeat(LONG));
    }
}

#[cfg(feature = "schema")]
#[tokio::test]
async fn a_truncated_answer_is_replayed_as_truncated_and_a_failed_call_is_not_recorded() {
    use crate::{Output, Schema, TruncationCause};
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join("c.jsonl");
    let schema = Schema::new("s", serde_json::json!({"type": "object"})).unwrap();
    let (prompt, context) = (prompt("?").output(Output::Json(schema)), CallContext::default());
    let down = Error::new(ErrorKind::Unavailable, "down");
    let cut = Completion::new("{\"a\": 1").finish(FinishReason::Length).usage(Usage::new(Some(1), Some(2)));
    let recorded = Recorded::new(Scripted::new([Err(down), Ok(cut)]), &path);
    recorded.complete(&prompt, &context).await.unwrap_err();
    let live = recorded.complete(&prompt, &context).await.unwrap_err();
    assert_eq!(lines(&path).await.len(), 2);
    let replayed = Replayed::open(&path).await.unwrap().complete(&prompt, &context).await.unwrap_err();
    for err in [live, replayed] {
        assert_eq!(err.kind(), ErrorKind::Truncated { cause: TruncationCause::MaxTokens });
        assert_eq!((err.partial().unwrap().text.as_str(), err.attempts()), ("{\"a\": 1", 1));
        assert_eq!(err.partial().unwrap().usage.output, Some(2));
    }
}

#[tokio::test]
async fn a_folder_answers_for_all_its_providers_and_each_of_them_alone() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let context = CallContext::default();
    let down = Scripted::new([Err(Error::new(ErrorKind::Auth, "no"))]);
    let first = Recorded::in_dir(down, folder.path());
    let second = Recorded::in_dir(BlockingProvider::new(Echo(2), 1), folder.path());
    let (first_scope, second_scope) = (first.scope(), second.scope());
    let live =
        Fallback::new(first).or(Arc::new(second), "n").complete(&prompt("ab"), &context).await.unwrap();
    assert_eq!(live.text, "abab");
    let all = Replayed::open(folder.path()).await.unwrap();
    assert_eq!(
        all.scopes().iter().map(|scope| scope.vendor.as_str()).collect::<Vec<_>>(),
        ["echo", "scripted"]
    );
    let asked = Prompt::new("n", [Message::user("ab")]);
    assert_eq!(all.complete(&asked, &context).await.unwrap().text, "abab");
    let first = all.of_scope(&first_scope).unwrap();
    assert_eq!(first.scope(), first_scope);
    let second = Arc::new(all.of_scope(&second_scope).unwrap());
    let again = Fallback::new(first).or(second, "n").complete(&prompt("ab"), &context).await.unwrap();
    assert_eq!((again.text, again.head.other_model), (live.text, true));
    assert!(all.of_scope(&Scope::new("another", None)).is_none());
}

#[tokio::test]
async fn the_error_for_an_unrecorded_prompt_names_the_file_and_the_remedy() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let recorded = Recorded::in_dir(BlockingProvider::new(Echo(1), 1), folder.path());
    recorded.complete(&prompt("?"), &CallContext::default()).await.unwrap();
    let replayed = Replayed::open(recorded.path()).await.unwrap();
    let asked = prompt("Another question with sk-planted-key-3");
    let err = replayed.complete(&asked, &CallContext::default()).await.unwrap_err();
    let message = err.to_string();
    let name = recorded.path().display().to_string();
    assert_eq!((err.kind(), err.attempts()), (ErrorKind::Unsupported, 0));
    assert!(message.contains(&name) && message.contains("\"Another question with [key]\""), "{message}");
    assert!(
        message.ends_with("Record again, or ask with the same input, recipe and parameters"),
        "{message}"
    );
}

#[tokio::test]
async fn concurrent_callers_share_a_replayed_answer() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join("c.jsonl");
    let (asked, context) = (prompt("?"), CallContext::default());
    let recorded = Recorded::new(Scripted::new(["one", "two"].map(|text| Ok(Completion::new(text)))), &path);
    for _ in 0..2 {
        recorded.complete(&asked, &context).await.unwrap();
    }
    let replayed = SingleFlight::new(Replayed::open(&path).await.unwrap());
    let (one, two) = tokio::join!(replayed.complete(&asked, &context), replayed.complete(&asked, &context));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.text.as_str(), one.attempts, two.text.as_str(), two.attempts), ("one", 1, "one", 0));
}

#[track_caller]
fn check_refused(opened: Result<Replayed, Error>, why: &str) {
    let err = opened.unwrap_err();
    assert!(err.kind() == ErrorKind::InvalidRequest && err.to_string().contains(why), "{err}");
}

#[tokio::test]
async fn a_bad_cassette_is_named_with_its_line() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join("c.jsonl");
    check_refused(Replayed::open(&path).await, "Record it first");
    check_refused(Replayed::open(folder.path()).await, "there is no cassette");
    antiphon_fs::write(&path, "\n{}\n").await.unwrap();
    check_refused(Replayed::open(&path).await, "c.jsonl:2: this is not a cassette's first line");
    antiphon_fs::write(&path, "{\"schema\": \"antiphon.cassette/9\"}\n").await.unwrap();
    check_refused(Replayed::open(folder.path()).await, "its format is antiphon.cassette/9");
    let header = |vendor: &str| {
        format!("{{\"schema\":\"antiphon.cassette/1\",\"scope\":{{\"vendor\":\"{vendor}\"}}}}\n")
    };
    antiphon_fs::write(&path, header("a") + "{\"key\": 1}\n").await.unwrap();
    check_refused(Replayed::open(&path).await, "c.jsonl:2: this is not a line of a cassette");
    antiphon_fs::write(&path, header("a") + &header("a") + &header("b")).await.unwrap();
    check_refused(Replayed::open(&path).await, "c.jsonl:3: the answers of another provider begin here");
}

#[tokio::test]
async fn a_recording_continues_after_a_line_that_a_crash_has_cut() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join("c.jsonl");
    let context = CallContext::default();
    let recorder = || Recorded::new(BlockingProvider::new(Echo(1), 1), &path);
    recorder().complete(&prompt("one"), &context).await.unwrap();
    let whole = antiphon_fs::read_to_string(&path).await.unwrap().text.into_owned();
    antiphon_fs::write(&path, whole.clone() + "{\"key\": \"12").await.unwrap();
    assert!(Replayed::open(&path).await.unwrap().complete(&prompt("one"), &context).await.is_ok());
    recorder().complete(&prompt("two"), &context).await.unwrap();
    // A final line break that an editor has removed is restored.
    let two = antiphon_fs::read_to_string(&path).await.unwrap().text.trim_end().to_owned();
    antiphon_fs::write(&path, two).await.unwrap();
    recorder().complete(&prompt("three"), &context).await.unwrap();
    let replayed = Replayed::open(&path).await.unwrap();
    for said in ["one", "two", "three"] {
        assert_eq!(replayed.complete(&prompt(said), &context).await.unwrap().text, said);
    }
    assert!(lines(&path).await.concat().starts_with(whole.lines().next().unwrap()));
    assert_eq!(lines(&path).await.len(), 5, "the header, the cut line and three answers");
}

#[tokio::test]
async fn no_call_is_made_when_it_cannot_be_recorded() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join("c.jsonl");
    Recorded::new(BlockingProvider::new(Echo(1), 1), &path)
        .complete(&prompt("?"), &CallContext::default())
        .await
        .unwrap();
    for path in [path.clone(), path.join("below-a-file.jsonl"), folder.path().to_owned()] {
        let scripted = Arc::new(Scripted::new([Ok(Completion::new("never"))]));
        let err = Recorded::new(scripted.clone(), path)
            .complete(&prompt("?"), &CallContext::default())
            .await
            .unwrap_err();
        assert!(err.to_string().contains("cannot record into "), "{err}");
        assert_eq!((scripted.calls(), err.attempts()), (0, 0));
    }
}

#[tokio::test]
async fn the_error_of_an_unwritable_answer_keeps_the_answer_and_its_cost() {
    let folder = antiphon_fs::temp_dir().unwrap();
    let path = folder.path().join("c.jsonl");
    let recorded = Recorded::new(BlockingProvider::new(Echo(1), 1), &path);
    let streaming = recorded.stream(&prompt("paid"), &CallContext::default()).await.unwrap();
    antiphon_fs::remove(&path).await.unwrap();
    antiphon_fs::create_dir(&path).await.unwrap();
    let err = streaming.complete(&CallContext::default()).await.unwrap_err();
    assert_eq!((err.partial().unwrap().text.as_str(), err.attempts()), ("paid", 1));
}
