//! `portway config add-connect-url`: which server to dial, and whom to trust for it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portway_agent::config::{Config, ConnectCas, search_path};
use portway_names::ConnectUrl;
use portway_tls::{pinned_config, server_name};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::agent_settings::flag_roots;
use crate::cli::AddConnectUrlArgs;

/// Longest wait for the server that is to show its CA.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of a CA that was fetched, beside the configuration file.
const FETCHED: &str = "portway-ca.pem";
/// Characters in a line of PEM (RFC 7468 section 2).
const PEM_LINE: usize = 64;

/// Writes the settings, and says what was written.
pub(super) fn add(args: &AddConnectUrlArgs) -> Result<()> {
    let url: ConnectUrl =
        args.connect_url.parse().with_context(|| format!("{:?} cannot be dialled", args.connect_url))?;
    let file = match args.files.files.as_slice() {
        [] => {
            let places = search_path(|name| std::env::var(name).ok());
            let there = places.iter().find(|place| place.exists()).or(places.first());
            there.cloned().context("there is no home folder to write to: give --config FILE")?
        }
        [file] => file.clone(),
        _ => bail!("give one --config FILE: the settings are written into it"),
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let cas = match (&args.ca, &args.pin) {
        (_, Some(pin)) => Some(fetched(&url, pin, folder)?.display().to_string()),
        (Some(ca), None) => Some(named(ca)?),
        (None, None) => None,
    };
    let before = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
    };
    let mut settings = vec![Setting { key: "connect_url", old_key: "server_addr", value: url.to_string() }];
    settings.extend(cas.clone().map(|value| Setting { key: "connect_cas", old_key: "root_cas", value }));
    let after = with_settings(&before, &settings);
    replace(&file, &after, |fresh| {
        let read = Config::load(&[fresh.to_owned()])?;
        let url_is = read.settings.connect_url.as_deref() == Some(url.to_string().as_str());
        let cas_are = cas.as_deref().is_none_or(|cas| read.settings.connect_cas == Some(stands_for(cas)));
        ensure!(
            url_is && cas_are,
            "{} is written in a way that this command does not change. Write into it yourself:\n{}",
            file.display(),
            with_settings("", &settings)
        );
        Ok(())
    })?;
    let trusting = cas.map(|cas| format!(", trusting {cas}")).unwrap_or_default();
    let _ = writeln!(io::stdout(), "{} says now to dial {url}{trusting}", file.display());
    Ok(())
}

/// What `--ca` says, as it is written down: a path from the root, so that it means the same from every folder.
fn named(ca: &str) -> Result<String> {
    flag_roots(ca)?;
    if matches!(ca, "host" | "trusted") {
        return Ok(ca.to_owned());
    }
    let path = fs::canonicalize(ca).with_context(|| format!("{ca} is not found"))?;
    Ok(path.display().to_string())
}

fn stands_for(cas: &str) -> ConnectCas {
    match cas {
        "host" => ConnectCas::Host,
        "trusted" => ConnectCas::Trusted,
        path => ConnectCas::File(PathBuf::from(path)),
    }
}

