//! What an edge asks the control plane for when it wants a name.

use portway_names::{AccountId, CredentialId, EdgeId, WantedUrl};

use crate::control::v1::ClaimRequest;
use crate::field::parse;
use crate::{AgentId, FieldError};

/// A [`ClaimRequest`] whose fields are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The edge that asks.
    pub edge: EdgeId,
    /// The account that would own the name.
    pub account: AccountId,
    /// The credential of the agent, whose access rules apply.
    pub credential: CredentialId,
    /// The agent that would serve it.
    pub agent: AgentId,
    /// The wanted URL.
    pub url: WantedUrl,
    /// No session at the asking edge serves the URL.
    pub holder_offline: bool,
}

impl From<&Claim> for ClaimRequest {
    fn from(claim: &Claim) -> Self {
        ClaimRequest {
            edge_id: claim.edge.to_string(),
            account_id: claim.account.to_string(),
            credential_id: claim.credential.to_string(),
            agent_id: claim.agent.to_field(),
            url: claim.url.to_string(),
            holder_offline: claim.holder_offline,
        }
    }
}

impl TryFrom<ClaimRequest> for Claim {
    type Error = FieldError;

    fn try_from(message: ClaimRequest) -> Result<Self, FieldError> {
        Ok(Claim {
            edge: parse("edge_id", &message.edge_id)?,
            account: parse("account_id", &message.account_id)?,
            credential: parse("credential_id", &message.credential_id)?,
            agent: AgentId::from_field("agent_id", &message.agent_id)?,
            url: parse("url", &message.url)?,
            holder_offline: message.holder_offline,
        })
    }
}
