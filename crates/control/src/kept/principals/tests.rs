//! Whose an API key is, in every state that owner and account can be in.

use portway_api::{DeveloperRole, TeamRole};
use portway_names::{AccountId, ApiKeyId, Ksuid, MembershipId, ServiceUserId, UserId};
use portway_store::{
    Account, AccountChange, Audit, Content, Digest, InUse, NewResource, Resource, ResourceError, Store, Timestamp,
};

use super::*;
use crate::kept::written;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn ksuid(seed: u8) -> Ksuid {
    Ksuid::from_parts(NOW.unix_secs(), [seed; 16])
}

fn account(seed: u8) -> AccountId {
    AccountId::new(ksuid(seed))
}

fn digest(seed: u8) -> Digest {
    Digest::new([seed; 32])
}

/// What holds of a user: a resource of account 1, and a member of account 2 with a key there.
struct Known {
    store: Store,
}

impl Known {
    async fn new() -> Known {
        let store = Store::open_in_memory().await.unwrap();
        store.begin_feed("first").await.unwrap();
        for seed in [1, 2] {
            let (id, name) = (account(seed), seed.to_string());
            let account = Account { id, name, description: String::new(), suspended: false, created: NOW };
            store.add_account(&account, &Audit::default()).await.unwrap();
        }
        Known { store }
    }

    async fn add(&self, id: impl ToString, kind: &str, owner: u8, content: Content) {
        let (id, kind, account) = (id.to_string(), kind.to_owned(), account(owner));
        let new = NewResource { id, kind, account, followed: false, content };
        self.store.create_resource(&new, &Audit::default(), NOW).await.unwrap();
    }

    async fn key(&self, seed: u8, owner: impl ToString, needs: impl ToString) {
        let digest = digest(seed);
        let owner_id = owner.to_string();
        let body = written(&ApiKeyBody {
            description: String::new(),
            metadata: String::new(),
            digest,
            owner_id,
            membership_id: None,
        });
        let content =
            Content { body, keys: vec![digest.to_string()], refs: vec![needs.to_string()], ..Content::default() };
        self.add(ApiKeyId::new(ksuid(seed)), API_KEY, 2, content).await;
    }

    async fn with_user() -> Known {
        let known = Known::new().await;
        let (user, member) = (UserId::new(ksuid(3)), MembershipId::new(ksuid(4)));
        known.add(user, USER, 1, Content { body: person(true), ..Content::default() }).await;
        let body = written(&MembershipBody {
            user_id: user.to_string(),
            developer: DeveloperRole::ReadOnly,
            team: TeamRole::InviteOnly,
            administrator: false,
        });
        let keys = vec![membership_key(&account(2), &user.to_string())];
        let content = Content { body, keys, outside_refs: vec![user.to_string()], ..Content::default() };
        known.add(member, MEMBERSHIP, 2, content).await;
        known.key(5, user, member).await;
        known
    }

    async fn change(&self, owner: u8, kind: &str, id: impl ToString, body: String) {
        let content = Content { body, ..Content::default() };
        let change = |_: &Resource| Ok::<_, ResourceError>((content, Audit::default()));
        self.store.modify_resource(&account(owner), kind, &id.to_string(), NOW, change).await.unwrap();
    }

    async fn suspend(&self, suspended: bool) {
        let change = AccountChange { suspended: Some(suspended), ..AccountChange::default() };
        self.store.update_account(&account(2), &change, &Audit::default(), NOW).await.unwrap();
    }
}

fn person(active: bool) -> String {
    let (email, name, password_hash) = ("me@example.com".to_owned(), String::new(), "$argon2id".to_owned());
    written(&UserBody { email, name, active, password_hash })
}

