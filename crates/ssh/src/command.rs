//! The command line of an SSH session: `http`, `tls` or `tcp`, and flags.
//!
//! It is pure: text in, values out. The client's shell has taken its quotes away, so the server gets one line and splits it into words as a
//! shell does; nothing is expanded or run.

mod flags;
mod help;

use portway_codes::{Code, PublicError};
use portway_names::Scheme;

pub use self::flags::{HeaderField, ProxyVersion, Target};
pub use self::help::help;

use self::flags::Flags;

/// Longest command line that is looked at, in bytes: room for some header fields, far below an SSH packet.
pub const MAX_COMMAND_LEN: usize = 8 * 1024;

/// Most words in a command line.
pub const MAX_WORDS: usize = 128;

/// Most characters of a user's text that are repeated in an error.
const MAX_SHOWN: usize = 64;

/// Which of the three commands was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// HTTP, with TLS at the edge when the port is 443.
    Http,
    /// TLS that the edge passes on.
    Tls,
    /// Bytes.
    Tcp,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Http => "http",
            Kind::Tls => "tls",
            Kind::Tcp => "tcp",
        }
    }

    /// Whether endpoints of this scheme belong to the command.
    pub const fn serves(self, scheme: Scheme) -> bool {
        match self {
            Kind::Http => scheme.is_http(),
            Kind::Tls => matches!(scheme, Scheme::Tls),
            Kind::Tcp => matches!(scheme, Scheme::Tcp),
        }
    }
}

/// A command that was understood.
#[derive(Clone, Debug)]
pub struct Command {
    /// Which.
    pub kind: Kind,
    /// The endpoint's name, when a flag says it.
    pub target: Option<Target>,
    /// How visitors are to be served.
    pub options: Options,
}

/// Options of the endpoints of one command. Those about HTTP are empty for `tls` and `tcp`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `user:password` pairs of which visitors need one; at most [`MAX_REPEATS`]. The password has 8 to 128 bytes.
    pub basic_auth: Vec<BasicAuth>,
    /// Fields added to requests.
    pub request_header_add: Vec<HeaderField>,
    /// Names of fields removed from requests.
    pub request_header_remove: Vec<String>,
    /// Fields added to responses.
    pub response_header_add: Vec<HeaderField>,
    /// Names of fields removed from responses.
    pub response_header_remove: Vec<String>,
    /// PROXY protocol header in front of each connection.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Opaque text of the user, at most 4096 bytes.
    pub metadata: String,
    /// Text of the user, at most 255 bytes.
    pub description: String,
}

/// Most times that a flag may be repeated.
pub const MAX_REPEATS: usize = 16;

/// One pair for basic authentication (RFC 7617 section 2).
#[derive(Clone, Debug)]
pub struct BasicAuth {
    /// The user name, at most 128 bytes, without a colon.
    pub user: String,
    /// The password.
    pub password: secrecy::SecretString,
}

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// To be told about the flags: the text, in lines that end with a line feed.
    Help(String),
    /// An endpoint for each `-R`.
    Run(Box<Command>),
}

/// Reads a command line.
///
/// # Errors
/// With the number that ngrok has for it: 1107 for nothing at all, 1108 for a word that is no command, 1109 for a flag that is not there,
/// 1110 for a line that is too long, not text, or has a quote that is not closed, 1120 for several flags that name the endpoint, 1123 for a
/// version of the PROXY protocol; 359 and 360 for basic authentication, 326 to 331 for names; `ERR_PORTWAY_40004` for other values. What is
/// repeated of the line is cut and escaped.
pub fn parse(line: &[u8]) -> Result<Parsed, PublicError> {
    if line.len() > MAX_COMMAND_LEN {
        let text = format!("The command is longer than {MAX_COMMAND_LEN} bytes. Shorten it.");
        return Err(Code::ERR_NGROK_1110.with(text));
    }
    let line = std::str::from_utf8(line).map_err(|_| Code::ERR_NGROK_1110.with("The command is not UTF-8 text."))?;
    if line.contains('\0') {
        return Err(Code::ERR_NGROK_1110.with("The command contains a NUL character."));
    }
    let words = shlex::split(line).ok_or(Code::ERR_NGROK_1110)?;
    if words.len() > MAX_WORDS {
        let text = format!("The command has more than {MAX_WORDS} words. Shorten it.");
        return Err(Code::ERR_NGROK_1110.with(text));
    }
    let Some((first, rest)) = words.split_first() else { return Err(Code::ERR_NGROK_1107.plain()) };
    let kind = match first.as_str() {
        "http" => Kind::Http,
        "tls" => Kind::Tls,
        "tcp" => Kind::Tcp,
        "help" | "-h" | "-help" | "--help" => return Ok(Parsed::Help(help(None))),
        other => {
            let text = format!("The command \"{}\" is not known. It must be http, tls or tcp.", shown(other));
            return Err(Code::ERR_NGROK_1108.with(text));
        }
    };
    match flags::read(kind, rest)? {
        Flags::Help => Ok(Parsed::Help(help(Some(kind)))),
        Flags::Given(command) => Ok(Parsed::Run(command)),
    }
}

/// A user's text in an error: cut, and without what a terminal obeys.
pub(crate) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(MAX_SHOWN).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    crate::printable::printable(&cut).to_string()
}

#[cfg(test)]
mod tests;
