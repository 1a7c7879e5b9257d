//! The entry to the interface, the caller, and reports of abuse.

use std::collections::BTreeMap;

use crate::object::{body, reply};
use crate::{Account, ApiKey, Metadata, Several, Timestamp, Url, User};

/// Most URLs of a report: its body holds that many of the longest.
const MAX_REPORTED_URLS: usize = 64;

body! {
    /// A report of abuse.
    AbuseReportCreate {
        /// The URLs where it was seen.
        urls: Several<Url, MAX_REPORTED_URLS>;
        /// What a program wants to keep with the report.
        metadata: Metadata;
    }
}

reply! {
    /// Where everything is.
    Root {
        /// Where this is found.
        uri: String;
        /// Where the resources are found, by name.
        subresource_uris: BTreeMap<String, String>;
    }

    /// Who the caller is.
    Caller {
        /// The key of the call.
        api_key: ApiKey;
        /// The account that it belongs to.
        account: Account;
        /// The user who owns it, when a person does.
        user: Option<User>;
    }

    /// What was found about a host of a report.
    AbuseReportHostname {
        /// The host name.
        hostname: String;
        /// What is being done about it.
        status: String;
    }

    /// A report of abuse.
    AbuseReport {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was made.
        created_at: Timestamp;
        /// The URLs where it was seen.
        urls: Vec<String>;
        /// What a program keeps with it.
        metadata: String;
        /// What is being done about it.
        status: String;
        /// What was found about each host.
        hostnames: Vec<AbuseReportHostname>;
    }
}
