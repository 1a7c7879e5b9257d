//! The flags behind a command.

use portway_codes::{Code, PublicError};
use portway_names::{HostPattern, Scheme, WantedUrl};

use super::{BasicAuth, Command, Kind, MAX_REPEATS, Options, shown};
use crate::wanted::{host_error, url_error};

/// Most bytes of a header field's name and of its value.
const MAX_HEADER_NAME_LEN: usize = 256;
const MAX_HEADER_VALUE_LEN: usize = 4096;
/// As the agent protocol has it.
const MAX_METADATA_LEN: usize = 4096;
const MAX_DESCRIPTION_LEN: usize = 255;
/// Most bytes of a user name for basic authentication.
const MAX_USER_LEN: usize = 128;
/// Allowed lengths of its password in bytes.
const PASSWORD_LEN: std::ops::RangeInclusive<usize> = 8..=128;
/// Longest URL or address: a name, a scheme and a port.
const MAX_URL_LEN: usize = 300;

/// Flags of ngrok that Portway does not have over SSH, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("traffic-policy-url", "traffic policies are not served"),
    ("traffic-policy-file", "traffic policies are not served"),
    ("traffic-policy", "traffic policies are not served"),
    ("policy-file", "traffic policies are not served"),
    ("oauth", "sign-in by OAuth is not served; --basic-auth is"),
    ("oauth-client-id", "sign-in by OAuth is not served; --basic-auth is"),
    ("oauth-client-secret", "sign-in by OAuth is not served; --basic-auth is"),
    ("oauth-allow-domain", "sign-in by OAuth is not served; --basic-auth is"),
    ("oauth-allow-email", "sign-in by OAuth is not served; --basic-auth is"),
    ("oauth-scope", "sign-in by OAuth is not served; --basic-auth is"),
    ("oidc", "sign-in by OpenID Connect is not served; --basic-auth is"),
    ("mutual-tls-cas", "the edge does not ask visitors for certificates"),
    ("crt", "TLS cannot end at the SSH client; use the command http, or end it at your service"),
    ("key", "TLS cannot end at the SSH client; use the command http, or end it at your service"),
    ("pooling-enabled", "an endpoint has one session"),
    ("region", "the host that you connect to decides the region"),
    ("inspect", "there is no agent that could record requests"),
    ("host-header", "the SSH client passes requests on as they are; use the agent"),
    ("upstream-protocol", "the SSH client passes bytes on as they are; use the agent"),
];

/// The endpoint's name as a flag gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `--url`; `bare` when it was written without a scheme.
    Url {
        /// What it says.
        url: WantedUrl,
        /// The scheme was left out.
        bare: bool,
    },
    /// `--domain` or `--hostname`.
    Domain(HostPattern),
    /// `--subdomain`: one label below the base domain.
    Subdomain(HostPattern),
    /// `--remote-addr`.
    RemoteAddr(WantedUrl),
}

/// A header field to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderField {
    /// The name, in lower case: a token (RFC 9110 section 5.6.2).
    pub name: String,
    /// The value, without control characters.
    pub value: String,
}

/// Version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// What the words after the command say.
pub(super) enum Flags {
    Help,
    Given(Box<Command>),
}

/// Reads `--flag value`, `--flag=value`, and both with one hyphen, as ngrok does.
pub(super) fn read(kind: Kind, words: &[String]) -> Result<Flags, PublicError> {
    let mut command = Box::new(Command { kind, target: None, options: Options::default() });
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            let text = format!("The word \"{}\" is not expected: only flags follow {}.", shown(word), kind.as_str());
            return Err(Code::ERR_NGROK_1110.with(text));
        };
        let (name, attached) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        if matches!(name, "help" | "h") {
            return Ok(Flags::Help);
        }
        known(kind, name)?;
        let Some(value) = attached.or_else(|| words.next().map(String::as_str)) else {
            return Err(Code::ERR_NGROK_1110.with(format!("The flag --{name} needs a value.")));
        };
        set(&mut command, name, value)?;
    }
    Ok(Flags::Given(command))
}

/// Whether the command has the flag.
fn known(kind: Kind, name: &str) -> Result<(), PublicError> {
    let fits = match name {
        "url" | "metadata" | "description" | "proxy-proto" => true,
        "domain" | "hostname" | "subdomain" => kind != Kind::Tcp,
        "remote-addr" => kind == Kind::Tcp,
        "basic-auth"
        | "request-header-add"
        | "request-header-remove"
        | "response-header-add"
        | "response-header-remove" => kind == Kind::Http,
        _ => {
            let why = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why);
            let why = why.unwrap_or("--help lists the flags that are");
            return Err(Code::ERR_NGROK_1109.with(format!("The flag --{} is not supported: {why}.", shown(name))));
        }
    };
    if fits {
        return Ok(());
    }
    let text = format!("The command {} has no flag --{name}. Its --help lists those it has.", kind.as_str());
    Err(Code::ERR_NGROK_1109.with(text))
}

