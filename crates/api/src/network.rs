//! Networks in rules of IP policies.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use portway_codes::Code;
use serde_json::{Value, json};

use crate::value::text;
use crate::{Described, Fault, Input, Schemas};

/// A network in CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3) whose address is the first of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// The network.
    pub fn net(self) -> IpNet {
        self.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Described for Network {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "cidr", "examples": ["203.0.113.0/24", "2001:db8::/32"]})
    }
}

impl Input for Network {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = text(value)?;
        let text = text.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let why = format!("it has no mask; for the single address write {address}/{bits}");
            return Err(Fault::coded(Code::ERR_NGROK_1413, why));
        }
        let wrong = |_| Fault::coded(Code::ERR_NGROK_1406, "it is no network as in 203.0.113.0/24 or 2001:db8::/32");
        let net: IpNet = text.parse().map_err(wrong)?;
        if net.addr() != net.network() {
            let why = format!("its address is not the first of the range; did you mean {}", net.trunc());
            return Err(Fault::coded(Code::ERR_NGROK_1409, why));
        }
        Ok(Network(net))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_checked() {
        for text in ["203.0.113.0/24", "0.0.0.0/0", "10.1.2.3/32", "2001:db8::/32", "::/0"] {
            assert_eq!(Network::read(text.into()).unwrap().to_string(), text);
        }
        for (text, code, hint) in [
            ("10.1.2.3", Code::ERR_NGROK_1413, "10.1.2.3/32"),
            ("2001:db8::1", Code::ERR_NGROK_1413, "2001:db8::1/128"),
            ("10.1.2.3/8", Code::ERR_NGROK_1409, "10.0.0.0/8"),
            ("2001:db8::1/32", Code::ERR_NGROK_1409, "2001:db8::/32"),
            ("10.0.0.0/33", Code::ERR_NGROK_1406, ""),
            ("10.0.0/8", Code::ERR_NGROK_1406, ""),
            ("here", Code::ERR_NGROK_1406, ""),
        ] {
            let fault = Network::read(text.into()).unwrap_err();
            assert_eq!(fault.code, Some(code), "{text}");
            assert!(fault.why.contains(hint), "{}", fault.why);
        }
    }
}
