//! What an operation is: the one description that the router, the golden list and the OpenAPI document are made from.

use http::{Method, StatusCode};
use portway_codes::PublicError;
use serde_json::Value;

use crate::query::known;
use crate::{Described, FilterField, Input, Operation, Schemas, read_body};

/// Makes the schema of a body or reply.
pub type SchemaOf = fn(&mut Schemas) -> Value;

/// Everything about an operation that can be written down.
#[derive(Debug)]
pub struct Spec {
    /// Which one it is.
    pub operation: Operation,
    /// Its name as a command: a group and a verb, as `reserved-domains create`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// The right that the caller needs.
    pub permission: Permission,
    /// What is sent.
    pub body: Body,
    /// What comes back.
    pub answer: Answer,
}

/// What the caller of an operation must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Read the account's resources.
    Read,
    /// Change them.
    Write,
    /// Administer the installation or the account.
    Admin,
}

/// What is sent with an operation.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Nothing; a body is refused.
    None,
    /// An object without fields, which is not looked at: one client sends the id alone, which is no JSON.
    Empty,
    /// An object.
    Json(BodyType),
}

/// The type of a body, for those who look at all operations alike.
#[derive(Clone, Copy, Debug)]
pub struct BodyType {
    /// Its schema.
    pub schema: SchemaOf,
    /// Reads it, and forgets what it says.
    check: fn(&[u8]) -> Result<(), PublicError>,
}

impl BodyType {
    pub(crate) const fn of<T: Input>() -> BodyType {
        BodyType { schema: <T as Described>::schema, check: |body| read_body::<T>(body).map(drop) }
    }
}

/// What comes back from an operation.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// An object that is new: 201.
    Created(SchemaOf),
    /// An object: 200.
    Object(SchemaOf),
    /// Some of the objects, newest first, and where the rest is: 200.
    Page(List),
    /// All objects: 200.
    All(List),
    /// Nothing: 204.
    Nothing,
}

/// A list.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The member of the reply that has the objects.
    pub key: &'static str,
    /// What the objects are.
    pub item: SchemaOf,
    /// What they can be filtered by.
    pub filter: &'static [FilterField],
}

impl Answer {
    /// The status of the reply when all went well.
    pub fn status(&self) -> StatusCode {
        match self {
            Answer::Created(_) => StatusCode::CREATED,
            Answer::Object(_) | Answer::Page(_) | Answer::All(_) => StatusCode::OK,
            Answer::Nothing => StatusCode::NO_CONTENT,
        }
    }

    /// The list that it is.
    pub fn list(&self) -> Option<&List> {
        match self {
            Answer::Page(list) | Answer::All(list) => Some(list),
            _ => None,
        }
    }
}

impl Spec {
    /// Checks a body without using it, as a program does that only wants to know whether it would be taken.
    ///
    /// # Errors
    ///
    /// Those of [`read_body`].
    pub fn check_body(&self, body: &[u8]) -> Result<(), PublicError> {
        match self.body {
            Body::None | Body::Empty => Ok(()),
            Body::Json(kind) => (kind.check)(body),
        }
    }

    /// The names of the parameters in the path.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The first part of its name: the kind of resource.
    pub fn group(&self) -> &'static str {
        self.name.split(' ').next().unwrap_or(self.name)
    }

    /// The second part of its name: what is done with it.
    pub fn verb(&self) -> &'static str {
        self.name.split(' ').nth(1).unwrap_or_default()
    }

    /// The names of the parameters in the query.
    pub fn query(&self) -> &'static [&'static str] {
        known(self.operation)
    }

    /// One line that says everything, for the golden list.
    pub fn line(&self) -> String {
        let body = match self.body {
            Body::None => String::new(),
            Body::Empty => " takes {}".to_owned(),
            Body::Json(kind) => format!(" takes {}", schema_name(kind.schema)),
        };
        let answer = match &self.answer {
            Answer::Created(schema) | Answer::Object(schema) => schema_name(*schema),
            Answer::Page(list) => format!("page {} of {}{}", list.key, schema_name(list.item), filters(list)),
            Answer::All(list) => format!("all {} of {}", list.key, schema_name(list.item)),
            Answer::Nothing => "nothing".to_owned(),
        };
        let (method, path, name, status) = (&self.method, self.path, self.name, self.answer.status().as_u16());
        format!("{name}: {method} {path}{body} gives {status} {answer} for {:?}", self.permission)
    }
}

fn filters(list: &List) -> String {
    format!(" by {}", list.filter.iter().map(|field| field.name).collect::<Vec<_>>().join(" "))
}

fn schema_name(schema: SchemaOf) -> String {
    let schema = schema(&mut Schemas::new());
    schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default().to_owned()
}
