//! Control messages of both directions: how they are split must not matter, and what is decoded encodes to something that decodes the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use portway_proto::agent::v1::{AgentMessage, EdgeMessage};
use portway_wire::message::{Decoder, encode};

/// The same for each type of message.
macro_rules! check {
    ($message:ty, $data:expr) => {{
        let read = |decoder: &mut Decoder<$message>, input: &mut BytesMut, got: &mut Vec<$message>| {
            loop {
                match decoder.next(input) {
                    Ok(Some(message)) => got.push(message),
                    Ok(None) => return true,
                    Err(_) => return false,
                }
            }
        };
        let (mut whole, mut at_once) = (BytesMut::from($data), Vec::new());
        let good = read(&mut Decoder::new(), &mut whole, &mut at_once);
        let (mut decoder, mut input, mut in_pieces) = (Decoder::new(), BytesMut::new(), Vec::new());
        let good_in_pieces = $data.chunks(3).all(|piece| {
            input.extend_from_slice(piece);
            read(&mut decoder, &mut input, &mut in_pieces)
        });
        assert_eq!((good, &at_once), (good_in_pieces, &in_pieces));
        for message in at_once {
            let mut again = BytesMut::from(&encode(&message)[..]);
            assert_eq!(Decoder::new().next(&mut again), Ok(Some(message)));
        }
    }};
}

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((side, data)) if side & 1 == 0 => check!(AgentMessage, data),
        Some((_, data)) => check!(EdgeMessage, data),
        None => {}
    }
});
