//! Whether a request still waits for its connection.
//!
//! reqwest reports when a head has arrived, not when a connection was there. But as long as a request has none, each poll of the
//! request polls its connector; from the first poll that does not, the request has a connection, a new one or one of the pool. A
//! connector that loses against the pool is finished in a task of its own, where no request is watched.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// The watch of the request that is polled.
    static WATCHED: Connecting;
}

/// A watch over one request, which knows whether the request waits for its connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connecting(Arc<AtomicBool>);

impl Connecting {
    /// Runs the sending of a request.
    pub(crate) async fn watch<T>(&self, sending: impl Future<Output = T>) -> T {
        let mut sending = pin!(sending);
        let polled = std::future::poll_fn(|cx| {
            self.0.store(false, Ordering::Relaxed);
            sending.as_mut().poll(cx)
        });
        WATCHED.scope(self.clone(), polled).await
    }

    /// Returns whether the request had no connection when it was polled last. False for one that was not polled, or whose
    /// reqwest client has no [`ConnectingLayer`].
    pub(crate) fn is_connecting(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A layer around reqwest's connector, by which a [`Connecting`] sees that a connection is being opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectingLayer;

/// The connector below a [`ConnectingLayer`].
#[derive(Debug, Clone)]
pub(crate) struct ConnectingService<S>(S);

impl<S> Layer<S> for ConnectingLayer {
    type Service = ConnectingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ConnectingService(inner)
    }
}

impl<S, R> Service<R> for ConnectingService<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let mut connecting = Box::pin(self.0.call(target));
        Box::pin(std::future::poll_fn(move |cx| {
            let polled = connecting.as_mut().poll(cx);
            if polled.is_pending() {
                // Without a watch, the connection is opened for the pool.
                let _ = WATCHED.try_with(|watch| watch.0.store(true, Ordering::Relaxed));
            }
            polled
        }))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;
    use tower_layer::Layer;
    use tower_service::Service;

    use super::{Connecting, ConnectingLayer, Context, Poll};

    /// A connector whose connection is there once the sender says so.
    struct Slow(Option<oneshot::Receiver<()>>);

    impl Service<()> for Slow {
        type Response = ();
        type Error = oneshot::error::RecvError;
        type Future = oneshot::Receiver<()>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            self.0.take().expect("it is called once")
        }
    }

    #[test]
    fn a_request_connects_until_its_connector_is_not_polled_any_more() {
        let (open, opened) = oneshot::channel();
        let watch = Connecting::default();
        assert!(!watch.is_connecting());
        let connection = ConnectingLayer.layer(Slow(Some(opened))).call(());
        let mut sending = Box::pin(watch.watch(async {
            connection.await.expect("it is opened");
            std::future::pending::<()>().await;
        }));
        assert!((&mut sending).now_or_never().is_none() && watch.is_connecting());
        open.send(()).expect("it is waited for");
        assert!((&mut sending).now_or_never().is_none() && !watch.is_connecting());
    }

    #[test]
    fn a_connection_of_the_pool_is_not_waited_for() {
        let (_open, opened) = oneshot::channel();
        let watch = Connecting::default();
        let mut connection = ConnectingLayer.layer(Slow(Some(opened))).call(());
        let mut first = true;
        let mut sending = Box::pin(watch.watch(std::future::poll_fn(|cx| {
            if std::mem::take(&mut first) { connection.poll_unpin(cx).map(|_| ()) } else { Poll::Pending }
        })));
        assert!((&mut sending).now_or_never().is_none() && watch.is_connecting());
        assert!((&mut sending).now_or_never().is_none() && !watch.is_connecting());
        drop(sending);
        assert!(connection.now_or_never().is_none(), "finished elsewhere, where no request is watched");
        assert!(!watch.is_connecting());
    }
}
