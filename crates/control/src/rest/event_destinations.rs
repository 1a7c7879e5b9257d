//! Where events are sent.

use portway_api::{EventDestinationCreate, EventDestinationUpdate, EventTarget, EventTargetReply};
use portway_codes::{Code, PublicError};
use portway_names::EventDestinationId;
use portway_store::Referrer;
use secrecy::ExposeSecret;

use super::call::{Call, time};
use super::kind::{Kept, Kind, Row, as_json, named, set};
use crate::kept::events::EventDestination;

pub(crate) static DESTINATION: Kind = Kind::of::<EventDestination>();

impl Kept for EventDestination {
    const KIND: &'static str = "event_destination";
    const COLLECTION: &'static str = "/event_destinations";
    type Id = EventDestinationId;
    type Create = EventDestinationCreate;
    type Update = EventDestinationUpdate;
    type Reply = portway_api::EventDestination;

    fn create(call: &Call<'_>, id: &str, body: EventDestinationCreate) -> Result<Self, PublicError> {
        Ok(EventDestination {
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            format: body.format,
            secret: sealed_secret(call, id, &body.target, None)?,
            target: (&body.target).into(),
        })
    }

    fn update(&mut self, call: &Call<'_>, id: &str, body: EventDestinationUpdate) -> Result<(), PublicError> {
        if let Some(target) = body.target {
            let (was, wanted) = (member(&self.target), target.kind());
            if was != wanted {
                return Err(Code::ERR_NGROK_5108.with(format!(
                    "The target of {id} is {was} and cannot become {wanted}. Create another destination."
                )));
            }
            let wanted = EventTargetReply::from(&target);
            // A secret goes nowhere else than whoever gave it has said.
            let kept = self.secret.take().filter(|_| receiver(&self.target) == receiver(&wanted));
            self.secret = sealed_secret(call, id, &target, kept)?;
            self.target = wanted;
        }
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        self.format = body.format.unwrap_or(self.format);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::EventDestination {
        portway_api::EventDestination {
            id: row.id.to_owned(),
            metadata: self.metadata.clone(),
            created_at: time(row.created),
            description: self.description.clone(),
            format: self.format,
            target: self.target.clone(),
            uri: call.base.resource(Self::COLLECTION, row.id),
        }
    }

    fn in_use(id: &str, referrers: &[Referrer]) -> PublicError {
        let text = format!("{id} is in use by {}. Take it out of there first.", named(referrers));
        Code::ERR_NGROK_5112.with(text)
    }
}

/// The secret of a target as it is kept: the one that is given, else `kept`, that of the target before.
fn sealed_secret(
    call: &Call<'_>,
    id: &str,
    target: &EventTarget,
    kept: Option<String>,
) -> Result<Option<String>, PublicError> {
    let context = format!("{} {id} secret", EventDestination::KIND);
    match (target.secret(), target.check_secret()) {
        (Some(secret), _) => Ok(Some(call.inner.master.seal(&context, secret.expose_secret().as_bytes()))),
        (None, Err(missing)) => kept.map(Some).ok_or_else(|| missing.into()),
        // It needs none, and what an earlier one needed is forgotten.
        (None, Ok(())) => Ok(None),
    }
}

/// Where the secret, or what it is exchanged for, goes; none where that is in the service's nature.
fn receiver(target: &EventTargetReply) -> Option<&str> {
    let datadog = target.datadog.as_ref().map(|datadog| datadog.ddsite.as_str());
    datadog.or_else(|| target.azure_logs_ingestion.as_ref().map(|azure| azure.logs_ingestion_uri.as_str()))
}

/// The name of the member that is there.
fn member(target: &EventTargetReply) -> String {
    let members = as_json(target);
    let there = members.as_object().and_then(|members| members.iter().find(|(_, member)| !member.is_null()));
    there.map_or_else(String::new, |(name, _)| name.clone())
}
