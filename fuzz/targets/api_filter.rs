//! The query of a list, with a filter: nothing panics, what is read keeps its limits, and asking it answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portway_api::{MAX_FILTER_LEN, MAX_PAGE, Operation, Query, Timestamp};
use serde_json::json;

// The first byte chooses the list, the next eight are the time; the rest is a filter, or a query when the first bit is set.
fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some((time, text)) = rest.split_first_chunk::<8>() else { return };
    let lists: Vec<Operation> =
        Operation::all().iter().filter(|spec| spec.answer.list().is_some()).map(|spec| spec.operation).collect();
    let operation = lists[usize::from(choice & 0x7f) % lists.len()];
    let text = String::from_utf8_lossy(text);
    let query = if choice & 0x80 != 0 { text.into_owned() } else { format!("filter={}", escaped(&text)) };
    let object = json!({
        "id": "x_1", "created_at": "2025-06-01T12:00:00Z", "type": "ephemeral", "bindings": ["public", 7, null],
        "pooling_enabled": true, "port": 443, "principal": {"id": "usr_1"}, "metadata": null, "description": "d", "region": {},
    });
    match Query::read(operation, &query) {
        Ok(query) => {
            assert!((1..=MAX_PAGE).contains(&query.limit));
            if let Some(filter) = query.filter {
                filter.matches(&object, Timestamp::from_unix(i64::from_le_bytes(*time)));
            }
        }
        Err(error) => assert!(error.text.len() < 2 * MAX_FILTER_LEN, "{error}"),
    }
});

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
