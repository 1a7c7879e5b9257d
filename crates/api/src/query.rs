//! The part of a URL behind the question mark, and the pages of lists.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use portway_codes::{Code, PublicError};
use portway_names::{EndpointId, IdError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Answer, BaseUrl, Filter, FilterScope, Operation, read_id};

/// Most objects of a page, and how many it has when nothing is said.
pub const MAX_PAGE: usize = 100;

/// Longest query in bytes: an escaped filter of the greatest length fits.
const MAX_QUERY_LEN: usize = 16 * 1024;

/// Most values of a parameter that may be repeated.
pub(crate) const MAX_VALUES: usize = 100;

/// Characters that stay as they are in a query (RFC 3986 section 2.3).
pub(crate) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a query says.
#[derive(Clone, Debug)]
pub struct Query {
    /// Objects older than the one of this id.
    pub before: Option<String>,
    /// Most objects that are wanted, 1 to [`MAX_PAGE`].
    pub limit: usize,
    /// Which objects are wanted.
    pub filter: Option<Filter>,
    /// The filter as it came, for the address of the next page.
    filter_text: Option<String>,
    /// Of endpoints: only these ids, when there are any.
    pub ids: Vec<String>,
    /// Of endpoints: only these URLs, when there are any.
    pub urls: Vec<String>,
}

impl Query {
    /// Reads the query of a call of `operation`. A parameter without a value is the same as none; one that stands in the path as well is
    /// left to the path.
    ///
    /// # Errors
    ///
    /// 230 for what is no query, 231 and 232 for parameters, 223 and 227 for ids, 233 and 244 for the size of the page, 250 for the filter.
    pub fn read(operation: Operation, query: &str) -> Result<Query, PublicError> {
        let mut read =
            Query { before: None, limit: MAX_PAGE, filter: None, filter_text: None, ids: Vec::new(), urls: Vec::new() };
        if query.len() > MAX_QUERY_LEN {
            return Err(Code::ERR_NGROK_230.with(format!("The query is longer than {MAX_QUERY_LEN} bytes.")));
        }
        let known = known(operation);
        let mut limit = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            // What stands in the path is said once more by some clients.
            if operation.spec().path.contains(&format!("{{{name}}}")) {
                continue;
            }
            // Clients write names in the style of their language.
            let (name, slot) = match name.as_ref() {
                "before_id" | "beforeId" => ("before_id", Slot::One(&mut read.before)),
                "limit" => ("limit", Slot::One(&mut limit)),
                "filter" => ("filter", Slot::One(&mut read.filter_text)),
                "id" | "ids" => ("id", Slot::Many(&mut read.ids)),
                "url" | "urls" => ("url", Slot::Many(&mut read.urls)),
                other => return Err(unknown(other, known)),
            };
            if !known.contains(&name) {
                return Err(unknown(name, known));
            }
            slot.fill(name, &value)?;
        }
        for id in &read.ids {
            read_id::<EndpointId>(id)?;
        }
        if let Some(limit) = limit {
            read.limit = page_size(&limit)?;
        }
        if let (Some(text), Some(list)) = (&read.filter_text, operation.spec().answer.list()) {
            read.filter = Some(FilterScope::list(list.filter).read(text)?);
        }
        Ok(read)
    }

    /// The id that the page begins after.
    ///
    /// # Errors
    ///
    /// 223 or 227.
    pub fn before<T: FromStr<Err = IdError>>(&self) -> Result<Option<T>, PublicError> {
        self.before.as_deref().map(read_id).transpose()
    }

    /// The reply with a page of a list at `path`. `behind` is the id behind which there are more objects, when there are; it need not be
    /// the last of `items`.
    pub fn page<T: Serialize>(
        &self,
        base: &BaseUrl,
        path: &str,
        key: &str,
        items: &[T],
        behind: Option<&str>,
    ) -> Value {
        let items: Vec<Value> = items.iter().map(|item| serde_json::to_value(item).unwrap_or_default()).collect();
        let next = behind.map(|last| base.uri(&format!("{path}?{}", self.following(last))));
        json!({key: items, "uri": base.uri(path), "next_page_uri": next})
    }

    /// The query for what comes behind the object of this id.
    fn following(&self, last: &str) -> String {
        let mut query = format!("before_id={}&limit={}", utf8_percent_encode(last, ESCAPED), self.limit);
        let filter = self.filter_text.iter().map(|value| ("filter", value));
        let ids = self.ids.iter().map(|value| ("id", value));
        for (name, value) in filter.chain(ids).chain(self.urls.iter().map(|value| ("url", value))) {
            query.push_str(&format!("&{name}={}", utf8_percent_encode(value, ESCAPED)));
        }
        query
    }
}

