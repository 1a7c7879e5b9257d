//! Frames into a session machine: no bytes of a peer may panic it, make it buffer beyond its limits, or have it send what is no frame.
#![no_main]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use portway_muxado::{Config, ErrorCode, Event, Machine, Role, StreamId};
use portway_wire::frame::{FrameHeader, FrameKind, HEADER_LEN};

// First byte: bit 0 role, bit 1 strictness, bit 2 what the application does. Then pieces: one length byte, and that many bytes.
fuzz_target!(|data: &[u8]| {
    let Some((&mode, mut rest)) = data.split_first() else { return };
    let role = if mode & 1 == 0 { Role::Edge } else { Role::Agent };
    let config = if mode & 2 == 0 { Config::native() } else { Config::ngrok() };
    let config = Config { max_streams: 8, max_unaccepted: 4, opens_per_second: 50, memory_budget: 1 << 20, ..config };
    let mut machine = Machine::new(role, config);
    let (mut input, mut output, mut now) = (BytesMut::new(), BytesMut::new(), Duration::ZERO);
    if let Ok(id) = machine.open() {
        let _ = machine.write(id, &mut Bytes::from_static(b"opened before anything came"));
    }
    while let Some((&length, after)) = rest.split_first() {
        let (piece, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        input.extend_from_slice(piece);
        now += Duration::from_millis(u64::from(length));
        let alive = machine.receive(&mut input, now).is_ok();
        assert!(input.len() <= HEADER_LEN + 16 * 1024);
        while let Some(event) = machine.next_event() {
            act(&mut machine, &event, mode, now);
        }
        machine.transmit(&mut output, 4096);
        if !alive {
            break;
        }
    }
    machine.go_away(ErrorCode::NONE, "end");
    while machine.wants_transmit() && machine.transmit(&mut output, 4096) > 0 {}
    assert!(!machine.wants_transmit());
    assert!(machine.streams() <= 16);
    check(&output);
});

fn act(machine: &mut Machine, event: &Event, mode: u8, now: Duration) {
    match event {
        Event::Opened(id) if mode & 4 == 0 => serve(machine, *id, now),
        Event::Readable(id) => serve(machine, *id, now),
        Event::Opened(id) if mode & 8 == 0 => machine.reset(*id, ErrorCode::STREAM_REFUSED),
        Event::Reset(id, _) if mode & 16 == 0 => machine.reset(*id, ErrorCode::NONE),
        _ => {}
    }
}

fn serve(machine: &mut Machine, id: StreamId, now: Duration) {
    loop {
        match machine.read(id, 1000, now) {
            Ok(Some(mut echo)) => {
                let _ = machine.write(id, &mut echo);
            }
            Ok(None) => return machine.finish(id),
            Err(_) => return,
        }
    }
}

/// Everything sent is whole frames of known kinds, and no increment is 0.
fn check(mut bytes: &[u8]) {
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let header = FrameHeader::decode(header);
        let (payload, rest) = rest.split_at(header.length as usize);
        assert!(!matches!(header.kind, FrameKind::Unknown(_)));
        assert!(header.kind != FrameKind::WndInc || payload != [0; 4]);
        bytes = rest;
    }
    assert!(bytes.is_empty());
}
