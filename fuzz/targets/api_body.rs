//! The path and the body of a call: nothing panics, and errors are short and without control characters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portway_api::{Operation, Route, route};

// The first byte chooses the operation; the rest is its body, or the path of a request when the byte is 255.
fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let all = Operation::all();
    if *choice == 255 {
        let path = String::from_utf8_lossy(rest);
        for spec in all {
            if let Route::Found(operation, _) = route(&spec.method, &path) {
                assert_eq!(operation.spec().method, spec.method);
            }
        }
        return;
    }
    if let Err(error) = all[usize::from(*choice) % all.len()].check_body(rest) {
        assert!(error.text.len() < 4096 && !error.text.contains(char::is_control), "{error:?}");
    }
});
