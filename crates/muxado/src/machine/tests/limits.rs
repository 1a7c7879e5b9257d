//! What a peer cannot make grow.

use super::*;

fn edge(config: Config) -> Machine {
    Machine::new(Role::Edge, Config { fin_before_reset: false, ..config })
}

/// Opens `count` streams at `now`, tells the codes of the refusals.
fn open_many(machine: &mut Machine, first: u32, count: u32, now: Duration) -> Result<Vec<u32>, PeerFault> {
    for index in 0..count {
        let mut input = BytesMut::from(&syn(first + 2 * index, b"")[..]);
        machine.receive(&mut input, now)?;
    }
    Ok(frames(&sent(machine)).iter().map(|(_, payload)| u32::from_be_bytes(payload[..].try_into().unwrap())).collect())
}

#[test]
fn unaccepted_streams_are_bounded_and_room_comes_back() {
    let mut edge = edge(Config { max_unaccepted: 4, ..Config::ngrok() });
    assert_eq!(open_many(&mut edge, 3, 6, NOW), Ok(vec![9, 9]));
    let ids: Vec<_> = events(&mut edge)
        .into_iter()
        .filter_map(|event| match event {
            Event::Opened(id) => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(edge.peek(ids[0]), b"");
    assert_eq!(open_many(&mut edge, 101, 1, NOW), Ok(vec![9]), "looking is not accepting");
    assert_eq!(edge.read(ids[0], 1, NOW), Err(StreamFault::WouldBlock));
    edge.reset(ids[1], ErrorCode::STREAM_REFUSED);
    sent(&mut edge);
    assert_eq!(open_many(&mut edge, 201, 3, NOW), Ok(vec![9]));
}

#[test]
fn streams_are_bounded() {
    let mut edge = edge(Config { max_streams: 4, ..Config::ngrok() });
    assert_eq!(open_many(&mut edge, 3, 5, NOW), Ok(vec![12]));
    assert_eq!(edge.open(), Err(OpenRefused::TooManyStreams { limit: 4 }));
    assert_eq!(edge.streams(), 4);
}

#[test]
fn opens_a_second_are_bounded_then_punished() {
    let config = Config { opens_per_second: 10, max_streams: 1000, max_unaccepted: 1000, ..Config::ngrok() };
    let mut edge = edge(config);
    assert_eq!(open_many(&mut edge, 3, 12, NOW), Ok(vec![10, 10]));
    assert_eq!(open_many(&mut edge, 101, 10, NOW + Duration::from_secs(1)), Ok(vec![]));
    let fault = open_many(&mut edge, 1001, 100, NOW + Duration::from_secs(1)).unwrap_err();
    assert_eq!(fault.code, ErrorCode::ENHANCE_YOUR_CALM);
}

#[test]
fn opening_and_resetting_at_once_costs_no_stream_and_no_event() {
    let mut edge = edge(Config { max_unaccepted: 4, ..Config::native() });
    for index in 0..1000 {
        let number = 3 + 2 * index;
        feed(&mut edge, &[syn(number, b"x"), rst(number, ErrorCode::STREAM_CANCELLED)].concat()).unwrap();
    }
    assert_eq!((edge.streams(), edge.budget.unread()), (0, 0));
    assert_eq!(events(&mut edge), []);
    assert_eq!(sent(&mut edge), b"");
}

#[test]
fn a_flood_of_frames_without_effect_ends_the_session() {
    let mut edge = edge(Config::ngrok());
    feed(&mut edge, &syn(3, b"")).unwrap();
    for useless in [data(3, b""), fin(99), rst(99, ErrorCode::NONE), credit(99, 1)] {
        let mut edge = Machine::new(Role::Edge, Config::ngrok());
        feed(&mut edge, &syn(3, b"")).unwrap();
        let fault = feed(&mut edge, &useless.repeat(100_001)).unwrap_err();
        assert_eq!(fault.reason, crate::FaultReason::TooManyIdleFrames);
    }
}

#[test]
fn answers_that_nobody_reads_end_the_session() {
    let mut edge = edge(Config { max_unaccepted: 0, opens_per_second: 1_000_000, ..Config::native() });
    let flood: Vec<u8> = (0..20_000).flat_map(|index| syn(3 + 2 * index, b"")).collect();
    let fault = feed(&mut edge, &flood).unwrap_err();
    assert_eq!(fault.reason, crate::FaultReason::AnswersNotRead { pending: 16_384 });
}

#[test]
fn a_stream_nobody_reads_holds_one_window_and_others_go_on() {
    let mut edge = edge(Config::native());
    feed(&mut edge, &[syn(3, &vec![0; 65_536]), syn(5, b"")].concat()).unwrap();
    let live = match events(&mut edge)[..] {
        [_, Event::Opened(live)] => live,
        ref other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        feed(&mut edge, &data(3, &vec![0; 65_536])).unwrap();
    }
    for _ in 0..100 {
        feed(&mut edge, &data(5, &vec![1; 65_536])).unwrap();
        assert_eq!(read_all(&mut edge, live).0.len(), 65_536);
    }
    assert_eq!(edge.budget.unread(), 262_144);
}

#[test]
fn windows_grow_towards_native_peers_only() {
    for (config, grows) in [(Config::native(), true), (Config::ngrok(), false)] {
        let mut edge = edge(config);
        edge.set_rtt(Duration::from_millis(100));
        feed(&mut edge, &syn(3, b"")).unwrap();
        let id = opened(&mut edge);
        for _ in 0..8 {
            feed(&mut edge, &data(3, &vec![0; 65_536])).unwrap();
            let _ = read_all(&mut edge, id);
        }
        let granted: u32 =
            frames(&sent(&mut edge)).iter().map(|(_, p)| u32::from_be_bytes(p[..].try_into().unwrap())).sum();
        assert_eq!(granted > 8 * 65_536, grows, "granted {granted}");
    }
}

#[test]
fn a_bulk_stream_does_not_hold_up_small_ones() {
    let mut agent = Machine::new(Role::Agent, Config::native());
    let bulk = agent.open().unwrap();
    write_all(&mut agent, bulk, &vec![0; 262_144]);
    let mut out = BytesMut::new();
    agent.transmit(&mut out, 70_000);
    assert_eq!(frames(&out)[0].0.length, 65_536, "alone it has large frames");
    let small: Vec<_> = (0..3).map(|_| agent.open().unwrap()).collect();
    for id in &small {
        write_all(&mut agent, *id, b"request");
    }
    let order: Vec<_> = frames(&sent(&mut agent)).iter().map(|(header, _)| (header.stream, header.length)).collect();
    assert_eq!(order[..3], [(5, 7), (7, 7), (9, 7)], "small ones first");
    let mut busy = Vec::new();
    let other = agent.open().unwrap();
    for _ in 0..2 {
        write_all(&mut agent, other, &vec![0; 100_000]);
        busy.push(agent.open().unwrap());
    }
    feed(&mut agent, &credit(3, 200_000)).unwrap();
    write_all(&mut agent, bulk, &vec![0; 100_000]);
    let order: Vec<_> = frames(&sent(&mut agent)).iter().map(|(header, _)| (header.stream, header.length)).collect();
    assert_eq!(order[..4], [(11, 16_384), (3, 16_384), (11, 16_384), (3, 16_384)], "bulk streams take turns");
}

#[test]
fn many_small_streams_do_not_starve_a_bulk_one() {
    let mut agent = Machine::new(Role::Agent, Config::native());
    let bulk = agent.open().unwrap();
    write_all(&mut agent, bulk, &vec![0; 262_144]);
    for _ in 0..100 {
        let id = agent.open().unwrap();
        write_all(&mut agent, id, b"request");
    }
    let order: Vec<_> = frames(&sent(&mut agent)).iter().map(|(header, _)| header.length > 7).collect();
    let first = order.iter().position(|heavy| *heavy).unwrap();
    assert!(first <= 8, "bulk waited for {first} frames");
    assert_eq!(order.iter().take(90).filter(|heavy| **heavy).count(), 10);
}

#[test]
fn control_goes_before_data() {
    let mut edge = edge(Config::native());
    feed(&mut edge, &syn(3, &vec![0; 200_000])).unwrap();
    let id = opened(&mut edge);
    write_all(&mut edge, id, &vec![0; 262_144]);
    let _ = read_all(&mut edge, id);
    let mut out = BytesMut::new();
    edge.transmit(&mut out, 20_000);
    assert_eq!(frames(&out)[0].0.kind, FrameKind::WndInc);
    assert!(out.len() <= 20_000);
}
