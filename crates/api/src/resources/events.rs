//! Event destinations, event subscriptions and their sources.

use portway_codes::Code;
use portway_names::EventDestinationId;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::event_types::{HTTP_FIELDS, TCP_FIELDS};
use crate::object::{body, reply};
use crate::schema::{exactly_one, few};
use crate::{
    BucketArn, Description, EventFormat, EventType, Fault, FilterScope, FilterText, FirehoseArn, LogGroupArn, Metadata,
    Ref, RoleArn, Several, StreamArn, Text, Timestamp, Unserved, WebUrl, Word,
};

/// The members of a target, in the order of its fields.
const TARGETS: [&str; 7] = ["firehose", "kinesis", "cloudwatch_logs", "datadog", "azure_logs_ingestion", "s3", "debug"];

/// Most destinations of a subscription: every one of its events is sent to each of them.
pub const MAX_DESTINATIONS: usize = 32;

body! {
    /// A role of AWS that events are sent under.
    AwsRole {
        /// The name of the role.
        role_arn: RoleArn, missing ERR_NGROK_5104, invalid ERR_NGROK_5104;
    }

    /// A pair of keys of AWS that events are sent with.
    AwsCredentials {
        /// The id of the key.
        aws_access_key_id: Word<128>, missing ERR_NGROK_240;
        /// The secret half. In a change it may be left out to keep what is there.
        aws_secret_access_key: Option<SecretString>;
    }

    /// How AWS is logged in to: exactly one of the two.
    AwsAuth {
        /// Under a role.
        role: Option<AwsRole>;
        /// With a pair of keys.
        creds: Option<AwsCredentials>;
    }
    check one_auth;
    says exactly_one(&["role", "creds"]);

    /// A Kinesis data stream.
    KinesisTarget {
        /// How AWS is logged in to.
        auth: AwsAuth, missing ERR_NGROK_5106;
        /// The name of the stream.
        stream_arn: StreamArn, missing ERR_NGROK_5120;
    }

    /// A Firehose delivery stream.
    FirehoseTarget {
        /// How AWS is logged in to.
        auth: AwsAuth, missing ERR_NGROK_5106;
        /// The name of the delivery stream.
        delivery_stream_arn: FirehoseArn, missing ERR_NGROK_5120;
    }

    /// A CloudWatch log group.
    CloudwatchLogsTarget {
        /// How AWS is logged in to.
        auth: AwsAuth, missing ERR_NGROK_5106;
        /// The name of the log group.
        log_group_arn: LogGroupArn, missing ERR_NGROK_5120;
    }

    /// Logs of a Datadog organization.
    DatadogTarget {
        /// The API key. In a change it may be left out to keep what is there.
        api_key: Option<SecretString>;
        /// Tags, separated by commas.
        ddtags: Text<1024>;
        /// The name of the service.
        service: Text<255>;
        /// The site, as datadoghq.eu.
        ddsite: Word<255> = Word::known("datadoghq.com"), invalid ERR_NGROK_5134;
    }

    /// Azure Monitor, by its logs ingestion interface.
    AzureLogsIngestionTarget {
        /// The tenant.
        tenant_id: Word<128>, missing ERR_NGROK_5139;
        /// The application.
        client_id: Word<128>, missing ERR_NGROK_5139;
        /// The secret of the application. In a change it may be left out to keep what is there.
        client_secret: Option<SecretString>;
        /// The address of the ingestion.
        logs_ingestion_uri: WebUrl<true>, missing ERR_NGROK_5138, invalid ERR_NGROK_5138;
        /// The id of the data collection rule.
        data_collection_rule_id: Word<255>, missing ERR_NGROK_5136;
        /// The name of the stream.
        data_collection_stream_name: Word<255>, missing ERR_NGROK_5137;
    }

    /// An S3 bucket.
    S3Target {
        /// How AWS is logged in to.
        auth: AwsAuth, missing ERR_NGROK_5106;
        /// The name of the bucket.
        bucket_arn: BucketArn, missing ERR_NGROK_5120;
        /// What the names of objects begin with.
        object_prefix: Text<512>;
        /// Whether objects are compressed with gzip.
        compression: bool = true;
        /// Bytes after which an object is closed.
        max_file_size: Option<u64>;
        /// Seconds after which an object is closed.
        max_file_age: Option<u64>;
    }

    /// A callback for tests, and for receivers that take plain HTTP.
    DebugTarget {
        /// Whether events are written into the server's log.
        log: bool = false;
        /// The address that events are posted to.
        callback_url: Option<WebUrl<false>>, invalid ERR_NGROK_5140;
    }
    check callback;
    says log_or_callback();

    /// Where events are sent: exactly one of the members.
    EventTarget {
        /// A Firehose delivery stream.
        firehose: Option<FirehoseTarget>;
        /// A Kinesis data stream.
        kinesis: Option<KinesisTarget>;
        /// A CloudWatch log group.
        cloudwatch_logs: Option<CloudwatchLogsTarget>;
        /// Logs of a Datadog organization.
        datadog: Option<DatadogTarget>;
        /// Azure Monitor.
        azure_logs_ingestion: Option<AzureLogsIngestionTarget>;
        /// An S3 bucket.
        s3: Option<S3Target>;
        /// A callback.
        debug: Option<DebugTarget>;
    }
    check one_target;
    says exactly_one(&TARGETS);

    /// An event destination to create.
    EventDestinationCreate {
        /// What a program wants to keep with the destination.
        metadata: Metadata;
        /// What a person wants to say about the destination.
        description: Description;
        /// How events are written.
        format: EventFormat, missing ERR_NGROK_235, invalid ERR_NGROK_235;
        /// Where events are sent.
        target: EventTarget, missing ERR_NGROK_5100;
        /// Whether an event is sent at once, to see whether it arrives.
        verify_with_test_event: Unserved;
    }
    check with_secret;
    says secrets_are_there();

    /// A change of an event destination. The target stays of its kind.
    EventDestinationUpdate {
        /// What a program wants to keep with the destination.
        metadata: Option<Metadata>;
        /// What a person wants to say about the destination.
        description: Option<Description>;
        /// How events are written from now on.
        format: Option<EventFormat>, invalid ERR_NGROK_235;
        /// Where events are sent from now on.
        target: Option<EventTarget>;
        /// Whether an event is sent at once, to see whether it arrives.
        verify_with_test_event: Unserved;
    }
    ignored "id";

    /// A type of events that a subscription is about.
    EventSourceCreate {
        /// The type of events.
        r#type: EventType, missing ERR_NGROK_238;
        /// The fields to send; for events about traffic only.
        fields: Vec<Word<128>>;
        /// Which of the events to send; for events about traffic only.
        filter: Option<FilterText>;
    }
    ignored "subscription_id", "uri";
    check source;
    says fields_fit_type();

    /// A change of a source of a subscription.
    EventSourceUpdate {
        /// The fields to send from now on.
        fields: Option<Several<Word<128>>>;
        /// Which of the events to send from now on.
        filter: Option<FilterText>;
    }
    ignored "subscription_id", "type", "uri";

    /// An event subscription to create.
    EventSubscriptionCreate {
        /// What a program wants to keep with the subscription.
        metadata: Metadata;
        /// What a person wants to say about the subscription.
        description: Description;
        /// The types of events that it is about.
        sources: Vec<EventSourceCreate>;
        /// Where these events are sent.
        destination_ids: Vec<EventDestinationId>, invalid ERR_NGROK_5103;
    }
    check subscription;
    says few("destination_ids", MAX_DESTINATIONS);

    /// A change of an event subscription.
    EventSubscriptionUpdate {
        /// What a program wants to keep with the subscription.
        metadata: Option<Metadata>;
        /// What a person wants to say about the subscription.
        description: Option<Description>;
        /// The types of events that it is about from now on. An empty list changes nothing.
        sources: Option<Several<EventSourceCreate>>;
        /// Where these events are sent from now on. An empty list changes nothing.
        destination_ids: Option<Several<EventDestinationId>>, invalid ERR_NGROK_5103;
    }
    ignored "id";
    check subscription_update;
    says few("destination_ids", MAX_DESTINATIONS);
}

