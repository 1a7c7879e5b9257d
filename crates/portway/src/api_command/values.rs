//! From flags to the body of a request.

use std::io::Read;
use std::path::PathBuf;

use clap::ArgMatches;
use portway_api::MAX_BODY_LEN;
use serde_json::{Map, Value};

use super::fields::{Field, Kind};

/// Why a flag's value cannot be used. What it holds is never repeated: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum ValueError {
    #[error("--{flag} is to come from {}, which cannot be read: {error}", path.display())]
    File { flag: String, path: PathBuf, error: std::io::Error },
    #[error("--{flag} is to come from stdin, which cannot be read: {error}")]
    Stdin { flag: String, error: std::io::Error },
    #[error("--{flag} is to come from stdin, but another flag takes that already; give a file: --{flag} @FILE")]
    StdinTwice { flag: String },
    #[error("--{flag} names something with more than {MAX_BODY_LEN} bytes, which is more than the server takes")]
    TooLong { flag: String },
    #[error("--{flag} is not JSON: {error}; write for example --{flag} '{example}'")]
    NotJson { flag: String, error: String, example: &'static str },
    #[error("--{flag} is JSON, but not an object; write for example --{flag} '{example}'")]
    NotObject { flag: String, example: &'static str },
    #[error(
        "--{flag} takes the text of a PEM block, and -----BEGIN is missing; the name of a file follows an @: --{flag} @FILE"
    )]
    NotPem { flag: String },
    #[error("--{flag} takes a whole number, as --{flag} 30")]
    NotNumber { flag: String },
    #[error("--{flag} takes NAME=VALUE; the `=` is missing")]
    NoEquals { flag: String },
}

/// Where values come from that are not on the command line.
#[derive(Debug)]
pub(super) struct Sources<R> {
    /// Until somebody has read it.
    stdin: Option<R>,
}

impl<R: Read> Sources<R> {
    pub(super) fn new(stdin: R) -> Self {
        Self { stdin: Some(stdin) }
    }

    /// The body that the flags describe: what `--body` says, changed by the others.
    pub(super) fn body(&mut self, fields: &[Field], matches: &ArgMatches) -> Result<Value, ValueError> {
        let mut body = match matches.get_one::<String>("body") {
            Some(text) => object("body", &self.long("body", text)?, BODY_EXAMPLE)?,
            None => Map::new(),
        };
        for field in fields {
            if let Some(value) = self.value(field, matches)? {
                put(&mut body, &field.path, value);
            }
        }
        Ok(Value::Object(body))
    }

    fn value(&mut self, field: &Field, matches: &ArgMatches) -> Result<Option<Value>, ValueError> {
        let (id, flag) = (field.id(), field.flag());
        if field.kind == Kind::Boolean {
            return Ok(matches.get_one::<bool>(&id).map(|value| (*value).into()));
        }
        let Some(texts) = matches.get_many::<String>(&id) else { return Ok(None) };
        let texts: Vec<&str> = texts.map(String::as_str).collect();
        let last = texts.last().copied().unwrap_or_default();
        Ok(Some(match &field.kind {
            Kind::Boolean | Kind::Text(_) => last.into(),
            Kind::File { .. } => match self.long(&flag, last)?.trim_end_matches(['\r', '\n']) {
                text if text == last && flag.ends_with("-pem") && !text.contains("-----BEGIN ") => {
                    return Err(ValueError::NotPem { flag });
                }
                text => text.into(),
            },
            Kind::Number => {
                let number: Result<u64, _> = last.parse();
                number.map_err(|_| ValueError::NotNumber { flag })?.into()
            }
            Kind::List => list(&flag, &texts)?,
            Kind::Objects => objects(&flag, &texts)?,
            Kind::Map => map(&flag, &texts)?,
            Kind::Object => object(&flag, last, OBJECT_EXAMPLE)?.into(),
        }))
    }

    /// A text that may be elsewhere: `@FILE`, or `-` for stdin.
    fn long(&mut self, flag: &str, text: &str) -> Result<String, ValueError> {
        let flag = flag.to_owned();
        if text == "-" {
            let Some(stdin) = self.stdin.take() else { return Err(ValueError::StdinTwice { flag }) };
            return match read_some(stdin) {
                Ok(Some(text)) => Ok(text),
                Ok(None) => Err(ValueError::TooLong { flag }),
                Err(error) => Err(ValueError::Stdin { flag, error }),
            };
        }
        let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
        match std::fs::File::open(path).and_then(read_some) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(ValueError::TooLong { flag }),
            Err(error) => Err(ValueError::File { flag, path: path.into(), error }),
        }
    }
}

const BODY_EXAMPLE: &str = r#"{"description": "for the shop"}"#;
const OBJECT_EXAMPLE: &str = r#"{"name": "value"}"#;
const LIST_EXAMPLE: &str = r#"["one", "two"]"#;

/// Everything that is there, when that is not more than a body can hold.
fn read_some(from: impl Read) -> std::io::Result<Option<String>> {
    let mut text = String::new();
    from.take(MAX_BODY_LEN as u64 + 1).read_to_string(&mut text)?;
    Ok((text.len() <= MAX_BODY_LEN).then_some(text))
}

fn json(flag: &str, text: &str, example: &'static str) -> Result<Value, ValueError> {
    serde_json::from_str(text).map_err(|error| {
        // Where it is wrong, not what is there.
        let error = format!("something is wrong at line {}, column {}", error.line(), error.column());
        ValueError::NotJson { flag: flag.to_owned(), error, example }
    })
}

fn object(flag: &str, text: &str, example: &'static str) -> Result<Map<String, Value>, ValueError> {
    match json(flag, text, example)? {
        Value::Object(members) => Ok(members),
        _ => Err(ValueError::NotObject { flag: flag.to_owned(), example }),
    }
}

/// One text for each flag; what begins with a bracket is a list by itself, so that `[]` is the empty one.
fn list(flag: &str, texts: &[&str]) -> Result<Value, ValueError> {
    let mut entries = Vec::new();
    for text in texts {
        match text.starts_with('[').then(|| json(flag, text, LIST_EXAMPLE)).transpose()? {
            Some(Value::Array(more)) => entries.extend(more),
            _ => entries.push((*text).into()),
        }
    }
    Ok(entries.into())
}

fn objects(flag: &str, texts: &[&str]) -> Result<Value, ValueError> {
    let mut entries = Vec::new();
    for text in texts {
        match json(flag, text, OBJECT_EXAMPLE)? {
            Value::Array(more) => entries.extend(more),
            Value::Object(members) => entries.push(members.into()),
            _ => return Err(ValueError::NotObject { flag: flag.to_owned(), example: OBJECT_EXAMPLE }),
        }
    }
    Ok(entries.into())
}

fn map(flag: &str, texts: &[&str]) -> Result<Value, ValueError> {
    let mut members = Map::new();
    for text in texts {
        if text.starts_with('{') {
            members.extend(object(flag, text, OBJECT_EXAMPLE)?);
            continue;
        }
        let (name, value) = text.split_once('=').ok_or_else(|| ValueError::NoEquals { flag: flag.to_owned() })?;
        members.insert(name.to_owned(), value.into());
    }
    Ok(members.into())
}

/// Puts a value where the path says; what is on the way becomes an object.
fn put(body: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        body.insert(name.clone(), value);
        return;
    }
    let inner = body.entry(name.clone()).or_insert(Value::Null);
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}
