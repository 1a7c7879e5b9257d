//! SSH certificate authorities, and the certificates that they sign for hosts and users.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use portway_api::{
    SshCertificateAuthorityCreate, SshCertificateAuthorityUpdate, SshHostCertificateCreate, SshHostCertificateUpdate,
    SshPublicKey, SshUserCertificateCreate, SshUserCertificateUpdate, Text, Timestamp, Word, read_body,
};
use portway_codes::{Code, PublicError};
use portway_names::{SshCertificateAuthorityId, SshHostCertificateId, SshUserCertificateId};
use portway_store::Referrer;

use super::call::{Answer, Call, time};
use super::crud;
use super::kind::{Draft, Kept, Kind, Row, named, read, set};
use super::refusal::{damaged, unreadable};
use crate::kept::ssh::{Signed, SshCertificateAuthority, SshHostCertificate, SshUserCertificate};
use crate::random;
use crate::ssh_signing::{KeyChoice, Order, make_key, read_key, sign};
use crate::turns::Turns;

static AUTHORITY: Kind = Kind::of::<SshCertificateAuthority>();
static HOST: Kind = Kind::of::<SshHostCertificate>();
static USER: Kind = Kind::of::<SshUserCertificate>();

/// Seconds that certificates are valid when nothing else is said.
const HOST_LIFETIME: i64 = 365 * 24 * 60 * 60;
const USER_LIFETIME: i64 = 24 * 60 * 60;
/// What users may do when nothing else is said.
const USER_EXTENSIONS: [&str; 2] = ["permit-pty", "permit-user-rc"];

/// Computations happen one at a time: a large RSA key takes a processor for seconds, and visitors need the others.
static COMPUTING: LazyLock<Turns> = LazyLock::new(Turns::default);

pub(crate) async fn authorities(call: &Call<'_>) -> Result<Answer, PublicError> {
    if call.verb() != "create" {
        return crud::perform(call, &AUTHORITY).await;
    }
    let body: SshCertificateAuthorityCreate = read_body(call.body)?;
    let choice =
        KeyChoice { kind: body.private_key_type, curve: body.elliptic_curve, bits: body.key_size.map(|size| size.0) };
    let key = compute(call, move || make_key(choice)).await?;
    let id = (AUTHORITY.fresh_id)(random::ksuid(call.now));
    let kept = SshCertificateAuthority {
        description: body.description.into_string(),
        metadata: body.metadata.into_string(),
        key_type: choice.kind,
        public_key: key.public,
        private_key: call.inner.master.seal(&SshCertificateAuthority::key_context(&id), &key.private),
    };
    crud::insert(call, &AUTHORITY, Draft::new(call, id, &kept)).await
}

pub(crate) async fn of_hosts(call: &Call<'_>) -> Result<Answer, PublicError> {
    if call.verb() != "create" {
        return crud::perform(call, &HOST).await;
    }
    let body: SshHostCertificateCreate = read_body(call.body)?;
    let id = (HOST.fresh_id)(random::ksuid(call.now));
    let wish = Wish {
        host: true,
        authority: body.ssh_certificate_authority_id,
        public_key: body.public_key,
        principals: body.principals,
        validity: validity(call, body.valid_after, body.valid_until, HOST_LIFETIME, Code::ERR_NGROK_1963)?,
        critical_options: BTreeMap::new(),
        extensions: BTreeMap::new(),
    };
    let signed = signed(call, &id, wish, body.description, body.metadata).await?;
    crud::insert(call, &HOST, Draft::new(call, id, &SshHostCertificate { signed })).await
}