/// Fetches the CA with this fingerprint from the server, and keeps it in the folder.
fn fetched(url: &ConnectUrl, pin: &str, folder: &Path) -> Result<PathBuf> {
    let (config, authority) = pinned_config(fingerprint(pin)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dialling = async {
        let tcp = TcpStream::connect((url.host.to_string(), url.port)).await?;
        TlsConnector::from(config).connect(server_name(&url.host), tcp).await
    };
    let dialled = runtime.block_on(async { tokio::time::timeout(PATIENCE, dialling).await });
    dialled.with_context(|| format!("{url} has not answered for {} s", PATIENCE.as_secs()))?.with_context(|| {
        format!("{url} shows no CA with the fingerprint {pin}, or no certificate from it for this name")
    })?;
    let certificate = authority.certificate().context("the server has shown no CA")?;
    let folder = fs::canonicalize(folder)?;
    let path = folder.join(FETCHED);
    replace(&path, &pem(certificate), |_| Ok(()))?;
    Ok(path)
}

/// SHA-256 in hexadecimal, with or without colons.
fn fingerprint(text: &str) -> Result<[u8; 32]> {
    let digits: Vec<u32> =
        text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect::<Option<_>>().unwrap_or_default();
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap_or(0)).collect();
    let bytes = bytes.try_into().ok().filter(|_| digits.len() == 64);
    bytes.with_context(|| format!("{text:?} is no SHA-256: it has 64 hexadecimal digits, with or without colons"))
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines: Vec<&str> = text.as_bytes().chunks(PEM_LINE).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Replaces a file at once, when `check` has nothing against what is to take its place. What holds an authtoken is for its owner only.
fn replace(path: &Path, content: &str, check: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    // With the same ending: the reader goes by it.
    let fresh = path.with_file_name(format!(".new-{}-{}", std::process::id(), file_name(path)));
    let writing = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()
    };
    let done = writing()
        .with_context(|| format!("{} cannot be written", path.display()))
        .and_then(|()| check(&fresh))
        .and_then(|()| fs::rename(&fresh, path).with_context(|| format!("{} cannot be replaced", path.display())));
    if done.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    done
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A setting of the agent.
struct Setting {
    key: &'static str,
    /// What files of version 2 may call it.
    old_key: &'static str,
    value: String,
}

/// The text with these settings: in the place of those it has, everything else as it is, comments included. Files of version 2 have them at the top,
/// later ones below `agent`.
fn with_settings(text: &str, settings: &[Setting]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if !lines.iter().any(|line| line.starts_with("version:")) {
        lines.insert(0, "version: 3".to_owned());
    }
    let at_top = lines.iter().any(|line| line.starts_with("version:") && line.contains('2'));
    for Setting { key, old_key, value } in settings {
        // JSON texts are YAML texts.
        let value = serde_json::Value::from(value.as_str());
        let (from, to, indent) = if at_top { (0, lines.len(), String::new()) } else { agent(&mut lines) };
        let keys = [format!("{indent}{key}:"), format!("{indent}{old_key}:")];
        let present = (from..to).find(|at| keys.iter().any(|key| lines[*at].starts_with(key.as_str())));
        let line = format!("{indent}{key}: {value}");
        match present {
            Some(at) => lines[at] = line,
            None if at_top => lines.push(line),
            None => lines.insert(from, line),
        }
    }
    lines.join("\n") + "\n"
}

/// Where the settings below `agent` begin and end, and how they are indented; the key is made when it is not there.
fn agent(lines: &mut Vec<String>) -> (usize, usize, String) {
    let from = match lines.iter().position(|line| line.trim_end() == "agent:" || line.starts_with("agent: #")) {
        Some(at) => at + 1,
        None => {
            lines.push("agent:".to_owned());
            lines.len()
        }
    };
    let is_below = |line: &String| line.trim().is_empty() || line.starts_with([' ', '\t', '#']);
    let to = from + lines[from..].iter().take_while(|line| is_below(line)).count();
    let first = lines[from..to].iter().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let indent = first.map_or("  ", |line| &line[..line.len() - line.trim_start().len()]).to_owned();
    (from, to, indent)
}

#[cfg(test)]
mod tests {
    //! Files keep what they say otherwise.

    use super::*;

    fn settings(url: &str, cas: Option<&str>) -> Vec<Setting> {
        let url = Setting { key: "connect_url", old_key: "server_addr", value: url.to_owned() };
        let cas = cas.map(|cas| Setting { key: "connect_cas", old_key: "root_cas", value: cas.to_owned() });
        std::iter::once(url).chain(cas).collect()
    }

    #[test]
    fn a_new_file_is_of_version_3() {
        let text = with_settings("", &settings("c.example:443", Some("trusted")));
        assert_eq!(text, "version: 3\nagent:\n  connect_cas: \"trusted\"\n  connect_url: \"c.example:443\"\n");
    }

    #[test]
    fn everything_else_stays() {
        let before = "# mine\nversion: 3\nagent:\n    # who I am\n    authtoken: t\n    connect_url: old:1\nendpoints:\n  - name: web\n    connect_url: kept\n";
        let after = with_settings(before, &settings("c.example:443", None));
        assert_eq!(after, before.replace("connect_url: old:1", "connect_url: \"c.example:443\""));
        let two = "version: \"2\"\nserver_addr: old:1\nauthtoken: t\n";
        let after = with_settings(two, &settings("c.example:443", Some("host")));
        assert_eq!(after, "version: \"2\"\nconnect_url: \"c.example:443\"\nauthtoken: t\nconnect_cas: \"host\"\n");
    }

    #[test]
    fn fingerprints_are_read_as_programs_print_them() {
        let plain = "0f".repeat(32);
        let colons = vec!["0F"; 32].join(":");
        assert_eq!(fingerprint(&plain).unwrap(), [15; 32]);
        assert_eq!(fingerprint(&colons).unwrap(), [15; 32]);
        for wrong in ["", "0f", "xyz", &plain[1..], &format!("{plain}0f")] {
            assert!(fingerprint(wrong).unwrap_err().to_string().contains("64 hexadecimal digits"), "{wrong}");
        }
    }
}
