//! What listens in the laboratory, beside the mail servers: customers' badly
//! configured machines, and the web server on the Internet.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{IpAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab::{Namespace, interrupt};

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers every HTTP request to these ports with `body`, until the process
/// ends. Listens when it returns.
pub(crate) fn serve(
    namespace: &Namespace,
    address: &str,
    ports: &[u16],
    body: &Arc<[u8]>,
) -> Result<()> {
    interrupt::check()?;
    let address: IpAddr = address.parse().context("not an address")?;
    for &port in ports {
        let listener = namespace
            .run(|| TcpListener::bind((address, port)))
            .with_context(|| format!("cannot listen on {address} port {port}"))?;
        let body = Arc::clone(body);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let body = Arc::clone(&body);
                // A client that goes away is none of our business.
                thread::spawn(move || answer(&connection, &body));
            }
        });
    }
    Ok(())
}

fn answer(mut connection: &TcpStream, body: &[u8]) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    for line in BufReader::new(connection).lines() {
        if line?.is_empty() {
            break;
        }
    }
    // The length is left out, so that the server closes first: a client that
    // closes first cannot use its port again for a minute.
    connection.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
    connection.write_all(body)
}