fn set(command: &mut Command, name: &str, value: &str) -> Result<(), PublicError> {
    let options = &mut command.options;
    match name {
        "basic-auth" => push(&mut options.basic_auth, name, basic_auth(value)?),
        "request-header-add" => push(&mut options.request_header_add, name, header_field(name, value)?),
        "request-header-remove" => push(&mut options.request_header_remove, name, header_name(name, value)?),
        "response-header-add" => push(&mut options.response_header_add, name, header_field(name, value)?),
        "response-header-remove" => push(&mut options.response_header_remove, name, header_name(name, value)?),
        "metadata" => text(&mut options.metadata, name, value, MAX_METADATA_LEN),
        "description" => text(&mut options.description, name, value, MAX_DESCRIPTION_LEN),
        "proxy-proto" => {
            options.proxy_protocol = match value {
                "" => None,
                "1" => Some(ProxyVersion::V1),
                "2" => Some(ProxyVersion::V2),
                _ => return Err(Code::ERR_NGROK_1123.plain()),
            };
            Ok(())
        }
        _ => {
            let target = target(command.kind, name, value)?;
            if command.target.is_some() {
                return Err(Code::ERR_NGROK_1120.plain());
            }
            command.target = Some(target);
            Ok(())
        }
    }
}

fn target(kind: Kind, name: &str, value: &str) -> Result<Target, PublicError> {
    if value.len() > MAX_URL_LEN {
        return Err(Code::ERR_NGROK_328.plain());
    }
    match name {
        "url" => {
            let bare = !value.contains("://");
            let text = if bare { format!("{}://{value}", bare_scheme(kind)) } else { value.to_owned() };
            let url: WantedUrl = text.parse().map_err(|error| url_error(value, &error))?;
            if !kind.serves(url.scheme) {
                let text = format!("The URL {url} does not belong to the command {}.", kind.as_str());
                return Err(Code::ERR_NGROK_1113.with(text));
            }
            Ok(Target::Url { url, bare })
        }
        "remote-addr" => {
            let url: WantedUrl = format!("tcp://{value}").parse().map_err(|error| url_error(value, &error))?;
            if url.port.is_none() {
                return Err(Code::ERR_NGROK_1117.with("The flag --remote-addr needs an address with a port."));
            }
            Ok(Target::RemoteAddr(url))
        }
        "subdomain" => {
            let label: HostPattern = value.parse().map_err(|error| host_error(value, &error))?;
            if label.name().as_str().contains('.') {
                let text = "The flag --subdomain takes one label. Use --domain for a whole name.";
                return Err(Code::ERR_NGROK_326.with(text));
            }
            Ok(Target::Subdomain(label))
        }
        _ => Ok(Target::Domain(value.parse().map_err(|error| host_error(value, &error))?)),
    }
}

/// The scheme of a URL without one; for http the port of the `-R` decides later.
fn bare_scheme(kind: Kind) -> Scheme {
    match kind {
        Kind::Http => Scheme::Https,
        Kind::Tls => Scheme::Tls,
        Kind::Tcp => Scheme::Tcp,
    }
}

fn push<T>(list: &mut Vec<T>, name: &str, value: T) -> Result<(), PublicError> {
    if list.len() >= MAX_REPEATS {
        return Err(not_valid(name, format!("it is given more than {MAX_REPEATS} times")));
    }
    list.push(value);
    Ok(())
}

fn text(field: &mut String, name: &str, value: &str, max: usize) -> Result<(), PublicError> {
    if value.len() > max {
        return Err(not_valid(name, format!("it is longer than {max} bytes")));
    }
    value.clone_into(field);
    Ok(())
}

fn basic_auth(value: &str) -> Result<BasicAuth, PublicError> {
    let Some((user, password)) = value.split_once(':') else {
        return Err(not_valid("basic-auth", "it must be USER:PASSWORD"));
    };
    if user.len() > MAX_USER_LEN {
        return Err(Code::ERR_NGROK_359.plain());
    }
    if !PASSWORD_LEN.contains(&password.len()) {
        return Err(Code::ERR_NGROK_360.plain());
    }
    if value.chars().any(char::is_control) {
        return Err(not_valid("basic-auth", "it contains control characters"));
    }
    Ok(BasicAuth { user: user.to_owned(), password: password.to_owned().into() })
}

fn header_field(flag: &str, value: &str) -> Result<HeaderField, PublicError> {
    let Some((name, value)) = value.split_once(':') else {
        return Err(not_valid(flag, "it must be 'NAME: VALUE'"));
    };
    let value = value.trim_matches([' ', '\t']);
    if value.len() > MAX_HEADER_VALUE_LEN || value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(not_valid(flag, "the value is too long or contains control characters"));
    }
    Ok(HeaderField { name: header_name(flag, name)?, value: value.to_owned() })
}

/// A token (RFC 9110 section 5.6.2).
fn header_name(flag: &str, name: &str) -> Result<String, PublicError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_HEADER_NAME_LEN || !name.bytes().all(token) {
        return Err(not_valid(flag, format!("\"{}\" is not the name of a header field", shown(name))));
    }
    Ok(name.to_ascii_lowercase())
}

fn not_valid(flag: &str, why: impl std::fmt::Display) -> PublicError {
    Code::ERR_PORTWAY_40004.with(format!("The flag --{flag} has a value that is not allowed: {why}."))
}
