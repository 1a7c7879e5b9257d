//! Calls of the REST API over a connection that is kept.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::load::complete;
use crate::bench::portway::Portway;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(in crate::bench) struct Caller {
    stream: TcpStream,
    /// What every request has after its first line.
    head: String,
}

impl Caller {
    pub(in crate::bench) fn new(server: &Portway) -> Result<Self> {
        let host = server.fact("api_url")?.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).context("connecting to the API")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let key = server.fact("api_key")?;
        let head = format!("Host: {host}\r\nAuthorization: Bearer {key}\r\nNgrok-Version: 2\r\n");
        Ok(Self { stream, head })
    }

    /// The reply, when all went well; null when it is empty.
    pub(in crate::bench) fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request =
            format!("{method} {path} HTTP/1.1\r\n{}{kind}Content-Length: {}\r\n\r\n{body}", self.head, body.len());
        self.stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut buffer = [0_u8; 16 * 1024];
        while !complete(&answer) {
            match self.stream.read(&mut buffer)? {
                0 => bail!("{method} {path}: the connection ended"),
                read => answer.extend_from_slice(&buffer[..read]),
            }
        }
        let text = String::from_utf8(answer).context("an answer is text")?;
        let (head, body) = text.split_once("\r\n\r\n").context("an answer has a head")?;
        if !head.starts_with("HTTP/1.1 2") {
            bail!("{method} {path}: {} {body}", head.lines().next().unwrap_or_default());
        }
        if body.is_empty() { Ok(Value::Null) } else { serde_json::from_str(body).context("an answer is JSON") }
    }
}
