//! `portway api`: every operation of the REST API as a command, made from the table of operations.
//!
//! What a command takes, and how its reply is shown, comes from the descriptions in `portway-api`: there is no list of operations here.

mod client;
mod commands;
mod failure;
mod fields;
mod server;
mod show;
mod values;

use std::fmt;
use std::io::{IsTerminal as _, Write as _, stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Command, FromArgMatches, ValueEnum};
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use portway_api::{Answer, BaseUrl, Body, Call, CallError, FORCE, ReplyError, Spec, read_reply};
use secrecy::SecretString;
use serde_json::Value;

use failure::Failure;
use server::{Server, Wanted};
use values::Sources;

/// Most objects that `--all` collects, of which each page counts as one more: they are kept until the last has come.
const MAX_OBJECTS: usize = 100_000;

/// Width of a terminal that does not tell.
const USUAL_WIDTH: u16 = 80;

/// Flags of every command below `portway api`.
#[derive(Debug, clap::Args)]
struct Common {
    /// Key of the API [env: PORTWAY_API_KEY, then NGROK_API_KEY; file: api_key]
    #[arg(long, value_name = "KEY", global = true, help_heading = "API")]
    api_key: Option<SecretString>,
    /// Address of the API [env: PORTWAY_API_URL; file: api_url; default: http://127.0.0.1:4400]
    #[arg(long, value_name = "URL", global = true, help_heading = "API")]
    api_url: Option<String>,
    /// On the server's own host: take key, address and CA from bootstrap.json in its data directory
    #[arg(long, value_name = "DIR", global = true, help_heading = "API")]
    data_dir: Option<PathBuf>,
    /// Certificates of the API to trust: a PEM file, `host` or `trusted` [env: PORTWAY_CA; file: connect_cas; default: host]
    #[arg(long, value_name = "FILE", global = true, help_heading = "API")]
    ca: Option<String>,
    /// Configuration file of the agent; may be given several times, later ones win
    #[arg(long = "config", value_name = "FILE", value_delimiter = ',', env = "PORTWAY_CONFIG", hide_env_values = true)]
    #[arg(global = true, help_heading = "API")]
    config: Vec<PathBuf>,
    /// Do it even if you cannot use the API afterwards
    #[arg(long, global = true, help_heading = "API")]
    force: bool,
    /// How the reply is printed [default: table on a terminal, else json]
    #[arg(long, short, value_enum, global = true, help_heading = "Output")]
    output: Option<Format>,
    /// Print ids only, each on a line
    #[arg(long, short, global = true, conflicts_with = "output", help_heading = "Output")]
    quiet: bool,
}

/// How a reply is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// As the server sent it
    Json,
    /// The same as YAML
    Yaml,
}

/// The arguments of `portway api`.
pub(crate) struct Args {
    common: Common,
    /// Group and verb, and what was said about them.
    matches: ArgMatches,
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was said may be a secret.
        f.debug_struct("Args").field("common", &self.common).finish_non_exhaustive()
    }
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        // A few hundred commands, which no other command has to wait for.
        command.defer(described)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { common: Common::from_arg_matches(matches)?, matches: matches.clone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn described(command: Command) -> Command {
    <Common as clap::Args>::augment_args(command)
        .about("Work with a server's REST API")
        .subcommand_required(true)
        .arg_required_else_help(true)
        // A resource may have a version, and lists of commands are long enough.
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .override_usage("portway api <GROUP> <VERB> [OPTIONS]")
        .subcommand_help_heading("Groups and their verbs")
        .after_help(
            "Examples:
  portway api reserved-domains create --domain app.example.com --description 'for the shop'
  portway api credentials create --acl 'bind:*.example.com' --acl 'bind:tcp.example.com:20000'
  portway api tls-certificates create --certificate-pem @cert.pem --private-key-pem @key.pem
  portway api ip-restrictions update ID --enforced=false
  portway api endpoints list --all --output json
  portway api reserved-domains delete $(portway api reserved-domains list --quiet --filter 'obj.domain == \"app.example.com\"')
  portway api self get --data-dir /var/lib/portway

Other users of the machine see the flags of running programs: give the key in the environment or in a file.
Exit codes: 0 done, 1 refused or not reached, 2 wrong usage or configuration.",
        )
        .subcommands(commands::groups())
}

/// Runs one of the commands.
pub(crate) async fn run(args: Args) -> ExitCode {
    let terminal = stdout().is_terminal();
    match execute(args, terminal).await {
        Ok(Printed { text, note }) => {
            let _ = write!(stdout(), "{text}");
            if !note.is_empty() {
                let _ = writeln!(stderr(), "{note}");
            }
            ExitCode::SUCCESS
        }
        Err(failure) => failure.report(),
    }
}

async fn execute(args: Args, terminal: bool) -> Result<Printed, Failure> {
    let (spec, matches) = commands::chosen(&args.matches).expect("clap asks for a group and a verb");
    let Common { api_key, api_url, data_dir, ca, config, force, output, quiet } = args.common;
    let request = Request { force, ..Request::read(spec, matches)? };
    let server = Server::find(Wanted { api_url, api_key, ca, data_dir, config }, |name| std::env::var(name).ok())?;
    let mut reply = request.send(&server, None).await?;
    if let (Some(list), true) = (spec.answer.list(), request.all) {
        request.collect(&server, list.key, &mut reply).await?;
    }
    let format = output.unwrap_or(if terminal { Format::Table } else { Format::Json });
    let width = terminal.then(|| crossterm::terminal::size().map_or(USUAL_WIDTH, |(width, _)| width));
    if quiet {
        return Ok(Printed { text: show::ids(objects(spec, &reply)), note: String::new() });
    }
    printed(spec, &reply, format, width)
}

/// What goes to stdout, and what is said about it on stderr.
struct Printed {
    text: String,
    note: String,
}

/// `width` is that of the terminal, when it is printed to one.
fn printed(spec: &Spec, reply: &Value, format: Format, width: Option<u16>) -> Result<Printed, Failure> {
    let (text, note) = match (format, &spec.answer) {
        (Format::Table, Answer::Nothing) => (String::new(), format!("{}: done", spec.name)),
        (_, Answer::Nothing) => (String::new(), String::new()),
        (Format::Json, _) => (show::json(reply), String::new()),
        (Format::Yaml, _) => (show::yaml(reply, width.is_some())?, String::new()),
        (Format::Table, Answer::Created(schema) | Answer::Object(schema)) => {
            (show::lines(reply, *schema), String::new())
        }
        (Format::Table, Answer::Page(list) | Answer::All(list)) => match objects(spec, reply) {
            [] => (String::new(), format!("{}: there are none", spec.name)),
            some => {
                let more = "there are more: --all lists them, --filter finds some";
                let note = if next_page(reply).is_some() { format!("{}: {more}", spec.name) } else { String::new() };
                (show::table(some, list.item, width), note)
            }
        },
    };
    Ok(Printed { text, note })
}

/// The objects that a reply holds.
fn objects<'a>(spec: &Spec, reply: &'a Value) -> &'a [Value] {
    match spec.answer.list() {
        Some(list) => reply[list.key].as_array().map_or(&[], Vec::as_slice),
        None => std::slice::from_ref(reply),
    }
}

