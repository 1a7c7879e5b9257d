//! A visitor of public URLs: curl, told where the server is.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::server::Server;
use crate::program::wait_for;
use crate::workspace::Workspace;

/// How long one request may take, in seconds.
const REQUEST: &str = "60";
/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Header fields, with names in lower case.
    fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} with {:?}", self.summary(), self.fields)
    }
}

impl Answer {
    /// A header field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Enough of it for a message.
    pub(super) fn summary(&self) -> String {
        format!("{} {:?}", self.status, self.text().chars().take(200).collect::<String>())
    }

    /// Whether body or header names an error code.
    pub(super) fn has_code(&self, code: &str) -> bool {
        self.text().contains(code) || self.field("ngrok-error-code") == Some(code)
    }
}

/// Sends requests.
pub(super) struct Visitor<'a> {
    server: &'a Server,
    folder: PathBuf,
}

impl<'a> Visitor<'a> {
    /// One that leaves its files in `folder`.
    pub(super) fn new(server: &'a Server, folder: &Path) -> Self {
        Self { server, folder: folder.to_path_buf() }
    }

    /// Requests `path` of the endpoint `url`, with more arguments for curl.
    pub(super) fn get(&self, url: &str, path: &str, arguments: &[&str]) -> Result<Answer> {
        self.get_trusting(&self.server.ca(), url, path, arguments)
    }

    /// Like [`Visitor::get`], trusting another CA than the server's.
    pub(super) fn get_trusting(&self, ca: &Path, url: &str, path: &str, arguments: &[&str]) -> Result<Answer> {
        let (head, body) = (self.folder.join("visitor.head"), self.folder.join("visitor.body"));
        let mut command = self.curl(ca, url, path)?;
        command.arg("--dump-header").arg(&head).arg("--output").arg(&body).args(arguments);
        drop((fs::remove_file(&head), fs::remove_file(&body)));
        run(&mut command)?;
        let head = fs::read_to_string(&head).context("reading the head of an answer")?;
        let (status, fields) = parse_head(&head).with_context(|| format!("reading the head {head:?}"))?;
        // curl makes no file when there is no body.
        Ok(Answer { status, fields, body: fs::read(&body).unwrap_or_default() })
    }

    /// Downloads `path` and returns the number of bytes.
    pub(super) fn download(&self, url: &str, path: &str) -> Result<u64> {
        let mut command = self.curl(&self.server.ca(), url, path)?;
        command.args(["--output", "/dev/null", "--write-out", "%{size_download}"]);
        run(&mut command)?.trim().parse().context("reading what curl counted")
    }

    /// Requests `path` until the answer is as wanted; fails with what the last one was.
    pub(super) fn until(&self, url: &str, path: &str, good: impl Fn(&Answer) -> bool) -> Result<Answer> {
        self.until_with(url, path, &[], good)
    }

    /// Like [`Visitor::until`], with more arguments for curl.
    pub(super) fn until_with(
        &self,
        url: &str,
        path: &str,
        arguments: &[&str],
        good: impl Fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let mut last = String::from("nothing was asked");
        let found = wait_for("the answer", PATIENCE, || {
            match self.get(url, path, &[&["--max-time", "5"], arguments].concat()) {
                Ok(answer) if good(&answer) => return Ok(Some(answer)),
                Ok(answer) => last = answer.summary(),
                Err(error) => last = format!("{error:#}"),
            }
            Ok(None)
        });
        found.with_context(|| format!("the last answer of {url} was: {last}"))
    }

    /// Sends a message by WebSocket and returns what comes back.
    pub(super) fn websocket(&self, workspace: &Workspace, url: &str, path: &str, message: &str) -> Result<String> {
        let host = url.split("://").nth(1).and_then(|host| host.split([':', '/']).next()).unwrap_or_default();
        let address = self.server.address("https_addr").context("the ready line has no https_addr")?;
        let mut command = Command::new("python3");
        command.arg(workspace.root().join("compat/websocket.py")).arg(address.ip().to_string());
        command.arg(address.port().to_string()).arg(host).arg(self.server.ca()).args([path, message]);
        Ok(run(&mut command)?.trim_end().to_owned())
    }

    fn curl(&self, ca: &Path, url: &str, path: &str) -> Result<Command> {
        let (scheme, host) = url.split_once("://").with_context(|| format!("no scheme in {url}"))?;
        let host = host.split([':', '/']).next().unwrap_or_default();
        let field = if scheme == "http" { "http_addr" } else { "https_addr" };
        let address = self.server.address(field).with_context(|| format!("the ready line has no {field}"))?;
        let scheme = if scheme == "http" { "http" } else { "https" };
        let mut command = Command::new("curl");
        command.args(["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", REQUEST, "--cacert"]);
        command.arg(ca).arg("--connect-to").arg(format!("::{}:{}", address.ip(), address.port()));
        command.arg(format!("{scheme}://{host}{path}"));
        Ok(command)
    }
}

/// Runs a program; its message is the failure.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().context("starting a visitor")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}", errors.lines().next().unwrap_or("the visitor failed without a word"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Status and fields of the last head in `text` (before it there may be those of interim answers).
fn parse_head(text: &str) -> Option<(u16, Vec<(String, String)>)> {
    let head = text.trim_end().rsplit("\r\n\r\n").next()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields = lines.filter_map(|line| line.split_once(':'));
    Some((status, fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_head_counts() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/2 404 \r\nNgrok-Error-Code: ERR_NGROK_3200\r\n\r\n";
        let (status, fields) = parse_head(text).expect("a head");
        let answer = Answer { status, fields, body: Vec::new() };
        assert_eq!(answer.status, 404);
        assert!(answer.has_code("ERR_NGROK_3200"));
    }
}
