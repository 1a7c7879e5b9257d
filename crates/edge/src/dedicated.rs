//! Addresses of this edge that belong to one connect URL each: who arrives there is there for it, also where the protocol does not say which name
//! was dialled.

use std::collections::HashMap;
use std::net::IpAddr;

use portway_codes::Code;
use portway_names::HostName;

use crate::bind::Refused;

/// Which connect URL each address belongs to.
#[derive(Debug, Clone, Default)]
pub struct Dedicated {
    by_address: HashMap<IpAddr, HostName>,
}

impl FromIterator<(IpAddr, HostName)> for Dedicated {
    fn from_iter<T: IntoIterator<Item = (IpAddr, HostName)>>(addresses: T) -> Self {
        Self { by_address: addresses.into_iter().map(|(ip, host)| (ip.to_canonical(), host)).collect() }
    }
}

impl Dedicated {
    /// The connect name of an agent that arrived at the address `local` of this edge: the one it `dialled`, or where it does not say, that of the
    /// address. `connect_url` is the connect URL that the name it dialled is, or belongs to.
    pub(crate) fn connect_name(
        &self,
        local: IpAddr,
        dialled: Option<&HostName>,
        connect_url: Option<&HostName>,
    ) -> Result<Option<HostName>, Refused> {
        let here = self.by_address.get(&local.to_canonical());
        match (here, connect_url) {
            (Some(here), None) => Ok(Some(here.clone())),
            (Some(here), Some(url)) if here != url => {
                let text = format!("The address {local} is not one of {url}. Check the DNS records of {url}.");
                Err(Refused::for_good(Code::ERR_NGROK_127.with(text)))
            }
            (None, Some(url)) if self.by_address.values().any(|owner| owner == url) => {
                let text = format!(
                    "{url} has addresses of its own, and {local} is none of them. Check the DNS records of {url}."
                );
                Err(Refused::for_good(Code::ERR_NGROK_126.with(text)))
            }
            _ => Ok(dialled.cloned()),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Who may come in where.

    use super::*;

    #[test]
    fn an_address_and_its_connect_url_belong_together() {
        let host = |name: &str| name.parse::<HostName>().expect("valid");
        let (own, regional, other) = (host("connect.a.com"), host("eu.connect.a.com"), host("connect.b.com"));
        let ip = |text: &str| text.parse::<IpAddr>().expect("valid");
        let dedicated: Dedicated = [(ip("192.0.2.9"), own.clone())].into_iter().collect();
        let arrives = |local: &str, dialled: Option<&HostName>, url: Option<&HostName>| {
            dedicated.connect_name(ip(local), dialled, url).map_err(|refused| refused.error.code)
        };
        assert_eq!(arrives("192.0.2.9", Some(&own), Some(&own)), Ok(Some(own.clone())));
        assert_eq!(arrives("::ffff:192.0.2.9", Some(&regional), Some(&own)), Ok(Some(regional.clone())));
        assert_eq!(arrives("192.0.2.9", None, None), Ok(Some(own.clone())), "the address says which");
        assert_eq!(arrives("192.0.2.9", Some(&other), Some(&other)), Err(Code::ERR_NGROK_127));
        assert_eq!(arrives("192.0.2.1", Some(&regional), Some(&own)), Err(Code::ERR_NGROK_126));
        assert_eq!(arrives("192.0.2.1", Some(&other), Some(&other)), Ok(Some(other.clone())));
        assert_eq!(arrives("192.0.2.1", None, None), Ok(None));
    }
}
