//! Vaults and the secrets in them.

use portway_codes::Code;
use portway_names::VaultId;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::object::{body, reply};
use crate::schema::at_least_one;
use crate::value::text;
use crate::{Described, Description, Fault, Input, Metadata, Ref, Schemas, Timestamp, Word};

/// Longest name of a vault or secret in bytes.
pub const MAX_VAULT_NAME_LEN: usize = 128;

/// The name of a vault or secret: letters, digits, underscores, slashes and dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryName(String);

impl EntryName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Described for EntryName {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "pattern": "^[a-zA-Z0-9_/.]+$", "maxLength": MAX_VAULT_NAME_LEN})
    }
}

impl Input for EntryName {
    fn read(value: Value) -> Result<Self, Fault> {
        let name = text(value)?;
        if name.len() > MAX_VAULT_NAME_LEN {
            return Err(Fault::invalid(format!("it is longer than {MAX_VAULT_NAME_LEN} bytes")));
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'.')) {
            return Err(Fault::invalid("it may have letters, digits, underscores, slashes and dots only"));
        }
        Ok(EntryName(name))
    }
}

body! {
    /// A vault to create.
    VaultCreate {
        /// The name, which no other vault of the account has.
        name: EntryName, missing ERR_NGROK_23001, invalid ERR_NGROK_23000;
        /// What a program wants to keep with the vault.
        metadata: Metadata;
        /// What a person wants to say about the vault.
        description: Description;
    }

    /// A change of a vault.
    VaultUpdate {
        /// The name from now on.
        name: Option<EntryName>, invalid ERR_NGROK_23000;
        /// What a program wants to keep with the vault.
        metadata: Option<Metadata>;
        /// What a person wants to say about the vault.
        description: Option<Description>;
    }
    ignored "id";

    /// A secret to put into a vault.
    SecretCreate {
        /// The name, which no other secret of the vault has.
        name: EntryName, missing ERR_NGROK_24001, invalid ERR_NGROK_24000;
        /// The secret itself. It is never given back.
        value: SecretString, missing ERR_NGROK_24003, invalid ERR_NGROK_24004;
        /// What a program wants to keep with the secret.
        metadata: Metadata;
        /// What a person wants to say about the secret.
        description: Description;
        /// The id of the vault.
        vault_id: Option<VaultId>;
        /// The name of the vault, instead of its id.
        vault_name: Option<Word<128>>;
    }
    check has_vault;
    says at_least_one(&["vault_id", "vault_name"]);

    /// A change of a secret.
    SecretUpdate {
        /// The name from now on.
        name: Option<EntryName>, invalid ERR_NGROK_24000;
        /// The secret itself from now on.
        value: Option<SecretString>, invalid ERR_NGROK_24004;
        /// What a program wants to keep with the secret.
        metadata: Option<Metadata>;
        /// What a person wants to say about the secret.
        description: Option<Description>;
    }
    ignored "id";
}

reply! {
    /// A vault.
    Vault {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// When it changed last.
        updated_at: Timestamp;
        /// The name.
        name: String;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The id of who created it.
        created_by: String;
        /// The id of who changed it last.
        last_updated_by: String;
    }

    /// A secret of a vault, without its value.
    Secret {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// When it changed last.
        updated_at: Timestamp;
        /// The name.
        name: String;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// Who created it.
        created_by: Ref;
        /// Who changed it last.
        last_updated_by: Ref;
        /// The vault.
        vault: Ref;
        /// The name of the vault.
        vault_name: String;
    }
}

fn has_vault(body: &SecretCreate) -> Result<(), Fault> {
    if body.vault_id.is_none() && body.vault_name.is_none() {
        return Err(Fault::coded(Code::ERR_NGROK_24008, "it needs vault_id or vault_name"));
    }
    Ok(())
}
