//! The service behind every system under test: one nginx worker, with a server behind it that answers in two writes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use crate::program::Program;
use crate::setup;

/// Size of a small answer.
const SMALL: usize = 1024;
/// Size of the file that is downloaded.
pub(super) const BULK: u64 = 1 << 30;
/// Paths of the answers.
pub(super) const SMALL_PATH: &str = "/small";
pub(super) const SPLIT_PATH: &str = "/split";
pub(super) const BULK_PATH: &str = "/bulk";

/// nginx, in the forms the bench uses it.
pub(super) struct Nginx<'a> {
    program: PathBuf,
    scratch: &'a Path,
}

impl<'a> Nginx<'a> {
    /// Finds nginx.
    pub(super) fn new(scratch: &'a Path) -> Result<Self> {
        let missing = "nginx is not installed; run `cargo xtask setup` or `apt-get install nginx-light`";
        Ok(Self { program: setup::find("nginx").context(missing)?, scratch })
    }

    /// The upstream, and the port it listens on.
    pub(super) fn upstream(&self) -> Result<(Program, u16)> {
        let split = serve_split().context("starting the server that answers in two writes")?;
        let files = self.scratch.join("files");
        fs::create_dir_all(&files).context("creating a folder")?;
        fs::write(files.join("small"), vec![b'x'; SMALL]).context("writing a file")?;
        let bulk = fs::File::create(files.join("bulk")).context("creating a file")?;
        bulk.set_len(BULK).context("growing a file")?;
        let port = free_port()?;
        let server = format!(
            "upstream split {{ server 127.0.0.1:{split}; keepalive 64; }}
             server {{
               listen 127.0.0.1:{port} backlog=4096;
               root {};
               location {SPLIT_PATH} {{
                 proxy_pass http://split; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off;
               }}
             }}",
            files.display()
        );
        Ok((self.start("upstream", &server)?, port))
    }

    /// A proxy in front of `upstream`, with TLS when `key` holds certificate and key.
    pub(super) fn proxy(&self, name: &str, upstream: u16, key: Option<&KeyPair>) -> Result<(Program, u16)> {
        let port = free_port()?;
        let (tls, keys) = match key {
            Some(key) => {
                let (certificate, key) = (key.certificate.display(), key.key.display());
                (
                    " ssl",
                    format!("ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;"),
                )
            }
            None => ("", String::new()),
        };
        let server = format!(
            "upstream up {{ server 127.0.0.1:{upstream}; keepalive 512; }}
             server {{
               listen 127.0.0.1:{port} backlog=4096{tls};
               {keys}
               location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
               location {SPLIT_PATH} {{
                 proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off;
               }}
             }}"
        );
        Ok((self.start(name, &server)?, port))
    }

    fn start(&self, name: &str, server: &str) -> Result<Program> {
        let folder = self.scratch.join(name);
        fs::create_dir_all(&folder).context("creating a folder")?;
        let folder = folder.display();
        let user = if rustix::process::geteuid().is_root() { "user root root;" } else { "" };
        let config = format!(
            "{user} daemon off; worker_processes 1; pid {folder}/pid; error_log stderr warn;
             events {{ worker_connections 8192; }}
             http {{
               access_log off; sendfile on; tcp_nodelay on;
               keepalive_requests 1000000000; keepalive_timeout 300s;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
               uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
               {server}
             }}\n"
        );
        let file = self.scratch.join(format!("{name}.conf"));
        fs::write(&file, config).context("writing a configuration")?;
        let mut command = Command::new(&self.program);
        Program::start(name, self.scratch, command.arg("-p").arg(self.scratch).arg("-c").arg(&file))
    }
}

/// A certificate for `localhost` and its key, also as PKCS #12 for programs that want that.
pub(super) struct KeyPair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) pkcs12: PathBuf,
}

impl KeyPair {
    /// Password of the PKCS #12 file.
    pub(super) const PASSWORD: &'static str = "bench";

    /// Makes a P-256 key and a certificate signed by itself.
    pub(super) fn make(scratch: &Path) -> Result<Self> {
        let openssl =
            setup::find("openssl").context("openssl is not installed; install it with apt-get install openssl")?;
        let file = |name: &str| scratch.join(name);
        let pair = Self { certificate: file("tls.crt"), key: file("tls.key"), pkcs12: file("tls.pfx") };
        let mut request = Command::new(&openssl);
        request.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ]);
        request.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        run(request.arg("-out").arg(&pair.certificate).arg("-keyout").arg(&pair.key))?;
        let mut pack = Command::new(&openssl);
        pack.args(["pkcs12", "-export", "-passout"]).arg(format!("pass:{}", Self::PASSWORD));
        run(pack.arg("-in").arg(&pair.certificate).arg("-inkey").arg(&pair.key).arg("-out").arg(&pair.pkcs12))?;
        Ok(pair)
    }
}

/// A port nobody listens on at the moment.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    anyhow::ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Serves answers whose head and body are written apart, each at once; a proxy without `TCP_NODELAY` adds 40 ms to them.
fn serve_split() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_split(&stream));
        }
    });
    Ok(port)
}

/// Answers requests until the other side goes away.
fn answer_split(stream: &TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {SMALL}\r\n\r\n");
    let body = [b'x'; SMALL];
    let mut lines = BufReader::new(stream);
    let mut writer = stream;
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            writer.write_all(head.as_bytes()).ok()?;
            writer.write_all(&body).ok()?;
        }
    }
}
