//! The body of an error.

use std::collections::BTreeMap;

use portway_codes::PublicError;
use portway_names::OperationId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Described, Schemas};

/// The response header with the id of the call.
pub const OPERATION_ID: http::HeaderName = http::HeaderName::from_static("ngrok-operation-id");

/// The body of an error. Clients read each of these members without asking whether it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code, as `ERR_NGROK_214`.
    pub error_code: String,
    /// The HTTP status.
    pub status_code: u16,
    /// What failed, why, and what to do.
    pub msg: String,
    /// More about it; one client takes strings only. `operation_id` is always there.
    pub details: BTreeMap<String, String>,
}

impl ErrorBody {
    /// The body for an error of a call.
    pub fn new(error: &PublicError, operation: OperationId) -> ErrorBody {
        ErrorBody {
            error_code: error.code.name().to_owned(),
            status_code: error.code.status(),
            msg: error.text.trim_end().to_owned(),
            details: BTreeMap::from([("operation_id".to_owned(), operation.to_string())]),
        }
    }
}

impl Described for ErrorBody {
    fn schema(schemas: &mut Schemas) -> Value {
        schemas.entry("Error").or_insert_with(|| {
            json!({
                "type": "object",
                "description": "What went wrong.",
                "required": ["error_code", "status_code", "msg", "details"],
                "properties": {
                    "error_code": {"type": "string", "description": "The code, as ERR_NGROK_214."},
                    "status_code": {"type": "integer", "description": "The HTTP status."},
                    "msg": {"type": "string", "description": "What failed, why, and what to do."},
                    "details": {
                        "type": "object",
                        "description": "More about it; operation_id is the id of the call.",
                        "additionalProperties": {"type": "string"},
                    },
                },
            })
        });
        json!({"$ref": "#/components/schemas/Error"})
    }
}

#[cfg(test)]
mod tests {
    use portway_codes::Code;

    use super::*;

    #[test]
    fn every_member_is_there() {
        let operation: OperationId = "op_0ujtsYcgvSTl8PAuAdqWYSMnLOv".parse().unwrap();
        let body = ErrorBody::new(&Code::ERR_PORTWAY_40401.with("Resource not found\n"), operation);
        let wanted = json!({
            "error_code": "ERR_PORTWAY_40401", "status_code": 404, "msg": "Resource not found",
            "details": {"operation_id": "op_0ujtsYcgvSTl8PAuAdqWYSMnLOv"},
        });
        assert_eq!(serde_json::to_value(body).unwrap(), wanted);
    }
}
