//! Connect URLs: domains of an account's own that its agents dial.

use portway_api::{AgentIngressCreate, AgentIngressUpdate, read_body};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, AgentIngressId, HostName, HostPattern};
use portway_store::Timestamp;

use super::call::{Answer, Call, time};
use super::crud;
use super::kind::{Kept, Kind, Row, read, set};
use super::managed::{forget_ordered, policy, shown, status};
use crate::kept::names::{AgentIngress, Certified};

pub(crate) static INGRESS: Kind = Kind::of::<AgentIngress>();

/// Performs an operation of connect URLs.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.verb() {
        "create" => {
            let body: AgentIngressCreate = read_body(call.body)?;
            let answer = crud::create(call, &INGRESS).await?;
            // Without it the reconciler issues it in its next round.
            if let Err(error) = call.inner.certificates.ensure_connect(&body.domain.0, call.now).await {
                tracing::error!(%error, "a connect URL has no certificate yet");
            }
            call.announce().await;
            Ok(answer)
        }
        "delete" => {
            let ingress: AgentIngress = read(&crud::find(call, &INGRESS, call.parameters.get("id")).await?)?;
            let answer = crud::delete(call, &INGRESS).await?;
            forget_ordered(call, ingress.certified.certificate_id.as_deref()).await;
            if let Err(error) = call.inner.certificates.reconcile(call.now).await {
                tracing::warn!(%error, "the certificate of a deleted connect URL is still there");
            }
            call.announce().await;
            Ok(answer)
        }
        _ => crud::perform(call, &INGRESS).await,
    }
}

impl Kept for AgentIngress {
    const KIND: &'static str = "agent_ingress";
    const COLLECTION: &'static str = "/agent_ingresses";
    const FOLLOWED: bool = true;
    type Id = AgentIngressId;
    type Create = AgentIngressCreate;
    type Update = AgentIngressUpdate;
    type Reply = portway_api::AgentIngress;

    fn create(call: &Call<'_>, _: &str, body: AgentIngressCreate) -> Result<Self, PublicError> {
        let names = &call.inner.names;
        names.permit_connect_url(&body.domain.0)?;
        if HostName::join(names.region.as_str(), &body.domain.0).is_err() {
            let text = format!("{} is too long: the names of regions below it would not be valid.", body.domain.0);
            return Err(Code::ERR_NGROK_6704.with(text));
        }
        let mut certified = Certified::default();
        if let Some(wanted) = body.certificate_management_policy {
            certified.take_policy(policy(wanted), call.now);
        }
        Ok(AgentIngress {
            domain: body.domain.0.to_string(),
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            certified,
        })
    }

    fn update(&mut self, call: &Call<'_>, _: &str, body: AgentIngressUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        if let Some(wanted) = body.certificate_management_policy {
            self.certified.take_policy(policy(wanted), call.now);
        }
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::AgentIngress {
        let names = &call.inner.names;
        portway_api::AgentIngress {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            domain: self.domain.clone(),
            // Names that lead to the edges; absolute, as they stand in NS records.
            ns_targets: names.connect_hosts.iter().map(|host| format!("{host}.")).collect(),
            region_domains: vec![format!("{}.{}", names.region, self.domain)],
            created_at: time(row.created),
            certificate_management_policy: self.certified.policy.map(shown),
            certificate_management_status: status(call, &self.certified, row.created),
        }
    }

    fn keys(&self, _: &AccountId) -> Vec<String> {
        vec![self.domain.clone()]
    }

    /// What agents dial is nobody else's to serve, nor is anything below it.
    fn host(&self) -> Option<HostPattern> {
        self.domain.parse().ok().map(HostPattern::Exact)
    }

    fn refs(&self) -> Vec<String> {
        self.certified.certificate_id.clone().into_iter().collect()
    }

    fn work_at(&self) -> Option<Timestamp> {
        self.certified.due()
    }

    fn taken(key: &str, own: Option<&str>) -> PublicError {
        let which = own.map(|id| format!(": {id}")).unwrap_or_default();
        Code::ERR_NGROK_6706.with(format!("There is a connect URL with the domain {key} already{which}."))
    }
}
