//! The captured session of `docs/spec/muxado.md`, "Worked example", replayed against the edge's side.

use super::*;

#[test]
fn an_sdk_session_from_open_to_close() {
    let mut edge = Machine::new(Role::Edge, Config::ngrok());

    // Heartbeat and Auth are opened, Auth carries its request, then the first ping.
    feed(&mut edge, &[0, 0, 4, 0x12, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff]).unwrap();
    let heartbeat = opened(&mut edge);
    feed(&mut edge, &[0, 0, 4, 0x12, 0, 0, 0, 5, 0, 0, 0, 0]).unwrap();
    let auth = opened(&mut edge);
    feed(&mut edge, &[&[0, 0x02, 0x87, 0x10, 0, 0, 0, 5][..], &[b'q'; 647]].concat()).unwrap();
    feed(&mut edge, &[0, 0, 4, 0x10, 0, 0, 0, 3, 0x9b, 0xe8, 0xd1, 0xea]).unwrap();
    assert_eq!(edge.peek(heartbeat), [0xff; 4]);
    let (request, rest) = read_all(&mut edge, auth);
    assert_eq!((request.len(), rest), (4 + 647, Err(StreamFault::WouldBlock)));
    let (ping, _) = read_all(&mut edge, heartbeat);
    assert_eq!(ping[4..], [0x9b, 0xe8, 0xd1, 0xea]);
    assert_eq!(sent(&mut edge), b"", "credit waits for half a window");

    // Echo, and the answer to Auth with FIN.
    write_all(&mut edge, heartbeat, &ping[4..]);
    assert_eq!(sent(&mut edge), [0, 0, 4, 0x10, 0, 0, 0, 3, 0x9b, 0xe8, 0xd1, 0xea]);
    write_all(&mut edge, auth, &[b'a'; 346]);
    edge.finish(auth);
    let answer = sent(&mut edge);
    assert_eq!(answer[..8], [0, 0x01, 0x5a, 0x11, 0, 0, 0, 5]);
    assert_eq!(answer.len(), 8 + 346);

    // The SDK returns credit in small steps, then ends its side.
    for step in [32, 32, 64, 128, 90] {
        feed(&mut edge, &credit(5, step)).unwrap();
    }
    feed(&mut edge, &[0, 0, 0, 0x11, 0, 0, 0, 5]).unwrap();
    assert_eq!(read_all(&mut edge, auth).1, Ok(None));
    assert_eq!(edge.streams(), 1, "only the heartbeat is left");

    // A visitor: type word, header and the first bytes, in one opening frame.
    let visitor = edge.open().unwrap();
    let head = [&[0, 0, 0, 3, 0x80, 0, 0, 0, 0, 0, 0, 0][..], &[b'h'; 128]].concat();
    write_all(&mut edge, visitor, &head);
    let opening = sent(&mut edge);
    assert_eq!(opening[..12], [0, 0, 0x8c, 0x12, 0, 0, 0, 2, 0, 0, 0, 3]);
    write_all(&mut edge, visitor, &[b'G'; 71]);
    assert_eq!(sent(&mut edge)[..8], [0, 0, 0x47, 0x10, 0, 0, 0, 2]);
    feed(&mut edge, &[&[0, 0, 0x70, 0x10, 0, 0, 0, 2][..], &[b'r'; 112]].concat()).unwrap();
    assert_eq!(read_all(&mut edge, visitor).0, [b'r'; 112]);
    edge.finish(visitor);
    assert_eq!(sent(&mut edge), [0, 0, 0, 0x11, 0, 0, 0, 2]);
    feed(&mut edge, &[0, 0, 0, 0x11, 0, 0, 0, 2]).unwrap();
    assert_eq!(read_all(&mut edge, visitor).1, Ok(None));
    assert_eq!(edge.streams(), 1);
}

#[test]
fn the_go_family_closes() {
    let mut edge = Machine::new(Role::Edge, Config::ngrok());
    feed(&mut edge, b"\x00\x00\x10\x30\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00no error").unwrap();
    let gone = Event::GoneAway { last: 2, code: ErrorCode::NONE, text: "no error".into() };
    assert_eq!(events(&mut edge), [gone]);
    assert_eq!(edge.open(), Err(OpenRefused::GoneAway));
}

#[test]
fn the_rust_family_closes_with_a_wrong_length() {
    // The header counts the text only, yet eight bytes more follow: the rest is garbage and must not be taken for frames.
    let mut edge = Machine::new(Role::Edge, Config::ngrok());
    let text = b"shutting down";
    let frame = [&[0, 0, text.len() as u8, 0x30, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0][..], text].concat();
    feed(&mut edge, &frame).unwrap();
    assert!(matches!(&events(&mut edge)[..], [Event::GoneAway { last: 2, text, .. }] if text == "shutt"));
    feed(&mut edge, &[0xFF; 100]).unwrap();
    assert_eq!(sent(&mut edge), b"");
}

#[test]
fn our_go_away_is_well_formed_and_the_last_word_towards_sdks() {
    let mut edge = Machine::new(Role::Edge, Config::ngrok());
    feed(&mut edge, &syn(3, b"type")).unwrap();
    let id = opened(&mut edge);
    edge.go_away(ErrorCode::NONE, "no error");
    write_all(&mut edge, id, b"late");
    let golden = b"\x00\x00\x10\x30\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00no error";
    assert_eq!(sent(&mut edge), golden);
    assert!(!edge.wants_transmit());
    assert_eq!(edge.open(), Err(OpenRefused::GoneAway));
}
