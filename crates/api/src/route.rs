//! From method and path to an operation.

use std::str::FromStr;

use http::Method;
use percent_encoding::percent_decode_str;
use portway_codes::{Code, PublicError};
use portway_names::IdError;

use crate::{Operation, Spec, read_id};

/// Longest path in bytes that is looked at: the longest of ours has less than 100.
const MAX_PATH_LEN: usize = 1024;

/// Where a request leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To an operation.
    Found(Operation, Parameters),
    /// To a resource that has not this method, but these: 405 with an `Allow` header.
    OtherMethods(Vec<Method>),
    /// Nowhere: 404.
    Nowhere,
}

/// The parts of a path that differ from call to call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// The parameter of this name; empty when the operation has none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The parameter `id` as an id.
    ///
    /// # Errors
    ///
    /// 223 or 227.
    pub fn id<T: FromStr<Err = IdError>>(&self) -> Result<T, PublicError> {
        read_id(self.get("id"))
    }
}

/// Finds the operation. `path` is the path of the request target, without the query. A slash at the end changes nothing.
pub fn route(method: &Method, path: &str) -> Route {
    let mut others = Vec::new();
    if path.len() <= MAX_PATH_LEN {
        for spec in Operation::all() {
            let Some(parameters) = fits(spec, path) else { continue };
            if spec.method == *method {
                return Route::Found(spec.operation, parameters);
            }
            others.push(spec.method.clone());
        }
    }
    if others.is_empty() { Route::Nowhere } else { Route::OtherMethods(others) }
}

/// The error for a path that leads nowhere.
pub fn not_found() -> PublicError {
    Code::ERR_PORTWAY_40401.with("Resource not found")
}

/// The parameters, when the path is one of this operation.
fn fits(spec: &Spec, path: &str) -> Option<Parameters> {
    let path = if path.len() > 2 { path.strip_suffix('/').unwrap_or(path) } else { path };
    let mut parameters = Vec::new();
    let (mut wanted, mut parts) = (spec.path.split('/'), path.split('/'));
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return Some(Parameters(parameters)),
            (Some(wanted), Some(part)) => match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(_) if part.is_empty() => return None,
                Some(name) => parameters.push((name, percent_decode_str(part).decode_utf8().ok()?.into_owned())),
                None if wanted != part => return None,
                None => {}
            },
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn methods(path: &str) -> Vec<&'static str> {
        match route(&Method::OPTIONS, path) {
            Route::OtherMethods(methods) => ["GET", "POST", "PATCH", "DELETE"]
                .into_iter()
                .filter(|m| methods.iter().any(|x| x.as_str() == *m))
                .collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_operation_is_found_by_its_path() {
        for spec in Operation::all() {
            let filled: Vec<&str> =
                spec.path.split('/').map(|part| if part.starts_with('{') { "a%2Fb" } else { part }).collect();
            for end in ["", "/"].into_iter().filter(|_| spec.path != "/") {
                let Route::Found(operation, parameters) = route(&spec.method, &format!("{}{end}", filled.join("/")))
                else {
                    panic!("{} is not found", spec.path);
                };
                assert_eq!(operation, spec.operation);
                for name in spec.parameters() {
                    assert_eq!(parameters.get(name), "a/b", "{}", spec.path);
                }
            }
        }
        assert!(matches!(route(&Method::GET, "/"), Route::Found(Operation::RootGet, _)));
    }

    #[test]
    fn other_methods_are_known() {
        assert_eq!(methods("/reserved_domains"), ["GET", "POST"]);
        assert_eq!(methods("/reserved_domains/rd_1"), ["GET", "PATCH", "DELETE"]);
        assert_eq!(methods("/reserved_domains/rd_1/certificate"), ["DELETE"]);
        assert_eq!(methods("/"), ["GET"]);
    }

    #[test]
    fn other_paths_lead_nowhere() {
        let long = format!("/reserved_domains/{}", "a".repeat(MAX_PATH_LEN));
        for path in [
            "",
            "//",
            "/reserved_domain",
            "/reserved_domains//",
            "/v2/reserved_domains",
            "/reserved_domains/%ff",
            &long,
        ] {
            assert_eq!(route(&Method::GET, path), Route::Nowhere, "{path}");
        }
    }

    #[test]
    fn ids_are_read_from_paths() {
        let Route::Found(_, parameters) = route(&Method::GET, "/ip_policies/ipp_0ujtsYcgvSTl8PAuAdqWYSMnLOv") else {
            panic!()
        };
        assert!(parameters.id::<portway_names::IpPolicyId>().is_ok());
        assert_eq!(parameters.id::<portway_names::UserId>().unwrap_err().code, Code::ERR_NGROK_227);
        let Route::Found(_, parameters) = route(&Method::GET, "/ip_policies/ipp_1") else { panic!() };
        assert_eq!(parameters.id::<portway_names::IpPolicyId>().unwrap_err().code, Code::ERR_NGROK_223);
    }

    proptest! {
        #[test]
        fn nothing_panics(path in "[/a-z_%{}0-9]{0,40}") {
            route(&Method::GET, &path);
        }
    }
}
