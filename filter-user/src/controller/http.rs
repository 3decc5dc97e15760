//! The two HTTP services: metrics and health for whoever may connect, control
//! for root on a Unix socket.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use api::{answers::ReloadOutcome, requests::ReloadOptions, routes, status::Status, version};
use axum::{
    Json, Router,
    extract::{self, ConnectInfo, State},
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use dataplane::DataplaneError;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use policy::totals::Totals;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use super::{
    AskedBy, Controller, Defect, Pulse, Shared, Snapshot,
    control::{self, Peer},
    defect::guarded,
    pulse::STANDSTILL,
};
use crate::metrics::exposition;

/// A question to the controller, with the way back for its answer.
pub(super) enum Request {
    /// Read the configuration again.
    Reload(ReloadOptions, AskedBy, oneshot::Sender<ReloadOutcome>),
    /// Do something else between two other things, so that nobody sees half of
    /// it.
    Other(Box<dyn FnOnce(&mut Controller) + Send>),
    /// Take the filter off, and end.
    Detach(DetachAnswer),
}

/// What went wrong, if anything did.
pub(super) type DetachAnswer = oneshot::Sender<Option<String>>;

/// `/metrics`, `/healthz` and `/readyz`.
pub(super) fn public(shared: Arc<Shared>, pulse: Pulse) -> Router {
    let health = Router::new()
        .route("/healthz", get(health))
        .with_state(pulse);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/readyz", get(ready))
        .with_state(shared)
        .merge(health)
}

/// Whether the control loop goes round.
async fn health(State(pulse): State<Pulse>) -> (StatusCode, String) {
    let still_for = pulse.still_for();
    match still_for > STANDSTILL {
        false => (StatusCode::OK, "ok\n".to_owned()),
        true => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "the control loop has stood still for {} seconds: the filter goes on by itself\n",
                still_for.as_secs()
            ),
        ),
    }
}

/// How many connections are served at once. Whoever comes after them takes the place of
/// the one that has been there the longest: a scraper is done within milliseconds.
const CONNECTIONS: usize = 64;

/// How long a client may take to ask, which a scraper does at once: those that do
/// not must not keep it waiting for long.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a client may take to listen.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// Serves whoever connects, without letting them use up what the controller
/// itself needs, however slow they are.
pub(super) async fn serve_strangers(listener: TcpListener, router: Router) -> io::Result<()> {
    let mut served: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to /metrics");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        served.retain(|connection| !connection.is_finished());
        if served.len() >= CONNECTIONS
            && let Some(longest) = served.pop_front()
        {
            longest.abort();
        }
        let connection = tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            // What a client does wrong is the client's concern.
            let _ended = tokio::time::timeout(LONGEST_ANSWER, connection).await;
        });
        served.push_back(connection.abort_handle());
    }
}

/// `/status`, which does not wait, and what has the controller do something.
pub(super) fn control(shared: Arc<Shared>, requests: mpsc::Sender<Request>) -> Router {
    let questions = Router::new()
        .route(routes::STATUS, get(status))
        .with_state(shared);
    let wishes = Router::new()
        .route(routes::RELOAD, post(reload))
        .route(routes::DETACH, post(detach))
        .merge(control::wishes())
        .with_state(requests);
    versioned(questions.merge(wishes))
}

/// Refuses requests of another version, and says the version of every answer.
fn versioned(router: Router) -> Router {
    router.layer(middleware::from_fn(speak))
}

async fn speak(request: extract::Request, next: Next) -> Response {
    let said = request.headers().get(version::HEADER);
    let mut response = match version::check(said.map(HeaderValue::as_bytes)) {
        Ok(()) => next.run(request).await,
        Err(other) => (StatusCode::BAD_REQUEST, other.to_string()).into_response(),
    };
    let spoken = HeaderValue::from(version::VERSION);
    response.headers_mut().insert(version::HEADER, spoken);
    response
}

/// What can be wrong with an answer.
pub(super) enum Failure {
    Read(DataplaneError),
    Render(prometheus::Error),
    Defect(Defect),
    /// What was asked for cannot be.
    Refused(String),
    Gone,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let text = match self {
            Self::Refused(why) => return (StatusCode::CONFLICT, why).into_response(),
            Self::Read(error) => format!("cannot read the counters: {error}\n"),
            Self::Render(error) => format!("cannot render the metrics: {error}\n"),
            Self::Defect(defect) => format!("{defect}\n"),
            Self::Gone => "the controller is stopping\n".to_owned(),
        };
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    }
}

