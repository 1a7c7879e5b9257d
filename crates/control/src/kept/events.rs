//! Where events are sent, and which of them.

use portway_api::{EventFormat, EventTargetReply};
use serde::{Deserialize, Serialize};

/// Where events are sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventDestination {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) format: EventFormat,
    /// As the interface shows it: without its secret.
    pub(crate) target: EventTargetReply,
    /// The secret of the target, sealed. No target has more than one.
    pub(crate) secret: Option<String>,
}

/// Which events are sent where.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventSubscription {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) sources: Vec<EventSource>,
    pub(crate) destination_ids: Vec<String>,
}

/// A type of events that a subscription is about. It names each type once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventSource {
    pub(crate) r#type: String,
    pub(crate) fields: Vec<String>,
    /// Empty for all events.
    pub(crate) filter: String,
}
