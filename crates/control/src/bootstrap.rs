//! The first account and its secrets, shown once.

use portway_api::{DeveloperRole, TeamRole};
use portway_names::{AccountId, ApiKeyId, CredentialId, HostName, MembershipId, UserId};
use portway_store::{Account, Audit, Content, FirstAccount, NewResource, ResourceError, Store, Timestamp};
use secrecy::{ExposeSecret, SecretString};

use crate::kept::principals::{
    API_KEY, ApiKeyBody, CREDENTIAL, CredentialBody, MEMBERSHIP, MembershipBody, USER, UserBody, membership_key,
};
use crate::kept::written;
use crate::password::hash_generated;
use crate::random;

/// Who makes the first account, in the audit log.
const WHO: &str = "portway server";
/// What is said of its secrets.
const DESCRIPTION: &str = "made on the first start";

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
    ) -> Result<Option<Bootstrap>, ResourceError> {
        if store.bootstrap_confirmed().await? {
            return Ok(None);
        }
        let fresh = Bootstrap {
            authtoken: random::token(now).into(),
            api_key: random::token(now).into(),
            admin_email: format!("admin@{base_domain}"),
            admin_password: random::password(),
        };
        let password_hash = hash_generated(fresh.admin_password.clone()).await;
        // An earlier start that was not finished has made the account already, and the key of a membership names it.
        let account = match store.operator_account().await? {
            Some(account) => account,
            None => first_account(now),
        };
        let made = store.put_first_account(&fresh.records(account, password_hash, now), now).await?;
        Ok(made.map(|_| fresh))
    }

    fn records(&self, account: Account, password_hash: String, now: Timestamp) -> FirstAccount {
        let (email, description) = (self.admin_email.clone(), DESCRIPTION.to_owned());
        let user = UserId::new(random::ksuid(now)).to_string();
        let membership = MembershipId::new(random::ksuid(now)).to_string();
        let [token, key] = [&self.authtoken, &self.api_key].map(|one| random::token_digest(one.expose_secret()));
        let new = |id: String, kind: &str, content: Content| {
            let followed = kind == CREDENTIAL;
            NewResource { id, kind: kind.to_owned(), account: account.id, followed, content }
        };
        let content = |body, key: String, refs: &[&String]| {
            let refs = refs.iter().copied().cloned().collect();
            Content { body, keys: vec![key], refs, ..Content::default() }
        };
        let member = written(&MembershipBody {
            user_id: user.clone(),
            developer: DeveloperRole::ReadWrite,
            team: TeamRole::Manager,
            administrator: true,
        });
        let credential = written(&CredentialBody {
            description: description.clone(),
            metadata: String::new(),
            acl: Vec::new(),
            digest: token,
            owner_id: Some(user.clone()),
            membership_id: Some(membership.clone()),
        });
        let api_key = written(&ApiKeyBody {
            description,
            metadata: String::new(),
            digest: key,
            owner_id: user.clone(),
            membership_id: Some(membership.clone()),
        });
        let name = String::new();
        let person = written(&UserBody { email: email.clone(), name, active: true, password_hash });
        let resources = vec![
            new(user.clone(), USER, content(person, email, &[])),
            new(membership.clone(), MEMBERSHIP, content(member, membership_key(&account.id, &user), &[&user])),
            new(id_of_token(now), CREDENTIAL, content(credential, token.to_string(), &[&membership])),
            new(id_of_key(now), API_KEY, content(api_key, key.to_string(), &[&membership])),
        ];
        let audit = Audit { who: WHO.to_owned(), action: "first start".to_owned(), ..Audit::default() };
        FirstAccount { account, resources, audit }
    }
}

fn first_account(now: Timestamp) -> Account {
    let (id, name) = (AccountId::new(random::ksuid(now)), "default".to_owned());
    Account { id, name, description: String::new(), suspended: false, created: now }
}

fn id_of_token(now: Timestamp) -> String {
    CredentialId::new(random::ksuid(now)).to_string()
}

fn id_of_key(now: Timestamp) -> String {
    ApiKeyId::new(random::ksuid(now)).to_string()
}
