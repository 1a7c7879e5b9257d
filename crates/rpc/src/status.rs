//! A public error across gRPC: the text is the status message, the code travels beside it as metadata.

use std::error::Error;

use portway_codes::{Code, PublicError};
use tonic::metadata::MetadataValue;
use tonic::{Code as GrpcCode, Status};

/// Metadata key of the public code's number.
const CODE_KEY: &str = "portway-error-code";

/// The status that carries a public error to the other side.
pub fn status_from(error: &PublicError) -> Status {
    let kind = match error.code.status() {
        400 | 422 => GrpcCode::InvalidArgument,
        401 => GrpcCode::Unauthenticated,
        403 => GrpcCode::PermissionDenied,
        404 => GrpcCode::NotFound,
        409 => GrpcCode::AlreadyExists,
        429 => GrpcCode::ResourceExhausted,
        500.. => GrpcCode::Internal,
        _ => GrpcCode::FailedPrecondition,
    };
    let mut status = Status::new(kind, error.text.clone());
    status.metadata_mut().insert(CODE_KEY, MetadataValue::from(error.code.number()));
    status
}

/// The public error in a status; none when the failure is the link's own or the code is not one of ours.
pub fn public_error(status: &Status) -> Option<PublicError> {
    let number = status.metadata().get(CODE_KEY)?.to_str().ok()?.parse().ok()?;
    Some(Code::from_number(number)?.with(status.message()))
}

/// Whether the same call may work later: the other side was away, overloaded or slow. A public error is an answer, never retried.
pub fn should_retry(status: &Status) -> bool {
    if status.metadata().contains_key(CODE_KEY) {
        return false;
    }
    match status.code() {
        GrpcCode::Unavailable | GrpcCode::DeadlineExceeded | GrpcCode::ResourceExhausted | GrpcCode::Aborted => true,
        // A connection that breaks in the middle of a call reaches us as one of these, with the transport's error as source.
        GrpcCode::Unknown | GrpcCode::Cancelled | GrpcCode::Internal => transport_failed(status),
        _ => false,
    }
}

fn transport_failed(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::transport::Error>() || error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}