#[tokio::test]
async fn a_members_key_has_the_members_roles_while_all_is_in_order() {
    let known = Known::with_user().await;
    let store = &known.store;
    let expected = Principal {
        account: account(2),
        api_key: ApiKeyId::new(ksuid(5)),
        owner: Owner::User(UserId::new(ksuid(3))),
        developer: DeveloperRole::ReadOnly,
        team: TeamRole::InviteOnly,
        administrator: false,
    };
    assert_eq!(caller(store, &digest(5)).await.unwrap(), expected);
    assert_eq!(expected.owner.to_string(), UserId::new(ksuid(3)).to_string());
    assert!(matches!(caller(store, &digest(6)).await, Err(NoCaller::Unknown)));

    known.suspend(true).await;
    assert!(matches!(caller(store, &digest(5)).await, Err(NoCaller::AccountSuspended)));
    known.suspend(false).await;
    known.change(1, USER, UserId::new(ksuid(3)), person(false)).await;
    assert!(matches!(caller(store, &digest(5)).await, Err(NoCaller::OwnerInactive)));
    known.change(1, USER, UserId::new(ksuid(3)), person(true)).await;
    assert_eq!(caller(store, &digest(5)).await.unwrap(), expected);

    let (member, audit) = (MembershipId::new(ksuid(4)).to_string(), Audit::default());
    store.delete_resource(&account(2), MEMBERSHIP, &member, InUse::DeleteAnyway, &audit, NOW).await.unwrap();
    assert!(matches!(caller(store, &digest(5)).await, Err(NoCaller::OwnerInactive)));
}

#[tokio::test]
async fn a_service_users_key_is_that_of_a_developer() {
    let known = Known::new().await;
    let id = ServiceUserId::new(ksuid(3));
    let body = |active| written(&ServiceUserBody { name: "builds".to_owned(), active });
    known.add(id, SERVICE_USER, 2, Content { body: body(true), ..Content::default() }).await;
    known.key(5, id, id).await;
    let principal = caller(&known.store, &digest(5)).await.unwrap();
    assert_eq!((principal.owner, principal.account), (Owner::ServiceUser(id), account(2)));
    assert_eq!((principal.developer, principal.administrator), (DeveloperRole::ReadWrite, false));
    known.change(2, SERVICE_USER, id, body(false)).await;
    assert!(matches!(caller(&known.store, &digest(5)).await, Err(NoCaller::OwnerInactive)));
}

#[tokio::test]
async fn a_key_whose_body_is_anothers_opens_nothing() {
    let known = Known::with_user().await;
    let (id, user) = (ApiKeyId::new(ksuid(5)), UserId::new(ksuid(3)).to_string());
    let body = |digest| {
        let (description, metadata) = (String::new(), String::new());
        written(&ApiKeyBody { description, metadata, digest, owner_id: user.clone(), membership_id: None })
    };
    let change = async |body| {
        let content = Content { body, keys: vec![digest(5).to_string()], ..Content::default() };
        let change = |_: &Resource| Ok::<_, ResourceError>((content, Audit::default()));
        known.store.modify_resource(&account(2), API_KEY, &id.to_string(), NOW, change).await.unwrap();
    };
    change(body(digest(6))).await;
    assert!(matches!(caller(&known.store, &digest(5)).await, Err(NoCaller::Unknown)));
    change("{}".to_owned()).await;
    assert!(matches!(caller(&known.store, &digest(5)).await, Err(NoCaller::Body(_))));
}

#[test]
fn edges_know_an_ssh_key_as_an_authtoken() {
    let key = SshCredentialId::new(ksuid(1));
    let token = CredentialId::new(ksuid(1));
    assert_eq!(edge_id(&key.to_string()), token.to_string());
    for id in [token.to_string(), "connect:example.com".to_owned(), "sshcr_".to_owned(), "settings".to_owned()] {
        assert_eq!(edge_id(&id), id);
    }
    assert_eq!(known_as(&token), [(CREDENTIAL, token.to_string()), (SSH_CREDENTIAL, key.to_string())]);
}

#[test]
fn no_hash_is_shown() {
    let user: UserBody = serde_json::from_str(&person(true)).unwrap();
    assert!(!format!("{user:?}").contains("argon2id"));
}
