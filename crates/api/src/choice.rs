//! Values that are one of a few words.

use crate::Fault;

/// Describes enums whose values have fixed words. `any case` accepts them in capitals, too.
macro_rules! choices {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident $(($($loose:tt)+))? { $($(#[doc = $help:literal])+ $value:ident $word:literal,)+ }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[doc = $help])+ #[serde(rename = $word)] $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[$name] = &[$($name::$value),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$value => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::Described for $name {
            fn schema(_: &mut $crate::Schemas) -> serde_json::Value {
                serde_json::json!({"type": "string", "enum": [$($word),+]})
            }
        }

        impl $crate::Input for $name {
            fn read(value: serde_json::Value) -> Result<Self, $crate::Fault> {
                let word = $crate::value::text(value)?;
                $(let word = $crate::choice::loose!(word $($loose)+);)?
                match word.as_str() {
                    $($word => Ok($name::$value),)+
                    _ => Err($crate::choice::none_of(&[$($word),+])),
                }
            }
        }
    )+};
}

macro_rules! loose {
    ($word:ident any case) => {
        $word.to_ascii_lowercase()
    };
}

pub(crate) use {choices, loose};

pub(crate) fn none_of(words: &[&str]) -> Fault {
    Fault::invalid(format!("it must be {}", words.join(" or ")))
}

choices! {
    /// What a rule of an IP policy does with the addresses it names.
    RuleAction {
        /// They may pass.
        Allow "allow",
        /// They may not, whatever other rules say.
        Deny "deny",
    }

    /// What an IP restriction protects.
    RestrictionType {
        /// The dashboard.
        Dashboard "dashboard",
        /// The REST interface.
        Api "api",
        /// The connections of agents.
        Agent "agent",
        /// All endpoints.
        Endpoints "endpoints",
    }

    /// Who issues managed certificates.
    Authority {
        /// The public certificate authority that the installation is configured with.
        LetsEncrypt "letsencrypt",
    }

    /// The kind of key of a managed certificate.
    ManagedKeyType {
        /// RSA.
        Rsa "rsa",
        /// ECDSA with P-256.
        Ecdsa "ecdsa",
    }

    /// The kind of key of an SSH certificate authority.
    SshKeyType {
        /// RSA.
        Rsa "rsa",
        /// ECDSA.
        Ecdsa "ecdsa",
        /// Ed25519.
        Ed25519 "ed25519",
    }

    /// How events are written.
    EventFormat (any case) {
        /// JSON objects.
        Json "json",
    }

    /// What a member of an account may do with its resources.
    DeveloperRole {
        /// Read and change.
        ReadWrite "read-write",
        /// Read only.
        ReadOnly "read-only",
    }

    /// What a member of an account may do with its other members.
    TeamRole {
        /// Invite, remove, and change roles.
        Manager "manager",
        /// Invite only.
        InviteOnly "invite-only",
        /// Read only.
        ReadOnly "read-only",
    }
}

impl From<RuleAction> for portway_access::IpAction {
    fn from(action: RuleAction) -> Self {
        match action {
            RuleAction::Allow => portway_access::IpAction::Allow,
            RuleAction::Deny => portway_access::IpAction::Deny,
        }
    }
}
