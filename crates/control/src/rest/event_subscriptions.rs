//! Which events are sent where. The sources of a subscription have operations of their own and are kept inside of it.

use portway_api::{
    EventSourceCreate, EventSourceUpdate, EventSubscriptionCreate, EventSubscriptionUpdate, EventType, Word,
    check_source, not_found, read_body, whole_list,
};
use portway_codes::{Code, PublicError};
use portway_names::{EventDestinationId, EventSubscriptionId};

use super::call::{Answer, Call, time};
use super::crud;
use super::kind::{Draft, Kept, Kind, Row, as_json, read, set};
use crate::kept::events::{EventDestination, EventSource, EventSubscription};

pub(crate) static SUBSCRIPTION: Kind = Kind::of::<EventSubscription>();

impl Kept for EventSubscription {
    const KIND: &'static str = "event_subscription";
    const COLLECTION: &'static str = "/event_subscriptions";
    type Id = EventSubscriptionId;
    type Create = EventSubscriptionCreate;
    type Update = EventSubscriptionUpdate;
    type Reply = portway_api::EventSubscription;

    fn create(_: &Call<'_>, _: &str, body: EventSubscriptionCreate) -> Result<Self, PublicError> {
        Ok(EventSubscription {
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            sources: body.sources.into_iter().map(EventSource::from).collect(),
            destination_ids: ids(&body.destination_ids),
        })
    }

    fn update(&mut self, _: &Call<'_>, _: &str, body: EventSubscriptionUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        if let Some(sources) = body.sources {
            self.sources = sources.into_vec().into_iter().map(EventSource::from).collect();
        }
        if let Some(destinations) = body.destination_ids {
            self.destination_ids = ids(destinations.as_slice());
        }
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::EventSubscription {
        let destination = |id: &String| call.base.reference(EventDestination::COLLECTION, id);
        portway_api::EventSubscription {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            metadata: self.metadata.clone(),
            description: self.description.clone(),
            sources: self.shown_sources(call, row.id),
            destinations: self.destination_ids.iter().map(destination).collect(),
        }
    }

    fn refs(&self) -> Vec<String> {
        self.destination_ids.clone()
    }

    fn no_target(target: &str) -> PublicError {
        Code::ERR_NGROK_5103.with(format!("There is no event destination {target}."))
    }
}

impl EventSubscription {
    fn shown_sources(&self, call: &Call<'_>, id: &str) -> Vec<portway_api::EventSource> {
        self.sources.iter().map(|source| source.shown(call, id)).collect()
    }

    fn source(&mut self, wanted: &EventType) -> Result<&mut EventSource, PublicError> {
        self.sources.iter_mut().find(|source| source.r#type == wanted.as_str()).ok_or_else(|| no_source(wanted))
    }
}

impl EventSource {
    fn shown(&self, call: &Call<'_>, subscription: &str) -> portway_api::EventSource {
        let subscription = call.base.resource(EventSubscription::COLLECTION, subscription);
        portway_api::EventSource {
            r#type: self.r#type.clone(),
            uri: format!("{subscription}/sources/{}", self.r#type),
            fields: self.fields.clone(),
            filter: self.filter.clone(),
        }
    }
}

impl From<EventSourceCreate> for EventSource {
    fn from(body: EventSourceCreate) -> Self {
        EventSource {
            r#type: body.r#type.as_str().to_owned(),
            fields: body.fields.into_iter().map(Word::into_string).collect(),
            filter: body.filter.map_or_else(String::new, |filter| filter.as_str().to_owned()),
        }
    }
}

/// Performs an operation on the sources of a subscription.
pub(crate) async fn sources(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.verb() {
        "list" => {
            let sources = subscription(call).await?.shown_sources(call, id(call));
            Ok(Answer::Object(whole_list(call.base, call.path, "sources", &sources)))
        }
        "create" => create(call).await,
        verb => {
            let wanted = EventType::parse(call.parameters.get("type"));
            let wanted =
                wanted.map_err(|_| Code::ERR_NGROK_238.with("There are no events of the type in the address."))?;
            match verb {
                "get" => Ok(object(call, subscription(call).await?.source(&wanted)?)),
                "update" => update(call, &wanted).await,
                "delete" => delete(call, &wanted).await,
                _ => Err(not_found()),
            }
        }
    }
}

async fn create(call: &Call<'_>) -> Result<Answer, PublicError> {
    let source = EventSource::from(read_body::<EventSourceCreate>(call.body)?);
    let answer = object(call, &source);
    change(call, |subscription| {
        if subscription.sources.iter().any(|other| other.r#type == source.r#type) {
            let text = format!("{} has a source {} already. Change that one.", id(call), source.r#type);
            return Err(Code::ERR_NGROK_5127.with(text));
        }
        subscription.sources.push(source);
        Ok(())
    })
    .await?;
    Ok(answer)
}

async fn update(call: &Call<'_>, wanted: &EventType) -> Result<Answer, PublicError> {
    let body: EventSourceUpdate = read_body(call.body)?;
    let mut answer = Answer::Nothing;
    change(call, |subscription| {
        let source = subscription.source(wanted)?;
        if let Some(fields) = body.fields {
            source.fields = fields.into_vec().into_iter().map(Word::into_string).collect();
        }
        let fields: Vec<&str> = source.fields.iter().map(String::as_str).collect();
        // A filter that was there before was checked then.
        check_source(wanted, &fields, body.filter.as_ref())?;
        if let Some(filter) = body.filter {
            source.filter = filter.as_str().to_owned();
        }
        answer = object(call, source);
        Ok(())
    })
    .await?;
    Ok(answer)
}

async fn delete(call: &Call<'_>, wanted: &EventType) -> Result<Answer, PublicError> {
    change(call, |subscription| {
        subscription.source(wanted)?;
        subscription.sources.retain(|source| source.r#type != wanted.as_str());
        Ok(())
    })
    .await?;
    Ok(Answer::Nothing)
}

async fn subscription(call: &Call<'_>) -> Result<EventSubscription, PublicError> {
    read(&crud::find(call, &SUBSCRIPTION, id(call)).await?)
}

/// Changes the subscription as one step: of two calls for one subscription neither undoes what the other did.
async fn change(
    call: &Call<'_>,
    change: impl FnOnce(&mut EventSubscription) -> Result<(), PublicError>,
) -> Result<(), PublicError> {
    crud::change(call, &SUBSCRIPTION, id(call), |resource| Draft::changed(call, resource, change)).await.map(drop)
}

fn id<'a>(call: &'a Call<'_>) -> &'a str {
    call.parameters.get("subscription_id")
}

fn object(call: &Call<'_>, source: &EventSource) -> Answer {
    Answer::Object(as_json(&source.shown(call, id(call))))
}

fn no_source(wanted: &EventType) -> PublicError {
    Code::ERR_NGROK_5125.with(format!("The event subscription has no source {}.", wanted.as_str()))
}

/// Each once: an event is not sent twice to one destination.
fn ids(destinations: &[EventDestinationId]) -> Vec<String> {
    let mut ids = Vec::new();
    for id in destinations.iter().map(EventDestinationId::to_string) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}
