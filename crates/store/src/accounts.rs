//! Accounts. What belongs to them is elsewhere and refers to them.

use portway_names::AccountId;

use crate::error::Fault;
use crate::resource_error::Failure;
use crate::resources::PAGE_MAX;
use crate::row::{number, parsed, text, time};
use crate::sql::{Connection, Row, query};
use crate::{Audit, Content, ResourceError, Store, StoreError, Timestamp, audit, feed, resource_limits};

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, name, description, suspended, created_ms FROM accounts ", $rest)
    };
}

const LIST: &str = select!("ORDER BY created_ms, id");
const FIRST: &str = select!("ORDER BY created_ms, id LIMIT 1");
const BY_ID: &str = select!("WHERE id = $1");
const FIRST_PAGE: &str = select!("ORDER BY id DESC LIMIT $1");
const PAGE_BEFORE: &str = select!("WHERE id < $2 ORDER BY id DESC LIMIT $1");
const COUNT: &str = "SELECT count(*) AS n FROM accounts";
const ADD: &str = "INSERT INTO accounts (id, name, description, suspended, created_ms) VALUES ($1, $2, $3, $4, $5)";
const CHANGE: &str = "UPDATE accounts SET name = $2, description = $3, suspended = $4 WHERE id = $1";
const REMOVE: &str = "DELETE FROM accounts WHERE id = $1";
const FOLLOWED: &str = "SELECT id FROM resources WHERE account_id = $1 AND followed";
const REMOVE_LEASES: &str = "DELETE FROM leases WHERE account_id = $1 RETURNING id";
// Keys, references and reserved names go with them.
const REMOVE_RESOURCES: &str = "DELETE FROM resources WHERE account_id = $1";

/// What accounts are called in errors and in the audit log.
const KIND: &str = "account";

/// The tenant that everything belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, for people; at most [`crate::RESOURCE_TEXT_MAX`] bytes.
    pub name: String,
    /// What the operator wants to say of it; as long at most.
    pub description: String,
    /// Edges are given nothing of what it has.
    pub suspended: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// What is to be different with an account; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Its name.
    pub name: Option<String>,
    /// What the operator wants to say of it.
    pub description: Option<String>,
    /// Whether edges are given nothing of what it has.
    pub suspended: Option<bool>,
}

impl Store {
    /// All accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.named(async { query(LIST).fetch_all(&mut self.reader().await?).await?.iter().map(account).collect() })
            .await
    }

    /// The account with this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        self.named(async { find(&mut self.reader().await?, id).await }).await
    }

    /// The operator's account: the first one. None before the first start has made it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn operator_account(&self) -> Result<Option<Account>, StoreError> {
        self.named(async { first(&mut self.reader().await?).await }).await
    }

    /// Accounts, newest id first: those below the id `before`, or all; at most `limit` and [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn accounts_page(&self, before: Option<&AccountId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        self.named(async {
            let page = |sql| query(sql).bind(i64::from(limit.min(PAGE_MAX)));
            let page = match before {
                None => page(FIRST_PAGE),
                Some(before) => page(PAGE_BEFORE).bind(before.to_string()),
            };
            page.fetch_all(&mut self.reader().await?).await?.iter().map(account).collect()
        })
        .await
    }

    /// How many accounts there are.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn account_count(&self) -> Result<u64, StoreError> {
        self.named(async {
            let row = query(COUNT).fetch_one(&mut self.reader().await?).await?;
            Ok(u64::try_from(number(&row, "n")?).unwrap_or(0))
        })
        .await
    }

    /// Adds an account. What happens to accounts is in the audit log of the operator's account.
    ///
    /// # Errors
    /// [`ResourceError`]: `Exists`, `Limit` and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn add_account(&self, account: &Account, audit: &Audit) -> Result<(), ResourceError> {
        let run = async {
            check(account, audit)?;
            let mut tx = self.write().await?;
            if find(&mut tx, &account.id).await?.is_some() {
                return Err(ResourceError::Exists { id: account.id.to_string() }.into());
            }
            insert(&mut tx, account).await?;
            record(&mut tx, &account.id, audit, account.created).await?;
            tx.commit().await?;
            Ok(())
        };
        run.await.map_err(|failure| self.resource_error(failure))
    }

    /// Changes an account. Edges hear of a new name, lose what a suspended account has, and get it back afterwards.
    ///
    /// # Errors
    /// [`ResourceError`]: `Missing`, `OperatorAccount` when the first account is to be suspended, `Limit` and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn update_account(
        &self,
        id: &AccountId,
        change: &AccountChange,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<Account, ResourceError> {
        let run = async {
            let mut tx = self.write().await?;
            let before = there(&mut tx, id).await?;
            let after = change.applied_to(before.clone());
            check(&after, audit)?;
            if after.suspended && first(&mut tx).await?.is_some_and(|first| first.id == *id) {
                return Err(ResourceError::OperatorAccount.into());
            }
            let query = query(CHANGE).bind(id.to_string()).bind(&after.name).bind(&after.description);
            query.bind(after.suspended).execute(&mut tx).await?;
            if (&before.name, before.suspended) != (&after.name, after.suspended) {
                announce_all(&mut tx, id, now).await?;
            }
            record(&mut tx, id, audit, now).await?;
            tx.commit().await?;
            Ok(after)
        };
        run.await.map_err(|failure| self.resource_error(failure))
    }

    /// Deletes an account with all that it has, resources and leases; returns what it was.
    ///
    /// # Errors
    /// [`ResourceError`]: `Missing`, `OperatorAccount` when it is the first account, `Limit` (of the audit entry) and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn delete_account(
        &self,
        id: &AccountId,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<Account, ResourceError> {
        let run = async {
            let mut tx = self.write().await?;
            let account = there(&mut tx, id).await?;
            check(&account, audit)?;
            if first(&mut tx).await?.is_some_and(|first| first.id == *id) {
                return Err(ResourceError::OperatorAccount.into());
            }
            announce_all(&mut tx, id, now).await?;
            let leases = query(REMOVE_LEASES).bind(id.to_string()).fetch_all(&mut tx).await?;
            announce(&mut tx, &leases, now).await?;
            query(REMOVE_RESOURCES).bind(id.to_string()).execute(&mut tx).await?;
            query(REMOVE).bind(id.to_string()).execute(&mut tx).await?;
            record(&mut tx, id, audit, now).await?;
            tx.commit().await?;
            Ok(account)
        };
        run.await.map_err(|failure| self.resource_error(failure))
    }
}

