//! What the service manager is told. Its socket may be full, and so a thread waits for it
//! and not the controller.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use sd_notify::NotifyState;

/// How many messages may wait. What is said in them is said again.
const MESSAGES: usize = 64;
/// How long the end of the process waits until it is told of.
const LAST_MESSAGE: Duration = Duration::from_secs(1);

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub(super) struct ServiceManager {
    messages: Option<SyncSender<Message>>,
}

/// What it is told.
#[derive(Debug)]
pub(super) enum Message {
    /// The start is over, and this is enforced.
    Started(String),
    /// A reload begins.
    Reloading,
    /// A reload is over.
    Ready,
    /// What is enforced has changed.
    Status(String),
    /// All is well.
    Watchdog,
    /// The end begins.
    Stopping,
    /// All before this one was sent.
    Sent(SyncSender<()>),
}

impl ServiceManager {
    /// Tells nobody where nobody asked to be told.
    pub(super) fn new() -> Self {
        let wants_to_know = std::env::var_os("NOTIFY_SOCKET").is_some();
        let begin = || {
            let (messages, received) = sync_channel(MESSAGES);
            let thread = thread::Builder::new().spawn(move || send_all(&received));
            let begun = thread.inspect_err(|error| {
                tracing::error!(
                    %error,
                    "the service manager is told nothing, for want of a thread, and may restart the \
                     controller. The filter goes on"
                );
            });
            begun.ok().map(|_| messages)
        };
        Self {
            messages: wants_to_know.then(begin).flatten(),
        }
    }

    /// Has it told.
    pub(super) fn tell(&self, message: Message) {
        let told = self.messages.as_ref().map(|all| all.try_send(message));
        if let Some(Err(error)) = told {
            tracing::warn!(
                %error,
                "the service manager takes no messages, and may restart the controller. The filter \
                 goes on"
            );
        }
    }

    /// Gives the last message a moment to be sent.
    pub(super) fn end(&self) {
        if self.messages.is_some() {
            let (sent, is_sent) = sync_channel(1);
            self.tell(Message::Sent(sent));
            let _too_late = is_sent.recv_timeout(LAST_MESSAGE);
        }
    }
}

fn send_all(messages: &Receiver<Message>) {
    for message in messages {
        match message {
            Message::Started(status) => send(&[NotifyState::Ready, NotifyState::Status(&status)]),
            Message::Reloading => send(&[
                NotifyState::Reloading,
                NotifyState::monotonic_usec_now().unwrap_or(NotifyState::Status("")),
            ]),
            Message::Ready => send(&[NotifyState::Ready]),
            Message::Status(status) => send(&[NotifyState::Status(&status)]),
            Message::Watchdog => send(&[NotifyState::Watchdog]),
            Message::Stopping => send(&[NotifyState::Stopping]),
            Message::Sent(sent) => drop(sent.send(())),
        }
    }
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::warn!(
            %error,
            "cannot notify the service manager, which may restart the controller. The filter \
             goes on"
        );
    }
}