pub(crate) async fn of_users(call: &Call<'_>) -> Result<Answer, PublicError> {
    if call.verb() != "create" {
        return crud::perform(call, &USER).await;
    }
    let body: SshUserCertificateCreate = read_body(call.body)?;
    let id = (USER.fresh_id)(random::ksuid(call.now));
    let critical_options = texts(body.critical_options);
    // Some clients send an empty map for what their user left out.
    let extensions = match body.extensions.filter(|extensions| !extensions.is_empty()) {
        Some(extensions) => texts(extensions),
        None => USER_EXTENSIONS.map(|name| (name.to_owned(), String::new())).into(),
    };
    let wish = Wish {
        host: false,
        authority: body.ssh_certificate_authority_id,
        public_key: body.public_key,
        principals: body.principals,
        validity: validity(call, body.valid_after, body.valid_until, USER_LIFETIME, Code::ERR_NGROK_1962)?,
        critical_options: critical_options.clone(),
        extensions: extensions.clone(),
    };
    let signed = signed(call, &id, wish, body.description, body.metadata).await?;
    crud::insert(call, &USER, Draft::new(call, id, &SshUserCertificate { signed, critical_options, extensions })).await
}

/// A certificate that is asked for.
struct Wish {
    host: bool,
    authority: SshCertificateAuthorityId,
    public_key: SshPublicKey,
    principals: Vec<Word<255>>,
    validity: (i64, i64),
    critical_options: BTreeMap<String, String>,
    extensions: BTreeMap<String, String>,
}

async fn signed<const D: usize, const M: usize>(
    call: &Call<'_>,
    id: &str,
    wish: Wish,
    description: Text<D>,
    metadata: Text<M>,
) -> Result<Signed, PublicError> {
    let account = &call.caller.account;
    let authority = wish.authority.to_string();
    let found = call.inner.store.resource(account, SshCertificateAuthority::KIND, &authority).await;
    let found = found.map_err(unreadable)?.ok_or_else(|| Signed::no_authority(&authority))?;
    let kept: SshCertificateAuthority = read(&found)?;
    let opened = call.inner.master.open(&SshCertificateAuthority::key_context(&authority), &kept.private_key);
    let private = opened.map_err(damaged)?;
    let (public_key, key_type) = read_key(&wish.public_key.text).ok_or_else(|| Code::ERR_NGROK_1934.plain())?;
    let (valid_after, valid_until) = wish.validity;
    let principals: Vec<String> = wish.principals.into_iter().map(Word::into_string).collect();
    let order = Order {
        host: wish.host,
        key_id: id.to_owned(),
        public_key,
        principals: principals.clone(),
        critical_options: wish.critical_options,
        extensions: wish.extensions,
        valid_after: valid_after.unsigned_abs(),
        valid_until: valid_until.unsigned_abs(),
    };
    Ok(Signed {
        description: description.into_string(),
        metadata: metadata.into_string(),
        ssh_certificate_authority_id: authority,
        key_type,
        public_key: wish.public_key.text,
        principals,
        valid_after,
        valid_until,
        certificate: compute(call, move || sign(&private, order)).await?,
    })
}

/// Computes away from the threads that serve.
async fn compute<T: Send + 'static>(
    call: &Call<'_>,
    work: impl FnOnce() -> Result<T, ssh_key::Error> + Send + 'static,
) -> Result<T, PublicError> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "an SSH key or certificate could not be made");
        Code::ERR_NGROK_802.plain()
    };
    let turn = COMPUTING.wait(call.caller.account).await;
    let work = move || {
        // It goes on when the caller is gone.
        let _turn = turn;
        work()
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?;
    done.map_err(|error| failed(&error))
}

/// From when until when, in seconds since 1970.
fn validity(
    call: &Call<'_>,
    after: Option<Timestamp>,
    until: Option<Timestamp>,
    lifetime: i64,
    code: Code,
) -> Result<(i64, i64), PublicError> {
    let after = after.unwrap_or_else(|| time(call.now)).unix_secs();
    let until = until.map_or(after.saturating_add(lifetime), Timestamp::unix_secs);
    if after < 0 || until <= after {
        return Err(code.with(
            "The certificate would end before it begins, or begin before 1970. Change valid_after or valid_until.",
        ));
    }
    Ok((after, until))
}

fn texts<const MAX: usize>(map: BTreeMap<String, Text<MAX>>) -> BTreeMap<String, String> {
    map.into_iter().map(|(name, value)| (name, value.into_string())).collect()
}

