//! `portway admin dns`: the records that others have to make, and whether they did.

use std::net::{IpAddr, SocketAddr};

use portway_control::admin::{Admin, AdminError, WantedRecord};
use portway_dns::{Kind, LookupError, Resolver};
use serde_json::{Value, json};

use super::{columns, line};

/// Questions that are asked at the same time.
const AT_ONCE: usize = 16;

/// A line of a zone file that says what is left out.
const NO_ADDRESSES: &str = "; the A and AAAA records of the name server are left out: give the addresses of the server with --public-ip IP,IP\n";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print the records that are needed at providers of other zones, as lines of a zone file
    Print(Addresses),
    /// Ask whether they are there; exit code 1 when one is missing or wrong
    Check {
        #[command(flatten)]
        addresses: Addresses,
        /// The resolver to ask [default: those of this machine]
        #[arg(long, value_name = "IP:PORT")]
        resolver: Option<SocketAddr>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Addresses {
    /// Addresses of the server, as its public_ips; several with commas [default: records of addresses are left out]
    #[arg(long = "public-ip", value_name = "IP", env = "PORTWAY_PUBLIC_IPS", value_delimiter = ',')]
    public_ips: Vec<IpAddr>,
}

/// Why the command did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum DnsError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("{0}; give one with --resolver IP:PORT")]
    Resolver(#[from] LookupError),
}

/// What is there of a record.
#[derive(Debug)]
enum Verdict {
    There,
    Missing,
    /// Something else, or not all of it.
    Wrong(Vec<String>),
    Unknown(LookupError),
}

/// What to print, and whether all is well.
pub(super) async fn run(admin: &Admin, command: Command, as_json: bool) -> Result<(String, bool), DnsError> {
    match command {
        Command::Print(Addresses { public_ips }) => {
            let records = admin.wanted_records(&public_ips).await?;
            let text = match as_json {
                true => line(&json!({ "records": records.iter().map(object).collect::<Vec<_>>() })),
                false if public_ips.is_empty() => zone_lines(&records) + NO_ADDRESSES,
                false => zone_lines(&records),
            };
            Ok((text, true))
        }
        Command::Check { addresses, resolver } => {
            let records = admin.wanted_records(&addresses.public_ips).await?;
            let resolver = match resolver {
                Some(address) => Resolver::at(address)?,
                None => Resolver::system()?,
            };
            let verdicts = verdicts(&resolver, &records).await;
            let well = verdicts.iter().all(|verdict| matches!(verdict, Verdict::There));
            let checked = records.iter().zip(&verdicts);
            let text = match as_json {
                true => line(
                    &json!({ "records": checked.map(|(record, verdict)| judged(record, verdict)).collect::<Vec<_>>() }),
                ),
                false => table(checked),
            };
            Ok((text, well))
        }
    }
}

async fn verdicts(resolver: &Resolver, records: &[WantedRecord]) -> Vec<Verdict> {
    use futures_util::StreamExt;
    let asking = records.iter().map(|record| verdict(resolver, record));
    futures_util::stream::iter(asking).buffered(AT_ONCE).collect().await
}

async fn verdict(resolver: &Resolver, record: &WantedRecord) -> Verdict {
    let kind = match record.kind {
        "NS" => Kind::Ns,
        "CNAME" => Kind::Cname,
        "AAAA" => Kind::Aaaa,
        _ => Kind::A,
    };
    match resolver.records(&record.name, kind).await {
        Ok(found) if found.is_empty() => Verdict::Missing,
        Ok(found) if record.values.iter().all(|wanted| found.contains(wanted)) => Verdict::There,
        Ok(found) => Verdict::Wrong(found),
        Err(error) => Verdict::Unknown(error),
    }
}

fn zone_lines(records: &[WantedRecord]) -> String {
    let mut rows = Vec::new();
    for record in records {
        for value in &record.values {
            let dot = if matches!(record.kind, "NS" | "CNAME") { "." } else { "" };
            let needed_by = format!("; {}", record.needed_by);
            rows.push([format!("{}.", record.name), record.kind.to_owned(), format!("{value}{dot}"), needed_by]);
        }
    }
    columns(&rows)
}

fn table<'a>(checked: impl Iterator<Item = (&'a WantedRecord, &'a Verdict)>) -> String {
    let mut rows = vec![["RECORD", "KIND", "NEEDED BY", "STATE"].map(str::to_owned)];
    rows.extend(checked.map(|(record, verdict)| {
        let wanted = record.values.join(", ");
        let state = match verdict {
            Verdict::There => "there".to_owned(),
            Verdict::Missing => format!("missing: make it say {wanted}"),
            Verdict::Wrong(found) => format!("wrong: it says {}; make it say {wanted}", found.join(", ")),
            Verdict::Unknown(error) => format!("not known: {error}"),
        };
        [record.name.clone(), record.kind.to_owned(), record.needed_by.clone(), state]
    }));
    columns(&rows)
}

fn object(record: &WantedRecord) -> Value {
    json!({
        "name": record.name,
        "type": record.kind,
        "values": record.values,
        "needed_by": record.needed_by,
        "account_id": record.account.map(|account| account.to_string()),
    })
}

fn judged(record: &WantedRecord, verdict: &Verdict) -> Value {
    let (state, found, error) = match verdict {
        Verdict::There => ("there", None, None),
        Verdict::Missing => ("missing", None, None),
        Verdict::Wrong(found) => ("wrong", Some(found.clone()), None),
        Verdict::Unknown(error) => ("unknown", None, Some(error.to_string())),
    };
    let mut object = object(record);
    object["state"] = state.into();
    object["found"] = found.into();
    object["error"] = error.into();
    object
}
