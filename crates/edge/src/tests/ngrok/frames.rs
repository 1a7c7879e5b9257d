//! Frames that no SDK would send.

use super::bystander::Bystander;
use super::*;
use crate::testing::RawSdk;
use crate::testing::frames::{CREDIT, DATA, FIN, GO_AWAY, RST, SYN, frame, question};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 4;
const FRAME_SIZE: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 10;

/// Only the header of a frame: its length is a lie.
fn header(kind: u8, stream: u32, length: u32) -> Vec<u8> {
    let length = length.to_be_bytes();
    [&[length[1], length[2], length[3], kind][..], &stream.to_be_bytes()].concat()
}

#[tokio::test]
async fn frames_against_the_protocol_end_the_session_with_their_code() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    let cases = [
        ("data beyond any window", header(DATA, 3, 262_145), FRAME_SIZE),
        ("the longest frame there is", header(SYN, 5, 0xFF_FFFF), FRAME_SIZE),
        ("a reset of 5 bytes", header(RST, 3, 5), FRAME_SIZE),
        ("a credit of nothing at all", header(CREDIT, 3, 0), FRAME_SIZE),
        ("a farewell without end", header(GO_AWAY, 0, 0xFF_FFFF), FRAME_SIZE),
        ("data on stream 0", frame(DATA, 0, b"x"), PROTOCOL),
        ("an id of the edge's", frame(SYN, 4, b"\0\0\0\x08{}"), PROTOCOL),
        ("the edge's own heartbeat opened", frame(SYN, 2, b""), PROTOCOL),
        ("one id twice", [frame(SYN, 5, b"\0"), frame(SYN, 5, b"\0")].concat(), PROTOCOL),
        ("frames that change nothing", frame(CREDIT, 99, &[0, 0, 0, 1]).repeat(300_000), ENHANCE_YOUR_CALM),
        ("empty frames of no known type", header(0x90, 0, 0).repeat(300_000), ENHANCE_YOUR_CALM),
    ];
    for (what, bytes, code) in cases {
        let mut raw = RawSdk::log_in(&edge).await;
        raw.send(&bytes).await;
        let told = raw.rest().await;
        let last = told.last().unwrap_or_else(|| panic!("{what}: nothing was told"));
        assert_eq!((last.kind, last.code()), (GO_AWAY, code), "{what}");
        bystander.is_served().await;
    }
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn frames_for_streams_that_are_not_there_cost_nobody_anything() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    let mut raw = RawSdk::log_in(&edge).await;
    let ignored = [
        frame(RST, 77, &[0; 4]),
        frame(CREDIT, 77, &[0; 4]),
        frame(CREDIT, 78, &[0xFF; 4]),
        frame(FIN, 77, b""),
        frame(RST, 0, &[0; 4]),
        frame(0x90, 5, &[7; 70_000]),
        frame(DATA, 3, b"after the end of its stream"),
    ];
    raw.send(&ignored[..6].concat()).await;
    raw.send(&frame(DATA, 76, b"x").repeat(3)).await;
    raw.send(&frame(DATA, 0x8000_004F, b"a bit that is to be masked")).await;
    for stream in [76, 79] {
        let told = raw.reply().await.unwrap();
        assert_eq!((told.kind, told.stream, told.code()), (RST, stream, STREAM_CLOSED), "once each");
    }
    raw.send(&ignored[6]).await;
    assert_eq!(raw.reply().await.unwrap().code(), STREAM_CLOSED);
    raw.send(&question(5, StreamType::SRV_INFO, b"{}")).await;
    assert_eq!(raw.answer(5).await["Region"], "local");
    drop(raw);
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn a_stream_that_overruns_its_window_is_reset_and_the_others_go_on() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    let mut raw = RawSdk::log_in(&edge).await;
    // Questions without an end keep the edge from reading further ones.
    for stream in (101..133).step_by(2) {
        raw.send(&question(stream, StreamType::SRV_INFO, b"{")).await;
    }
    raw.send(&frame(SYN, 201, &StreamType::BIND.to_bytes())).await;
    raw.send(&frame(DATA, 201, &[b'{'; 262_140])).await;
    raw.send(&frame(DATA, 201, b"!").repeat(10)).await;
    let told = [raw.reply().await.unwrap(), raw.reply().await.unwrap()];
    assert_eq!((told[0].kind, told[0].stream), (FIN, 201));
    assert_eq!((told[1].kind, told[1].code()), (RST, FLOW_CONTROL));
    raw.send(&frame(DATA, 101, b"}")).await;
    assert_eq!(raw.answer(101).await["Region"], "local");
    drop(raw);
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn after_its_farewell_nothing_of_an_agent_counts() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    let whole = frame(GO_AWAY, 0, b"\0\0\0\x02\0\0\0\0no error");
    // One family counts only the text in the length.
    let short = [header(GO_AWAY, 0, 8), b"\0\0\0\x02\0\0\0\0no error".to_vec()].concat();
    let bare = header(GO_AWAY, 0, 0);
    for farewell in [whole, short, bare] {
        let mut raw = RawSdk::log_in(&edge).await;
        let late = question(5, StreamType::BIND, bind("tcp", json!({})).to_string().as_bytes());
        raw.send(&[farewell, late].concat()).await;
        assert_eq!(raw.rest().await, [], "the connection is over");
    }
    assert_eq!(edge.edge().status().endpoints.len(), 1);
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn half_a_frame_and_silence_hold_nobody_up() {
    let edge = TestEdge::start_with(|config| {
        config.limits.hello_timeout = Duration::from_millis(300);
        config.session.heartbeat_interval = Duration::from_millis(100);
        config.session.heartbeat_tolerance = Duration::from_millis(300);
    })
    .await;
    // The SDK's session answers the edge's heartbeat by itself.
    let bystander = Bystander::connect(&edge).await;
    for bytes in [&b"\0\0\x04\x12\0\0\0"[..], b"\0\0\x04\x12\0\0\0\x03", b"\0\0\x04\x12\0\0\0\x03\0\0\0"] {
        let mut raw = RawSdk::dial(&edge).await;
        raw.send(bytes).await;
        raw.rest().await;
    }
    // Logged in, and deaf to the edge's pings.
    let mut raw = RawSdk::log_in(&edge).await;
    raw.send(&frame(SYN, 5, b"\0\0")).await;
    raw.rest().await;
    // Talking all the time excuses for a while only.
    let mut raw = RawSdk::log_in(&edge).await;
    raw.send(&frame(SYN, 5, &StreamType::HEARTBEAT.to_bytes())).await;
    let talking = async {
        while edge.edge().status().sessions == 2 {
            raw.send(&frame(DATA, 5, b"ping")).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(talking).await;
    bystander.is_alone(&edge).await;
}
