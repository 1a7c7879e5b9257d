//! Names of AWS resources that events are sent to.

use portway_codes::Code;
use serde_json::{Value, json};

use crate::value::text;
use crate::{Described, Fault, Input, Schemas};

/// Longest name in bytes that AWS gives.
const MAX_ARN_LEN: usize = 2048;

/// Checks `arn:partition:service:region:account:resource`.
fn check(arn: &str, service: &str, resource: &str) -> Result<(), Fault> {
    if !arn.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Fault::coded(Code::ERR_NGROK_5120, "it has characters that no ARN has"));
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [start, partition, its_service, region, account, its_resource] = parts[..] else {
        return Err(Fault::coded(Code::ERR_NGROK_5120, "it is not an ARN"));
    };
    let (regional, owned) = shape(service);
    let account_fits =
        if owned { account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) } else { account.is_empty() };
    if arn.len() > MAX_ARN_LEN || start != "arn" || region.is_empty() == regional || !account_fits {
        return Err(Fault::coded(Code::ERR_NGROK_5120, "it is not an ARN of such a resource"));
    }
    if !matches!(partition, "aws" | "aws-cn" | "aws-us-gov") {
        return Err(Fault::coded(Code::ERR_NGROK_5118, "its partition is none of AWS"));
    }
    if its_service != service {
        return Err(Fault::coded(Code::ERR_NGROK_5119, format!("its service is not {service}")));
    }
    match its_resource.strip_prefix(resource) {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err(Fault::coded(Code::ERR_NGROK_5130, format!("its resource does not begin with \"{resource}\""))),
    }
}

/// Whether names of a service have a region and an account. Roles and buckets belong to no region, buckets not even to an account.
fn shape(service: &str) -> (bool, bool) {
    (!matches!(service, "iam" | "s3"), service != "s3")
}

/// What [`check`] says, as a regular expression.
fn pattern(service: &str, resource: &str) -> String {
    let (regional, owned) = shape(service);
    let region = if regional { "[!-9;-~]+" } else { "" };
    let account = if owned { "[0-9]{12}" } else { "" };
    format!("^arn:(aws|aws-cn|aws-us-gov):{service}:{region}:{account}:{resource}[!-~]+$")
}

macro_rules! arns {
    ($($(#[doc = $doc:literal])+ $name:ident $service:literal $resource:literal $example:literal;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Described for $name {
            fn schema(_: &mut Schemas) -> Value {
                json!({"type": "string", "pattern": pattern($service, $resource), "maxLength": MAX_ARN_LEN, "examples": [$example]})
            }
        }

        impl Input for $name {
            fn read(value: Value) -> Result<Self, Fault> {
                let arn = text(value)?;
                check(&arn, $service, $resource)?;
                Ok($name(arn))
            }
        }
    )+};
}

arns! {
    /// The name of an IAM role.
    RoleArn "iam" "role/" "arn:aws:iam::123456789012:role/events";
    /// The name of a Kinesis data stream.
    StreamArn "kinesis" "stream/" "arn:aws:kinesis:eu-central-1:123456789012:stream/events";
    /// The name of a Firehose delivery stream.
    FirehoseArn "firehose" "deliverystream/" "arn:aws:firehose:eu-central-1:123456789012:deliverystream/events";
    /// The name of a CloudWatch log group.
    LogGroupArn "logs" "log-group:" "arn:aws:logs:eu-central-1:123456789012:log-group:events";
    /// The name of an S3 bucket.
    BucketArn "s3" "" "arn:aws:s3:::events";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: Input>(arn: &str) -> Option<u32> {
        T::read(arn.into()).err().map(|fault| fault.code.unwrap().number())
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(code::<RoleArn>("arn:aws:iam::123456789012:role/path/events"), None);
        assert_eq!(code::<LogGroupArn>("arn:aws-cn:logs:cn-north-1:123456789012:log-group:events:*"), None);
        assert_eq!(code::<BucketArn>("arn:aws:s3:::events"), None);
        assert_eq!(code::<StreamArn>("arn:aws:kinesis:x:123456789012:stream/events"), None);
        assert_eq!(code::<StreamArn>("events"), Some(5120));
        assert_eq!(code::<StreamArn>("arn:aws:kinesis::123456789012:stream/events"), Some(5120));
        assert_eq!(code::<StreamArn>("arn:aws:kinesis:x:1234:stream/events"), Some(5120));
        assert_eq!(code::<StreamArn>("arn:gcp:kinesis:x:123456789012:stream/events"), Some(5118));
        assert_eq!(code::<StreamArn>("arn:aws:firehose:x:123456789012:deliverystream/a"), Some(5119));
        assert_eq!(code::<StreamArn>("arn:aws:kinesis:x:123456789012:topic/events"), Some(5130));
        assert_eq!(code::<StreamArn>("arn:aws:kinesis:x:123456789012:stream/"), Some(5130));
    }
}