/// What is asked of the server.
struct Request {
    spec: &'static Spec,
    parameters: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    /// Every page.
    all: bool,
    /// Although the caller is locked out by it.
    force: bool,
}

impl Request {
    fn read(spec: &'static Spec, matches: &ArgMatches) -> Result<Self, Failure> {
        let parameter = |name| matches.get_one::<String>(&commands::parameter_id(name)).cloned().unwrap_or_default();
        let mut query = Vec::new();
        for name in spec.query() {
            match matches.try_get_one::<u16>(name) {
                Ok(number) => query.extend(number.map(|number| (*name, number.to_string()))),
                Err(_) => query
                    .extend(matches.get_many(name).into_iter().flatten().map(|text: &String| (*name, text.clone()))),
            }
        }
        let body = match spec.body {
            Body::Json(body) => Some(Sources::new(stdin()).body(&fields::fields(body), matches)?),
            Body::None | Body::Empty => None,
        };
        let all = spec.query().contains(&"before_id") && matches.get_flag("all");
        Ok(Self { spec, parameters: spec.parameters().map(parameter).collect(), query, body, all, force: false })
    }

    /// What is sent; of a list, what is older than `before`, when that is given.
    fn to_http(
        &self,
        base: &BaseUrl,
        key: &SecretString,
        before: Option<&str>,
    ) -> Result<http::Request<Vec<u8>>, CallError> {
        let parameters: Vec<&str> = self.parameters.iter().map(String::as_str).collect();
        let kept = self.query.iter().filter(|(name, _)| before.is_none() || *name != "before_id");
        let query = kept.map(|(name, value)| (*name, value.as_str())).chain(before.map(|id| ("before_id", id)));
        let query: Vec<(&str, &str)> = query.collect();
        let call =
            Call { operation: self.spec.operation, parameters: &parameters, query: &query, body: self.body.as_ref() };
        let mut request = call.request(base, key)?;
        if self.force {
            request.headers_mut().insert(FORCE, HeaderValue::from_static("true"));
        }
        Ok(request)
    }

    async fn send(&self, server: &Server, before: Option<&str>) -> Result<Value, Failure> {
        let request = self.to_http(&server.base, &server.key, before)?;
        let sent = client::send(request, &server.roots).await;
        let (status, body) = sent.map_err(|error| Failure::Send { error, ca: server.ca.clone() })?;
        let reply: Value = read_reply(status, &body).map_err(|error| self.failed(error))?;
        match self.spec.answer.list() {
            Some(list) if !reply[list.key].is_array() => Err(self.failed(ReplyError::Strange(status))),
            _ => Ok(reply),
        }
    }

    fn failed(&self, error: ReplyError) -> Failure {
        Failure::Reply { error, spec: self.spec }
    }

    /// Adds the objects of all other pages to the first one.
    async fn collect(&self, server: &Server, key: &str, reply: &mut Value) -> Result<(), Failure> {
        let mut count = objects(self.spec, reply).len();
        while let Some(before) = next_page(reply) {
            let mut page = self.send(server, Some(&before)).await?;
            if let (Value::Array(more), Value::Array(objects)) = (page[key].take(), &mut reply[key]) {
                count += more.len() + 1;
                objects.extend(more);
            }
            if count > MAX_OBJECTS {
                return Err(Failure::TooMany);
            }
            reply["next_page_uri"] = page["next_page_uri"].take();
        }
        Ok(())
    }
}

/// The id that the next page begins after. Its address is not followed as it is: the server may know itself by another name than the
/// one that was called, and the key goes nowhere else.
fn next_page(reply: &Value) -> Option<String> {
    let (_, query) = reply["next_page_uri"].as_str()?.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("before_id="))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests;
