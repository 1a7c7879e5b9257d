//! API keys, authtokens, SSH keys, and the service users that own some of them.

use portway_access::Acl;
use portway_codes::Code;

use crate::object::{body, reply};
use crate::schema::at_most_one;
use crate::{Description, Email, Fault, Metadata, OwnerId, ShownOnce, SshPublicKey, Timestamp, Word};

/// Ways to name an owner, of which one is enough.
const OWNER: [&str; 3] = ["owner_id", "owner_email", "scim_user_id"];

body! {
    /// An API key to create.
    ApiKeyCreate {
        /// What a person wants to say about the key.
        description: Description, invalid ERR_NGROK_604;
        /// What a program wants to keep with the key.
        metadata: Metadata, invalid ERR_NGROK_605;
        /// Who owns it; the caller when it is left out.
        owner_id: Option<OwnerId>;
        /// The e-mail address of who owns it.
        owner_email: Option<Email>;
        /// The id that the company's directory has for who owns it.
        scim_user_id: Option<Word<255>>;
    }
    check api_key_owner;
    says at_most_one(&OWNER);

    /// A change of an API key.
    ApiKeyUpdate {
        /// What a person wants to say about the key.
        description: Option<Description>, invalid ERR_NGROK_604;
        /// What a program wants to keep with the key.
        metadata: Option<Metadata>, invalid ERR_NGROK_605;
    }
    ignored "id";
    empty ERR_NGROK_606;

    /// An authtoken to create.
    CredentialCreate {
        /// What a person wants to say about the authtoken.
        description: Description, invalid ERR_NGROK_604;
        /// What a program wants to keep with the authtoken.
        metadata: Metadata, invalid ERR_NGROK_605;
        /// What it may bind; everything when the list is empty.
        acl: Acl;
        /// Who owns it; the caller when it is left out.
        owner_id: Option<OwnerId>;
        /// The e-mail address of who owns it.
        owner_email: Option<Email>;
        /// The id that the company's directory has for who owns it.
        scim_user_id: Option<Word<255>>;
    }
    refused "precomputed_token" ERR_NGROK_638;
    check credential_owner;
    says at_most_one(&OWNER);

    /// A change of an authtoken.
    CredentialUpdate {
        /// What a person wants to say about the authtoken.
        description: Option<Description>, invalid ERR_NGROK_604;
        /// What a program wants to keep with the authtoken.
        metadata: Option<Metadata>, invalid ERR_NGROK_605;
        /// What it may bind from now on; everything when the list is empty.
        acl: Option<Acl>;
    }
    ignored "id";
    empty ERR_NGROK_606;

    /// A public SSH key to register.
    SshCredentialCreate {
        /// What a person wants to say about the key.
        description: Description, invalid ERR_NGROK_604;
        /// What a program wants to keep with the key.
        metadata: Metadata, invalid ERR_NGROK_605;
        /// What it may bind; everything when the list is empty.
        acl: Acl;
        /// The line of the file that ends in .pub.
        public_key: SshPublicKey, missing ERR_NGROK_611, invalid ERR_NGROK_612;
        /// Who owns it; the caller when it is left out.
        owner_id: Option<OwnerId>;
        /// The e-mail address of who owns it.
        owner_email: Option<Email>;
    }
    check ssh_credential_owner;
    says at_most_one(&OWNER[..2]);

    /// A change of an SSH key.
    SshCredentialUpdate {
        /// What a person wants to say about the key.
        description: Option<Description>, invalid ERR_NGROK_604;
        /// What a program wants to keep with the key.
        metadata: Option<Metadata>, invalid ERR_NGROK_605;
        /// What it may bind from now on; everything when the list is empty.
        acl: Option<Acl>;
    }
    ignored "id";
    empty ERR_NGROK_606;

    /// A service user to create.
    ServiceUserCreate {
        /// The name.
        name: Word<255>;
        /// Whether its credentials can be used.
        active: bool = true;
    }

    /// A change of a service user.
    ServiceUserUpdate {
        /// The name.
        name: Option<Word<255>>;
        /// Whether its credentials can be used from now on.
        active: Option<bool>;
    }
    ignored "id";
}

reply! {
    /// An API key.
    ApiKey {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// When it was created.
        created_at: Timestamp;
        /// The key itself, in the reply to its creation only.
        token: Option<ShownOnce>;
        /// Who owns it.
        owner_id: Option<String>;
    }

    /// An authtoken.
    Credential {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The token itself, in the reply to its creation only.
        token: Option<ShownOnce>;
        /// What it may bind; everything when the list is empty.
        acl: Vec<String>;
        /// Who owns it.
        owner_id: Option<String>;
    }

    /// A public SSH key.
    SshCredential {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was registered.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The key, as a line of authorized_keys.
        public_key: String;
        /// What it may bind; everything when the list is empty.
        acl: Vec<String>;
        /// Who owns it.
        owner_id: Option<String>;
    }

    /// A service user: a program that owns credentials.
    ServiceUser {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// The name.
        name: String;
        /// Whether its credentials can be used.
        active: bool;
        /// When it was created.
        created_at: Timestamp;
    }
}

fn api_key_owner(body: &ApiKeyCreate) -> Result<(), Fault> {
    one_owner([body.owner_id.is_some(), body.owner_email.is_some(), body.scim_user_id.is_some()])
}

fn credential_owner(body: &CredentialCreate) -> Result<(), Fault> {
    one_owner([body.owner_id.is_some(), body.owner_email.is_some(), body.scim_user_id.is_some()])
}

fn ssh_credential_owner(body: &SshCredentialCreate) -> Result<(), Fault> {
    one_owner([body.owner_id.is_some(), body.owner_email.is_some(), false])
}

fn one_owner(given: [bool; 3]) -> Result<(), Fault> {
    if given.iter().filter(|given| **given).count() > 1 {
        let why = "owner_id, owner_email and scim_user_id exclude each other";
        return Err(Fault::coded(Code::ERR_NGROK_631, why));
    }
    Ok(())
}
