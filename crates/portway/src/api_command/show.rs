//! What is printed of a reply: a table or lines for people, JSON or YAML for programs.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width};
use portway_api::{SchemaOf, Schemas};
use portway_telemetry::{printable, steers_terminal};
use serde_json::Value;

/// Widest column of a list, in characters: an id with its prefix fits, and a description does not push everything else out.
const MAX_COLUMN: u16 = 40;
/// Bytes of a text of several lines that is left out of lists, as certificates are; no description is that long.
const LONG_TEXT: usize = 255;
/// Least width of a name or a description that is cut: less says nothing.
const MIN_CUT: u16 = 12;
/// Space between two columns.
const GAP: u16 = 2;
/// Fields of a list that say little to people: addresses of what the id names, texts for programs, the time of a change.
const NOT_LISTED: [&str; 3] = ["uri", "metadata", "updated_at"];
/// Fields that people know an object by, the best one first.
const NAMES: [&str; 9] =
    ["url", "domain", "addr", "email", "cidr", "subject_common_name", "name", "type", "upstream_url"];

/// The JSON as the server sent it, indented. What a terminal would obey is escaped as JSON has it, so the values are the same.
pub(super) fn json(value: &Value) -> String {
    let mut text = String::new();
    for c in format!("{value:#}\n").chars() {
        match c {
            '\n' => text.push(c),
            // They stand in strings only, and all of them are in the basic plane. Writing to a string cannot fail.
            c if steers_terminal(c) => drop(write!(text, "\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

/// The same as YAML. It has no escapes outside of quotes, so for a terminal some of the text may not be what it is.
pub(super) fn yaml(value: &Value, terminal: bool) -> Result<String, serde_saphyr::ser::Error> {
    let text = serde_saphyr::to_string(value)?;
    Ok(if terminal { text.lines().map(|line| format!("{}\n", printable(line))).collect() } else { text })
}

/// The ids of these objects, each on a line.
pub(super) fn ids<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    objects.into_iter().filter_map(|object| object["id"].as_str()).map(|id| format!("{}\n", printable(id))).collect()
}

/// A table of objects: the id first, then what people know them by, then what else their schema has, in its order, as far as the width allows;
/// then the description, which is cut to what is left, and the time of creation. Columns without any value are left out.
pub(super) fn table(objects: &[Value], schema: SchemaOf, width: Option<u16>) -> String {
    let cells = |name: &str| objects.iter().map(|object| cell(&object[name])).collect();
    let mut columns: Vec<Column> = members(schema)
        .into_iter()
        .filter(|name| !NOT_LISTED.contains(&name.as_str()))
        .map(|name| Column { cells: cells(&name), width: MAX_COLUMN, name })
        .filter(|column| column.cells.iter().any(Option::is_some))
        .collect();
    columns.sort_by_key(Column::place);
    let natural = filled(&columns).column_max_content_widths();
    for (column, natural) in columns.iter_mut().zip(natural) {
        column.width = natural.min(MAX_COLUMN);
    }
    if let Some(width) = width {
        fit(&mut columns, width);
    }
    filled(&columns).trim_fmt() + "\n"
}

/// An object as lines of names and values, in the order of its schema; fields without a value are left out.
pub(super) fn lines(object: &Value, schema: SchemaOf) -> String {
    let mut names = members(schema);
    let known = names.len();
    names.extend(object.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        // What the schema does not know, of a newer server, comes behind what it does.
        if at < known || !names[..known].contains(name) {
            flatten(name, &object[name], &mut rows);
        }
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default() + 1;
    let mut text = String::new();
    for (name, values) in rows {
        let names = std::iter::once(format!("{name}:")).chain(std::iter::repeat(String::new()));
        for (name, value) in names.zip(values) {
            text.push_str(format!("{name:width$} {value}").trim_end());
            text.push('\n');
        }
    }
    text
}

struct Column {
    name: String,
    /// One for each object.
    cells: Vec<Option<String>>,
    /// In characters; longer cells are cut.
    width: u16,
}

/// Where a column stands.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Id,
    /// With its place among the names.
    Name(usize),
    Middle,
    Description,
    Created,
}

impl Column {
    fn place(&self) -> Place {
        match self.name.as_str() {
            "id" => Place::Id,
            "description" => Place::Description,
            "created_at" => Place::Created,
            name => NAMES.iter().position(|known| *known == name).map_or(Place::Middle, Place::Name),
        }
    }
}

/// The names of an object's members, in the order of its description.
fn members(schema: SchemaOf) -> Vec<String> {
    let mut schemas = Schemas::new();
    let schema = schema(&mut schemas);
    let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    // All members of a reply are required, and that list is in order, which the members of a JSON object are not.
    let names = schemas.get(name).and_then(|object| object["required"].as_array());
    names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A value on a line, when it is short enough for that and says something.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() || text.contains('\n') && text.len() > LONG_TEXT => None,
        Value::String(text) => Some(printable(text).to_string()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Object(members) => cell(members.get("id").filter(|_| members.len() <= 2)?),
        Value::Array(entries) if entries.is_empty() => None,
        Value::Array(entries) => entries.iter().map(cell).collect::<Option<Vec<_>>>().map(|texts| texts.join(" ")),
        Value::Null => None,
    }
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, Vec<String>)>) {
    let name = printable(name).to_string();
    match (cell(value), value) {
        (_, Value::String(text)) if text.contains('\n') => {
            rows.push((name, text.lines().map(|line| printable(line).to_string()).collect()));
        }
        (Some(text), _) => rows.push((name, vec![text])),
        (None, Value::Object(members)) => {
            members.iter().for_each(|(inner, value)| flatten(&format!("{name}.{inner}"), value, rows));
        }
        (None, Value::Array(entries)) if !entries.is_empty() => {
            rows.push((name, entries.iter().map(|entry| printable(&entry.to_string()).to_string()).collect()));
        }
        (None, _) => {}
    }
}

fn filled(columns: &[Column]) -> Table {
    let mut table = Table::new();
    // Columns have widths of their own, and those that do not fit were left out.
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::MAX);
    table.set_header(columns.iter().map(|column| column.name.to_ascii_uppercase().replace('_', " ")));
    for at in 0..columns.first().map_or(0, |column| column.cells.len()) {
        let mut row = Row::from(columns.iter().map(|column| column.cells[at].as_deref().unwrap_or_default()));
        row.max_height(1);
        table.add_row(row);
    }
    for (shown, column) in table.column_iter_mut().zip(columns) {
        let width = Width::Fixed(column.width + GAP);
        shown.set_padding((0, GAP)).set_constraint(ColumnConstraint::UpperBoundary(width));
    }
    table
}

/// Leaves out what does not fit: there is room for the first column, then for names, for the time of creation, for others from the left, and
/// then for the description.
fn fit(columns: &mut Vec<Column>, width: u16) {
    let rank = |column: &Column| match column.place() {
        Place::Id => 0,
        Place::Name(at) => 1 + at,
        Place::Created => 1 + NAMES.len(),
        Place::Middle => 2 + NAMES.len(),
        Place::Description => 3 + NAMES.len(),
    };
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|at| (*at != 0, rank(&columns[*at])));
    // Behind the last column nothing needs to stand.
    let mut room = width.saturating_add(GAP);
    for at in order {
        let (column, free) = (&mut columns[at], room.saturating_sub(GAP));
        if matches!(column.place(), Place::Name(_) | Place::Description) && free >= MIN_CUT {
            column.width = column.width.min(free);
        }
        if column.width <= free || at == 0 {
            room = room.saturating_sub(column.width + GAP);
        } else {
            column.width = 0;
        }
    }
    columns.retain(|column| column.width > 0);
}

#[cfg(test)]
mod tests {
    use portway_api::{Answer, Operation};
    use serde_json::json;

    use super::*;

    fn domains(width: Option<u16>) -> String {
        let list = Operation::ReservedDomainsList.spec().answer.list().unwrap();
        let domain = |id: &str, domain: &str, description: &str| {
            json!({
                "id": id, "uri": "https://a.example/x", "metadata": "m", "domain": domain, "description": description,
                "region": "", "is_dev": true, "created_at": "2026-11-26T05:00:00Z", "certificate": {"id": "cert_1", "uri": "u"},
                "certificate_management_policy": {"authority": "letsencrypt"},
            })
        };
        table(
            &[domain("rd_1", "a.example.com", ""), domain("rd_2", "b.example.com", "\u{65e5}\u{672c}, the shop")],
            list.item,
            width,
        )
    }

    #[test]
    fn tables_have_the_columns_that_say_something_and_fit() {
        let whole = "\
ID    DOMAIN         CERTIFICATE  IS DEV  DESCRIPTION     CREATED AT
rd_1  a.example.com  cert_1       true                    2026-11-26T05:00:00Z
rd_2  b.example.com  cert_1       true    \u{65e5}\u{672c}, the shop  2026-11-26T05:00:00Z
";
        assert_eq!(domains(None), whole);
        assert_eq!(domains(Some(78)), whole);
        assert!(domains(Some(77)).contains("\u{65e5}\u{672c}, the\u{2026}  "), "{}", domains(Some(77)));
        let heads = |width| domains(Some(width)).lines().next().unwrap_or_default().to_owned();
        assert_eq!(heads(76), "ID    DOMAIN         CERTIFICATE  IS DEV  DESCRIPTION   CREATED AT");
        assert_eq!(heads(75), "ID    DOMAIN         CERTIFICATE  IS DEV  CREATED AT");
        assert_eq!(heads(50), "ID    DOMAIN         IS DEV  CREATED AT");
        assert_eq!(heads(40), "ID    DOMAIN         CERTIFICATE  IS DEV");
        assert_eq!(heads(19), "ID    DOMAIN");
        assert_eq!(heads(10), "ID");
    }

    #[test]
    fn objects_are_lines_in_the_order_of_their_schema() {
        let Answer::Object(schema) = Operation::TlsCertificatesGet.spec().answer else { panic!("an object") };
        let certificate = json!({
            "newer": 1, "id": "cert_1", "certificate_pem": "-----BEGIN\nMIIB\u{1b}[2J\n-----END\n", "description": "", "issued_at": null,
            "subject_alternative_names": {"dns_names": ["a.example", "b.example"], "ips": []}, "key_usages": [],
        });
        let wanted = "\
id:                                  cert_1
certificate_pem:                     -----BEGIN
                                     MIIB\\u{1b}[2J
                                     -----END
subject_alternative_names.dns_names: a.example b.example
newer:                               1
";
        assert_eq!(lines(&certificate, schema), wanted);
    }

    #[test]
    fn json_and_yaml_stay_what_they_are_and_steer_no_terminal() {
        let value = json!({"a": "\u{1b}[31m \u{9b}2J \u{202e}x\n \u{7f}", "b": [1.5, null]});
        let text = json(&value);
        assert!(!text.contains(|c: char| c != '\n' && steers_terminal(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        let shown = yaml(&value, true).unwrap();
        assert!(!shown.contains(|c: char| c != '\n' && steers_terminal(c)), "{shown:?}");
        let text = yaml(&value, false).unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), value, "{text}");
    }
}
