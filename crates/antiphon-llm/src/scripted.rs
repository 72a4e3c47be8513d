//! A provider for tests that answers from a script.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;

use crate::{
    CallContext, Capabilities, Completion, Delta, Error, Health, Model, Prompt, Provider, Scope, Streaming,
};

type Answer = Result<Completion, Error>;

/// A provider that answers calls in the order of its script and records the last message and the model of each prompt.
#[derive(Debug)]
pub(crate) struct Scripted {
    answers: Mutex<Vec<Answer>>,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) models: Mutex<Vec<String>>,
    takes: Duration,
    name: &'static str,
}

impl Scripted {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Self {
            answers: Mutex::new(answers),
            asked: Mutex::default(),
            models: Mutex::default(),
            takes: Duration::ZERO,
            name: "scripted",
        }
    }

    /// Sets the vendor's name, which distinguishes several scripted providers.
    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Sets the time that each answer takes.
    pub(crate) fn slow(mut self, takes: Duration) -> Self {
        self.takes = takes;
        self
    }

    pub(crate) fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Provider for Scripted {
    fn scope(&self) -> Scope {
        Scope::new(self.name, None)
    }

    async fn stream(&self, prompt: &Prompt, _: &CallContext) -> Result<Streaming, Error> {
        let last = prompt.messages.last().map(|message| message.rendered().into_owned());
        self.asked.lock().unwrap().push(last.unwrap_or_default());
        self.models.lock().unwrap().push(prompt.model.clone());
        match self.takes {
            Duration::ZERO => tokio::task::yield_now().await,
            takes => tokio::time::sleep(takes).await,
        }
        let answer = self.answers.lock().unwrap().pop().expect("the script has an answer for every call")?;
        let (head, attempts) = (answer.head.clone(), answer.attempts);
        let end = answer.into_complete(&prompt.output).map(|answer| Delta::End(Box::new(answer)));
        Ok(Streaming::start(head, stream::iter([end])).await?.with_attempts(attempts))
    }

    async fn models(&self, _: &CallContext) -> Result<Vec<Model>, Error> {
        Ok(Vec::new())
    }

    async fn health(&self, _: &CallContext) -> Result<Health, Error> {
        Ok(Health::default())
    }

    async fn capabilities(&self, _: &str, _: &CallContext) -> Capabilities {
        Capabilities::default()
    }
}
