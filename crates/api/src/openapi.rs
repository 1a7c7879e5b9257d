//! The OpenAPI document, made from the list of operations and the types of bodies and replies.

use serde_json::{Map, Value, json};

use crate::ids::{schema_in, schema_in_query};
use crate::query::{MAX_VALUES, known};
use crate::resources::names::REGION;
use crate::{
    Answer, BaseUrl, Body, Described, ErrorBody, EventType, List, MAX_FILTER_LEN, MAX_PAGE, Operation, Permission,
    SERVED_VERSION, Schemas, Spec,
};

/// The document (OpenAPI 3.1) of the interface at `base`, for version `release` of a server with these regions.
pub fn openapi(base: &BaseUrl, release: &str, regions: &[&str]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    let mut groups: Vec<&str> = Vec::new();
    for spec in Operation::all() {
        let path = paths.entry(spec.path).or_insert_with(|| json!({}));
        path[spec.method.as_str().to_ascii_lowercase()] = operation(spec, &mut schemas);
        if !groups.contains(&spec.group()) {
            groups.push(spec.group());
        }
    }
    let error = ErrorBody::schema(&mut schemas);
    schemas.insert(REGION, json!({"type": "string", "enum": regions, "description": "A region."}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portway",
            "version": release,
            "summary": "Resources of a Portway installation.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": base.to_string()}],
        "security": [{"key": []}],
        "tags": groups.iter().map(|group| json!({"name": group})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": {"version": version()},
            "responses": {"error": {
                "description": "What went wrong.",
                "headers": {"ngrok-operation-id": {"description": "The id of the call.", "schema": {"type": "string"}}},
                "content": {"application/json": {"schema": error}},
            }},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
        },
    })
}

fn version() -> Value {
    json!({
        "name": "Ngrok-Version", "in": "header", "required": true,
        "description": "The version of the interface.", "schema": {"const": SERVED_VERSION},
    })
}

fn operation(spec: &Spec, schemas: &mut Schemas) -> Value {
    let needed = match spec.permission {
        Permission::Read => "read",
        Permission::Write => "write",
        Permission::Admin => "administer",
    };
    let mut operation = json!({
        "operationId": spec.name.replace(' ', "."),
        "tags": [spec.group()],
        "summary": spec.summary.trim(),
        "description": format!("The caller needs the right to {needed}."),
        "parameters": parameters(spec),
        "responses": {
            spec.answer.status().as_str(): answer(spec, schemas),
            "default": {"$ref": "#/components/responses/error"},
        },
    });
    let schema = match spec.body {
        Body::None => return operation,
        Body::Empty => json!({"description": "Not looked at."}),
        Body::Json(kind) => (kind.schema)(schemas),
    };
    // No body is the empty object.
    let required = spec.check_body(b"").is_err();
    operation["requestBody"] = json!({"required": required, "content": {"application/json": {"schema": schema}}});
    operation
}

fn parameters(spec: &Spec) -> Vec<Value> {
    let in_path = spec.parameters().map(|name| {
        let schema = match name {
            "type" => EventType::schema(&mut Schemas::new()),
            _ => schema_in(collection(spec)),
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    });
    let in_query = known(spec.operation).iter().map(|name| {
        let schema = match *name {
            "limit" => {
                let number = json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE});
                json!({"anyOf": [number, {"const": ""}], "default": MAX_PAGE})
            }
            "id" => json!({"type": "array", "items": schema_in_query(spec.path), "maxItems": MAX_VALUES}),
            "url" => json!({"type": "array", "items": {"type": "string"}, "maxItems": MAX_VALUES}),
            "before_id" => schema_in_query(listed(spec)),
            _ => json!({"type": "string", "format": "list-filter", "maxLength": MAX_FILTER_LEN}),
        };
        json!({"name": name, "in": "query", "description": help(name, spec), "schema": schema})
    });
    let version = json!({"$ref": "#/components/parameters/version"});
    std::iter::once(version).chain(in_path).chain(in_query).collect()
}

/// The collection that the id in the path is of.
fn collection(spec: &Spec) -> &'static str {
    spec.path.split_once("/{").map_or(spec.path, |(collection, _)| collection)
}

/// The collection that a list is of.
fn listed(spec: &Spec) -> &'static str {
    if spec.operation == Operation::VaultsListSecrets { "/vault_secrets" } else { spec.path }
}

fn help(parameter: &str, spec: &Spec) -> String {
    match parameter {
        "before_id" => "Only what is older than the object of this id.".to_owned(),
        "limit" => "The most objects that are wanted.".to_owned(),
        "filter" => {
            let fields = spec.answer.list().map_or(&[][..], |list| list.filter);
            let fields: Vec<String> = fields.iter().map(|field| format!("obj.{}", field.name)).collect();
            format!("Only objects for which this expression holds. It may name {}.", fields.join(", "))
        }
        "id" => "Only the objects of these ids.".to_owned(),
        _ => "Only the objects of these URLs.".to_owned(),
    }
}

fn answer(spec: &Spec, schemas: &mut Schemas) -> Value {
    let (description, schema) = match &spec.answer {
        Answer::Nothing => return json!({"description": "It is done."}),
        Answer::Created(schema) => ("What was created.", schema(schemas)),
        Answer::Object(schema) => ("The object.", schema(schemas)),
        Answer::Page(list) => ("A page of the list, newest first.", list_schema(list, true, schemas)),
        Answer::All(list) => ("The list.", list_schema(list, false, schemas)),
    };
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

fn list_schema(list: &List, paged: bool, schemas: &mut Schemas) -> Value {
    let mut properties = json!({
        list.key: {"type": "array", "items": (list.item)(schemas)},
        "uri": {"type": "string", "description": "Where the list is found."},
    });
    let mut required = vec![list.key, "uri"];
    if paged {
        properties["next_page_uri"] = json!({
            "type": ["string", "null"],
            "description": "Where the next page is found; null when there is none.",
        });
        required.push("next_page_uri");
    }
    json!({"type": "object", "properties": properties, "required": required})
}