reply! {
    /// A source of an event subscription.
    EventSource {
        /// The type of events.
        r#type: String;
        /// Where it is found.
        uri: String;
        /// The fields that are sent; none for events that are sent whole.
        fields: Vec<String>;
        /// Which of the events are sent; empty for all.
        filter: String;
    }

    /// An event subscription.
    EventSubscription {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// What a program keeps with it.
        metadata: String;
        /// What a person said about it.
        description: String;
        /// The types of events that it is about.
        sources: Vec<EventSource>;
        /// Where these events are sent.
        destinations: Vec<Ref>;
    }
}

fn one_auth(auth: &AwsAuth) -> Result<(), Fault> {
    match (&auth.role, &auth.creds) {
        (None, None) => Err(Fault::coded(Code::ERR_NGROK_5107, "it needs either role or creds")),
        (Some(_), Some(_)) => Err(Fault::coded(Code::ERR_NGROK_5116, "role and creds exclude each other")),
        _ => Ok(()),
    }
}

fn one_target(target: &EventTarget) -> Result<(), Fault> {
    match target.kinds().count() {
        1 => Ok(()),
        0 => Err(Fault::coded(Code::ERR_NGROK_5100, "it has no member")),
        _ => Err(Fault::coded(Code::ERR_NGROK_5115, "it has more than one member")),
    }
}

