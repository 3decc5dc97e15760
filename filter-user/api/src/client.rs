//! Asking the running controller, over its control socket.

use std::{io, path::PathBuf, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use policy::instance::Instance;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::version::{self, OtherVersion};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error(
        "instance {instance} is not running: nobody answers on {}",
        socket.display()
    )]
    NotRunning {
        /// The name of the instance.
        instance: String,
        /// Where it would listen.
        socket: PathBuf,
    },
    /// The socket is not for this user.
    #[error("{}: {source}. The control socket is for root and the members of group poolguard", socket.display())]
    Refused {
        /// The socket.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The socket cannot be connected to.
    #[error("cannot ask the controller on {}: {source}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No answer came in time.
    #[error(
        "the controller does not answer on {} within {patience:#}. What it was asked for may still \
         be done: its log says so. --timeout waits longer",
        socket.display()
    )]
    TooSlow {
        /// The socket.
        socket: PathBuf,
        /// How long the answer was waited for.
        patience: SignedDuration,
    },
    /// The connection ended, or what came was not HTTP.
    #[error("the controller did not answer: {0}")]
    Http(#[from] hyper::Error),
    /// What was asked for cannot be, and why.
    #[error("{0}")]
    Declined(String),
    /// The controller could not answer, and why.
    #[error("the controller answers: {0}")]
    Failed(String),
    /// The controller speaks another version.
    #[error("the controller is of another version: {0}")]
    Version(#[from] OtherVersion),
    /// The path is none.
    #[error("the request cannot be sent: {0}")]
    Request(#[from] hyper::http::Error),
    /// The answer is not the JSON that was expected, or the question cannot be JSON.
    #[error("the controller's answer makes no sense: {0}")]
    Answer(#[from] serde_json::Error),
    /// There is no runtime to wait in.
    #[error("{0}")]
    Runtime(#[from] io::Error),
}

/// A controller, and how long it may take to answer.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The controller of this instance.
    pub instance: &'a Instance,
    /// How long each answer is waited for.
    pub patience: SignedDuration,
}

impl Client<'_> {
    /// Asks for something, and reads the JSON answer.
    ///
    /// # Errors
    ///
    /// When the controller is not there, does not answer in time, or says why it does not
    /// do it.
    pub fn get<T: DeserializeOwned>(self, path: &str) -> Result<T, ClientError> {
        let request = Request::get(path).body(Full::default())?;
        self.answer(request)
    }

    /// Has the controller do something, and reads the JSON answer.
    ///
    /// # Errors
    ///
    /// When the controller is not there, does not answer in time, or says why it does not
    /// do it.
    pub fn post<T: DeserializeOwned>(
        self,
        path: &str,
        what: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(serde_json::to_vec(what)?))?;
        self.answer(request)
    }

    fn answer<T: DeserializeOwned>(self, request: Request<Full<Bytes>>) -> Result<T, ClientError> {
        let Self { instance, patience } = self;
        let answer = async {
            let patience = Duration::try_from(patience).unwrap_or(Duration::MAX);
            let asked = async { ask(connect(instance).await?, request).await };
            tokio::time::timeout(patience, asked).await
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(answer).unwrap_or_else(|_| {
            let socket = instance.control_socket();
            Err(ClientError::TooSlow { socket, patience })
        })
    }
}

async fn ask<T: DeserializeOwned>(
    stream: UnixStream,
    mut request: Request<Full<Bytes>>,
) -> Result<T, ClientError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let host = header::HeaderValue::from_static("localhost");
    request.headers_mut().insert(header::HOST, host);
    let spoken = header::HeaderValue::from(version::VERSION);
    request.headers_mut().insert(version::HEADER, spoken);
    let response = sender.send_request(request).await?;
    let said = response.headers().get(version::HEADER);
    version::check(said.map(header::HeaderValue::as_bytes))?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status.is_success() {
        Ok(serde_json::from_slice(&body)?)
    } else {
        let text = String::from_utf8_lossy(&body);
        let text = text.trim().to_owned();
        Err(match status {
            StatusCode::CONFLICT => ClientError::Declined(text),
            _ => ClientError::Failed(text),
        })
    }
}

async fn connect(instance: &Instance) -> Result<UnixStream, ClientError> {
    let socket = instance.control_socket();
    UnixStream::connect(&socket)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning {
                instance: instance.name().to_owned(),
                socket,
            },
            io::ErrorKind::PermissionDenied => ClientError::Refused { socket, source },
            _ => ClientError::Unreachable { socket, source },
        })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::{answers::Confirmed, routes};

    /// What a controller is asked, and what becomes of it where these headers and this body
    /// come back.
    fn asked(headers: &str, body: &str) -> (String, Result<Confirmed, ClientError>) {
        let response = format!(
            "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        runtime.unwrap().block_on(async {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let controller = tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(theirs.read_u8().await.unwrap());
                }
                theirs.write_all(response.as_bytes()).await.unwrap();
                String::from_utf8(request).unwrap()
            });
            let request = Request::post(routes::CONFIRM)
                .body(Full::default())
                .unwrap();
            let answer = ask(ours, request).await;
            (controller.await.unwrap(), answer)
        })
    }

    const ANSWER: &str = "{\"generation\": 3}";

    #[test]
    fn a_question_says_its_version_under_the_path_of_ever() {
        let (request, answer) = asked("poolguard-api: 1\r\n", ANSWER);
        assert!(
            request.starts_with("POST /confirm HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\npoolguard-api: 1\r\n"), "{request}");
        assert_eq!(answer.unwrap().generation, 3);
    }

    #[test]
    fn a_controller_from_before_there_were_versions_is_understood() {
        let (_, answer) = asked("", ANSWER);
        assert_eq!(answer.unwrap().generation, 3);
    }

    #[test]
    fn a_controller_of_another_version_is_named_and_not_taken_at_its_word() {
        for other in ["2", "0", "one"] {
            let (_, answer) = asked(&format!("poolguard-api: {other}\r\n"), ANSWER);
            let error = answer.unwrap_err().to_string();
            assert!(
                error.contains("the controller is of another version"),
                "{error}"
            );
            assert!(error.contains(&format!("in version {other}:")), "{error}");
        }
    }
}
