//! Addresses of resources.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use crate::object::reply;

/// Where the interface is reached: scheme and host, without a path. Clients drop a path, so there cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Why a text is no [`BaseUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the address of a server, as https://api.example.com or http://127.0.0.1:4400, without a path")]
pub struct BaseUrlError;

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| BaseUrlError)?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or(BaseUrlError)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(BaseUrlError)?;
        match uri.path_and_query().map(http::uri::PathAndQuery::as_str) {
            None | Some("/") => Ok(BaseUrl(format!("{scheme}://{authority}"))),
            Some(_) => Err(BaseUrlError),
        }
    }
}

impl BaseUrl {
    /// The absolute address of a path, which begins with a slash.
    pub fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The absolute address of a resource in a collection as `/reserved_domains`.
    pub fn resource(&self, collection: &str, id: impl fmt::Display) -> String {
        format!("{}{collection}/{id}", self.0)
    }

    /// A reference to a resource in a collection.
    pub fn reference(&self, collection: &str, id: impl fmt::Display) -> Ref {
        let id = id.to_string();
        Ref { uri: self.resource(collection, &id), id }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

reply! {
    /// Another resource.
    Ref {
        /// Its id.
        id: String;
        /// Where it is found.
        uri: String;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_have_no_path() {
        for text in ["https://api.example.com", "https://api.example.com/", "http://127.0.0.1:4400", "http://[::1]:80"]
        {
            let base: BaseUrl = text.parse().unwrap();
            assert_eq!(base.uri("/x"), format!("{}/x", text.trim_end_matches('/')));
        }
        for text in [
            "",
            "api.example.com",
            "/x",
            "https://a.example/v2",
            "ftp://a.example",
            "https://u:p@a.example",
            "https://a/?b",
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(BaseUrlError), "{text}");
        }
        let reference = "https://a.example".parse::<BaseUrl>().unwrap().reference("/ip_policies", "ipp_1");
        assert_eq!((reference.id.as_str(), reference.uri.as_str()), ("ipp_1", "https://a.example/ip_policies/ipp_1"));
    }
}
