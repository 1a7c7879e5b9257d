//! The start of a native stream: how it is split must not matter, and what is decoded encodes to something that decodes the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use portway_wire::head::{HeadDecoder, MAX_HEAD_LEN, StreamHead, encode_connection_head};

fuzz_target!(|data: &[u8]| {
    let mut whole = BytesMut::from(data);
    let at_once = HeadDecoder::new().push(&mut whole);
    let (mut decoder, mut input, mut in_pieces) = (HeadDecoder::new(), BytesMut::new(), Ok(None));
    for byte in data {
        input.extend_from_slice(&[*byte]);
        if matches!(in_pieces, Ok(None)) {
            in_pieces = decoder.push(&mut input);
            assert!(!matches!(in_pieces, Ok(None)) || input.len() <= MAX_HEAD_LEN + 10);
        }
    }
    assert_eq!(at_once, in_pieces);
    if at_once.is_ok() {
        assert_eq!(whole, input);
    }
    if let Ok(Some(StreamHead::Connection(head))) = at_once {
        let mut again = BytesMut::from(&encode_connection_head(&head)[..]);
        assert_eq!(HeadDecoder::new().push(&mut again), Ok(Some(StreamHead::Connection(head))));
    }
});
