//! Ids in requests.

use portway_codes::{Code, PublicError};
use portway_names::IdError;
use serde_json::{Value, json};

use crate::value::text;
use crate::{Described, Fault, Input, Schemas};

/// Characters of an id behind its prefix, as a pattern.
const KSUID: &str = "[0-9A-Za-z]{27}";

/// Reads the id of a path or query.
///
/// # Errors
///
/// 227 for an id of another kind, 223 for what is no id at all.
pub fn read_id<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, PublicError> {
    text.parse().map_err(|error| {
        let fault = id_fault(error);
        fault.code.unwrap_or(Code::ERR_NGROK_223).with(format!("The id in the address cannot be used: {}.", fault.why))
    })
}

fn id_fault(error: IdError) -> Fault {
    let code = match error {
        IdError::Prefix(_) => Code::ERR_NGROK_227,
        IdError::Ksuid(_) => Code::ERR_NGROK_223,
    };
    Fault::coded(code, error.to_string())
}

macro_rules! ids {
    ($($name:ident $(= $wrong_kind:ident)?),+ $(,)?) => {$(
        impl Described for portway_names::$name {
            fn schema(_: &mut Schemas) -> Value {
                json!({"type": "string", "pattern": format!("^{}_{KSUID}$", portway_names::$name::PREFIX)})
            }
        }

        impl Input for portway_names::$name {
            fn read(value: Value) -> Result<Self, Fault> {
                let fault = text(value)?.parse().map_err(id_fault);
                $(let fault = fault.map_err(|fault| Fault { code: Some(Code::$wrong_kind), ..fault });)?
                fault
            }
        }
    )+};
}

ids! {
    AccountId,
    TlsCertificateId,
    IpPolicyId = ERR_NGROK_229,
    CertificateAuthorityId = ERR_NGROK_228,
    EventDestinationId,
    SshCertificateAuthorityId,
    UserId,
    VaultId,
}

/// Who owns a credential: a user, or a service user under either of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerId {
    /// A person.
    User(portway_names::UserId),
    /// A service user.
    Service(portway_names::ServiceUserId),
    /// A service user under its older name.
    Bot(portway_names::BotUserId),
}

impl Described for OwnerId {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "pattern": format!("^(usr|service|bot)_{KSUID}$")})
    }
}

impl Input for OwnerId {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = text(value)?;
        let id = match text.split_once('_').map(|(prefix, _)| prefix) {
            Some(portway_names::UserId::PREFIX) => text.parse().map(OwnerId::User),
            Some(portway_names::ServiceUserId::PREFIX) => text.parse().map(OwnerId::Service),
            Some(portway_names::BotUserId::PREFIX) => text.parse().map(OwnerId::Bot),
            _ => return Err(Fault::coded(Code::ERR_NGROK_243, "the id must begin with usr_, service_ or bot_")),
        };
        id.map_err(id_fault)
    }
}