/// Reads the kernel off the threads that serve connections: thousands of
/// system calls, where there are thousands of pools.
async fn read(shared: Arc<Shared>) -> Result<(Totals, Status), Failure> {
    let snapshot: Arc<Snapshot> = shared.latest();
    tokio::task::spawn_blocking(move || guarded("answering", || snapshot.read()))
        .await
        .map_err(|_| Failure::Gone)?
        .map_err(Failure::Defect)?
        .map_err(Failure::Read)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Failure> {
    let (totals, status) = read(shared).await?;
    let text = guarded("rendering the metrics", || {
        exposition::render(totals, status)
    });
    let text = text.map_err(Failure::Defect)?.map_err(Failure::Render)?;
    Ok(([(CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response())
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let latest = shared.latest();
    let interfaces = latest.interfaces();
    let mut text = String::new();
    for interface in interfaces.iter().filter(|interface| !interface.attached) {
        let problem = interface.problem.as_deref().unwrap_or_default();
        text.push_str(&format!("not enforcing on {}: {problem}\n", interface.name));
    }
    for interface in interfaces.iter().filter(|interface| interface.outdated) {
        let problem = interface.problem.as_deref().unwrap_or_default();
        text.push_str(&format!(
            "not as configured on {}: {problem}\n",
            interface.name
        ));
    }
    let open = interfaces
        .iter()
        .filter(|interface| interface.has_open_exit());
    for interface in open.filter(|interface| interface.attached) {
        let problem = interface.problem.as_deref();
        text.push_str(&format!(
            "not judging what leaves at {}: {}\n",
            interface.name,
            problem.unwrap_or("no program is attached at the way out, the log says why")
        ));
    }
    for interface in &interfaces {
        let wire = interface.wire.as_ref();
        if let Some(problem) = wire.and_then(|wire| wire.problem.as_deref()) {
            text.push_str(&format!(
                "not forwarding from {}: {problem}\n",
                interface.name
            ));
        }
    }
    let (code, text) = match text.is_empty() {
        true => (StatusCode::OK, "ok\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, text),
    };
    (code, text + &latest.doubts())
}

async fn status(State(shared): State<Arc<Shared>>) -> Result<Json<Status>, Failure> {
    read(shared).await.map(|(_, status)| Json(status))
}

async fn reload(
    State(requests): State<mpsc::Sender<Request>>,
    ConnectInfo(Peer(uid)): ConnectInfo<Peer>,
    Json(options): Json<ReloadOptions>,
) -> Result<Json<ReloadOutcome>, Failure> {
    let request = |answer| Request::Reload(options, AskedBy::User(uid), answer);
    ask(&requests, request).await.map(Json)
}

async fn detach(
    State(requests): State<mpsc::Sender<Request>>,
) -> Result<Json<Option<String>>, Failure> {
    ask(&requests, Request::Detach).await.map(Json)
}

/// Asks the controller, and waits for its answer.
pub(super) async fn ask<T>(
    requests: &mpsc::Sender<Request>,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Result<T, Failure> {
    let (answer, answered) = oneshot::channel();
    let sent = requests.send(request(answer)).await;
    sent.map_err(|_| Failure::Gone)?;
    answered.await.map_err(|_| Failure::Gone)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::time::Duration;

    use axum::body::Body;
    use http_body_util::BodyExt as _;
    use hyper::service::Service as _;
    use jiff::Timestamp;

    use super::*;
    use crate::controller::Clock;

    #[tokio::test]
    async fn a_control_loop_that_stands_still_is_not_healthy() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let pulse = Pulse::new(clock);
        hand.advance(STANDSTILL);
        assert_eq!(health(State(pulse.clone())).await.0, StatusCode::OK);
        hand.advance(Duration::from_secs(1));
        let (code, text) = health(State(pulse.clone())).await;
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("stood still for 121 seconds"), "{text}");
        pulse.beat();
        assert_eq!(health(State(pulse)).await.0, StatusCode::OK);
    }

    /// What is answered to a request that says this version, or none.
    fn answered(path: &str, said: Option<&str>) -> (StatusCode, String) {
        let router = versioned(Router::new().route("/status", get(|| async { "done" })));
        let mut request = extract::Request::get(path);
        if let Some(said) = said {
            request = request.header(version::HEADER, said);
        }
        let request = request.body(Body::empty()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let response = TowerToHyperService::new(router)
                .call(request)
                .await
                .unwrap();
            assert_eq!(response.headers()[version::HEADER], "1", "{path}");
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    #[test]
    fn a_command_of_this_version_and_one_from_before_there_were_versions_are_served() {
        for said in [None, Some("1")] {
            let done = (StatusCode::OK, "done".to_owned());
            assert_eq!(answered("/status", said), done);
        }
    }

    #[test]
    fn a_command_of_another_version_is_told_so_and_nothing_is_done() {
        for said in ["2", "0", "", "one"] {
            let (status, text) = answered("/status", Some(said));
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(text.contains(&format!("in version {said}:")), "{text}");
            assert!(text.contains("nothing was done"), "{text}");
        }
    }

    #[test]
    fn a_path_that_is_none_has_a_version_too() {
        assert_eq!(answered("/none", None).0, StatusCode::NOT_FOUND);
    }
}
