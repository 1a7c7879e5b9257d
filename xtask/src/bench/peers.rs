//! Other tunnels, when they are installed: same job, same machine, same minute.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::system::Site;
use super::upstream::{KeyPair, free_port};
use crate::program::{Program, wait_for};
use crate::setup;

/// How long a peer's server may take until it listens.
const START: Duration = Duration::from_secs(10);

/// One hop that copies bytes.
pub(super) fn raw_copy(program: &Path, scratch: &Path, name: &str, listen: u16, target: u16) -> Result<Program> {
    let mut command = Command::new(program);
    command.arg(format!("127.0.0.1:{listen}")).arg(format!("127.0.0.1:{target}"));
    Program::start(name, scratch, &mut command)
}

/// rathole, over TLS when there are keys.
pub(super) fn rathole(site: &Site<'_>, keys: Option<&KeyPair>) -> Result<(Vec<Program>, u16)> {
    let program = find("rathole", "cargo install rathole")?;
    let (control, public, upstream) = (free_port()?, free_port()?, site.upstream);
    let (name, server_tls, client_tls) = match keys {
        None => ("rathole-tcp", "type = \"tcp\"".to_owned(), "type = \"tcp\"".to_owned()),
        Some(keys) => (
            "rathole-tls",
            format!(
                "type = \"tls\"\n[server.transport.tls]\npkcs12 = {:?}\npkcs12_password = {:?}",
                keys.pkcs12,
                KeyPair::PASSWORD
            ),
            format!(
                "type = \"tls\"\n[client.transport.tls]\ntrusted_root = {:?}\nhostname = \"localhost\"",
                keys.certificate
            ),
        ),
    };
    let server = format!(
        "[server]\nbind_addr = \"127.0.0.1:{control}\"\ndefault_token = \"bench\"\n\
         [server.services.web]\nbind_addr = \"127.0.0.1:{public}\"\nnodelay = true\n\
         [server.transport]\n{server_tls}\n[server.transport.tcp]\nnodelay = true\n"
    );
    let client = format!(
        "[client]\nremote_addr = \"127.0.0.1:{control}\"\ndefault_token = \"bench\"\n\
         [client.services.web]\nlocal_addr = \"127.0.0.1:{upstream}\"\nnodelay = true\n\
         [client.transport]\n{client_tls}\n[client.transport.tcp]\nnodelay = true\n"
    );
    pair(site, name, &program, ["--server", &server], ["--client", &client], control).map(|programs| (programs, public))
}

/// bore: no encryption.
pub(super) fn bore(site: &Site<'_>) -> Result<(Vec<Program>, u16)> {
    let program = find("bore", "cargo install bore-cli")?;
    let public = free_port()?;
    let mut server = Command::new(&program);
    server.args(["server", "--min-port", "1024", "--bind-addr", "127.0.0.1"]);
    let server = Program::start("bore-server", site.scratch, &mut server)?;
    // bore's control port is not configurable.
    listens("bore", 7835)?;
    let mut client = Command::new(&program);
    client.args(["local", &site.upstream.to_string(), "--to", "127.0.0.1", "--port", &public.to_string()]);
    let client = Program::start("bore-client", site.scratch, &mut client)?;
    Ok((vec![server, client], public))
}

/// chisel: SSH over WebSocket.
pub(super) fn chisel(site: &Site<'_>) -> Result<(Vec<Program>, u16)> {
    let program = find("chisel", "https://github.com/jpillora/chisel/releases")?;
    let (control, public, upstream) = (free_port()?, free_port()?, site.upstream);
    let mut server = Command::new(&program);
    server.args(["server", "--host", "127.0.0.1", "--port", &control.to_string(), "--reverse"]);
    let server = Program::start("chisel-server", site.scratch, &mut server)?;
    listens("chisel", control)?;
    let mut client = Command::new(&program);
    client.args(["client", &format!("http://127.0.0.1:{control}")]);
    client.arg(format!("R:127.0.0.1:{public}:127.0.0.1:{upstream}"));
    let client = Program::start("chisel-client", site.scratch, &mut client)?;
    Ok((vec![server, client], public))
}

/// frp: its tcp type, or its http type; TLS and stream multiplexing are its defaults.
pub(super) fn frp(site: &Site<'_>, http: bool) -> Result<(Vec<Program>, u16)> {
    let install = "https://github.com/fatedier/frp/releases";
    let (frps, frpc) = (find("frps", install)?, find("frpc", install)?);
    let (control, public, upstream) = (free_port()?, free_port()?, site.upstream);
    let name = if http { "frp-http" } else { "frp-tls" };
    let vhost = if http { format!("vhostHTTPPort = {public}\n") } else { String::new() };
    let server = format!("bindAddr = \"127.0.0.1\"\nproxyBindAddr = \"127.0.0.1\"\nbindPort = {control}\n{vhost}");
    let kind = if http {
        "type = \"http\"\ncustomDomains = [\"127.0.0.1\"]".to_owned()
    } else {
        format!("type = \"tcp\"\nremotePort = {public}")
    };
    let client = format!(
        "serverAddr = \"127.0.0.1\"\nserverPort = {control}\n\
         [[proxies]]\nname = \"web\"\n{kind}\nlocalIP = \"127.0.0.1\"\nlocalPort = {upstream}\n"
    );
    let server_file = write(site.scratch, &format!("{name}-server.toml"), &server)?;
    let client_file = write(site.scratch, &format!("{name}-client.toml"), &client)?;
    let server =
        Program::start(&format!("{name}-server"), site.scratch, Command::new(frps).arg("-c").arg(server_file))?;
    listens(name, control)?;
    let client =
        Program::start(&format!("{name}-client"), site.scratch, Command::new(frpc).arg("-c").arg(client_file))?;
    Ok((vec![server, client], public))
}

/// Starts server and client of one program, each as `program FLAG FILE` with the text of the file given.
fn pair(
    site: &Site<'_>,
    name: &str,
    program: &Path,
    server: [&str; 2],
    client: [&str; 2],
    control: u16,
) -> Result<Vec<Program>> {
    let start = |side: &str, [flag, text]: [&str; 2]| {
        let file = write(site.scratch, &format!("{name}-{side}.toml"), text)?;
        let mut command = Command::new(program);
        // rathole logs each connection otherwise.
        command.arg(flag).arg(file).env("RUST_LOG", "warn");
        Program::start(&format!("{name}-{side}"), site.scratch, &mut command)
    };
    let server = start("server", server)?;
    listens(name, control)?;
    Ok(vec![server, start("client", client)?])
}

fn find(program: &str, how: &str) -> Result<PathBuf> {
    setup::find(program).with_context(|| format!("{program} is not on PATH; to have it: {how}"))
}

fn write(scratch: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let file = scratch.join(name);
    fs::write(&file, text).context("writing a configuration")?;
    Ok(file)
}

/// Waits until something listens on a port of loopback.
fn listens(name: &str, port: u16) -> Result<()> {
    wait_for(name, START, || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)))
}
