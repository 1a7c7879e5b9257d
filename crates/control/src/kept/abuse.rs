//! Reports of abuse.

use portway_api::AbuseReportHostname;
use serde::{Deserialize, Serialize};

/// A report of abuse.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AbuseReport {
    pub(crate) urls: Vec<String>,
    pub(crate) metadata: String,
    pub(crate) status: String,
    pub(crate) hostnames: Vec<AbuseReportHostname>,
}
