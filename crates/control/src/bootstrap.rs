//! The first account and its secrets, shown once.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use portway_names::{AccountId, ApiKeyId, CredentialId, HostName, UserId};
use portway_store::{Account, ApiKey, Credential, FirstAccount, Store, StoreError, Timestamp, User};
use secrecy::{ExposeSecret, SecretString};

use crate::random;

/// What the first start made for the operator. Only digests are kept: these values exist nowhere else.
#[derive(Debug)]
pub struct Bootstrap {
    /// Opens agent sessions for the first account.
    pub authtoken: SecretString,
    /// Opens the REST interface for the first account.
    pub api_key: SecretString,
    /// Signs in as the first account's administrator.
    pub admin_email: String,
    /// The administrator's password.
    pub admin_password: SecretString,
}

impl Bootstrap {
    /// Makes the first account, or new secrets for it when an earlier start was killed before they were written down. None when they
    /// were.
    pub(crate) async fn make(
        store: &Store,
        base_domain: &HostName,
        now: Timestamp,
    ) -> Result<Option<Bootstrap>, StoreError> {
        if store.bootstrap_confirmed().await? {
            return Ok(None);
        }
        let fresh = Bootstrap {
            authtoken: random::token(now).into(),
            api_key: random::token(now).into(),
            admin_email: format!("admin@{base_domain}"),
            admin_password: random::password(),
        };
        let password_hash = hash(fresh.admin_password.clone()).await;
        let made = store.put_first_account(&fresh.records(password_hash, now), now).await?;
        Ok(made.map(|_| fresh))
    }

    fn records(&self, password_hash: String, now: Timestamp) -> FirstAccount {
        let account = AccountId::new(random::ksuid(now));
        let user = UserId::new(random::ksuid(now));
        FirstAccount {
            account: Account { id: account, name: "default".to_owned(), created: now },
            user: User { id: user, account, email: self.admin_email.clone(), password_hash, created: now },
            credential: Credential {
                id: CredentialId::new(random::ksuid(now)),
                account,
                account_name: "default".to_owned(),
                digest: random::token_digest(self.authtoken.expose_secret()),
                acl: Vec::new(),
                description: "made on the first start".to_owned(),
                metadata: String::new(),
                created: now,
            },
            api_key: ApiKey {
                id: ApiKeyId::new(random::ksuid(now)),
                account,
                user,
                digest: random::token_digest(self.api_key.expose_secret()),
                description: "made on the first start".to_owned(),
                metadata: String::new(),
                created: now,
            },
        }
    }
}

/// Memory of the hash in KiB, and passes over it. A password that people choose needs a hash that is slow to try out; this one is random
/// with more than 140 bits, which nobody tries out, and the allocator would keep the memory of a slow hash for as long as the server
/// idles.
const HASH_MEMORY_KIB: u32 = 1024;
const HASH_PASSES: u32 = 1;

/// argon2id (RFC 9106 section 3.2) of a generated password, off the runtime's threads: it takes milliseconds.
async fn hash(password: SecretString) -> String {
    let hashing = tokio::task::spawn_blocking(move || {
        let params =
            Params::new(HASH_MEMORY_KIB, HASH_PASSES, 1, None).expect("the parameters are within their bounds");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hashed = argon2.hash_password(password.expose_secret().as_bytes());
        hashed.expect("a short password is valid").to_string()
    });
    hashing.await.expect("hashing does not panic and is never aborted")
}
