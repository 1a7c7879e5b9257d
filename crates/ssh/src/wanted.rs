//! Which endpoint a `-R` and a command ask for together.

use portway_codes::{Code, PublicError};
use portway_names::{EndpointUrlError, HostNameError, HostPattern, Scheme, WantedUrl, WantedUrlError};

use crate::command::{Command, Kind, Target, shown};

/// Longest address of a `-R` that is kept: a name of the greatest length.
pub const MAX_ADDRESS_LEN: usize = 255;

/// The endpoint for one `-R address:port`. `several` tells that the command serves more than one.
///
/// An address that means this host to SSH (`localhost`, nothing, `*`, an address of loopback or of no interface) is none: clients put it
/// there when the user wrote only a port. A bare label is left for the edge to put below its base domain.
///
/// # Errors
/// 1113 for a port that the command does not serve, 1114 to 1119 for an address or a port that stands in the `-R` and in a flag, 1105 for
/// one name that several `-R` would share, 326 to 331 for a name that is none.
pub fn wanted(command: &Command, address: &str, port: u32, several: bool) -> Result<WantedUrl, PublicError> {
    let port = u16::try_from(port).map_err(|_| Code::ERR_NGROK_1113)?;
    let host = host(address)?;
    if let Some(target) = &command.target {
        if several {
            let text =
                "Several -R options cannot share the one name that a flag gives. Write names into the -R options.";
            return Err(Code::ERR_NGROK_1105.with(text));
        }
        if host.is_some() {
            return Err(given_twice(target).plain());
        }
        return by_flag(command.kind, target, port);
    }
    match command.kind {
        Kind::Http => Ok(WantedUrl { scheme: http_scheme(port)?, host, port: None }),
        Kind::Tls => {
            tls_port(port)?;
            Ok(WantedUrl { scheme: Scheme::Tls, host, port: None })
        }
        Kind::Tcp => tcp(host, port),
    }
}

fn by_flag(kind: Kind, target: &Target, port: u16) -> Result<WantedUrl, PublicError> {
    match target {
        Target::Url { url, bare } => match kind {
            Kind::Http => {
                let scheme = http_scheme(port)?;
                if *bare && port == 80 {
                    return Ok(WantedUrl { scheme, port: url.port.filter(|port| *port != 80), ..url.clone() });
                }
                if port != 0 && scheme != url.scheme {
                    let text = format!("The port {port} of the -R option does not fit the URL {url}. Write 0.");
                    return Err(Code::ERR_NGROK_1113.with(text));
                }
                Ok(url.clone())
            }
            Kind::Tls => tls_port(port).map(|()| url.clone()),
            Kind::Tcp => free_port(port).map(|()| url.clone()),
        },
        Target::Domain(host) | Target::Subdomain(host) => {
            let scheme = match kind {
                Kind::Http => http_scheme(port)?,
                Kind::Tls | Kind::Tcp => tls_port(port).map(|()| Scheme::Tls)?,
            };
            Ok(WantedUrl { scheme, host: Some(host.clone()), port: None })
        }
        Target::RemoteAddr(url) => free_port(port).map(|()| url.clone()),
    }
}

fn given_twice(target: &Target) -> Code {
    match target {
        Target::Domain(_) | Target::Url { .. } => Code::ERR_NGROK_1118,
        Target::Subdomain(_) => Code::ERR_NGROK_1119,
        Target::RemoteAddr(_) => Code::ERR_NGROK_1114,
    }
}

/// 443 is https, 80 is http, and for 0 the server chooses: https.
fn http_scheme(port: u16) -> Result<Scheme, PublicError> {
    match port {
        0 | 443 => Ok(Scheme::Https),
        80 => Ok(Scheme::Http),
        _ => Err(bad_port(port, "http", "80, 443 or 0")),
    }
}

fn tls_port(port: u16) -> Result<(), PublicError> {
    if matches!(port, 0 | 443) { Ok(()) } else { Err(bad_port(port, "tls", "443 or 0")) }
}

fn bad_port(port: u16, kind: &str, good: &str) -> PublicError {
    Code::ERR_NGROK_1113
        .with(format!("The port {port} is not served for {kind}. Use {good} as the port of the -R option."))
}

fn free_port(port: u16) -> Result<(), PublicError> {
    if port == 0 { Ok(()) } else { Err(Code::ERR_NGROK_1115.plain()) }
}

fn tcp(host: Option<HostPattern>, port: u16) -> Result<WantedUrl, PublicError> {
    match (host, port) {
        (None, 0) => Ok(WantedUrl::any(Scheme::Tcp)),
        (None, _) => Err(Code::ERR_NGROK_1116.plain()),
        (Some(_), 0) => Err(Code::ERR_NGROK_1117.plain()),
        (Some(host), _) if host.is_wildcard() => Err(host_error(&host.to_string(), &HostNameError::BadWildcard)),
        (Some(host), port) => Ok(WantedUrl { scheme: Scheme::Tcp, host: Some(host), port: Some(port) }),
    }
}

fn host(address: &str) -> Result<Option<HostPattern>, PublicError> {
    if matches!(address, "" | "*" | "localhost" | "127.0.0.1" | "::1" | "0.0.0.0" | "::") {
        return Ok(None);
    }
    if address.len() > MAX_ADDRESS_LEN {
        return Err(Code::ERR_NGROK_328.plain());
    }
    address.parse().map(Some).map_err(|error| host_error(address, &error))
}

/// The public error for a name that is none.
pub(crate) fn host_error(text: &str, error: &HostNameError) -> PublicError {
    let code = match error {
        HostNameError::TooLong | HostNameError::LabelTooLong => Code::ERR_NGROK_328,
        HostNameError::EmptyLabel => Code::ERR_NGROK_331,
        HostNameError::BadCharacter(_) => Code::ERR_NGROK_327,
        HostNameError::Hyphen | HostNameError::Idna => Code::ERR_NGROK_355,
        HostNameError::NumericEnd | HostNameError::BadAddress => Code::ERR_NGROK_330,
        HostNameError::BadWildcard => Code::ERR_NGROK_329,
        HostNameError::Empty | HostNameError::BadPort => Code::ERR_NGROK_326,
    };
    code.with(format!("The name \"{}\" cannot be used: {error}.", shown(text)))
}

/// The public error for a URL that is none.
pub(crate) fn url_error(text: &str, error: &WantedUrlError) -> PublicError {
    match error {
        WantedUrlError::Url(EndpointUrlError::Host(error)) => host_error(text, error),
        WantedUrlError::Url(EndpointUrlError::Scheme(_)) => {
            Code::ERR_NGROK_332.with(format!("The URL \"{}\" cannot be used: {error}.", shown(text)))
        }
        WantedUrlError::Address => {
            Code::ERR_NGROK_330.with(format!("The URL \"{}\" cannot be used: {error}.", shown(text)))
        }
        _ => Code::ERR_NGROK_326.with(format!("The URL \"{}\" cannot be used: {error}.", shown(text))),
    }
}

#[cfg(test)]
mod tests;
