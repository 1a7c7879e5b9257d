//! Certificates for visitors, and authorities that issue certificates of visitors.

use portway_api::{
    CertificateAuthorityCreate, CertificateAuthorityUpdate, SubjectAlternativeNames, Timestamp, TlsCertificateCreate,
    TlsCertificateUpdate,
};
use portway_codes::{Code, PublicError};
use portway_names::{CertificateAuthorityId, TlsCertificateId};
use secrecy::ExposeSecret;

use super::call::{Answer, Call, time};
use super::crud;
use super::kind::{Kept, Kind, Row, read, set};
use crate::kept::certificates::{CertificateAuthority, TlsCertificate};
use crate::x509;

pub(crate) static CERTIFICATE: Kind = Kind::of::<TlsCertificate>();
pub(crate) static AUTHORITY: Kind = Kind::of::<CertificateAuthority>();

/// Performs an operation of certificates.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    if call.verb() != "delete" {
        return crud::perform(call, &CERTIFICATE).await;
    }
    let certificate: TlsCertificate = read(&crud::find(call, &CERTIFICATE, call.parameters.get("id")).await?)?;
    crud::delete(call, &CERTIFICATE).await.map_err(|refused| match refused.code {
        Code::ERR_PORTWAY_40903 if certificate.was_ordered() => Code::ERR_NGROK_1966.with(refused.text),
        _ => refused,
    })
}

impl Kept for TlsCertificate {
    const KIND: &'static str = TlsCertificate::KIND;
    const COLLECTION: &'static str = "/tls_certificates";
    const FOLLOWED: bool = true;
    type Id = TlsCertificateId;
    type Create = TlsCertificateCreate;
    type Update = TlsCertificateUpdate;
    type Reply = portway_api::TlsCertificate;

    fn create(call: &Call<'_>, id: &str, body: TlsCertificateCreate) -> Result<Self, PublicError> {
        let (facts, key) = x509::read_pair(&body.certificate_pem.0, body.private_key_pem.0.expose_secret())?;
        Ok(TlsCertificate {
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            certificate_pem: body.certificate_pem.0,
            private_key: call.inner.master.seal(&TlsCertificate::key_context(id), &key.pkcs8),
            private_key_type: key.kind,
            facts,
            issued_at: None,
        })
    }

    fn update(&mut self, _: &Call<'_>, _: &str, body: TlsCertificateUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::TlsCertificate {
        let facts = &self.facts;
        portway_api::TlsCertificate {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            certificate_pem: self.certificate_pem.clone(),
            subject_common_name: facts.subject_common_name.clone(),
            subject_alternative_names: SubjectAlternativeNames {
                dns_names: facts.dns_names.clone(),
                ips: facts.ips.clone(),
            },
            issued_at: self.issued_at.map(Timestamp::from_unix),
            not_before: Timestamp::from_unix(facts.not_before),
            not_after: Timestamp::from_unix(facts.not_after),
            key_usages: facts.key_usages.clone(),
            extended_key_usages: facts.extended_key_usages.clone(),
            private_key_type: self.private_key_type.as_str().to_owned(),
            issuer_common_name: facts.issuer_common_name.clone(),
            serial_number: facts.serial_number.clone(),
            subject_organization: facts.subject_organization.clone(),
            subject_organizational_unit: facts.subject_organizational_unit.clone(),
            subject_locality: facts.subject_locality.clone(),
            subject_province: facts.subject_province.clone(),
            subject_country: facts.subject_country.clone(),
        }
    }
}

impl Kept for CertificateAuthority {
    const KIND: &'static str = "certificate_authority";
    const COLLECTION: &'static str = "/certificate_authorities";
    const FOLLOWED: bool = true;
    type Id = CertificateAuthorityId;
    type Create = CertificateAuthorityCreate;
    type Update = CertificateAuthorityUpdate;
    type Reply = portway_api::CertificateAuthority;

    fn create(_: &Call<'_>, _: &str, body: CertificateAuthorityCreate) -> Result<Self, PublicError> {
        Ok(CertificateAuthority {
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            facts: x509::read_authority(&body.ca_pem.0)?,
            ca_pem: body.ca_pem.0,
        })
    }

    fn update(&mut self, _: &Call<'_>, _: &str, body: CertificateAuthorityUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::CertificateAuthority {
        let facts = &self.facts;
        portway_api::CertificateAuthority {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            ca_pem: self.ca_pem.clone(),
            subject_common_name: facts.subject_common_name.clone(),
            not_before: Timestamp::from_unix(facts.not_before),
            not_after: Timestamp::from_unix(facts.not_after),
            key_usages: facts.key_usages.clone(),
            extended_key_usages: facts.extended_key_usages.clone(),
        }
    }
}