/// The reply with a list that is always given whole.
pub fn whole_list<T: Serialize>(base: &BaseUrl, path: &str, key: &str, items: &[T]) -> Value {
    json!({key: items, "uri": base.uri(path)})
}

/// Parameters that an operation knows.
pub(crate) fn known(operation: Operation) -> &'static [&'static str] {
    match (&operation.spec().answer, operation) {
        (Answer::Page(_), Operation::EndpointsList) => &["before_id", "limit", "filter", "id", "url"],
        (Answer::Page(list), _) if list.filter.is_empty() => &["before_id", "limit"],
        (Answer::Page(_), _) => &["before_id", "limit", "filter"],
        _ => &[],
    }
}

/// Where the value of a parameter belongs.
enum Slot<'a> {
    One(&'a mut Option<String>),
    Many(&'a mut Vec<String>),
}

impl Slot<'_> {
    fn fill(self, name: &str, value: &str) -> Result<(), PublicError> {
        match self {
            _ if value.is_empty() => {}
            Slot::One(place @ None) => *place = Some(value.to_owned()),
            Slot::One(Some(_)) => {
                return Err(Code::ERR_NGROK_232.with(format!("The query has the parameter {name} more than once.")));
            }
            Slot::Many(values) if values.len() < MAX_VALUES => values.push(value.to_owned()),
            Slot::Many(_) => {
                return Err(Code::ERR_NGROK_230.with(format!("The query has {name} more than {MAX_VALUES} times.")));
            }
        }
        Ok(())
    }
}

fn page_size(text: &str) -> Result<usize, PublicError> {
    let number: i64 = text.parse().map_err(|_| Code::ERR_NGROK_244.plain())?;
    let size = usize::try_from(number).ok().filter(|size| (1..=MAX_PAGE).contains(size));
    size.ok_or_else(|| Code::ERR_NGROK_233.with(format!("The limit must be between 1 and {MAX_PAGE}, not {number}.")))
}

fn unknown(name: &str, known: &[&str]) -> PublicError {
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    let known = if known.is_empty() { "it takes none".to_owned() } else { format!("known are {}", known.join(", ")) };
    Code::ERR_NGROK_231
        .with(format!("The query has the parameter \"{name}\", which this operation does not know; {known}."))
}

