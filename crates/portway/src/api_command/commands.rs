//! The commands of `portway api`, made from the table of operations: `portway api GROUP VERB`.

use clap::builder::{BoolValueParser, NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Command};
use portway_api::{Body, MAX_PAGE, Operation, Permission, Spec};

use super::fields::{Field, Kind, fields};

/// Every group with its verbs.
pub(super) fn groups() -> Vec<Command> {
    let mut groups: Vec<(&str, Vec<&Spec>)> = Vec::new();
    for spec in Operation::all() {
        match groups.iter_mut().find(|(name, _)| *name == spec.group()) {
            Some((_, specs)) => specs.push(spec),
            None => groups.push((spec.group(), vec![spec])),
        }
    }
    let group = |(name, specs): (&'static str, Vec<&'static Spec>)| {
        let verbs: Vec<&str> = specs.iter().map(|spec| spec.verb()).collect();
        Command::new(name)
            .aliases(aliases(name))
            .about(verbs.join(", "))
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands(specs.into_iter().map(verb))
    };
    groups.into_iter().map(group).collect()
}

/// Other names of a group: as in paths of the interface.
fn aliases(group: &str) -> Vec<String> {
    match group {
        "secrets" => vec!["vault-secrets".to_owned(), "vault_secrets".to_owned()],
        group if group.contains('-') => vec![group.replace('-', "_")],
        _ => Vec::new(),
    }
}

/// The operation that was asked for, and what was said about it.
pub(super) fn chosen(matches: &ArgMatches) -> Option<(&'static Spec, &ArgMatches)> {
    let (group, matches) = matches.subcommand()?;
    let (verb, matches) = matches.subcommand()?;
    let spec = Operation::all().iter().find(|spec| spec.group() == group && spec.verb() == verb)?;
    Some((spec, matches))
}

/// What clap knows a parameter of the path by.
pub(super) fn parameter_id(name: &str) -> String {
    format!("{{{name}}}")
}

fn body_fields(spec: &Spec) -> Vec<Field> {
    match spec.body {
        Body::Json(body) => fields(body),
        Body::None | Body::Empty => Vec::new(),
    }
}

fn verb(spec: &'static Spec) -> Command {
    let fields = body_fields(spec);
    let (top, inner): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(|field| field.path.len() == 1);
    let mut command = Command::new(spec.verb())
        .about(spec.summary.trim().trim_end_matches('.'))
        .after_help(notes(spec))
        .args(spec.parameters().map(parameter))
        .args(spec.query().iter().map(|name| query(spec, name)))
        .args(top.into_iter().map(|field| flag(field, &fields)));
    if !fields.is_empty() {
        let help = "The whole body: JSON, @FILE, or - for stdin; fields that are given beside it win";
        command = command.arg(Arg::new("body").long("body").value_name("JSON").help(help).help_heading("Fields"));
    }
    command = command.args(inner.into_iter().map(|field| flag(field, &fields)));
    if spec.query().contains(&"before_id") {
        let help = "Every page of the list, instead of the first";
        command = command.arg(Arg::new("all").long("all").action(ArgAction::SetTrue).help(help).help_heading("List"));
    }
    command
}

fn parameter(name: &'static str) -> Arg {
    let help = match name.strip_suffix("_id") {
        Some(of) => format!("The id of the {}", of.replace('_', " ")),
        None => format!("The {name}"),
    };
    Arg::new(parameter_id(name))
        .required(true)
        .value_name(name.to_ascii_uppercase())
        .value_parser(NonEmptyStringValueParser::new())
        .help(help)
}

fn query(spec: &Spec, name: &'static str) -> Arg {
    let arg = Arg::new(name).long(name.replace('_', "-")).value_name(name.to_ascii_uppercase()).help_heading("List");
    let arg = if name.contains('_') { arg.alias(name) } else { arg };
    match name {
        "before_id" => arg.value_name("ID").help("Only what is older than the object of this id"),
        "limit" => arg
            .value_name("N")
            .value_parser(clap::value_parser!(u16).range(1..=MAX_PAGE as i64))
            .help(format!("The most objects of a page, up to {MAX_PAGE} [default: {MAX_PAGE}]")),
        "filter" => {
            let fields = spec.answer.list().map_or(&[][..], |list| list.filter);
            let fields: Vec<String> = fields.iter().map(|field| format!("obj.{}", field.name)).collect();
            arg.value_name("EXPR").help(format!(
                "Only objects for which this holds, as 'obj.id == \"…\"'; it may name {}",
                fields.join(", ")
            ))
        }
        _ => arg.action(ArgAction::Append).help(format!("Only objects with this {name}; may be given several times")),
    }
}

