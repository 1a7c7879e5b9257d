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

use super::edit::{Setting, with_settings};
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

#[cfg(test)]
mod tests {
    //! Fingerprints are read.

    use super::*;

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
