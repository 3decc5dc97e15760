//! What else the controller can be asked over its control socket.

use axum::{Json, Router, extract::State, routing::get};
use tokio::sync::mpsc;

use super::{
    Controller, DiffOutcome,
    http::{Failure, Request, ask},
};

/// The way to the controller.
type Requests = mpsc::Sender<Request>;

pub(super) fn wishes() -> Router<Requests> {
    Router::new().route("/diff", get(diff))
}

/// Waits until the controller has done something.
async fn have<T: Send + 'static>(
    requests: &Requests,
    done: impl FnOnce(&mut Controller) -> T + Send + 'static,
) -> Result<T, Failure> {
    let request = |answer: tokio::sync::oneshot::Sender<T>| {
        Request::Other(Box::new(move |controller| {
            // Whoever asked may have gone; what was done counts all the same.
            let _gone = answer.send(done(controller));
        }))
    };
    ask(requests, request).await
}

async fn diff(State(requests): State<Requests>) -> Result<Json<DiffOutcome>, Failure> {
    let outcome = have(&requests, |controller| DiffOutcome::from(controller.diff()));
    outcome.await.map(Json)
}
