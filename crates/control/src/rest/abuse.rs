//! Reports of abuse. They are kept for the operator, who looks at them in the database.

use portway_api::{AbuseReportCreate, AbuseReportHostname, not_found};
use portway_codes::PublicError;
use portway_names::AbuseReportId;

use super::call::{Call, time};
use super::kind::{Kept, Kind, Row};
use crate::kept::abuse::AbuseReport;

pub(crate) static REPORT: Kind = Kind::of::<AbuseReport>();

/// What a report and each of its hosts have until somebody decides about them.
const PENDING: &str = "PENDING";

impl Kept for AbuseReport {
    const KIND: &'static str = "abuse_report";
    const COLLECTION: &'static str = "/abuse_reports";
    type Id = AbuseReportId;
    type Create = AbuseReportCreate;
    type Update = AbuseReportCreate;
    type Reply = portway_api::AbuseReport;

    fn create(_: &Call<'_>, _: &str, body: AbuseReportCreate) -> Result<Self, PublicError> {
        let mut report = AbuseReport {
            urls: Vec::new(),
            metadata: body.metadata.into_string(),
            status: PENDING.to_owned(),
            hostnames: Vec::new(),
        };
        for url in body.urls.into_vec() {
            let hostname = url.host().to_ascii_lowercase();
            if report.hostnames.iter().all(|other| other.hostname != hostname) {
                report.hostnames.push(AbuseReportHostname { hostname, status: PENDING.to_owned() });
            }
            report.urls.push(url.as_str().to_owned());
        }
        Ok(report)
    }

    /// There is no such operation: a report stays what it is.
    fn update(&mut self, _: &Call<'_>, _: &str, _: AbuseReportCreate) -> Result<(), PublicError> {
        Err(not_found())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::AbuseReport {
        portway_api::AbuseReport {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            urls: self.urls.clone(),
            metadata: self.metadata.clone(),
            status: self.status.clone(),
            hostnames: self.hostnames.clone(),
        }
    }
}
