//! The DNS records that an installation needs at providers of other zones.

use std::net::IpAddr;

use portway_names::{AccountId, AgentIngressId, HostName, HostPattern, ReservedDomainId};
use portway_store::Resource;

use super::{Admin, AdminError};
use crate::kept::names::{AgentIngress, ReservedDomain, acme_challenge_target, cname_target};
use crate::kept::{all, read};
use crate::rest::Kept;

/// A record that somebody has to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRecord {
    /// Where, `app.example.com` or `*.example.com`.
    pub name: String,
    /// What kind: `NS`, `CNAME`, `A` or `AAAA`.
    pub kind: &'static str,
    /// What it is to say, without a dot at the end. All of them, where there are several.
    pub values: Vec<String>,
    /// What needs it: the installation, or the id of a resource.
    pub needed_by: String,
    /// Whose that is; none for the installation's own.
    pub account: Option<AccountId>,
}

impl Admin {
    /// Every record that is needed: the delegation of the base domain with the addresses of its name server, one for each connect URL, and a
    /// CNAME record for each reserved domain outside the base domain, of wildcards also for their challenges.
    ///
    /// # Errors
    /// When the database cannot be read, or [`AdminError::Damaged`].
    pub async fn wanted_records(&self, public_ips: &[IpAddr]) -> Result<Vec<WantedRecord>, AdminError> {
        let Some(base) = self.store.base_domain().await? else { return Ok(Vec::new()) };
        let servers = self.store.connect_names().await?;
        let servers: Vec<String> = servers.iter().map(HostName::to_string).collect();
        let own = |name: String, kind, values| WantedRecord {
            name,
            kind,
            values,
            needed_by: "the installation".to_owned(),
            account: None,
        };
        let mut records = vec![own(base.to_string(), "NS", servers.clone())];
        for server in &servers {
            for (kind, is_v4) in [("A", true), ("AAAA", false)] {
                let addresses = public_ips.iter().filter(|ip| ip.is_ipv4() == is_v4);
                let addresses: Vec<String> = addresses.map(IpAddr::to_string).collect();
                if !addresses.is_empty() {
                    records.push(own(server.clone(), kind, addresses));
                }
            }
        }
        let of = |resource: &Resource, name: String, kind, values| WantedRecord {
            name,
            kind,
            values,
            needed_by: resource.id.clone(),
            account: Some(resource.account),
        };
        for resource in all(&self.store, AgentIngress::KIND, AgentIngressId::PREFIX).await? {
            let AgentIngress { domain, .. } = read(&resource)?;
            records.push(of(&resource, domain, "NS", servers.clone()));
        }
        for resource in all(&self.store, ReservedDomain::KIND, ReservedDomainId::PREFIX).await? {
            let ReservedDomain { domain, .. } = read(&resource)?;
            if is_outside(&domain, &base)
                && let Some(target) = cname_target(&resource.id, &resource.account, &base)
            {
                records.push(of(&resource, domain.to_string(), "CNAME", vec![target.to_string()]));
                if let (HostPattern::Wildcard(above), Some(target)) =
                    (&domain, acme_challenge_target(&resource.id, &base))
                {
                    let name = format!("_acme-challenge.{above}");
                    records.push(of(&resource, name, "CNAME", vec![target.to_string()]));
                }
            }
        }
        Ok(records)
    }
}

fn is_outside(domain: &HostPattern, base: &HostName) -> bool {
    domain.name() != base && !domain.name().is_below(base)
}
