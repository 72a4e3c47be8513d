/// Implements `Provider` for a wrapper with a field `inner`: the wrapper's `begin` begins answers, all other methods forward
/// to `inner`.
macro_rules! forward {
    ($wrapper:ident) => {
        #[async_trait::async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<P: $crate::Provider> $crate::Provider for $wrapper<P> {
            fn scope(&self) -> $crate::Scope {
                self.inner.scope()
            }

            async fn stream(
                &self,
                prompt: &$crate::Prompt,
                context: &$crate::CallContext,
            ) -> Result<$crate::Streaming, $crate::Error> {
                self.begin(prompt, context).await
            }

            async fn models(
                &self,
                context: &$crate::CallContext,
            ) -> Result<Vec<$crate::Model>, $crate::Error> {
                self.inner.models(context).await
            }

            async fn health(&self, context: &$crate::CallContext) -> Result<$crate::Health, $crate::Error> {
                self.inner.health(context).await
            }

            async fn capabilities(&self, model: &str, context: &$crate::CallContext) -> $crate::Capabilities {
                self.inner.capabilities(model, context).await
            }
        }
    };
}

pub(crate) use forward;
