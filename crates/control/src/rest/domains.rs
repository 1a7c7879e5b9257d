//! Reserved domains.

use portway_api::{Place, ReservedDomainCreate, ReservedDomainUpdate, Resolution, ResolvedPlace, Several, read_body};
use portway_codes::{Code, PublicError};
use portway_names::{HostPattern, ReservedDomainId, TlsCertificateId};
use portway_store::{ReservedName, Timestamp};

use super::call::{Answer, Call, time};
use super::crud;
use super::kind::{Draft, Kept, Kind, Row, read, set};
use super::managed::{forget_ordered, policy, shown, status};
use super::refusal::{unreadable, unwritable};
use crate::kept::certificates::TlsCertificate;
use crate::kept::names::{self, Certified, Policy, ReservedDomain};

pub(crate) static DOMAIN: Kind = Kind::of::<ReservedDomain>();

/// Performs an operation of reserved domains.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.verb() {
        "create" => {
            let body: ReservedDomainCreate = read_body(call.body)?;
            check_coverage(call, body.certificate_id, &body.domain.0).await?;
            crud::create(call, &DOMAIN).await
        }
        "update" => {
            let domain: ReservedDomain = read(&crud::find(call, &DOMAIN, call.parameters.get("id")).await?)?;
            let body: ReservedDomainUpdate = read_body(call.body)?;
            check_coverage(call, body.certificate_id, &domain.domain).await?;
            let answer = crud::update(call, &DOMAIN).await?;
            if body.certificate_id.is_some() {
                forget_ordered(call, domain.certified.certificate_id.as_deref()).await;
            }
            Ok(answer)
        }
        "delete" => delete(call).await,
        "delete-certificate" => detach(call, detach_certificate).await,
        "delete-certificate-management-policy" => detach(call, detach_policy).await,
        _ => crud::perform(call, &DOMAIN).await,
    }
}

/// Refuses a certificate that visitors of the domain would not accept. What a certificate names never changes; whether there is one is left to
/// the change itself.
async fn check_coverage(
    call: &Call<'_>,
    certificate: Option<TlsCertificateId>,
    domain: &HostPattern,
) -> Result<(), PublicError> {
    let Some(id) = certificate.map(|id| id.to_string()) else { return Ok(()) };
    let found = call.inner.store.resource(&call.caller.account, TlsCertificate::KIND, &id).await.map_err(unreadable)?;
    let Some(TlsCertificate { facts, .. }) = found.map(|found| read(&found)).transpose()? else { return Ok(()) };
    if facts.dns_names.iter().any(|name| covers(name, domain)) {
        return Ok(());
    }
    let names = match facts.dns_names.as_slice() {
        [] => "no host, and what its subject says does not count".to_owned(),
        names => names.join(", "),
    };
    let text = format!("The certificate {id} does not name {domain}: it names {names}. Attach one that does.");
    Err(Code::ERR_PORTWAY_40005.with(text))
}

/// Whether a name of a certificate stands for the domain: an asterisk stands for one whole label (RFC 9525 section 6.3), so that for a
/// wildcard domain, below which there may be more, it is at least those with one label.
fn covers(name: &str, domain: &HostPattern) -> bool {
    match (name.parse(), domain) {
        (Ok(HostPattern::Exact(name)), HostPattern::Exact(domain)) => name == *domain,
        (Ok(HostPattern::Wildcard(base)), HostPattern::Exact(domain)) => domain.parent() == Some(base),
        (Ok(HostPattern::Wildcard(base)), HostPattern::Wildcard(domain)) => base == *domain,
        (Ok(HostPattern::Exact(_)), HostPattern::Wildcard(_)) | (Err(_), _) => false,
    }
}

/// Gives the name up: what the account serves there goes offline.
async fn delete(call: &Call<'_>) -> Result<Answer, PublicError> {
    let domain: ReservedDomain = read(&crud::find(call, &DOMAIN, call.parameters.get("id")).await?)?;
    let answer = crud::delete(call, &DOMAIN).await?;
    let name = ReservedName::Host(domain.domain);
    let ended = call.inner.store.end_leases_below(&call.caller.account, &name, call.now).await;
    ended.map_err(unwritable)?;
    forget_ordered(call, domain.certified.certificate_id.as_deref()).await;
    Ok(answer)
}

async fn detach(
    call: &Call<'_>,
    change: fn(&mut ReservedDomain) -> Result<(), PublicError>,
) -> Result<Answer, PublicError> {
    let id = call.parameters.get("id");
    let before: ReservedDomain = read(&crud::find(call, &DOMAIN, id).await?)?;
    crud::change(call, &DOMAIN, id, |resource| Draft::changed::<ReservedDomain>(call, resource, change)).await?;
    // What is still attached stays.
    forget_ordered(call, before.certified.certificate_id.as_deref()).await;
    Ok(Answer::Nothing)
}

fn detach_certificate(domain: &mut ReservedDomain) -> Result<(), PublicError> {
    if domain.certified.policy.is_some() {
        return Err(Code::ERR_NGROK_436.plain());
    }
    domain.certified.certificate_id = None;
    Ok(())
}

fn detach_policy(domain: &mut ReservedDomain) -> Result<(), PublicError> {
    domain.certified.drop_policy();
    Ok(())
}

impl Kept for ReservedDomain {
    const KIND: &'static str = "reserved_domain";
    const COLLECTION: &'static str = "/reserved_domains";
    const FOLLOWED: bool = true;
    type Id = ReservedDomainId;
    type Create = ReservedDomainCreate;
    type Update = ReservedDomainUpdate;
    type Reply = portway_api::ReservedDomain;

