//! A minimal HTTP client for the checks, and servers that end with their check.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell::Done;

/// A server of a check, terminated on drop.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Server {
    /// Starts `command` and waits up to two minutes until `path` is answered with 200.
    pub(super) fn start(command: &mut Command, port: u16, path: &str) -> Done<Self> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut server = Self { child: child.map_err(|err| format!("{command:?}: {err}"))?, port };
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(120) {
            if get(port, path).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("the server ended early ({status})"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("the server did not answer {path} within two minutes"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn free_port() -> Done<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|err| format!("no free port: {err}"))?;
    Ok(listener.local_addr().map_err(|err| err.to_string())?.port())
}

/// Sends a GET and returns the answer, head and body.
pub(super) fn get(port: u16, path: &str) -> Done<String> {
    send(port, &format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"))
}

/// Sends a POST of JSON and returns the answer, head and body.
pub(super) fn post(port: u16, path: &str, body: &str) -> Done<String> {
    let length = body.len();
    send(
        port,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ),
    )
}

fn send(port: u16, request: &str) -> Done<String> {
    let failed = |err: std::io::Error| format!("port {port}: {err}");
    let mut connection = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
    connection.set_read_timeout(Some(Duration::from_secs(10))).map_err(failed)?;
    connection.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).map_err(failed)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A listener that records the requests that reach it.
pub(super) struct Trap {
    pub(super) port: u16,
    requests: std::sync::mpsc::Receiver<String>,
}

impl Trap {
    pub(super) fn set() -> Done<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|err| format!("no free port: {err}"))?;
        let port = listener.local_addr().map_err(|err| err.to_string())?.port();
        let (sender, requests) = std::sync::mpsc::sync_channel(64);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut line = String::new();
                let _ = BufReader::new(connection).read_line(&mut line);
                if sender.try_send(line.trim().to_owned()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { port, requests })
    }

    /// Returns the request lines since the last call.
    pub(super) fn caught(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}
