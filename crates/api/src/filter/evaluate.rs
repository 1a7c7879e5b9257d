//! What a filter says about an object.

use std::cmp::Ordering;

use serde_json::Value;

use super::parser::{Comparison, Expression, Search};
use crate::Timestamp;

/// A value while a filter is asked.
enum Found<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    /// Seconds since 1970.
    Time(i64),
    Json(&'a [Value]),
    List(&'a [Expression]),
    /// An object, about which nothing can be said but that it is there.
    Object,
}

pub(super) fn holds(expression: &Expression, object: &Value, now: Timestamp) -> bool {
    let holds = |inner: &Expression| self::holds(inner, object, now);
    let value = |inner| value(inner, object, now);
    match expression {
        Expression::Not(inner) => !holds(inner),
        Expression::And(all) => all.iter().all(holds),
        Expression::Or(all) => all.iter().any(holds),
        Expression::Compare(Comparison::Equal, left, right) => equal(&value(left), &value(right)),
        Expression::Compare(Comparison::Unequal, left, right) => !equal(&value(left), &value(right)),
        Expression::Compare(comparison, left, right) => match (order(&value(left), &value(right)), comparison) {
            (Some(order), Comparison::Less) => order.is_lt(),
            (Some(order), Comparison::LessOrEqual) => order.is_le(),
            (Some(order), Comparison::Greater) => order.is_gt(),
            (Some(order), Comparison::GreaterOrEqual) => order.is_ge(),
            _ => false,
        },
        Expression::In(left, right) => {
            let left = value(left);
            match value(right) {
                Found::List(entries) => entries.iter().any(|entry| equal(&left, &value(entry))),
                Found::Json(entries) => entries.iter().any(|entry| equal(&left, &found(entry))),
                _ => false,
            }
        }
        Expression::Search(search, inner) => match (search, value(inner)) {
            (Search::Start(part), Found::Text(text)) => text.starts_with(part),
            (Search::End(part), Found::Text(text)) => text.ends_with(part),
            (Search::Part(part), Found::Text(text)) => text.contains(part),
            (Search::Pattern(pattern), Found::Text(text)) => pattern.is_match(text),
            _ => false,
        },
        other => matches!(value(other), Found::Bool(true)),
    }
}

fn value<'a>(expression: &'a Expression, object: &'a Value, now: Timestamp) -> Found<'a> {
    match expression {
        Expression::Null => Found::Null,
        Expression::Bool(bool) => Found::Bool(*bool),
        Expression::Number(number) => Found::Number(*number),
        Expression::Text(text) => Found::Text(text),
        Expression::Time(at) => Found::Time(*at),
        Expression::Now(offset) => Found::Time(now.unix_secs().saturating_add(*offset)),
        Expression::List(entries) => Found::List(entries),
        Expression::Field(field) => {
            found(field.path.split('.').fold(object, |object, part| object.get(part).unwrap_or(&Value::Null)))
        }
        Expression::Size(inner) => match value(inner, object, now) {
            Found::Text(text) => size(text.chars().count()),
            Found::Json(entries) => size(entries.len()),
            Found::List(entries) => size(entries.len()),
            // A list that is null has nothing in it.
            Found::Null => Found::Number(0.0),
            _ => Found::Null,
        },
        condition => Found::Bool(holds(condition, object, now)),
    }
}

fn size(count: usize) -> Found<'static> {
    Found::Number(u32::try_from(count).map_or(f64::MAX, f64::from))
}

fn found(value: &Value) -> Found<'_> {
    match value {
        Value::Null => Found::Null,
        Value::Bool(bool) => Found::Bool(*bool),
        Value::Number(number) => number.as_f64().map_or(Found::Null, Found::Number),
        Value::String(text) => Found::Text(text),
        Value::Array(entries) => Found::Json(entries),
        Value::Object(_) => Found::Object,
    }
}

fn equal(left: &Found<'_>, right: &Found<'_>) -> bool {
    match (left, right) {
        (Found::Null, Found::Null) => true,
        (Found::Bool(left), Found::Bool(right)) => left == right,
        (Found::Json(entries), Found::List(list)) | (Found::List(list), Found::Json(entries)) => {
            entries.len() == list.len()
                && entries
                    .iter()
                    .zip(*list)
                    .all(|(json, entry)| equal(&found(json), &value(entry, &Value::Null, Timestamp::from_unix(0))))
        }
        _ => order(left, right) == Some(Ordering::Equal),
    }
}

fn order(left: &Found<'_>, right: &Found<'_>) -> Option<Ordering> {
    let time = |text: &str| Timestamp::parse(text).map(Timestamp::unix_secs);
    match (left, right) {
        (Found::Number(left), Found::Number(right)) => left.partial_cmp(right),
        (Found::Text(left), Found::Text(right)) => Some(left.cmp(right)),
        (Found::Time(left), Found::Time(right)) => Some(left.cmp(right)),
        // Times are texts in the objects.
        (Found::Text(left), Found::Time(right)) => Some(time(left)?.cmp(right)),
        (Found::Time(left), Found::Text(right)) => Some(left.cmp(&time(right)?)),
        _ => None,
    }
}
