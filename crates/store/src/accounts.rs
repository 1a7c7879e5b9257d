//! Accounts, and the people who administer them.

use portway_names::{AccountId, UserId};

use crate::error::Fault;
use crate::row::{number, parsed, text, time};
use crate::sql::{Connection, Row, query};
use crate::{Store, StoreError, Timestamp};

const LIST: &str = "SELECT id, name, created_ms FROM accounts ORDER BY created_ms, id";
const COUNT: &str = "SELECT count(*) AS n FROM accounts";
const ADD: &str = "INSERT INTO accounts (id, name, created_ms) VALUES ($1, $2, $3)";
const ADD_USER: &str =
    "INSERT INTO users (id, account_id, email, password_hash, created_ms) VALUES ($1, $2, $3, $4, $5)";
const GET_USER: &str = "SELECT id, account_id, email, password_hash, created_ms FROM users WHERE email = $1";
const GET_USER_BY_ID: &str = "SELECT id, account_id, email, password_hash, created_ms FROM users WHERE id = $1";

/// The tenant that everything belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name, for people.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}

/// Somebody who signs in with a password.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The account.
    pub account: AccountId,
    /// The address that signs in; unique over all accounts.
    pub email: String,
    /// argon2id, as a PHC string.
    pub password_hash: String,
    /// When it was made.
    pub created: Timestamp,
}

/// The hash can be attacked offline, so it is not shown.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("account", &self.account).finish_non_exhaustive()
    }
}

impl Store {
    /// All accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            query(LIST).fetch_all(&mut tx).await?.iter().map(account).collect()
        })
        .await
    }

    /// Adds an account.
    ///
    /// # Errors
    /// When the database cannot be written, or the id is taken.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn add_account(&self, account: &Account) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            insert(&mut tx, account).await?;
            tx.commit().await
        })
        .await
    }

    /// How many accounts there are.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn account_count(&self) -> Result<u64, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            let row = query(COUNT).fetch_one(&mut tx).await?;
            Ok(u64::try_from(number(&row, "n")?).unwrap_or(0))
        })
        .await
    }

    /// The user of this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            let row = query(GET_USER_BY_ID).bind(id.to_string()).fetch_optional(&mut tx).await?;
            row.as_ref().map(user).transpose()
        })
        .await
    }

    /// Who signs in with this address.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            let row = query(GET_USER).bind(email).fetch_optional(&mut tx).await?;
            row.as_ref().map(user).transpose()
        })
        .await
    }
}

pub(crate) async fn insert(connection: &mut Connection, account: &Account) -> Result<(), Fault> {
    let query = query(ADD).bind(account.id.to_string()).bind(&account.name).bind(account.created.millis());
    query.execute(connection).await?;
    Ok(())
}

pub(crate) async fn insert_user(connection: &mut Connection, user: &User) -> Result<(), Fault> {
    query(ADD_USER)
        .bind(user.id.to_string())
        .bind(user.account.to_string())
        .bind(&user.email)
        .bind(&user.password_hash)
        .bind(user.created.millis())
        .execute(connection)
        .await?;
    Ok(())
}

fn account(row: &Row) -> Result<Account, Fault> {
    Ok(Account { id: parsed(row, "id")?, name: text(row, "name")?, created: time(row, "created_ms")? })
}

fn user(row: &Row) -> Result<User, Fault> {
    Ok(User {
        id: parsed(row, "id")?,
        account: parsed(row, "account_id")?,
        email: text(row, "email")?,
        password_hash: text(row, "password_hash")?,
        created: time(row, "created_ms")?,
    })
}
