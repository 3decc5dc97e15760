//! What else the controller can be asked over its control socket.

use api::{
    answers::{Confirmed, DiffOutcome, Explained},
    last_use::Unused,
    requests::{Candidate, NewExemption},
    routes,
    status::ListedExemption,
};
use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Path, State, connect_info::Connected},
    routing::{get, post},
    serve::IncomingStream,
};
use policy::{config::TemporaryExemption, explain::Question};
use tokio::{
    net::UnixListener,
    sync::{Mutex, Semaphore, mpsc, oneshot},
    task::spawn_blocking,
};

use super::{
    Comparison, Controller, Defect,
    defect::guarded,
    http::{Failure, Request, ask},
    outcome,
};

/// The way to the controller.
type Requests = mpsc::Sender<Request>;

/// Who asks: a user ID, as the kernel knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) u32);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // The socket is root's. The kernel has no reason not to know.
        const NOBODY: u32 = 65_534;
        let credentials = stream.io().peer_cred();
        Self(credentials.map_or(NOBODY, |credentials| credentials.uid()))
    }
}

pub(super) fn wishes() -> Router<Requests> {
    Router::new()
        .route(routes::DIFF, get(diff))
        // A million customers are 60 MB.
        .route(
            routes::DIFF,
            post(diff_with).layer(DefaultBodyLimit::max(1 << 30)),
        )
        .route(routes::EXPLAIN, post(explain))
        .route(routes::CONFIRM, post(confirm))
        .route(routes::EXEMPTIONS, post(exempt))
        .route(routes::UNUSED, get(unused))
        .route(routes::REMOVE_EXEMPTION, post(remove_exemption))
}

/// Waits until the controller has done something.
async fn have<T: Send + 'static>(
    requests: &Requests,
    done: impl FnOnce(&mut Controller) -> T + Send + 'static,
) -> Result<T, Failure> {
    let request = |answer: oneshot::Sender<Result<T, Defect>>| {
        Request::Other(Box::new(move |controller| {
            // Whoever asked may have gone; what was done counts all the same.
            let _gone = answer.send(guarded("answering", || done(controller)));
        }))
    };
    ask(requests, request).await?.map_err(Failure::Defect)
}

/// An answer, or why there is none.
fn answered<T, E: std::error::Error>(answer: Result<T, E>) -> Result<Json<T>, Failure> {
    answer
        .map(Json)
        .map_err(|error| Failure::Refused(error.to_string()))
}

async fn diff(State(requests): State<Requests>) -> Result<Json<DiffOutcome>, Failure> {
    compare(&requests, |controller| controller.comparison()).await
}

async fn diff_with(
    State(requests): State<Requests>,
    Json(candidate): Json<Candidate>,
) -> Result<Json<DiffOutcome>, Failure> {
    compare(&requests, |controller| {
        controller.comparison_with(candidate)
    })
    .await
}

/// Compares beside the controller, which goes on meanwhile.
async fn compare(
    requests: &Requests,
    comparison: impl FnOnce(&mut Controller) -> Comparison + Send + 'static,
) -> Result<Json<DiffOutcome>, Failure> {
    /// Each reads all files, and takes as much memory as a reload.
    static AT_ONCE: Semaphore = Semaphore::const_new(2);
    let place = AT_ONCE.acquire().await.map_err(|_| Failure::Gone)?;
    let comparison = have(requests, comparison).await?;
    let outcome = spawn_blocking(move || outcome::of_diff(comparison.make()));
    let outcome = outcome.await.map_err(|_| Failure::Gone)?;
    drop(place);
    Ok(Json(outcome))
}

/// Building the tables takes a second with a million customers, and memory: the
/// controller does not wait for it, and one at a time is enough.
static EXPLAINING: Mutex<()> = Mutex::const_new(());

async fn explain(
    State(requests): State<Requests>,
    Json(question): Json<Question>,
) -> Result<Json<Explained>, Failure> {
    let _alone = EXPLAINING.lock().await;
    let packet = question.packet();
    let ends = packet.map(|packet| [packet.source, packet.destination]);
    let ends = ends.map_or_else(|_| Vec::new(), Vec::from);
    let ((intent, in_force, now), last_uses) = have(&requests, move |controller| {
        (controller.in_force(), controller.uses_around(&ends))
    })
    .await?;
    let answer = move || guarded("explaining", || question.answer(&intent, now));
    let answer = spawn_blocking(answer).await.map_err(|_| Failure::Gone)?;
    let explanation = answer.map_err(Failure::Defect)?;
    answered(explanation.map(|explanation| Explained {
        explanation,
        in_force,
        last_uses,
    }))
}

async fn confirm(State(requests): State<Requests>) -> Result<Json<Confirmed>, Failure> {
    answered(have(&requests, Controller::confirm).await?)
}

async fn exempt(
    State(requests): State<Requests>,
    ConnectInfo(Peer(uid)): ConnectInfo<Peer>,
    Json(new): Json<NewExemption>,
) -> Result<Json<ListedExemption>, Failure> {
    answered(have(&requests, move |controller| controller.exempt(new, uid)).await?)
}

async fn unused(
    State(requests): State<Requests>,
    Path(days): Path<u32>,
) -> Result<Json<Unused>, Failure> {
    Ok(Json(
        have(&requests, move |controller| controller.unused(days)).await?,
    ))
}

async fn remove_exemption(
    State(requests): State<Requests>,
    ConnectInfo(Peer(uid)): ConnectInfo<Peer>,
    Path(id): Path<u64>,
) -> Result<Json<TemporaryExemption>, Failure> {
    let removed = have(&requests, move |controller| {
        controller.remove_exemption(id, uid)
    });
    answered(removed.await?)
}
