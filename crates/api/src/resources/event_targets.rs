//! Event destinations as they are given back: every member, and no secret.

use crate::object::reply;
use crate::resources::events;
use crate::{EventFormat, Timestamp};

reply! {
    /// A role of AWS.
    AwsRoleReply {
        /// The name of the role.
        role_arn: String;
    }

    /// A pair of keys of AWS.
    AwsCredentialsReply {
        /// The id of the key.
        aws_access_key_id: String;
        /// Always empty: the secret half is never given back.
        aws_secret_access_key: String;
    }

    /// How AWS is logged in to.
    AwsAuthReply {
        /// Under a role.
        role: Option<AwsRoleReply>;
        /// With a pair of keys.
        creds: Option<AwsCredentialsReply>;
    }

    /// A Kinesis data stream.
    KinesisReply {
        /// How AWS is logged in to.
        auth: AwsAuthReply;
        /// The name of the stream.
        stream_arn: String;
    }

    /// A Firehose delivery stream.
    FirehoseReply {
        /// How AWS is logged in to.
        auth: AwsAuthReply;
        /// The name of the delivery stream.
        delivery_stream_arn: String;
    }

    /// A CloudWatch log group.
    CloudwatchLogsReply {
        /// How AWS is logged in to.
        auth: AwsAuthReply;
        /// The name of the log group.
        log_group_arn: String;
    }

    /// Logs of a Datadog organization.
    DatadogReply {
        /// Always empty: the key is never given back.
        api_key: String;
        /// Tags, separated by commas.
        ddtags: String;
        /// The name of the service.
        service: String;
        /// The site.
        ddsite: String;
    }

    /// Azure Monitor, by its logs ingestion interface.
    AzureLogsIngestionReply {
        /// The tenant.
        tenant_id: String;
        /// The application.
        client_id: String;
        /// Always empty: the secret is never given back.
        client_secret: String;
        /// The address of the ingestion.
        logs_ingestion_uri: String;
        /// The id of the data collection rule.
        data_collection_rule_id: String;
        /// The name of the stream.
        data_collection_stream_name: String;
    }

    /// An S3 bucket.
    S3Reply {
        /// How AWS is logged in to.
        auth: AwsAuthReply;
        /// The name of the bucket.
        bucket_arn: String;
        /// What the names of objects begin with.
        object_prefix: String;
        /// Whether objects are compressed with gzip.
        compression: bool;
        /// Bytes after which an object is closed.
        max_file_size: Option<u64>;
        /// Seconds after which an object is closed.
        max_file_age: Option<u64>;
    }

    /// A callback.
    DebugReply {
        /// Whether events are written into the server's log.
        log: bool;
        /// The address that events are posted to.
        callback_url: String;
    }

    /// Where events are sent. One of the members is there, the others are null.
    EventTargetReply {
        /// A Firehose delivery stream.
        firehose: Option<FirehoseReply>;
        /// A Kinesis data stream.
        kinesis: Option<KinesisReply>;
        /// A CloudWatch log group.
        cloudwatch_logs: Option<CloudwatchLogsReply>;
        /// Logs of a Datadog organization.
        datadog: Option<DatadogReply>;
        /// Azure Monitor.
        azure_logs_ingestion: Option<AzureLogsIngestionReply>;
        /// An S3 bucket.
        s3: Option<S3Reply>;
        /// A callback.
        debug: Option<DebugReply>;
    }

    /// An event destination.
    EventDestination {
        /// The id.
        id: String;
        /// What a program keeps with it.
        metadata: String;
        /// When it was created.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// How events are written.
        format: EventFormat;
        /// Where events are sent.
        target: EventTargetReply;
        /// Where it is found.
        uri: String;
    }
}

impl From<&events::EventTarget> for EventTargetReply {
    /// The same without its secrets.
    fn from(target: &events::EventTarget) -> Self {
        EventTargetReply {
            firehose: target.firehose.as_ref().map(|one| FirehoseReply {
                auth: (&one.auth).into(),
                delivery_stream_arn: one.delivery_stream_arn.as_str().to_owned(),
            }),
            kinesis: target
                .kinesis
                .as_ref()
                .map(|one| KinesisReply { auth: (&one.auth).into(), stream_arn: one.stream_arn.as_str().to_owned() }),
            cloudwatch_logs: target.cloudwatch_logs.as_ref().map(|one| CloudwatchLogsReply {
                auth: (&one.auth).into(),
                log_group_arn: one.log_group_arn.as_str().to_owned(),
            }),
            datadog: target.datadog.as_ref().map(|one| DatadogReply {
                api_key: String::new(),
                ddtags: one.ddtags.as_str().to_owned(),
                service: one.service.as_str().to_owned(),
                ddsite: one.ddsite.as_str().to_owned(),
            }),
            azure_logs_ingestion: target.azure_logs_ingestion.as_ref().map(|one| AzureLogsIngestionReply {
                tenant_id: one.tenant_id.as_str().to_owned(),
                client_id: one.client_id.as_str().to_owned(),
                client_secret: String::new(),
                logs_ingestion_uri: one.logs_ingestion_uri.as_str().to_owned(),
                data_collection_rule_id: one.data_collection_rule_id.as_str().to_owned(),
                data_collection_stream_name: one.data_collection_stream_name.as_str().to_owned(),
            }),
            s3: target.s3.as_ref().map(|one| S3Reply {
                auth: (&one.auth).into(),
                bucket_arn: one.bucket_arn.as_str().to_owned(),
                object_prefix: one.object_prefix.as_str().to_owned(),
                compression: one.compression,
                max_file_size: one.max_file_size,
                max_file_age: one.max_file_age,
            }),
            debug: target.debug.as_ref().map(|one| DebugReply {
                log: one.log,
                callback_url: one.callback_url.as_ref().map_or_else(String::new, |url| url.as_str().to_owned()),
            }),
        }
    }
}

impl From<&events::AwsAuth> for AwsAuthReply {
    fn from(auth: &events::AwsAuth) -> Self {
        AwsAuthReply {
            role: auth.role.as_ref().map(|role| AwsRoleReply { role_arn: role.role_arn.as_str().to_owned() }),
            creds: auth.creds.as_ref().map(|keys| AwsCredentialsReply {
                aws_access_key_id: keys.aws_access_key_id.as_str().to_owned(),
                aws_secret_access_key: String::new(),
            }),
        }
    }
}
