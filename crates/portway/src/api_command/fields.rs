//! The fields of a body, read from its schema, one for each flag.

use portway_api::{BodyType, Schemas};
use serde_json::Value;

/// Longest text in bytes that is wanted on a command line; longer ones (certificates, keys) may come from a file.
const LONG_TEXT: u64 = 4096;

/// A field of a body or of an object inside it.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in JSON, behind those of the objects that it is in.
    pub(super) path: Vec<String>,
    pub(super) kind: Kind,
    /// What it means, in a sentence.
    pub(super) help: String,
    /// It must be there; for a field of an inner object, when that object is.
    pub(super) required: bool,
    /// What a value looks like, when the schema says.
    pub(super) example: Option<String>,
}

/// How the value of a field is written on a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text; one of these, when there are any.
    Text(Vec<String>),
    /// Text that may come from a file or stdin: a secret, or a long one.
    File {
        secret: bool,
    },
    Number,
    Boolean,
    /// Several texts.
    List,
    /// Several objects, each as JSON.
    Objects,
    /// Names and texts, as name=value.
    Map,
    /// An object as JSON; its fields have flags of their own.
    Object,
}

impl Field {
    /// The name of its flag: `certificate-management-policy.authority`.
    pub(super) fn flag(&self) -> String {
        self.path.join(".").replace('_', "-")
    }

    /// The same as it is written in JSON, which is understood, too.
    pub(super) fn dotted(&self) -> String {
        self.path.join(".")
    }

    /// What clap knows it by. The dot in front keeps it from being one of the program's own flags.
    pub(super) fn id(&self) -> String {
        format!(".{}", self.dotted())
    }

    /// The field is in this one, or in an object in it.
    pub(super) fn is_inside(&self, outer: &Field) -> bool {
        self.path.len() > outer.path.len() && self.path.starts_with(&outer.path)
    }
}

/// The fields of a body: those that it needs first, each followed by those inside of it.
pub(super) fn fields(body: BodyType) -> Vec<Field> {
    let mut schemas = Schemas::new();
    let schema = (body.schema)(&mut schemas);
    let mut found = Vec::new();
    collect(&schema, &schemas, &mut Vec::new(), &mut Vec::new(), &mut found);
    found
}

/// `inside` has the names of the schemas that this one is in, so that one that contains itself comes to an end.
fn collect<'a>(
    schema: &'a Value,
    schemas: &'a Schemas,
    path: &mut Vec<String>,
    inside: &mut Vec<&'a str>,
    found: &mut Vec<Field>,
) {
    let name = schema["$ref"].as_str().unwrap_or_default();
    if inside.contains(&name) {
        return;
    }
    inside.push(name);
    let object = resolved(schema, schemas);
    let needed = |name: &str| object["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name));
    let mut members: Vec<_> = object["properties"].as_object().into_iter().flatten().collect();
    members.sort_by_key(|(name, _)| !needed(name));
    for (name, member) in members {
        // It says nothing, or is refused.
        if member["deprecated"] == true {
            continue;
        }
        path.push(name.clone());
        let inner = reference(member);
        let kind = kind(resolved(inner, schemas), schemas);
        let is_object = kind == Kind::Object;
        found.push(Field {
            path: path.clone(),
            kind,
            help: member["description"].as_str().unwrap_or_default().to_owned(),
            required: needed(name),
            example: example(resolved(inner, schemas)),
        });
        if is_object {
            collect(inner, schemas, path, inside, found);
        }
        path.pop();
    }
    inside.pop();
}

/// What a schema is about, without the wrappings of a description and of null.
fn reference(schema: &Value) -> &Value {
    ["allOf", "anyOf"].iter().find_map(|wrapping| schema[*wrapping].get(0)).unwrap_or(schema)
}

fn resolved<'a>(schema: &'a Value, schemas: &'a Schemas) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
    name.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

fn kind(schema: &Value, schemas: &Schemas) -> Kind {
    let of_type = |name: &str| {
        schema["type"] == name || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == name))
    };
    if of_type("boolean") {
        Kind::Boolean
    } else if of_type("integer") || of_type("number") {
        Kind::Number
    } else if of_type("array") {
        let entry = resolved(reference(&schema["items"]), schemas);
        if entry["type"] == "object" { Kind::Objects } else { Kind::List }
    } else if of_type("object") {
        if schema["additionalProperties"].is_object() { Kind::Map } else { Kind::Object }
    } else if schema["writeOnly"] == true {
        Kind::File { secret: true }
    } else if schema["maxLength"].as_u64() > Some(LONG_TEXT) {
        Kind::File { secret: false }
    } else {
        let values = schema["enum"].as_array().into_iter().flatten();
        Kind::Text(values.filter_map(Value::as_str).map(str::to_owned).collect())
    }
}

fn example(schema: &Value) -> Option<String> {
    let example = schema["examples"].get(0).or_else(|| schema["enum"].get(0))?;
    example.get(0).unwrap_or(example).as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use portway_api::{Body, Operation};

    use super::*;

    fn of(operation: Operation) -> Vec<Field> {
        let Body::Json(body) = operation.spec().body else { panic!("{operation:?} has a body") };
        fields(body)
    }

    fn kind_of(fields: &[Field], flag: &str) -> String {
        let field = fields.iter().find(|field| field.flag() == flag);
        let field = field.unwrap_or_else(|| panic!("no {flag}"));
        format!("{:?}{}", field.kind, if field.required { " required" } else { "" })
    }

    #[test]
    fn kinds_are_read_from_schemas() {
        let domain = of(Operation::ReservedDomainsCreate);
        assert_eq!(domain[0].flag(), "domain");
        assert_eq!(kind_of(&domain, "domain"), "Text([]) required");
        assert_eq!(kind_of(&domain, "region"), "Text([])");
        assert_eq!(kind_of(&domain, "certificate-management-policy"), "Object");
        assert_eq!(kind_of(&domain, "certificate-management-policy.authority"), "Text([\"letsencrypt\"])");
        assert_eq!(kind_of(&domain, "resolves-to"), "Objects");
        let certificate = of(Operation::TlsCertificatesCreate);
        assert_eq!(kind_of(&certificate, "certificate-pem"), "File { secret: false } required");
        assert_eq!(kind_of(&certificate, "private-key-pem"), "File { secret: true } required");
        assert_eq!(kind_of(&of(Operation::CredentialsUpdate), "acl"), "List");
        assert_eq!(kind_of(&of(Operation::IpRestrictionsUpdate), "enforced"), "Boolean");
        assert_eq!(kind_of(&of(Operation::SettingsUpdate), "audit-retention-days"), "Number");
        assert_eq!(kind_of(&of(Operation::SshUserCertificatesCreate), "extensions"), "Map");
        let membership = of(Operation::MembershipsUpdate);
        assert_eq!(kind_of(&membership, "developer"), "Text([\"read-write\", \"read-only\"])");
        let destination = of(Operation::EventDestinationsCreate);
        assert_eq!(kind_of(&destination, "target.debug.callback-url"), "Text([])");
        assert_eq!(kind_of(&destination, "target.datadog.api-key"), "File { secret: true }");
    }
}
