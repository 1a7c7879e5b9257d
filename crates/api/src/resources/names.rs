//! Reserved domains, reserved addresses and connect URLs.

use std::net::{IpAddr, SocketAddr};

use portway_codes::Code;
use portway_names::{Region, TlsCertificateId};
use serde_json::{Value, json};

use crate::object::{body, reply};
use crate::schema::{at_most_one, different};
use crate::value::text;
use crate::{
    Authority, Described, Description, Domain, Fault, IngressDomain, Input, ManagedKeyType, Metadata, Ref, Schemas,
    Several, Timestamp,
};

/// The name of the schema of regions.
pub(crate) const REGION: &str = "Region";

impl Described for Region {
    fn schema(schemas: &mut Schemas) -> Value {
        // The words are those of the installation: see `openapi`.
        schemas.entry(REGION).or_insert_with(|| json!({"type": "string", "enum": []}));
        json!({"$ref": format!("#/components/schemas/{REGION}")})
    }
}

impl Input for Region {
    fn read(value: Value) -> Result<Self, Fault> {
        text(value)?.parse().map_err(|error: portway_names::TokenError| Fault::invalid(error.to_string()))
    }
}

/// What a domain is served with, one or the other.
const CERTIFICATE: [&str; 2] = ["certificate_id", "certificate_management_policy"];

body! {
    /// How certificates for a domain are managed.
    CertificatePolicy {
        /// Who issues the certificates.
        authority: Authority = Authority::LetsEncrypt, invalid ERR_NGROK_435;
        /// The kind of key that certificates get; ecdsa when it is left out.
        private_key_type: ManagedKeyType = ManagedKeyType::Ecdsa, invalid ERR_NGROK_1909;
    }

    /// One of the places that a domain is resolved to.
    Resolution {
        /// A region, global, or a dedicated address with or without a port.
        value: Place, invalid ERR_NGROK_400;
    }

    /// A domain to reserve.
    ReservedDomainCreate {
        /// The name, or a wildcard as in *.example.com.
        domain | "name" ERR_NGROK_449: Domain;
        /// The region that serves the domain; all of them when it is left out.
        region: Option<Region>, invalid ERR_NGROK_400;
        /// What a person wants to say about the domain.
        description: Description, invalid ERR_NGROK_420;
        /// What a program wants to keep with the domain.
        metadata: Metadata, invalid ERR_NGROK_421;
        /// The uploaded certificate that the domain is served with.
        certificate_id: Option<TlsCertificateId>;
        /// How certificates for the domain are managed.
        certificate_management_policy: Option<CertificatePolicy>;
        /// Places that the domain is resolved to.
        resolves_to: Option<Several<Resolution>>;
    }
    ignored "http_endpoint_configuration_id", "https_endpoint_configuration_id", "error_redirect_url";
    check domain_create;
    says at_most_one(&CERTIFICATE), different("resolves_to");

    /// A change of a reserved domain.
    ReservedDomainUpdate {
        /// What a person wants to say about the domain.
        description: Option<Description>, invalid ERR_NGROK_420;
        /// What a program wants to keep with the domain.
        metadata: Option<Metadata>, invalid ERR_NGROK_421;
        /// The uploaded certificate that the domain is served with from now on.
        certificate_id: Option<TlsCertificateId>;
        /// How certificates for the domain are managed from now on.
        certificate_management_policy: Option<CertificatePolicy>;
        /// Places that the domain is resolved to from now on. An empty list changes nothing; the place global lets go of all others.
        resolves_to: Option<Several<Resolution>>;
    }
    ignored "id", "http_endpoint_configuration_id", "https_endpoint_configuration_id", "error_redirect_url";
    refused "region" ERR_NGROK_451;
    empty ERR_NGROK_422;
    check domain_update;
    says at_most_one(&CERTIFICATE), different("resolves_to");

    /// A TCP address to reserve.
    ReservedAddrCreate {
        /// What a person wants to say about the address.
        description: Description, invalid ERR_NGROK_504;
        /// What a program wants to keep with the address.
        metadata: Metadata, invalid ERR_NGROK_505;
        /// The region that serves the address.
        region: Option<Region>, invalid ERR_NGROK_500;
    }
    ignored "endpoint_configuration_id";

    /// A change of a reserved address.
    ReservedAddrUpdate {
        /// What a person wants to say about the address.
        description: Option<Description>, invalid ERR_NGROK_504;
        /// What a program wants to keep with the address.
        metadata: Option<Metadata>, invalid ERR_NGROK_505;
    }
    ignored "id", "endpoint_configuration_id";
    empty ERR_NGROK_506;

    /// A connect URL to create: a domain of one's own that agents connect to.
    AgentIngressCreate {
        /// What a person wants to say about the connect URL.
        description: Description, invalid ERR_NGROK_6700;
        /// What a program wants to keep with the connect URL.
        metadata: Metadata, invalid ERR_NGROK_6701;
        /// The domain, of which the name servers are delegated to this installation.
        domain: IngressDomain, missing ERR_NGROK_6704;
        /// How certificates for the domain are managed; without one the internal authority issues them.
        certificate_management_policy: Option<CertificatePolicy>;
    }

    /// A change of a connect URL.
    AgentIngressUpdate {
        /// What a person wants to say about the connect URL.
        description: Option<Description>, invalid ERR_NGROK_6700;
        /// What a program wants to keep with the connect URL.
        metadata: Option<Metadata>, invalid ERR_NGROK_6701;
        /// How certificates for the domain are managed from now on.
        certificate_management_policy: Option<CertificatePolicy>;
    }
    ignored "id";
}

