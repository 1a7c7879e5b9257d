//! A ClientHello: how it is split over segments must not matter, and nothing may panic or be waited for without end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portway_wire::client_hello::{ClientHelloParser, MAX_CLIENT_HELLO_LEN, Status};

fuzz_target!(|data: &[u8]| {
    let at_once = ClientHelloParser::new().feed(data);
    let (mut parser, mut in_pieces) = (ClientHelloParser::new(), Ok(Status::Incomplete));
    for piece in data.chunks(7) {
        if in_pieces == Ok(Status::Incomplete) {
            in_pieces = parser.feed(piece);
        }
    }
    assert_eq!(at_once, in_pieces);
    assert!(data.len() <= 2 * MAX_CLIENT_HELLO_LEN || at_once != Ok(Status::Incomplete));
});
