//! `portway admin`: work on a server's data directory, on the server's host.

mod dns;
mod restrictions;

use std::io::{Write as _, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use dns::DnsError;
use portway_control::DatabaseUrl;
use portway_control::admin::{Admin, AdminError, AuthtokenId, BackupError, restore};
use secrecy::ExposeSecret;
use serde_json::json;

/// Flags of `portway admin`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  portway admin authtokens create --description 'build server'
  portway admin authtokens create --acl 'bind:*.shop.example.com'
  portway admin authtokens list --json
  portway admin authtokens revoke cr_2a…

  portway admin restrictions lift --type api
  portway admin dns check
  portway admin backup portway-$(date +%F).db

These commands, all but restore, work beside a running server; it follows within a second.")]
pub(crate) struct Args {
    /// The server's data directory
    #[arg(long, value_name = "DIR", env = "PORTWAY_DATA_DIR", default_value = ".portway", global = true)]
    data_dir: PathBuf,
    /// The server's PostgreSQL database, when it has one instead of a file in the data directory
    #[arg(long, value_name = "URL", env = "PORTWAY_DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<DatabaseUrl>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Credentials of agents
    #[command(
        subcommand,
        visible_alias = "authtoken",
        after_help = "Examples:
  portway admin authtokens create --description 'build server'
  TOKEN=$(portway admin authtokens create --acl 'bind:*.ci.example.com')
  portway admin authtokens add-ssh-key ~/.ssh/id_ed25519.pub --acl 'bind:*.ci.example.com'
  portway admin authtokens list
  portway admin authtokens revoke cr_2a…"
    )]
    Authtokens(Authtokens),
    /// IP restrictions of accounts, for when one of them keeps everybody from the API
    #[command(
        subcommand,
        visible_alias = "restriction",
        after_help = "Examples:
  portway admin restrictions list
  portway admin restrictions lift --type api
  portway admin restrictions lift ipx_2a…"
    )]
    Restrictions(restrictions::Command),
    /// DNS records that the installation needs at providers of other zones
    #[command(
        subcommand,
        after_help = "Examples:
  portway admin dns print --public-ip 203.0.113.7
  portway admin dns check
  portway admin dns check --resolver 127.0.0.1:8053 --json"
    )]
    Dns(dns::Command),
    /// Write the database to a new file, beside a running server; keep master.key of the data directory with it
    Backup {
        /// The file to make
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a backup in the place of a stopped server's database, which is kept under another name
    Restore {
        /// A file that `portway admin backup` made
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Accounts
    #[command(subcommand, visible_alias = "account", after_help = "Examples:\n  portway admin accounts list --json")]
    Accounts(Accounts),
}

#[derive(Debug, clap::Subcommand)]
enum Authtokens {
    /// List authtokens, without their texts, and SSH keys
    List,
    /// Make an authtoken and print it, this once: the token on stdout, its id on stderr; with --json both on stdout
    Create {
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// A rule for what it may bind, such as bind:*.example.com; may be given several times; none: anything
        #[arg(long, value_name = "RULE")]
        acl: Vec<String>,
    },
    /// Let a public SSH key in, for `ssh -R`; prints the id, by which it is revoked like an authtoken
    AddSshKey {
        /// File with the public key, such as ~/.ssh/id_ed25519.pub
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What it is for [default: the comment in the file]
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        /// A rule for what it may bind, such as bind:*.example.com; may be given several times; none: anything
        #[arg(long, value_name = "RULE")]
        acl: Vec<String>,
    },
    /// End an authtoken or SSH key and its sessions
    Revoke {
        /// Its id
        #[arg(value_name = "ID")]
        id: AuthtokenId,
    },
}

#[derive(Debug, clap::Subcommand)]
enum Accounts {
    /// List accounts
    List,
}

/// Runs one administrative command.
pub(crate) async fn run(args: Args) -> ExitCode {
    match execute(args).await {
        Ok((text, well)) => {
            let _ = write!(stdout(), "{text}");
            if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let _ = writeln!(stderr(), "portway admin: {error}");
            let DnsError::Admin(error) = error else { return ExitCode::FAILURE };
            match error {
                AdminError::Backup(BackupError::Server | BackupError::Exists(_) | BackupError::Unusable { .. })
                | AdminError::NoDataDir(_)
                | AdminError::Acl(_)
                | AdminError::UnknownRestriction(_)
                | AdminError::NoRestriction { .. }
                | AdminError::SshKey(_)
                | AdminError::File { .. } => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// What to print, and whether all is well.
async fn execute(args: Args) -> Result<(String, bool), DnsError> {
    let Args { data_dir, database_url, json, command } = args;
    let open = async || match &database_url {
        Some(url) => Admin::connect(url).await,
        None => Admin::open(&data_dir).await,
    };
    let done: Result<String, AdminError> = match command {
        Command::Dns(command) => return dns::run(&open().await?, command, json).await,
        Command::Authtokens(Authtokens::List) => list_authtokens(&open().await?, json).await,
        Command::Authtokens(Authtokens::Create { description, acl }) => {
            let (id, token) = open().await?.create_authtoken(&description, &acl).await?;
            let token = token.expose_secret();
            Ok(if json {
                line(&json!({ "id": id.to_string(), "authtoken": token }))
            } else {
                // Not on stdout: there a script reads the token, and nothing else.
                let _ = writeln!(stderr(), "id: {id}");
                format!("{token}\n")
            })
        }
        Command::Authtokens(Authtokens::AddSshKey { file, description, acl }) => {
            let key = std::fs::read_to_string(&file).map_err(|source| AdminError::File { path: file, source })?;
            let id = open().await?.register_ssh_key(&description, &acl, &key).await?;
            Ok(if json { line(&json!({ "id": id.to_string() })) } else { format!("{id}\n") })
        }
        Command::Authtokens(Authtokens::Revoke { id }) => {
            open().await?.revoke(id).await?;
            Ok(if json { line(&json!({ "revoked": id.to_string() })) } else { format!("{id} is revoked\n") })
        }
        Command::Restrictions(command) => restrictions::run(&open().await?, command, json).await,
        Command::Accounts(Accounts::List) => list_accounts(&open().await?, json).await,
        Command::Backup { .. } | Command::Restore { .. } if database_url.is_some() => Err(BackupError::Server.into()),
        Command::Backup { file } => {
            open().await?.backup(&file).await?;
            let file = file.display().to_string();
            Ok(if json { line(&json!({ "backup": file })) } else { format!("{file} is written\n") })
        }
        Command::Restore { file } => {
            let kept = restore(&data_dir, &file).await?.map(|kept| kept.display().to_string());
            let file = file.display().to_string();
            Ok(match kept {
                _ if json => line(&json!({ "restored": file, "previous": kept })),
                Some(kept) => format!("{file} is restored; the database before is kept as {kept}\n"),
                None => format!("{file} is restored\n"),
            })
        }
    };
    Ok((done?, true))
}

async fn list_authtokens(admin: &Admin, as_json: bool) -> Result<String, AdminError> {
    let tokens = admin.authtokens().await?;
    if as_json {
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| {
                json!({
                    "id": token.id.to_string(),
                    "account_id": token.account.to_string(),
                    "description": token.description,
                    "acl": token.acl,
                    "created_at": rfc3339(token.created),
                })
            })
            .collect();
        return Ok(line(&json!({ "authtokens": rows })));
    }
    let mut rows = vec![["ID".to_owned(), "CREATED".to_owned(), "RULES".to_owned(), "DESCRIPTION".to_owned()]];
    rows.extend(tokens.into_iter().map(|token| {
        let rules = if token.acl.is_empty() { "anything".to_owned() } else { token.acl.join(" ") };
        [token.id.to_string(), rfc3339(token.created), rules, token.description]
    }));
    Ok(columns(&rows))
}

async fn list_accounts(admin: &Admin, as_json: bool) -> Result<String, AdminError> {
    let accounts = admin.accounts().await?;
    if as_json {
        let rows: Vec<_> = accounts
            .iter()
            .map(|account| {
                json!({ "id": account.id.to_string(), "name": account.name, "created_at": rfc3339(account.created) })
            })
            .collect();
        return Ok(line(&json!({ "accounts": rows })));
    }
    let mut rows = vec![["ID".to_owned(), "CREATED".to_owned(), "NAME".to_owned()]];
    rows.extend(accounts.into_iter().map(|account| [account.id.to_string(), rfc3339(account.created), account.name]));
    Ok(columns(&rows))
}

fn line(value: &serde_json::Value) -> String {
    format!("{value}\n")
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

/// Rows with their columns aligned; the last column is as long as it is. What would steer a terminal is shown escaped: descriptions are
/// what somebody chose.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let shown = |row: &[String; N]| row.each_ref().map(|cell| portway_telemetry::printable(cell).to_string());
    let rows: Vec<[String; N]> = rows.iter().map(shown).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_aligned_without_trailing_space() {
        let rows = [["ID".to_owned(), "NAME".to_owned()], ["longer".to_owned(), String::new()]];
        assert_eq!(columns(&rows), "ID      NAME\nlonger\n");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let text = columns(&[["\x1b]0;owned\x07".to_owned(), "two\nlines\u{202e}".to_owned()]]);
        assert!(!text.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}