reply! {
    /// How certificates for a domain are managed.
    ManagedPolicy {
        /// Who issues the certificates.
        authority: Authority;
        /// The kind of key that certificates get.
        private_key_type: ManagedKeyType;
    }

    /// How far the certificate of a domain is.
    ManagedStatus {
        /// When the certificate is renewed.
        renews_at: Option<Timestamp>;
        /// What is being done for a new certificate.
        provisioning_job: Option<ProvisioningJob>;
    }

    /// An order for a certificate.
    ProvisioningJob {
        /// DNS_ERROR when the owner of the domain has to do something, INTERNAL_ERROR when it will be tried again; nothing in between.
        error_code: Option<String>;
        /// How far it is, or what went wrong.
        msg: String;
        /// When it began.
        started_at: Timestamp;
        /// When it will be tried again.
        retries_at: Option<Timestamp>;
    }

    /// One of the places that a domain is resolved to.
    ResolvedPlace {
        /// A region, global, or an address.
        value: String;
    }

    /// A reserved domain.
    ReservedDomain {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was reserved.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The name, or the wildcard.
        domain: String;
        /// The region that serves it; empty for all of them.
        region: String;
        /// What its CNAME record should point to; nothing for names of the installation.
        cname_target: Option<String>;
        /// The certificate that it is served with.
        certificate: Option<Ref>;
        /// How its certificates are managed.
        certificate_management_policy: Option<ManagedPolicy>;
        /// How far its managed certificate is.
        certificate_management_status: Option<ManagedStatus>;
        /// What the CNAME record of _acme-challenge in front of it should point to; for wildcards only.
        acme_challenge_cname_target: Option<String>;
        /// The places that it is resolved to; null when it is left to the installation.
        resolves_to: Option<Vec<ResolvedPlace>>;
        /// Always null; older clients look for it.
        http_endpoint_configuration: Option<Ref>;
        /// Always null; older clients look for it.
        https_endpoint_configuration: Option<Ref>;
        /// Always null; older clients look for it.
        error_redirect_url: Option<String>;
        /// Whether the account got it without asking.
        is_dev: bool;
    }

    /// A reserved TCP address.
    ReservedAddr {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was reserved.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// Host and port.
        addr: String;
        /// The region that serves it.
        region: String;
        /// Always null; older clients look for it.
        endpoint_configuration: Option<Ref>;
    }

    /// A connect URL.
    AgentIngress {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The domain.
        domain: String;
        /// What the NS records of the domain should name.
        ns_targets: Vec<String>;
        /// The names of the regions below the domain.
        region_domains: Vec<String>;
        /// When it was created.
        created_at: Timestamp;
        /// How its certificates are managed; nothing when the internal authority issues them.
        certificate_management_policy: Option<ManagedPolicy>;
        /// How far its managed certificate is.
        certificate_management_status: Option<ManagedStatus>;
    }
}

/// A place that a domain is resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// All regions.
    Global,
    /// One region. Whether there is such a region the caller knows.
    Region(Region),
    /// A dedicated address.
    Address(IpAddr, Option<u16>),
}

impl Described for Place {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({"anyOf": [Region::schema(schemas), {"const": "global"}]})
    }
}

impl Input for Place {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = text(value)?;
        if text == "global" {
            return Ok(Place::Global);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Place::Address(address, None));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Place::Address(address.ip(), Some(address.port())));
        }
        let wrong = |_| Fault::invalid("it is neither a region, nor global, nor an address");
        text.parse().map(Place::Region).map_err(wrong)
    }
}

fn domain_create(body: &ReservedDomainCreate) -> Result<(), Fault> {
    one_source(body.certificate_id.is_some(), body.certificate_management_policy.is_some())?;
    no_place_twice(body.resolves_to.as_ref())
}

fn domain_update(body: &ReservedDomainUpdate) -> Result<(), Fault> {
    one_source(body.certificate_id.is_some(), body.certificate_management_policy.is_some())?;
    no_place_twice(body.resolves_to.as_ref())
}

fn one_source(certificate: bool, policy: bool) -> Result<(), Fault> {
    if certificate && policy {
        let why = "certificate_id and certificate_management_policy exclude each other";
        return Err(Fault::coded(Code::ERR_NGROK_434, why));
    }
    Ok(())
}

fn no_place_twice(places: Option<&Several<Resolution>>) -> Result<(), Fault> {
    let places = places.map_or(&[][..], Several::as_slice);
    let twice =
        places.iter().enumerate().any(|(at, place)| places[..at].iter().any(|other| other.value == place.value));
    if twice {
        return Err(Fault::coded(Code::ERR_NGROK_456, "resolves_to names a place twice"));
    }
    Ok(())
}