fn flag(field: &Field, all: &[Field]) -> Arg {
    let (flag, dotted) = (field.flag(), field.dotted());
    let (value_name, hint) = match &field.kind {
        Kind::Text(_) => (field.path.last().map_or_else(String::new, |name| name.to_ascii_uppercase()), ""),
        Kind::File { .. } => ("@FILE".to_owned(), "; @FILE reads it from a file, - from stdin"),
        Kind::Number => ("N".to_owned(), ""),
        Kind::Boolean => ("true|false".to_owned(), ""),
        Kind::List => ("VALUE".to_owned(), "; may be given several times, '[]' is an empty list"),
        Kind::Objects => ("JSON".to_owned(), "; an object, may be given several times"),
        Kind::Map => ("NAME=VALUE".to_owned(), "; may be given several times"),
        Kind::Object => ("JSON".to_owned(), ""),
    };
    let help = format!("{}{hint}", field.help.trim_end_matches('.'));
    let mut arg = Arg::new(field.id()).long(flag.clone()).value_name(value_name).help(help);
    if dotted != flag {
        arg = arg.alias(dotted);
    }
    arg = match &field.kind {
        Kind::Text(values) if !values.is_empty() => arg.value_parser(PossibleValuesParser::new(values)),
        Kind::Boolean => {
            let parser = BoolValueParser::new();
            arg.value_parser(parser).num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        Kind::List | Kind::Objects | Kind::Map => arg.action(ArgAction::Append),
        // "$(cat cert.pem)" begins with hyphens.
        Kind::File { .. } => arg.allow_hyphen_values(true),
        _ => arg,
    };
    if field.path.len() > 1 {
        // Those of inner objects are many, and `-h` is for a glance.
        return arg.hide_short_help(true).help_heading("Fields of objects");
    }
    if !field.required {
        return arg.help_heading("Fields");
    }
    let instead = all.iter().filter(|inner| inner.is_inside(field)).map(Field::id);
    arg.required_unless_present_any(instead.chain(["body".to_owned()])).help_heading("Required fields")
}

/// What stands below the help of a command: an example, and who may do it.
fn notes(spec: &Spec) -> String {
    let needed = match spec.permission {
        Permission::Read => "read",
        Permission::Write => "write",
        Permission::Admin => "administer",
    };
    format!("Example:\n  {}\n\nWho owns the API key needs the right to {needed}.", example(spec))
}

/// A call that shows what has to be given.
pub(super) fn example(spec: &Spec) -> String {
    let fields = body_fields(spec);
    let mut words = vec![format!("portway api {}", spec.name)];
    words.extend(spec.parameters().map(str::to_ascii_uppercase));
    if spec.query().contains(&"before_id") {
        words.push("--all".to_owned());
    }
    let top = || fields.iter().filter(|field| field.path.len() == 1);
    let required: Vec<&Field> = top().filter(|field| field.required).collect();
    let shown = match required.is_empty() {
        true => top().find(|field| field.flag() == "description").or_else(|| top().next()).into_iter().collect(),
        false => required,
    };
    words.extend(shown.into_iter().map(sample));
    words.join(" ")
}

fn sample(field: &Field) -> String {
    let (flag, name) = (field.flag(), field.path.last().map_or("", String::as_str));
    let value = match (&field.kind, &field.example, name) {
        (Kind::Boolean, ..) => return format!("--{flag}=true"),
        (Kind::Number, ..) => "30".to_owned(),
        (Kind::File { .. }, ..) => format!("@{}", name.replace("_pem", ".pem").replace('_', "-")),
        (Kind::Object, _, "target") => r#"{"debug": {"callback_url": "https://hooks.example.com/portway"}}"#.to_owned(),
        (Kind::Object | Kind::Objects, ..) => "{}".to_owned(),
        (Kind::Map, ..) => "NAME=VALUE".to_owned(),
        (_, Some(example), _) => example.clone(),
        (_, None, "description") => "for the shop".to_owned(),
        (_, None, _) => name.to_ascii_uppercase(),
    };
    // Words of this kind have no NUL, which is all that cannot be quoted.
    format!("--{flag} {}", shlex::try_quote(&value).unwrap_or_default())
}
