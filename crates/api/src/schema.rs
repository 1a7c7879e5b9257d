//! Schemas of objects in the making, and of what they say about their fields together.

use serde_json::{Map, Value, json};

use crate::{MAX_LIST_LEN, Schemas};

/// Whether a value stands for nothing.
type IsUnset = fn(&Value) -> bool;

/// The schema of an object in the making.
#[derive(Default)]
pub(crate) struct Object {
    properties: Map<String, Value>,
    required: Vec<String>,
    /// For each field that may be left out: that it is there.
    given: Vec<Value>,
    rules: Vec<Value>,
    closed: bool,
}

impl Object {
    /// A field that is always there.
    pub(crate) fn field(&mut self, name: &str, help: &str, schema: Value) {
        self.required.push(plain(name).to_owned());
        self.property(name, help, schema);
    }

    /// A field of a request. `is_unset` tells which values are the same as leaving it out; without it the field must be there.
    pub(crate) fn input(&mut self, name: &str, help: &str, schema: Value, is_unset: Option<IsUnset>) {
        let name = plain(name);
        let mut schema = bounded(without_null(schema));
        let Some(is_unset) = is_unset else { return self.field(name, help, schema) };
        if schema["type"] == "string" && is_unset(&json!("")) && schema.get("enum").is_none() {
            schema["minLength"] = schema["minLength"].as_u64().unwrap_or_default().max(1).into();
        }
        let mut unset = vec![json!(null), json!(""), json!([]), json!(0)];
        unset.retain(|value| value.is_null() || is_unset(value));
        self.given.push(json!({"required": [name], "properties": {name: schema}}));
        self.property(name, help, or(schema, unset));
    }

    /// There are no other fields, apart from those that are not looked at and those that are refused.
    pub(crate) fn close(&mut self, ignored: &[&str], refused: &[&str]) {
        for name in ignored {
            let schema = json!({"deprecated": true, "description": "Accepted and not looked at."});
            self.properties.insert((*name).to_owned(), schema);
        }
        for name in refused {
            let schema = json!({"enum": [null, ""], "deprecated": true, "description": "It cannot be set here."});
            self.properties.insert((*name).to_owned(), schema);
        }
        self.closed = true;
    }

    /// At least one of the fields is there.
    pub(crate) fn sets_something(&mut self) {
        let given = std::mem::take(&mut self.given);
        self.rule(json!({"anyOf": given}));
    }

    /// What else holds.
    pub(crate) fn rule(&mut self, rule: Value) {
        self.rules.push(rule);
    }

    fn property(&mut self, name: &str, help: &str, mut schema: Value) {
        // A reference stands alone in older readers of schemas, so its description goes around it.
        if schema.get("$ref").is_some() {
            schema = json!({"allOf": [schema]});
        }
        schema["description"] = help.trim().into();
        self.properties.insert(plain(name).to_owned(), schema);
    }

    fn finish(self, help: &str) -> Value {
        let mut schema = json!({"type": "object", "description": help.trim(), "properties": self.properties});
        if self.closed {
            schema["additionalProperties"] = false.into();
        }
        if !self.required.is_empty() {
            schema["required"] = self.required.into();
        }
        if !self.rules.is_empty() {
            schema["allOf"] = self.rules.into();
        }
        schema
    }
}

/// Puts a named object into the schemas and gives the reference to it.
pub(crate) fn define(
    name: &'static str,
    help: &str,
    schemas: &mut Schemas,
    fields: impl FnOnce(&mut Schemas, &mut Object),
) -> Value {
    if !schemas.contains_key(name) {
        // Known before its fields, so that an object may hold others of its kind.
        schemas.insert(name, Value::Null);
        let mut object = Object::default();
        fields(schemas, &mut object);
        schemas.insert(name, object.finish(help));
    }
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// A value, or null.
pub(crate) fn or_null(schema: Value) -> Value {
    or(schema, vec![Value::Null])
}

/// Fields of which at most one is given.
pub(crate) fn at_most_one(fields: &[&str]) -> Value {
    let only = |field: &&str| {
        let others: Map<String, Value> = others(fields, field).collect();
        json!({"properties": others})
    };
    json!({"anyOf": fields.iter().map(only).collect::<Vec<_>>()})
}

/// Fields, objects all of them, of which exactly one is given.
pub(crate) fn exactly_one(fields: &[&str]) -> Value {
    let only = |field: &&str| {
        let mut properties: Map<String, Value> = others(fields, field).collect();
        properties.insert((*field).to_owned(), json!({"type": "object"}));
        json!({"required": [field], "properties": properties})
    };
    json!({"anyOf": fields.iter().map(only).collect::<Vec<_>>()})
}

/// Texts of which at least one is given.
pub(crate) fn at_least_one(fields: &[&str]) -> Value {
    let given = |field: &&str| json!({"required": [field], "properties": {*field: {"type": "string", "minLength": 1}}});
    json!({"anyOf": fields.iter().map(given).collect::<Vec<_>>()})
}

/// The entries of a list are different.
pub(crate) fn different(field: &str) -> Value {
    json!({"properties": {field: {"uniqueItems": true}}})
}

/// A list has at most so many entries.
pub(crate) fn few(field: &str, max: usize) -> Value {
    json!({"properties": {field: {"maxItems": max}}})
}

fn others<'a>(fields: &'a [&str], field: &'a str) -> impl Iterator<Item = (String, Value)> + 'a {
    let others = fields.iter().filter(move |other| **other != field);
    others.map(|other| ((*other).to_owned(), json!({"enum": [null, ""]})))
}

/// The schema, or one of some words; null is among them.
fn or(mut schema: Value, words: Vec<Value>) -> Value {
    let kind = schema.get("type").filter(|_| schema.get("enum").is_none() && words.len() == 1).cloned();
    if let Some(kind @ Value::String(_)) = kind {
        schema["type"] = json!([kind, "null"]);
        return schema;
    }
    let null = json!({"type": "null"});
    json!({"anyOf": [schema, if words.len() == 1 { null } else { json!({"enum": words}) }]})
}

/// Lists and maps of requests have a limit.
fn bounded(mut schema: Value) -> Value {
    if schema["type"] == "array" && schema.get("maxItems").is_none() {
        schema["maxItems"] = MAX_LIST_LEN.into();
    }
    if schema.get("additionalProperties").is_some() {
        schema["maxProperties"] = MAX_LIST_LEN.into();
    }
    schema
}

/// What [`or_null`] was made from.
fn without_null(mut schema: Value) -> Value {
    if let Value::Array(kinds) = &schema["type"] {
        schema["type"] = kinds[0].clone();
    } else if schema["anyOf"][1]["type"] == "null" {
        return schema["anyOf"][0].take();
    }
    schema
}

/// A field's name as it stands in JSON: Rust writes some with `r#`.
pub(crate) fn plain(name: &str) -> &str {
    name.trim_start_matches("r#")
}
