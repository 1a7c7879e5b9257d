//! `portway admin restrictions`: the way back for an operator whom an IP restriction keeps from the API.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use portway_control::admin::{Admin, AdminError, Restriction, RestrictionType};
use portway_names::{AccountId, IpRestrictionId};
use serde_json::{Value, json};

use super::{columns, line, rfc3339};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the IP restrictions of all accounts
    List,
    /// Let a restriction warn only, so that whoever it keeps away can come again
    Lift(Which),
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Its id
    #[arg(value_name = "ID", required_unless_present = "type", conflicts_with = "type")]
    id: Option<IpRestrictionId>,
    /// The one of this type
    #[arg(long, value_name = "TYPE", value_parser = type_parser())]
    r#type: Option<RestrictionType>,
    /// The account, with --type [default: the first account]
    #[arg(long, value_name = "ID", requires = "type")]
    account: Option<AccountId>,
}

pub(super) async fn run(admin: &Admin, command: Command, as_json: bool) -> Result<String, AdminError> {
    match command {
        Command::List => {
            let restrictions = admin.restrictions().await?;
            Ok(if as_json { listed(&restrictions) } else { table(&restrictions) })
        }
        Command::Lift(which) => {
            let lifted = admin.lift(&find(admin, which).await?).await?;
            let Restriction { id, kind, account, .. } = &lifted;
            Ok(match as_json {
                true => line(&object(&lifted)),
                false => format!("{id} ({kind} of {account}) is not enforced any more: it warns only\n"),
            })
        }
    }
}

fn type_parser() -> impl TypedValueParser<Value = RestrictionType> {
    let known = |word: &str| RestrictionType::ALL.iter().copied().find(|kind| kind.as_str() == word);
    let words = RestrictionType::ALL.iter().map(|kind| kind.as_str());
    PossibleValuesParser::new(words).map(move |word| known(&word).expect("it is one of the possible values"))
}

async fn find(admin: &Admin, which: Which) -> Result<IpRestrictionId, AdminError> {
    let Which { id, r#type: kind, account } = which;
    match (id, kind) {
        (Some(id), _) => Ok(id),
        (None, kind) => admin.restriction_of(account, kind.expect("clap asks for an id or a type")).await,
    }
}

fn listed(restrictions: &[Restriction]) -> String {
    line(&json!({ "restrictions": restrictions.iter().map(object).collect::<Vec<_>>() }))
}

fn object(restriction: &Restriction) -> Value {
    json!({
        "id": restriction.id.to_string(),
        "account_id": restriction.account.to_string(),
        "type": restriction.kind.as_str(),
        "enforced": restriction.enforced,
        "ip_policy_ids": restriction.policies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "description": restriction.description,
        "created_at": rfc3339(restriction.created),
    })
}

fn table(restrictions: &[Restriction]) -> String {
    let mut rows = vec![["ID", "ACCOUNT", "TYPE", "ENFORCED", "DESCRIPTION"].map(str::to_owned)];
    rows.extend(restrictions.iter().map(|restriction| {
        let Restriction { id, account, kind, enforced, description, .. } = restriction;
        let enforced = if *enforced { "yes" } else { "no" };
        [id.to_string(), account.to_string(), kind.to_string(), enforced.to_owned(), description.clone()]
    }));
    columns(&rows)
}
