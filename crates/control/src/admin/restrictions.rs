//! IP restrictions, for an operator whom one of them keeps from the REST interface.

use std::time::SystemTime;

use portway_api::RestrictionType;
use portway_names::{AccountId, IpPolicyId, IpRestrictionId};
use portway_store::{Audit, Content, PAGE_MAX, Resource, Timestamp};

use super::{Admin, AdminError, WHO};
use crate::kept::ip::IpRestriction;
use crate::kept::{read, written};
use crate::rest::Kept;

/// An IP restriction of an account.
#[derive(Debug, Clone)]
pub struct Restriction {
    /// Its id.
    pub id: IpRestrictionId,
    /// The account that it is of.
    pub account: AccountId,
    /// What it protects: `api`, `dashboard`, `agent` or `endpoints`.
    pub kind: RestrictionType,
    /// Whether it refuses anybody.
    pub enforced: bool,
    /// The policies that it applies.
    pub policies: Vec<IpPolicyId>,
    /// What it is for, in its maker's words.
    pub description: String,
    /// When it was made.
    pub created: SystemTime,
}

impl Admin {
    /// The IP restrictions of all accounts, oldest account first.
    ///
    /// # Errors
    /// When the database cannot be read, or [`AdminError::Damaged`].
    pub async fn restrictions(&self) -> Result<Vec<Restriction>, AdminError> {
        let mut found = Vec::new();
        for account in self.store.accounts().await? {
            // One of each type at most.
            let page = self.store.resources(&account.id, IpRestriction::KIND, None, PAGE_MAX).await?;
            for resource in &page {
                found.push(shown(resource, &read(resource)?)?);
            }
        }
        Ok(found)
    }

    /// The id of an account's restriction of this type; that of the first account when none is named.
    ///
    /// # Errors
    /// [`AdminError::NoRestriction`] when there is none; a store error when the database cannot be read.
    pub async fn restriction_of(
        &self,
        account: Option<AccountId>,
        kind: RestrictionType,
    ) -> Result<IpRestrictionId, AdminError> {
        let account = match account {
            Some(account) => account,
            None => self.first_account().await?,
        };
        let found = self.store.resource_by_key(IpRestriction::KIND, &IpRestriction::key(&account, kind)).await?;
        let found = found.ok_or(AdminError::NoRestriction { account, kind })?;
        found.id.parse().map_err(|error| AdminError::Damaged(format!("{}: {error}", found.id)))
    }

    /// Lets a restriction warn only: whoever it kept away is admitted within a second. Returns it as it is then.
    ///
    /// # Errors
    /// [`AdminError::UnknownRestriction`] when there is none with this id; a store error when the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn lift(&self, id: &IpRestrictionId) -> Result<Restriction, AdminError> {
        let name = id.to_string();
        let found = self.store.resource_of_any_account(IpRestriction::KIND, &name).await?;
        let found = found.ok_or(AdminError::UnknownRestriction(*id))?;
        let lifted =
            self.store.modify_resource(&found.account, IpRestriction::KIND, &name, Timestamp::now(), |before| {
                let mut restriction: IpRestriction = read(before)?;
                restriction.enforced = false;
                let content = Content {
                    body: written(&restriction),
                    keys: restriction.keys(&before.account),
                    refs: restriction.refs(),
                    ..Content::default()
                };
                let audit = Audit {
                    who: WHO.to_owned(),
                    action: "ip-restrictions update".to_owned(),
                    before: Some(before.body.clone()),
                    after: Some(content.body.clone()),
                    ..Audit::default()
                };
                Ok::<_, AdminError>((content, audit))
            });
        let lifted = lifted.await?;
        shown(&lifted, &read(&lifted)?)
    }
}

fn shown(resource: &Resource, restriction: &IpRestriction) -> Result<Restriction, AdminError> {
    let damaged = |id: &str, error| AdminError::Damaged(format!("{id}: {error}"));
    let policies = restriction.ip_policy_ids.iter().map(|id| id.parse().map_err(|error| damaged(id, error)));
    Ok(Restriction {
        id: resource.id.parse().map_err(|error| damaged(&resource.id, error))?,
        account: resource.account,
        kind: restriction.r#type,
        enforced: restriction.enforced,
        policies: policies.collect::<Result<_, _>>()?,
        description: restriction.description.clone(),
        created: resource.created.into(),
    })
}
