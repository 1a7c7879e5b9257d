//! The secrets of the first start, shown once.

use secrecy::SecretString;

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
