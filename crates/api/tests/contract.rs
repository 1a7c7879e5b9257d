//! What is promised to clients, written down: a change of these files is a change of the interface.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use portway_api::{Answer, BaseUrl, Body, Operation, Schemas, openapi};
use serde_json::Value;

/// Compares with a file of this folder, or writes it when the variable `UPDATE` is set.
fn golden(name: &str, fresh: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, fresh).expect("the file can be written");
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == fresh,
        "the interface changed; if that is wanted: UPDATE=1 cargo test -p portway-api --test contract"
    );
}

fn document() -> Value {
    let base: BaseUrl = "https://api.example.com".parse().expect("a base");
    openapi(&base, "0.0.0", &["global", "eu"])
}

#[test]
fn the_list_of_operations() {
    let lines: Vec<String> = Operation::all().iter().map(|spec| spec.line()).collect();
    golden("operations.txt", &format!("{}\n", lines.join("\n")));
}

#[test]
fn the_openapi_document() {
    golden("openapi.json", &format!("{}\n", lines(&document(), 3, 0)));
}

/// JSON with a line for each operation and schema, so that a difference shows what changed.
fn lines(value: &Value, depth: usize, indent: usize) -> String {
    let Value::Object(members) = value else { return value.to_string() };
    if depth == 0 || members.is_empty() {
        return value.to_string();
    }
    let space = " ".repeat(indent + 2);
    let member = |(name, value): (&String, &Value)| format!("{space}{name:?}: {}", lines(value, depth - 1, indent + 2));
    let members: Vec<String> = members.iter().map(member).collect();
    format!("{{\n{}\n{}}}", members.join(",\n"), " ".repeat(indent))
}

#[test]
fn operations_are_told_apart() {
    let all = Operation::all();
    let calls: HashSet<(&str, &str)> = all.iter().map(|spec| (spec.method.as_str(), spec.path)).collect();
    let names: HashSet<&str> = all.iter().map(|spec| spec.name).collect();
    assert_eq!((calls.len(), names.len()), (all.len(), all.len()));
    for spec in all {
        assert_eq!(spec.operation.spec().name, spec.name);
        assert_eq!(spec.name.split(' ').count(), 2, "{}", spec.name);
    }
}

#[test]
fn methods_and_statuses_agree() {
    for spec in Operation::all() {
        let name = spec.name;
        match (spec.method.as_str(), &spec.body, &spec.answer) {
            ("GET", Body::None, Answer::Object(_) | Answer::Page(_) | Answer::All(_)) => {}
            ("POST", Body::Json(_) | Body::Empty, Answer::Created(_) | Answer::Nothing) => {}
            ("PATCH", Body::Json(_), Answer::Object(_)) => {}
            ("DELETE", Body::None, Answer::Nothing) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn every_body_and_reply_has_a_schema() {
    let document = document();
    for spec in Operation::all() {
        let call = &document["paths"][spec.path][spec.method.as_str().to_ascii_lowercase()];
        assert_eq!(call["operationId"], spec.name.replace(' ', "."));
        if !matches!(spec.body, Body::None) {
            assert!(call["requestBody"]["content"]["application/json"]["schema"].is_object(), "{}", spec.name);
        }
        let answer = &call["responses"][spec.answer.status().as_str()];
        let schema = &answer["content"]["application/json"]["schema"];
        assert_eq!(schema.is_object(), !matches!(spec.answer, Answer::Nothing), "{}", spec.name);
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let target = document.pointer(reference.trim_start_matches('#'));
                    assert!(target.is_some_and(Value::is_object), "{reference}");
                }
                members.values().for_each(|value| walk(value, document));
            }
            Value::Array(entries) => entries.iter().for_each(|value| walk(value, document)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(!schema["description"].as_str().unwrap_or_default().is_empty(), "{name} has no description");
    }
}

#[test]
fn lists_can_be_filtered_by_fields_that_their_objects_have() {
    for spec in Operation::all() {
        let Some(list) = spec.answer.list() else { continue };
        let mut schemas = Schemas::new();
        (list.item)(&mut schemas);
        for field in list.filter {
            let mut schema = item(&schemas, (list.item)(&mut Schemas::new()));
            for part in field.path.split('.') {
                schema = item(&schemas, schema);
                schema = schema["properties"][part].clone();
            }
            assert!(schema.is_object(), "{}: {}", spec.name, field.name);
        }
    }
}

/// The object behind references and around nothing.
fn item(schemas: &Schemas, schema: Value) -> Value {
    let inner = schema.get("allOf").or(schema.get("anyOf")).map_or(schema.clone(), |all| all[0].clone());
    match inner["$ref"].as_str() {
        Some(reference) => schemas[reference.rsplit('/').next().expect("a name")].clone(),
        None => inner,
    }
}