impl EventTarget {
    /// The name of the member that is there.
    pub fn kind(&self) -> &'static str {
        self.kinds().next().expect("a target was checked for having one")
    }

    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let given = [
            self.firehose.is_some(),
            self.kinesis.is_some(),
            self.cloudwatch_logs.is_some(),
            self.datadog.is_some(),
            self.azure_logs_ingestion.is_some(),
            self.s3.is_some(),
            self.debug.is_some(),
        ];
        TARGETS.into_iter().zip(given).filter(|(_, given)| *given).map(|(name, _)| name)
    }

    /// How AWS is logged in to, for targets there.
    pub fn aws_auth(&self) -> Option<&AwsAuth> {
        let kinesis = self.kinesis.as_ref().map(|target| &target.auth);
        let firehose = self.firehose.as_ref().map(|target| &target.auth);
        let logs = self.cloudwatch_logs.as_ref().map(|target| &target.auth);
        kinesis.or(firehose).or(logs).or(self.s3.as_ref().map(|target| &target.auth))
    }

    /// The secret that events are sent with, when it is given. No target has more than one.
    pub fn secret(&self) -> Option<&SecretString> {
        let datadog = self.datadog.as_ref().and_then(|target| target.api_key.as_ref());
        let azure = self.azure_logs_ingestion.as_ref().and_then(|target| target.client_secret.as_ref());
        let aws = self.aws_auth().and_then(|auth| auth.creds.as_ref()?.aws_secret_access_key.as_ref());
        datadog.or(azure).or(aws)
    }

    /// Checks that a target which needs a secret has it.
    ///
    /// # Errors
    ///
    /// 5133, 5139 or 240 when it is missing.
    pub fn check_secret(&self) -> Result<(), Fault> {
        let missing = |code, field| Err(Fault::coded(code, format!("target.{}.{field} is missing", self.kind())));
        match self.secret() {
            None if self.datadog.is_some() => missing(Code::ERR_NGROK_5133, "api_key"),
            None if self.azure_logs_ingestion.is_some() => missing(Code::ERR_NGROK_5139, "client_secret"),
            None if self.aws_auth().is_some_and(|auth| auth.creds.is_some()) => {
                missing(Code::ERR_NGROK_240, "auth.creds.aws_secret_access_key")
            }
            _ => Ok(()),
        }
    }
}

/// What is new has nothing to keep, so its secret must be there.
fn with_secret(body: &EventDestinationCreate) -> Result<(), Fault> {
    body.target.check_secret()
}

fn secrets_are_there() -> Value {
    let needs =
        |secret: &str| json!({"required": [secret], "properties": {secret: {"type": "string", "minLength": 1}}});
    let aws = json!({"properties": {"auth": {"properties": {"creds": needs("aws_secret_access_key")}}}});
    let target = json!({"properties": {
        "datadog": needs("api_key"), "azure_logs_ingestion": needs("client_secret"),
        "firehose": aws, "kinesis": aws, "cloudwatch_logs": aws, "s3": aws,
    }});
    json!({"properties": {"target": target}})
}