impl AccountChange {
    /// The account as it is afterwards.
    pub fn applied_to(&self, account: Account) -> Account {
        Account {
            name: self.name.clone().unwrap_or(account.name),
            description: self.description.clone().unwrap_or(account.description),
            suspended: self.suspended.unwrap_or(account.suspended),
            ..account
        }
    }
}

pub(crate) async fn insert(connection: &mut Connection, account: &Account) -> Result<(), Fault> {
    query(ADD)
        .bind(account.id.to_string())
        .bind(&account.name)
        .bind(&account.description)
        .bind(account.suspended)
        .bind(account.created.millis())
        .execute(connection)
        .await?;
    Ok(())
}

async fn find(connection: &mut Connection, id: &AccountId) -> Result<Option<Account>, Fault> {
    let row = query(BY_ID).bind(id.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(account).transpose()
}

async fn there(connection: &mut Connection, id: &AccountId) -> Result<Account, Failure> {
    let found = find(connection, id).await?;
    found.ok_or_else(|| ResourceError::Missing { kind: KIND.to_owned(), id: id.to_string() }.into())
}

async fn first(connection: &mut Connection) -> Result<Option<Account>, Fault> {
    let row = query(FIRST).fetch_optional(connection).await?;
    row.as_ref().map(account).transpose()
}

fn check(account: &Account, audit: &Audit) -> Result<(), ResourceError> {
    resource_limits::check("", KIND, &Content::default(), audit)?;
    for (what, text) in [("a name", &account.name), ("a description", &account.description)] {
        resource_limits::check_text(what, text)?;
    }
    Ok(())
}

/// Lets edges look at everything again that they are given of the account.
async fn announce_all(tx: &mut Connection, id: &AccountId, now: Timestamp) -> Result<(), Fault> {
    let followed = query(FOLLOWED).bind(id.to_string()).fetch_all(tx).await?;
    announce(tx, &followed, now).await
}

async fn announce(tx: &mut Connection, rows: &[Row], now: Timestamp) -> Result<(), Fault> {
    let ids = rows.iter().map(|row| text(row, "id")).collect::<Result<Vec<_>, _>>()?;
    feed::append_some(tx, &ids, now).await
}

/// Accounts are the operator's, and so is what happens to them.
async fn record(tx: &mut Connection, id: &AccountId, entry: &Audit, now: Timestamp) -> Result<(), Fault> {
    let operator = first(tx).await?.map_or(*id, |first| first.id);
    audit::add(tx, &operator, KIND, &id.to_string(), entry, now).await
}

fn account(row: &Row) -> Result<Account, Fault> {
    Ok(Account {
        id: parsed(row, "id")?,
        name: text(row, "name")?,
        description: text(row, "description")?,
        suspended: row.get("suspended")?,
        created: time(row, "created_ms")?,
    })
}
