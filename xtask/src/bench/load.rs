//! Load on a system: `wrk` for requests, `curl` for bulk.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::setup;

/// Prints one line of figures, and connects to loopback whatever the URL's name is.
const SCRIPT: &str = r#"
wrk.resolve = function(host, service)
   wrk.addrs = { wrk.lookup("127.0.0.1", service)[1] }
end
done = function(summary, latency, requests)
   local e = summary.errors
   io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.duration, summary.requests,
      latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.timeout, e.status))
end
"#;

/// The programs that make load.
pub(super) struct Load {
    wrk: PathBuf,
    curl: PathBuf,
    script: PathBuf,
}

/// What a run of requests gave.
#[derive(Debug, PartialEq)]
pub(super) struct Requests {
    pub(super) time: Duration,
    pub(super) answered: u64,
    /// Microseconds.
    pub(super) p50: f64,
    /// Microseconds.
    pub(super) p99: f64,
    /// Connections that failed and answers that were no success.
    pub(super) errors: u64,
}

impl Requests {
    pub(super) fn per_second(&self) -> f64 {
        self.answered as f64 / self.time.as_secs_f64()
    }
}

impl Load {
    /// Finds the programs.
    pub(super) fn new(scratch: &Path) -> Result<Self> {
        let missing =
            |program: &str| format!("{program} is not installed; run `cargo xtask setup` or install it with apt-get");
        let wrk = setup::find("wrk").with_context(|| missing("wrk"))?;
        let curl = setup::find("curl").with_context(|| missing("curl"))?;
        let script = scratch.join("wrk.lua");
        fs::write(&script, SCRIPT).context("writing the script of wrk")?;
        Ok(Self { wrk, curl, script })
    }

    /// Sends requests over `connections` for `time`; with `close`, each over a connection of its own.
    pub(super) fn requests(&self, url: &str, connections: usize, time: Duration, close: bool) -> Result<Requests> {
        let headers = if close { &["Connection: close".to_owned()][..] } else { &[] };
        self.requests_with(url, connections, time, headers)
    }

    /// Sends requests with these headers over `connections` for `time`.
    pub(super) fn requests_with(
        &self,
        url: &str,
        connections: usize,
        time: Duration,
        headers: &[String],
    ) -> Result<Requests> {
        let mut wrk = Command::new(&self.wrk);
        let threads = connections.min(2);
        wrk.arg(format!("-c{connections}")).arg(format!("-t{threads}")).arg(format!("-d{}s", time.as_secs().max(1)));
        wrk.arg("-s").arg(&self.script).args(["--timeout", "10s"]);
        for header in headers {
            wrk.args(["-H", header]);
        }
        let output = wrk.arg(url).output().context("starting wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let requests = parse(&text).with_context(|| {
            format!("wrk failed on {url}: {} {}", text.trim(), String::from_utf8_lossy(&output.stderr).trim())
        })?;
        if requests.answered == 0 {
            bail!("nothing answered at {url}: {} errors", requests.errors);
        }
        Ok(requests)
    }

    /// Downloads `bytes` of `url`, shared by `streams` connections; returns how long that took.
    pub(super) fn download(&self, url: &str, streams: u64, bytes: u64) -> Result<Duration> {
        let each = bytes / streams;
        let mut curl = Command::new(&self.curl);
        curl.args(["--silent", "--show-error", "--fail", "--insecure", "--http1.1", "--noproxy", "*"]);
        curl.args(["--parallel", "--parallel-immediate", "--parallel-max"]).arg(streams.to_string());
        curl.args(["--connect-to", "::127.0.0.1:", "--max-time", "120", "--write-out", "%{size_download}\n"]);
        curl.arg("--range").arg(format!("0-{}", each - 1));
        for _ in 0..streams {
            curl.args(["--output", "/dev/null", url]);
        }
        let start = Instant::now();
        let output = curl.output().context("starting curl")?;
        let time = start.elapsed();
        let text = String::from_utf8_lossy(&output.stdout);
        let received: u64 = text.lines().filter_map(|line| line.trim().parse::<u64>().ok()).sum();
        if !output.status.success() || received != each * streams {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("downloading {url} gave {received} bytes of {bytes}: {}", errors.trim());
        }
        Ok(time)
    }

    /// Whether `url` answers with success.
    pub(super) fn answers(&self, url: &str, port: u16) -> bool {
        if let Some((host, path)) = url.strip_prefix("http://").and_then(|url| url.split_once('/')) {
            return Self::connect(host, port, &format!("/{path}")).is_ok();
        }
        let mut curl = Command::new(&self.curl);
        curl.args(["--silent", "--fail", "--insecure", "--http1.1", "--noproxy", "*", "--output", "/dev/null"]);
        curl.args(["--connect-to", "::127.0.0.1:", "--max-time", "2", url]);
        curl.output().is_ok_and(|output| output.status.success())
    }

    /// A connection to `port` over which one request has been answered.
    pub(super) fn connect(host: &str, port: u16, path: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        let mut answer = Vec::new();
        let mut buffer = [0_u8; 4096];
        while !complete(&answer) {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                bail!("the connection ended after {} bytes", answer.len());
            }
            answer.extend_from_slice(&buffer[..read]);
        }
        if !answer.starts_with(b"HTTP/1.1 200") {
            bail!("answered {:?}", String::from_utf8_lossy(&answer).lines().next().unwrap_or_default());
        }
        Ok(stream)
    }
}

/// Whether an answer has arrived with as much body as its head says; one without a length is complete with its head.
pub(super) fn complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    answer.len() >= head.len() + 4 + length.unwrap_or(0_usize)
}

fn parse(text: &str) -> Option<Requests> {
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "))?;
    let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let [time, answered, p50, p99, broken, refused] = numbers[..] else { return None };
    let time = Duration::from_micros(time);
    Some(Requests { time, answered, p50: p50 as f64, p99: p99 as f64, errors: broken + refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_wrk_are_read() {
        let requests = parse("Running\nRESULT 2000000 100 45 300 1 2\n").expect("figures");
        let time = Duration::from_secs(2);
        assert_eq!(requests, Requests { time, answered: 100, p50: 45.0, p99: 300.0, errors: 3 });
        assert!((requests.per_second() - 50.0).abs() < f64::EPSILON);
    }
    #[test]
    fn answers_are_complete_with_their_body() {
        assert!(!complete(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"));
        assert!(complete(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"));
        assert!(!complete(b"HTTP/1.1 200 OK\r\n"));
    }
}
