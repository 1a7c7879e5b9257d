//! A call of an operation, and what it comes to.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use portway_api::{BaseUrl, Operation, Parameters, Query};
use portway_names::OperationId;
use portway_store::{Audit, Timestamp};
use serde_json::Value;

use super::caller::Caller;
use crate::service::Inner;

/// A call that was checked so far that it can be performed.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) base: &'a BaseUrl,
    pub(crate) operation: Operation,
    pub(crate) id: OperationId,
    pub(crate) caller: Caller,
    pub(crate) peer: IpAddr,
    pub(crate) parameters: Parameters,
    pub(crate) query: Query,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    pub(crate) now: Timestamp,
    /// Calls that the account may make in a minute; 0 for any number.
    pub(crate) calls_per_minute: u32,
}

/// What a call comes to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// An object or a list.
    Object(Value),
    /// It was done.
    Nothing,
}

impl Call<'_> {
    /// The second half of the operation's name: `create`, `list`.
    pub(crate) fn verb(&self) -> &'static str {
        let spec = self.operation.spec();
        spec.name.strip_prefix(spec.group()).unwrap_or_default().trim_start()
    }

    /// The entry of the audit log for a change by this call. `before` and `after` are replies, so that no secret is in them.
    pub(crate) fn audit(&self, before: Option<&Value>, after: Option<&Value>) -> Audit {
        Audit {
            who: self.caller.owner.to_string(),
            credential: self.caller.key.to_string(),
            operation: self.id.to_string(),
            address: self.peer.to_string(),
            action: self.operation.spec().name.to_owned(),
            before: before.map(Value::to_string),
            after: after.map(Value::to_string),
        }
    }

    /// Wakes the edges after a change. When it fails, the feed's tail does it a moment later.
    pub(crate) async fn announce(&self) {
        if let Ok(feed) = self.inner.store.feed().await {
            self.inner.topic.publish(feed.version);
        }
    }
}

/// As the interface writes it.
pub(crate) fn time(time: Timestamp) -> portway_api::Timestamp {
    portway_api::Timestamp::from_unix(i64::try_from(time.unix_secs()).unwrap_or(i64::MAX))
}