fn decoded(text: &str) -> Result<String, PublicError> {
    let text = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let decoded = percent_decode_str(&text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| Code::ERR_NGROK_230.with("The query holds what is no text (UTF-8)."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Operation::{
        EndpointsList, ReservedDomainsGet, ReservedDomainsList, SshHostCertificatesList, VaultsListSecrets,
    };

    fn code(operation: Operation, query: &str) -> u32 {
        Query::read(operation, query).map(drop).unwrap_err().code.number()
    }

    #[test]
    fn queries_are_read() {
        let query = Query::read(ReservedDomainsList, "").unwrap();
        assert_eq!((query.before.as_deref(), query.limit), (None, 100));
        for name in ["before_id", "beforeId"] {
            let query = Query::read(ReservedDomainsList, &format!("{name}=rd_1&limit=7&filter=")).unwrap();
            assert_eq!((query.before.as_deref(), query.limit, query.filter.is_none()), (Some("rd_1"), 7, true));
        }
        let query = Query::read(ReservedDomainsList, "filter=obj.domain+%3D%3D+%22a%2Bb%22").unwrap();
        assert!(query.filter.unwrap().matches(&json!({"domain": "a+b"}), crate::Timestamp::from_unix(0)));
        let (one, two) = (format!("ep_{:027}", 1), format!("ep_{:027}", 2));
        let query = format!("id={one}&ids={two}&url=https://a&urls=tcp%3A%2F%2Fb");
        let query = Query::read(EndpointsList, &query).unwrap();
        assert_eq!((query.ids, query.urls), (vec![one, two], vec!["https://a".into(), "tcp://b".into()]));
    }

    #[test]
    fn each_fault_of_a_query_has_its_code() {
        assert_eq!(code(ReservedDomainsList, "filter=%ff"), 230);
        assert_eq!(code(ReservedDomainsList, &format!("filter={}", "a".repeat(MAX_QUERY_LEN))), 230);
        assert_eq!(code(EndpointsList, &"id=ep_1&".repeat(MAX_VALUES + 1)), 230);
        for (operation, query) in [
            (ReservedDomainsList, "page=2"),
            (ReservedDomainsList, "id=rd_1"),
            (ReservedDomainsGet, "limit=1"),
            (SshHostCertificatesList, "filter=true"),
        ] {
            assert_eq!(code(operation, query), 231, "{query}");
        }
        assert_eq!(code(ReservedDomainsList, "limit=1&limit=2"), 232);
        assert_eq!(code(ReservedDomainsList, "before_id=rd_1&beforeId=rd_2"), 232);
        for limit in ["0", "101", "-1", "9223372036854775807"] {
            assert_eq!(code(ReservedDomainsList, &format!("limit={limit}")), 233);
        }
        for limit in ["ten", "1.5", "99999999999999999999"] {
            assert_eq!(code(ReservedDomainsList, &format!("limit={limit}")), 244);
        }
        assert_eq!((code(EndpointsList, "id=ep_1"), code(EndpointsList, "id=rd_1")), (223, 227));
        assert_eq!(code(ReservedDomainsList, "filter=obj.url+==+1"), 250);
        let before =
            Query::read(ReservedDomainsList, "before_id=ipp_1").unwrap().before::<portway_names::ReservedDomainId>();
        assert_eq!(before.unwrap_err().code, Code::ERR_NGROK_227);
    }

    #[test]
    fn what_stands_in_the_path_may_be_said_again() {
        let query = Query::read(VaultsListSecrets, "id=vault_1&before_id=secret_1&limit=1").unwrap();
        assert_eq!((query.before.as_deref(), query.limit, query.ids), (Some("secret_1"), 1, Vec::new()));
        assert_eq!(code(VaultsListSecrets, "subscription_id=esb_1"), 231);
    }

    #[test]
    fn pages_lead_to_the_next() {
        let base: BaseUrl = "https://api.example.com".parse().unwrap();
        let query = Query::read(ReservedDomainsList, "limit=2&filter=obj.region+==+%22a%26b%22").unwrap();
        let items = [json!({"id": "rd_2"}), json!({"id": "rd_1"})];
        let page = query.page(&base, "/reserved_domains", "reserved_domains", &items, Some("rd_1"));
        assert_eq!(page["uri"], "https://api.example.com/reserved_domains");
        let next = page["next_page_uri"].as_str().unwrap();
        let next = next.strip_prefix("https://api.example.com/reserved_domains?").unwrap();
        let following = Query::read(ReservedDomainsList, next).unwrap();
        assert_eq!((following.before.as_deref(), following.limit), (Some("rd_1"), 2));
        assert_eq!(following.filter_text, query.filter_text);

        let end = query.page(&base, "/reserved_domains", "reserved_domains", &items, None);
        assert_eq!(
            end,
            json!({"reserved_domains": items, "uri": "https://api.example.com/reserved_domains", "next_page_uri": null})
        );
        // A filter may leave nothing of a page that others follow.
        assert_ne!(query.page::<Value>(&base, "/x", "x", &[], Some("rd_1"))["next_page_uri"], Value::Null);
    }

    proptest! {
        #[test]
        fn nothing_panics(query in "[a-z_=&%+0-9]{0,60}") {
            let _ = Query::read(EndpointsList, &query);
        }
    }
}
