//! Tests of the machine: golden bytes, the rules one by one, limits, and two machines over a simulated link.

mod golden;
mod limits;
mod link;
mod model;
mod opening;
mod rules;
mod sdk;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use portway_wire::frame::{Flags, FrameHeader, FrameKind, HEADER_LEN};

use super::*;

const NOW: Duration = Duration::from_secs(1);

/// A frame as bytes.
fn frame(kind: FrameKind, flags: Flags, stream: u32, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { length: payload.len() as u32, kind, flags, stream };
    [&header.encode()[..], payload].concat()
}

fn syn(stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(FrameKind::Data, Flags::SYN, stream, payload)
}

fn data(stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(FrameKind::Data, Flags::NONE, stream, payload)
}

fn fin(stream: u32) -> Vec<u8> {
    frame(FrameKind::Data, Flags::FIN, stream, b"")
}

fn rst(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(FrameKind::Rst, Flags::NONE, stream, &code.0.to_be_bytes())
}

fn credit(stream: u32, bytes: u32) -> Vec<u8> {
    frame(FrameKind::WndInc, Flags::NONE, stream, &bytes.to_be_bytes())
}

fn go_away(last: u32, code: ErrorCode, text: &str) -> Vec<u8> {
    frame(
        FrameKind::GoAway,
        Flags::NONE,
        0,
        &[&last.to_be_bytes()[..], &code.0.to_be_bytes(), text.as_bytes()].concat(),
    )
}

fn feed(machine: &mut Machine, bytes: &[u8]) -> Result<(), PeerFault> {
    let mut input = BytesMut::from(bytes);
    machine.receive(&mut input, NOW)?;
    assert!(input.is_empty(), "whole frames are consumed");
    Ok(())
}

fn events(machine: &mut Machine) -> Vec<Event> {
    std::iter::from_fn(|| machine.next_event()).collect()
}

/// The one stream that the peer has just opened.
fn opened(machine: &mut Machine) -> StreamId {
    match events(machine)[..] {
        [Event::Opened(id), ..] => id,
        ref other => panic!("expected a stream, got {other:?}"),
    }
}

fn sent(machine: &mut Machine) -> Vec<u8> {
    let mut out = BytesMut::new();
    while machine.wants_transmit() && machine.transmit(&mut out, 1 << 20) > 0 {}
    out.to_vec()
}

/// What was sent, frame by frame: header and payload.
fn frames(mut bytes: &[u8]) -> Vec<(FrameHeader, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let header = FrameHeader::decode(header);
        let (payload, rest) = rest.split_at(header.length as usize);
        all.push((header, payload.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "frames are whole");
    all
}

fn write_all(machine: &mut Machine, id: StreamId, bytes: &[u8]) {
    let mut bytes = Bytes::copy_from_slice(bytes);
    let length = bytes.len();
    assert_eq!(machine.write(id, &mut bytes), Ok(length));
}

/// Everything there is to read now.
fn read_all(machine: &mut Machine, id: StreamId) -> (Vec<u8>, Result<Option<Bytes>, StreamFault>) {
    let mut all = Vec::new();
    loop {
        match machine.read(id, usize::MAX, NOW) {
            Ok(Some(piece)) => all.extend_from_slice(&piece),
            other => return (all, other),
        }
    }
}