impl Signed {
    fn no_authority(target: &str) -> PublicError {
        Code::ERR_NGROK_1949.with(format!("There is no SSH certificate authority {target}."))
    }
}

impl Kept for SshCertificateAuthority {
    const KIND: &'static str = SshCertificateAuthority::KIND;
    const COLLECTION: &'static str = "/ssh_certificate_authorities";
    type Id = SshCertificateAuthorityId;
    type Create = SshCertificateAuthorityCreate;
    type Update = SshCertificateAuthorityUpdate;
    type Reply = portway_api::SshCertificateAuthority;

    fn update(&mut self, _: &Call<'_>, _: &str, body: SshCertificateAuthorityUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::SshCertificateAuthority {
        portway_api::SshCertificateAuthority {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            public_key: self.public_key.clone(),
            key_type: self.key_type.to_string(),
        }
    }

    fn in_use(id: &str, referrers: &[Referrer]) -> PublicError {
        Code::ERR_NGROK_1964.with(format!("{id} signed {}. Delete what it signed first.", named(referrers)))
    }
}

impl Kept for SshHostCertificate {
    const KIND: &'static str = "ssh_host_certificate";
    const COLLECTION: &'static str = "/ssh_host_certificates";
    type Id = SshHostCertificateId;
    type Create = SshHostCertificateCreate;
    type Update = SshHostCertificateUpdate;
    type Reply = portway_api::SshHostCertificate;

    fn update(&mut self, _: &Call<'_>, _: &str, body: SshHostCertificateUpdate) -> Result<(), PublicError> {
        set(&mut self.signed.description, body.description);
        set(&mut self.signed.metadata, body.metadata);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::SshHostCertificate {
        let signed = &self.signed;
        portway_api::SshHostCertificate {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: signed.description.clone(),
            metadata: signed.metadata.clone(),
            public_key: signed.public_key.clone(),
            key_type: signed.key_type.to_string(),
            ssh_certificate_authority_id: signed.ssh_certificate_authority_id.clone(),
            principals: signed.principals.clone(),
            valid_after: Timestamp::from_unix(signed.valid_after),
            valid_until: Timestamp::from_unix(signed.valid_until),
            certificate: signed.certificate.clone(),
        }
    }

    fn refs(&self) -> Vec<String> {
        vec![self.signed.ssh_certificate_authority_id.clone()]
    }

    fn no_target(target: &str) -> PublicError {
        Signed::no_authority(target)
    }
}

impl Kept for SshUserCertificate {
    const KIND: &'static str = "ssh_user_certificate";
    const COLLECTION: &'static str = "/ssh_user_certificates";
    type Id = SshUserCertificateId;
    type Create = SshUserCertificateCreate;
    type Update = SshUserCertificateUpdate;
    type Reply = portway_api::SshUserCertificate;

    fn update(&mut self, _: &Call<'_>, _: &str, body: SshUserCertificateUpdate) -> Result<(), PublicError> {
        set(&mut self.signed.description, body.description);
        set(&mut self.signed.metadata, body.metadata);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::SshUserCertificate {
        let signed = &self.signed;
        portway_api::SshUserCertificate {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: signed.description.clone(),
            metadata: signed.metadata.clone(),
            public_key: signed.public_key.clone(),
            key_type: signed.key_type.to_string(),
            ssh_certificate_authority_id: signed.ssh_certificate_authority_id.clone(),
            principals: signed.principals.clone(),
            critical_options: self.critical_options.clone(),
            extensions: self.extensions.clone(),
            valid_after: Timestamp::from_unix(signed.valid_after),
            valid_until: Timestamp::from_unix(signed.valid_until),
            certificate: signed.certificate.clone(),
        }
    }

    fn refs(&self) -> Vec<String> {
        vec![self.signed.ssh_certificate_authority_id.clone()]
    }

    fn no_target(target: &str) -> PublicError {
        Signed::no_authority(target)
    }
}