    fn create(call: &Call<'_>, _: &str, body: ReservedDomainCreate) -> Result<Self, PublicError> {
        let region = body.region.map(|region| region.to_string()).unwrap_or_default();
        check_region(call, &region)?;
        let mut domain = ReservedDomain {
            domain: body.domain.0,
            region,
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            certified: Certified::default(),
            resolves_to: Vec::new(),
        };
        call.inner.names.permit_reservation(&domain.domain)?;
        if let Some(places) = body.resolves_to {
            domain.resolves_to = places_of(call, places)?;
        }
        let certificate = body.certificate_id.map(|id| id.to_string());
        let policy = body.certificate_management_policy.map(policy);
        domain.certify(call, certificate, policy)?;
        // Somebody else's name needs a certificate; nothing else was asked for.
        if !domain.is_ours(call) && domain.certified.certificate_id.is_none() && domain.certified.policy.is_none() {
            let usual = Policy {
                authority: portway_api::Authority::LetsEncrypt,
                private_key_type: portway_api::ManagedKeyType::Ecdsa,
            };
            domain.certify(call, None, Some(usual))?;
        }
        Ok(domain)
    }

    fn update(&mut self, call: &Call<'_>, _: &str, body: ReservedDomainUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        if let Some(places) = body.resolves_to {
            self.resolves_to = places_of(call, places)?;
        }
        let certificate = body.certificate_id.map(|id| id.to_string());
        self.certify(call, certificate, body.certificate_management_policy.map(policy))
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::ReservedDomain {
        let base = &call.inner.names.base_domain;
        let foreign = !self.is_ours(call);
        let cname_target = names::cname_target(row.id, &call.caller.account, base);
        let challenges = names::acme_challenge_target(row.id, base);
        portway_api::ReservedDomain {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            domain: self.domain.to_string(),
            region: self.region.clone(),
            cname_target: cname_target.filter(|_| foreign).map(|target| target.to_string()),
            certificate: self.certified.certificate_id.as_ref().map(|id| call.base.reference("/tls_certificates", id)),
            certificate_management_policy: self.certified.policy.map(shown),
            certificate_management_status: status(call, &self.certified, row.created),
            acme_challenge_cname_target: challenges
                .filter(|_| foreign && self.domain.is_wildcard())
                .map(|target| target.to_string()),
            // The Terraform provider reads an empty list as null, and then takes the difference for a fault of its own.
            resolves_to: (!self.resolves_to.is_empty())
                .then(|| self.resolves_to.iter().map(|value| ResolvedPlace { value: value.clone() }).collect()),
            http_endpoint_configuration: None,
            https_endpoint_configuration: None,
            error_redirect_url: None,
            is_dev: false,
        }
    }

    fn refs(&self) -> Vec<String> {
        self.certified.certificate_id.clone().into_iter().collect()
    }

    fn host(&self) -> Option<HostPattern> {
        Some(self.domain.clone())
    }

    fn work_at(&self) -> Option<Timestamp> {
        self.certified.due()
    }

    fn taken(key: &str, own: Option<&str>) -> PublicError {
        match own {
            Some(id) => Code::ERR_NGROK_413
                .with(format!("The account has reserved {key} already, as {id}. Use that reservation.")),
            None => Code::ERR_NGROK_414.plain(),
        }
    }

    fn no_target(target: &str) -> PublicError {
        Code::ERR_NGROK_215
            .with(format!("The field \"certificate_id\" cannot be used: there is no certificate {target}."))
    }
}

impl ReservedDomain {
    /// Whether it is below the installation's own domain, for which there is a certificate and a record already.
    fn is_ours(&self, call: &Call<'_>) -> bool {
        call.inner.names.is_below_base(&self.domain)
    }

    /// Takes a certificate, or a policy for ordering them, in the place of the one it had.
    fn certify(
        &mut self,
        call: &Call<'_>,
        certificate: Option<String>,
        policy: Option<Policy>,
    ) -> Result<(), PublicError> {
        if self.is_ours(call) && policy.is_some() {
            return Err(Code::ERR_NGROK_439.plain());
        }
        if self.is_ours(call) && certificate.is_some() {
            return Err(Code::ERR_NGROK_440.plain());
        }
        if let Some(policy) = policy {
            self.certified.take_policy(policy, call.now);
        }
        if let Some(certificate) = certificate {
            self.certified = Certified::by(certificate);
        }
        Ok(())
    }
}

fn check_region(call: &Call<'_>, region: &str) -> Result<(), PublicError> {
    let known = region.is_empty() || call.inner.names.regions().contains(&region);
    if known { Ok(()) } else { Err(no_region(region)) }
}

fn no_region(region: &str) -> PublicError {
    Code::ERR_NGROK_400
        .with(format!("There is no region {region} (invalid_region_target). Leave it out, or use global."))
}

fn places_of(call: &Call<'_>, places: Several<Resolution>) -> Result<Vec<String>, PublicError> {
    let mut values = Vec::new();
    for place in places.into_vec() {
        match place.value {
            Place::Global => {}
            Place::Region(region) => {
                check_region(call, region.as_str())?;
                values.push(region.to_string());
            }
            Place::Address(address, _) => {
                let text =
                    format!("{address} is not an address of this installation (invalid_region_target). Use a region.");
                return Err(Code::ERR_NGROK_400.with(text));
            }
        }
    }
    Ok(values)
}
