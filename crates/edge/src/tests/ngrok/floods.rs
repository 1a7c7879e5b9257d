//! More than any SDK would ask for.

use super::bystander::Bystander;
use super::*;
use crate::testing::RawSdk;
use crate::testing::frames::{CREDIT, DATA, FIN, Frame, GO_AWAY, RST, SYN, frame, question};

/// Streams of one session, both sides' together.
const PLACES: usize = 500;
const STREAM_REFUSED: u32 = 5;
const EXHAUSTED: u32 = 12;
const ENHANCE_YOUR_CALM: u32 = 10;

fn refusals(told: &[Frame], code: u32) -> usize {
    told.iter().filter(|frame| frame.kind == RST && frame.code() == code).count()
}

/// Opens ten thousand streams that begin with `word`.
fn ten_thousand(word: StreamType) -> Vec<u8> {
    (5..20_005).step_by(2).flat_map(|id| frame(SYN, id, &word.to_bytes())).collect()
}

/// An edge that takes streams as fast as they come.
async fn fast_edge() -> TestEdge {
    TestEdge::start_with(|config| {
        config.session.opens_per_second = 20_000;
        config.session.max_unaccepted = 1_024;
    })
    .await
}

#[tokio::test]
async fn opening_faster_than_anything_real_ends_the_session() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    for word in [StreamType::BIND, StreamType::AUTH, StreamType::SRV_INFO, StreamType::HEARTBEAT] {
        for known in [true, false] {
            let mut raw = if known { RawSdk::log_in(&edge).await } else { RawSdk::dial(&edge).await };
            raw.send(&ten_thousand(word)).await;
            let told = raw.rest().await;
            let last = told.last().unwrap();
            assert_eq!((last.kind, last.code()), (GO_AWAY, ENHANCE_YOUR_CALM), "{word}");
        }
    }
    let mut raw = RawSdk::log_in(&edge).await;
    let fickle = (5..20_005).step_by(2).flat_map(|id| [frame(SYN, id, b""), frame(RST, id, &[0; 4])].concat());
    raw.send(&fickle.collect::<Vec<_>>()).await;
    assert_eq!(raw.rest().await.last().unwrap().code(), ENHANCE_YOUR_CALM);
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn ten_thousand_streams_are_no_more_than_five_hundred() {
    let edge = fast_edge().await;
    let bystander = Bystander::connect(&edge).await;
    let mut raw = RawSdk::log_in(&edge).await;
    // Their questions never come; the first of them take ten seconds to be given up.
    raw.send(&ten_thousand(StreamType::BIND)).await;
    let mut told = Vec::new();
    while refusals(&told, EXHAUSTED) < 10_000 - PLACES {
        told.push(raw.reply().await.expect("refusals, not the end"));
    }
    bystander.is_served().await;
    drop(raw);
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn answers_that_nobody_takes_are_few() {
    let edge = fast_edge().await;
    let bystander = Bystander::connect(&edge).await;
    let mut raw = RawSdk::log_in(&edge).await;
    // The agent ends its direction of none, so each answered question keeps its place.
    for id in (5..105).step_by(2) {
        raw.send(&question(id, StreamType::SRV_INFO, b"{}")).await;
    }
    for id in (5..37).step_by(2) {
        assert_eq!(raw.answer(id).await["Region"], "local");
    }
    bystander.is_served().await;
    assert!(tokio::time::timeout(Duration::from_millis(300), raw.reply()).await.is_err(), "a 17th answer");
    raw.send(&frame(FIN, 5, b"")).await;
    assert_eq!(raw.answer(37).await["Region"], "local", "a place is free");
    drop(raw);
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn a_session_has_as_many_endpoints_as_it_may_whatever_kind_they_are_of() {
    let edge = TestEdge::start_with(|config| config.limits.endpoints_per_session = 5).await;
    let bystander = Bystander::connect(&edge).await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let labels = json!({ "Labels": { "edge": "e" }, "ForwardsTo": "x", "Metadata": "" });
    let mut told = Vec::new();
    for turn in 0..8 {
        let answer = match turn % 2 {
            0 => sdk.bind("https", json!({})).await,
            _ => sdk.ask(StreamType::START_TUNNEL_WITH_LABEL, &labels).await,
        };
        told.push(error(&answer).trim_end().rsplit('\n').next().unwrap_or_default().to_owned());
    }
    assert_eq!(told[..5], ["", "", "", "", ""]);
    assert_eq!(told[5..], ["ERR_NGROK_324", "ERR_NGROK_324", "ERR_NGROK_324"]);
    drop(sdk);
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn heartbeats_are_few_and_echoed_as_far_as_the_agent_reads() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    let mut raw = RawSdk::log_in(&edge).await;
    let beat = StreamType::HEARTBEAT.to_bytes();
    for id in [5, 7, 9, 11, 13] {
        raw.send(&frame(SYN, id, &[&beat[..], b"ping"].concat())).await;
    }
    let (mut echoes, mut refused) = (Vec::new(), Vec::new());
    while echoes.len() < 4 || refused.is_empty() {
        let told = raw.reply().await.unwrap();
        match told.kind {
            DATA => echoes.push((told.stream, told.payload)),
            RST => refused.push((told.stream, told.code())),
            _ => {}
        }
    }
    let expected: Vec<_> = [5, 7, 9, 11].map(|id| (id, b"ping".to_vec())).into();
    assert_eq!((echoes, refused), (expected, vec![(13, STREAM_REFUSED)]));
    // Without credit the edge holds what its own window and buffer allow, and then takes no more pings.
    raw.send(&frame(DATA, 5, &[7; 250_000])).await;
    let mut echoed = 0;
    while echoed < 250_000 {
        echoed += raw.reply().await.unwrap().payload.len();
    }
    for _ in 0..4 {
        raw.send(&frame(DATA, 5, &[7; 60_000])).await;
    }
    let mut rest = 0;
    while rest < 262_144 - 250_004 {
        rest += raw.reply().await.unwrap().payload.len();
    }
    raw.send(&question(15, StreamType::SRV_INFO, b"{}")).await;
    assert_eq!(raw.answer(15).await["Region"], "local", "and the session goes on");
    raw.send(&frame(CREDIT, 5, &[0, 0, 0, 4])).await;
    assert_eq!(raw.reply().await.unwrap().payload, [7; 4]);
    drop(raw);
    bystander.is_alone(&edge).await;
}