fn callback(target: &DebugTarget) -> Result<(), Fault> {
    if !target.log && target.callback_url.is_none() {
        return Err(Fault::coded(Code::ERR_NGROK_5140, "it needs log or callback_url"));
    }
    Ok(())
}

fn log_or_callback() -> Value {
    json!({"anyOf": [
        {"required": ["log"], "properties": {"log": {"const": true}}},
        {"required": ["callback_url"], "properties": {"callback_url": {"type": "string", "minLength": 1}}},
    ]})
}

fn source(body: &EventSourceCreate) -> Result<(), Fault> {
    let fields: Vec<&str> = body.fields.iter().map(Word::as_str).collect();
    check_source(&body.r#type, &fields, body.filter.as_ref())
}

/// Checks what a source says against its type: a change needs it with what was there before.
///
/// # Errors
///
/// 5400 to 5406.
pub fn check_source(kind: &EventType, fields: &[&str], filter: Option<&FilterText>) -> Result<(), Fault> {
    let known = kind.fields();
    if known.is_empty() {
        return match (fields, filter) {
            ([], None) => Ok(()),
            ([], Some(_)) => Err(Fault::coded(Code::ERR_NGROK_5402, "events of this type take no filter")),
            _ => Err(Fault::coded(Code::ERR_NGROK_5401, "events of this type take no fields")),
        };
    }
    if fields.is_empty() {
        return Err(Fault::coded(Code::ERR_NGROK_5400, "events of this type need fields"));
    }
    if let Some(stranger) = fields.iter().find(|field| known.iter().all(|(name, _)| name != *field)) {
        let short: String = stranger.chars().take(64).collect();
        return Err(Fault::coded(Code::ERR_NGROK_5403, format!("events of this type have no field {short:?}")));
    }
    match filter {
        Some(filter) => FilterScope::event(kind).check(filter.as_str()).map(drop),
        None => Ok(()),
    }
}

/// What [`check_source`] says, as a schema.
fn fields_fit_type() -> Value {
    let traffic = [("http_request_complete.v0", HTTP_FIELDS), ("tcp_connection_closed.v0", TCP_FIELDS)];
    let whole: Vec<String> =
        EventType::all().into_iter().filter(|kind| traffic.iter().all(|(name, _)| kind != name)).collect();
    let mut kinds = vec![json!({"properties": {
        "type": {"enum": whole}, "fields": {"maxItems": 0}, "filter": {"enum": [null, ""]},
    }})];
    kinds.extend(traffic.map(|(name, fields)| {
        let names: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
        json!({"required": ["fields"], "properties": {
            "type": {"const": name}, "fields": {"type": "array", "minItems": 1, "items": {"enum": names}},
        }})
    }));
    json!({"anyOf": kinds})
}

fn subscription(body: &EventSubscriptionCreate) -> Result<(), Fault> {
    not_too_many(&body.destination_ids)?;
    no_type_twice(&body.sources)
}

fn subscription_update(body: &EventSubscriptionUpdate) -> Result<(), Fault> {
    not_too_many(body.destination_ids.as_ref().map_or(&[], Several::as_slice))?;
    no_type_twice(body.sources.as_ref().map_or(&[], Several::as_slice))
}

fn not_too_many(destinations: &[EventDestinationId]) -> Result<(), Fault> {
    if destinations.len() > MAX_DESTINATIONS {
        let why = format!("destination_ids has more than {MAX_DESTINATIONS} entries");
        return Err(Fault::coded(Code::ERR_NGROK_5126, why));
    }
    Ok(())
}

fn no_type_twice(sources: &[EventSourceCreate]) -> Result<(), Fault> {
    let twice =
        sources.iter().enumerate().any(|(at, one)| sources[..at].iter().any(|other| other.r#type == one.r#type));
    if twice {
        return Err(Fault::coded(Code::ERR_NGROK_5127, "sources names a type of events twice"));
    }
    Ok(())
}
