//! Users of the installation, and their memberships in accounts.

use portway_api::{MembershipCreate, MembershipUpdate, Password, UserCreate, UserUpdate, read_body};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, MembershipId, UserId};
use portway_store::{Following, InUse, PAGE_MAX};

use super::accounts::{self, is_operator, operators_only};
use super::call::{Answer, Call, time};
use super::kind::{Draft, Kept, Kind, Row, read};
use super::refusal::unreadable;
use super::{crud, lockout};
use crate::kept::principals::{
    AGENT_KINDS, API_KEY, CREDENTIAL, MEMBERSHIP, MembershipBody, SSH_CREDENTIAL, USER, UserBody, membership_key,
};
use crate::{password, random};

pub(crate) static USERS: Kind = Kind::of::<UserBody>();
pub(crate) static MEMBERSHIPS: Kind = Kind::of::<MembershipBody>();

/// Performs an operation of users.
pub(crate) async fn users(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.verb() {
        "create" => create_user(call).await,
        "update" => update_user(call).await,
        "delete" => {
            let _one_at_a_time = call.inner.members.lock().await;
            let id = call.parameters.get("id");
            keeps_an_administrator(call, |user, _| user != id).await?;
            lockout::check_own(call, id)?;
            crud::delete(call, &USERS).await
        }
        _ => crud::perform(call, &USERS).await,
    }
}

async fn create_user(call: &Call<'_>) -> Result<Answer, PublicError> {
    if !is_operator(call).await? {
        return Err(operators_only());
    }
    let body: UserCreate = read_body(call.body)?;
    let kept = UserBody {
        email: body.email.into_string(),
        name: body.name.into_string(),
        active: body.active,
        password_hash: hashed(body.password).await.unwrap_or_default(),
    };
    crud::insert(call, &USERS, Draft::new(call, (USERS.fresh_id)(random::ksuid(call.now)), &kept)).await
}

async fn update_user(call: &Call<'_>) -> Result<Answer, PublicError> {
    let body: UserUpdate = read_body(call.body)?;
    let id = call.parameters.get("id");
    crud::find(call, &USERS, id).await?;
    let hash = hashed(body.password).await;
    let _one_at_a_time = call.inner.members.lock().await;
    if body.active == Some(false) {
        keeps_an_administrator(call, |user, _| user != id).await?;
        lockout::check_own(call, id)?;
    }
    let change = |user: &mut UserBody| {
        if let Some(email) = body.email {
            user.email = email.into_string();
        }
        if let Some(name) = body.name {
            user.name = name.into_string();
        }
        user.active = body.active.unwrap_or(user.active);
        user.password_hash = hash.unwrap_or(std::mem::take(&mut user.password_hash));
        Ok(())
    };
    crud::change(call, &USERS, id, |resource| Draft::changed::<UserBody>(call, resource, change)).await
}

/// Performs an operation of memberships.
pub(crate) async fn memberships(call: &Call<'_>) -> Result<Answer, PublicError> {
    let id = call.parameters.get("id");
    let _one_at_a_time = call.inner.members.lock().await;
    match call.verb() {
        "update" => {
            let body: MembershipUpdate = read_body(call.body)?;
            if body.administrator == Some(false) {
                keeps_an_administrator(call, |_, membership| membership != id).await?;
            }
            crud::update(call, &MEMBERSHIPS).await
        }
        "delete" => {
            let membership: MembershipBody = read(&crud::find(call, &MEMBERSHIPS, id).await?)?;
            keeps_an_administrator(call, |_, membership| membership != id).await?;
            lockout::check_own(call, &membership.user_id)?;
            crud::delete(call, &MEMBERSHIPS).await
        }
        _ => crud::perform(call, &MEMBERSHIPS).await,
    }
}

/// Refuses a change that leaves the account without an administrator who is active. `stays` says of a user and a membership whether they do.
async fn keeps_an_administrator(call: &Call<'_>, stays: impl Fn(&str, &str) -> bool) -> Result<(), PublicError> {
    let (store, mut before) = (&call.inner.store, None::<String>);
    loop {
        let page = store.resources(&call.caller.account, MEMBERSHIP, before.as_deref(), PAGE_MAX).await;
        let page = page.map_err(unreadable)?;
        for resource in &page {
            let membership: MembershipBody = read(resource)?;
            if !membership.administrator || !stays(&membership.user_id, &resource.id) {
                continue;
            }
            let user = store.resource_of_any_account(USER, &membership.user_id).await.map_err(unreadable)?;
            if user.map(|user| read::<UserBody>(&user)).transpose()?.is_some_and(|user| user.active) {
                return Ok(());
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE_MAX as usize => before = Some(last.id.clone()),
            _ => return Err(Code::ERR_NGROK_6602.plain()),
        }
    }
}

async fn hashed(chosen: Option<Password>) -> Option<String> {
    Some(password::hash_chosen(chosen?.0).await)
}

impl Kept for UserBody {
    const KIND: &'static str = USER;
    const COLLECTION: &'static str = "/portway/v1/users";
    const IN_USE: InUse = InUse::DeleteWith(&[MEMBERSHIP, CREDENTIAL, SSH_CREDENTIAL, API_KEY]);
    type Id = UserId;
    type Create = UserCreate;
    type Update = UserUpdate;
    type Reply = portway_api::User;

    fn update(&mut self, _: &Call<'_>, _: &str, _: UserUpdate) -> Result<(), PublicError> {
        // A password takes too long to hash while the store waits: see `update_user`.
        Err(portway_api::not_found())
    }

    fn referrers(&self) -> Option<Following> {
        Some(Following { followed: self.active, kinds: &AGENT_KINDS, through: &[MEMBERSHIP] })
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::User {
        portway_api::User {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            email: self.email.clone(),
            name: self.name.clone(),
            active: self.active,
            mfa_enabled: false,
            last_login: None,
        }
    }

    fn keys(&self, _: &AccountId) -> Vec<String> {
        vec![self.email.clone()]
    }
}

impl Kept for MembershipBody {
    const KIND: &'static str = MEMBERSHIP;
    const COLLECTION: &'static str = "/portway/v1/memberships";
    const IN_USE: InUse = InUse::DeleteWith(&[CREDENTIAL, SSH_CREDENTIAL, API_KEY]);
    type Id = MembershipId;
    type Create = MembershipCreate;
    type Update = MembershipUpdate;
    type Reply = portway_api::Membership;

    fn create(_: &Call<'_>, _: &str, body: MembershipCreate) -> Result<Self, PublicError> {
        let MembershipCreate { user_id, developer, team, administrator } = body;
        Ok(MembershipBody { user_id: user_id.to_string(), developer, team, administrator })
    }

    fn update(&mut self, _: &Call<'_>, _: &str, body: MembershipUpdate) -> Result<(), PublicError> {
        self.developer = body.developer.unwrap_or(self.developer);
        self.team = body.team.unwrap_or(self.team);
        self.administrator = body.administrator.unwrap_or(self.administrator);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::Membership {
        portway_api::Membership {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            account: accounts::reference(call, &call.caller.account),
            user: call.base.reference(UserBody::COLLECTION, &self.user_id),
            developer: self.developer,
            team: self.team,
            administrator: self.administrator,
        }
    }

    fn keys(&self, account: &AccountId) -> Vec<String> {
        vec![membership_key(account, &self.user_id)]
    }

    fn outside_refs(&self) -> Vec<String> {
        vec![self.user_id.clone()]
    }

    fn no_target(target: &str) -> PublicError {
        Code::ERR_NGROK_634.with(format!("There is no user {target}."))
    }
}
