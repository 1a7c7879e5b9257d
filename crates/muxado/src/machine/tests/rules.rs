//! The rules of the protocol, one by one, on one machine fed by hand.

use super::*;

fn agent() -> Machine {
    Machine::new(Role::Agent, Config::native())
}

/// The edge's side towards SDKs, with a stream that the agent has opened and the caller has seen.
fn edge_with_stream() -> (Machine, StreamId) {
    let mut edge = Machine::new(Role::Edge, Config::ngrok());
    feed(&mut edge, &syn(3, b"")).unwrap();
    let id = opened(&mut edge);
    (edge, id)
}

#[test]
fn ids_start_at_3_and_2_and_grow_in_the_order_of_first_frames() {
    let mut agent = agent();
    let (first, second) = (agent.open().unwrap(), agent.open().unwrap());
    assert_eq!(sent(&mut agent), b"", "opening alone sends nothing");
    write_all(&mut agent, second, b"b");
    assert_eq!(sent(&mut agent), syn(3, b"b"));
    agent.flush(first);
    assert_eq!(sent(&mut agent), syn(5, b""));
    assert_eq!((agent.wire_id(second), agent.wire_id(first)), (Some(3), Some(5)));
    let mut edge = Machine::new(Role::Edge, Config::native());
    let id = edge.open().unwrap();
    edge.finish(id);
    assert_eq!(sent(&mut edge), frame(FrameKind::Data, Flags::SYN.with(Flags::FIN), 2, b""));
}

#[test]
fn ids_run_out_and_never_wrap() {
    let mut agent = agent();
    agent.next_number = MAX_STREAM_ID - 2;
    let id = agent.open().unwrap();
    assert_eq!(agent.open(), Err(OpenRefused::IdsExhausted));
    agent.flush(id);
    assert_eq!(sent(&mut agent), syn(MAX_STREAM_ID - 2, b""));
    assert_eq!(agent.open(), Err(OpenRefused::IdsExhausted));
}

#[test]
fn small_writes_share_a_frame_and_the_last_carries_fin() {
    let mut agent = agent();
    let id = agent.open().unwrap();
    for part in [&b"one "[..], b"two ", b"three"] {
        write_all(&mut agent, id, part);
    }
    agent.finish(id);
    assert_eq!(sent(&mut agent), frame(FrameKind::Data, Flags::SYN.with(Flags::FIN), 3, b"one two three"));
    assert_eq!(agent.write(id, &mut Bytes::from_static(b"x")), Err(StreamFault::Finished));
}

#[test]
fn a_reset_towards_an_sdk_is_fin_then_rst_and_towards_a_native_peer_rst_alone() {
    let (mut edge, id) = edge_with_stream();
    write_all(&mut edge, id, b"never sent");
    edge.reset(id, ErrorCode::STREAM_CANCELLED);
    assert_eq!(sent(&mut edge), [fin(3), rst(3, ErrorCode::STREAM_CANCELLED)].concat());
    assert_eq!(edge.streams(), 0);

    let mut agent = agent();
    let id = agent.open().unwrap();
    write_all(&mut agent, id, b"x");
    sent(&mut agent);
    agent.reset(id, ErrorCode::UPSTREAM_REFUSED);
    assert_eq!(sent(&mut agent), rst(3, ErrorCode::UPSTREAM_REFUSED));
}

#[test]
fn a_reset_says_nothing_when_there_is_nothing_to_say() {
    let mut agent = agent();
    let unsent = agent.open().unwrap();
    write_all(&mut agent, unsent, b"x");
    agent.reset(unsent, ErrorCode::STREAM_CANCELLED);
    assert!(!agent.wants_transmit());
    assert_eq!(sent(&mut agent), b"");

    let (mut edge, id) = edge_with_stream();
    edge.finish(id);
    assert_eq!(sent(&mut edge), fin(3));
    feed(&mut edge, &[data(3, b"unread"), fin(3)].concat()).unwrap();
    edge.reset(id, ErrorCode::STREAM_CANCELLED);
    assert_eq!(sent(&mut edge), b"");
    assert_eq!(edge.streams(), 0);
}

#[test]
fn after_a_fin_of_ours_a_reset_is_rst_alone() {
    let (mut edge, id) = edge_with_stream();
    edge.finish(id);
    sent(&mut edge);
    edge.reset(id, ErrorCode::STREAM_CANCELLED);
    assert_eq!(sent(&mut edge), rst(3, ErrorCode::STREAM_CANCELLED));
}

#[test]
fn a_peers_reset_is_not_a_clean_end() {
    let (mut edge, id) = edge_with_stream();
    feed(&mut edge, &[data(3, b"half"), rst(3, ErrorCode(0x100))].concat()).unwrap();
    assert_eq!(events(&mut edge), [Event::Readable(id), Event::Reset(id, ErrorCode::UPSTREAM_REFUSED)]);
    assert_eq!(edge.read(id, 100, NOW), Err(StreamFault::Reset(ErrorCode::UPSTREAM_REFUSED)));
    let refused = edge.write(id, &mut Bytes::from_static(b"x"));
    assert_eq!(refused, Err(StreamFault::Reset(ErrorCode::UPSTREAM_REFUSED)));
    edge.reset(id, ErrorCode::STREAM_CANCELLED);
    assert_eq!((edge.streams(), sent(&mut edge)), (0, vec![]));
    assert_eq!(edge.read(id, 100, NOW), Err(StreamFault::Unknown));
}

#[test]
fn what_came_before_a_fin_survives_a_reset_after_it() {
    // An SDK whose application has closed the stream answers later data with RST(4); its own data was complete.
    let (mut edge, id) = edge_with_stream();
    feed(&mut edge, &[data(3, b"complete"), fin(3), rst(3, ErrorCode::STREAM_CLOSED)].concat()).unwrap();
    assert!(events(&mut edge).contains(&Event::Reset(id, ErrorCode::STREAM_CLOSED)));
    assert_eq!(read_all(&mut edge, id), (b"complete".to_vec(), Ok(None)));
    assert!(edge.write(id, &mut Bytes::from_static(b"x")).is_err());
    edge.finish(id);
    assert_eq!(edge.streams(), 0);
}

#[test]
fn frames_for_unknown_streams() {
    let mut edge = Machine::new(Role::Edge, Config::ngrok());
    feed(&mut edge, &[fin(9), rst(9, ErrorCode::NONE), credit(9, 5)].concat()).unwrap();
    assert_eq!(sent(&mut edge), b"", "FIN, RST and WNDINC are ignored");
    feed(&mut edge, &data(9, b"lost")).unwrap();
    assert_eq!(sent(&mut edge), rst(9, ErrorCode::STREAM_CLOSED));
    feed(&mut edge, &[data(9, b"more"), data(9, b"more")].concat()).unwrap();
    assert_eq!(sent(&mut edge), b"", "one answer is enough");
    assert_eq!(events(&mut edge), []);
}

#[test]
fn data_on_its_way_when_a_stream_is_reset_is_dropped_in_silence() {
    let (mut edge, id) = edge_with_stream();
    edge.reset(id, ErrorCode::STREAM_CANCELLED);
    sent(&mut edge);
    for _ in 0..100 {
        feed(&mut edge, &data(3, &[0; 2000])).unwrap();
    }
    feed(&mut edge, &[credit(3, 8), fin(3)].concat()).unwrap();
    assert_eq!(sent(&mut edge), b"");
    assert_eq!(edge.budget.unread(), 0);
}

#[test]
fn a_reset_in_the_middle_of_a_frame_drops_its_rest() {
    let (mut edge, id) = edge_with_stream();
    let whole = data(3, &[7; 50_000]);
    feed(&mut edge, &whole[..10_008]).unwrap();
    assert_eq!(read_all(&mut edge, id).0, [7; 10_000], "payload does not wait for its frame");
    edge.reset(id, ErrorCode::STREAM_CANCELLED);
    feed(&mut edge, &[&whole[10_008..], &syn(5, b"next")].concat()).unwrap();
    let next = opened(&mut edge);
    assert_eq!(edge.peek(next), b"next");
}

#[test]
fn small_frames_come_whole() {
    let mut edge = Machine::new(Role::Edge, Config::native());
    let word = syn(3, b"word");
    let mut input = BytesMut::new();
    for byte in &word[..11] {
        input.extend_from_slice(&[*byte]);
        edge.receive(&mut input, NOW).unwrap();
    }
    let id = opened(&mut edge);
    assert_eq!(edge.peek(id), b"");
    input.extend_from_slice(&word[11..]);
    edge.receive(&mut input, NOW).unwrap();
    assert_eq!(edge.peek(id), b"word");
    assert_eq!(events(&mut edge), [Event::Readable(id)]);
}

#[test]
fn overrunning_the_window_kills_the_stream_only() {
    let (mut edge, id) = edge_with_stream();
    feed(&mut edge, &data(3, &vec![0; 262_144])).unwrap();
    events(&mut edge);
    feed(&mut edge, &[data(3, b"!"), data(3, b"!"), syn(5, b"")].concat()).unwrap();
    assert_eq!(sent(&mut edge), [fin(3), rst(3, ErrorCode::FLOW_CONTROL)].concat());
    assert_eq!(edge.read(id, 10, NOW), Err(StreamFault::Reset(ErrorCode::FLOW_CONTROL)));
    assert!(
        matches!(events(&mut edge)[..], [Event::Reset(dead, ErrorCode::FLOW_CONTROL), Event::Opened(_)] if dead == id)
    );
    edge.reset(id, ErrorCode::NONE);
    feed(&mut edge, &data(3, b"still")).unwrap();
    assert_eq!(sent(&mut edge), b"");
}

#[test]
fn data_after_fin_kills_the_stream() {
    let (mut edge, id) = edge_with_stream();
    feed(&mut edge, &[fin(3), data(3, b"x")].concat()).unwrap();
    assert_eq!(sent(&mut edge), [fin(3), rst(3, ErrorCode::STREAM_CLOSED)].concat());
    assert_eq!(read_all(&mut edge, id), (vec![], Ok(None)));
}

#[test]
fn credit_beyond_31_bits_kills_the_stream() {
    let (mut edge, id) = edge_with_stream();
    feed(&mut edge, &credit(3, 0x7FFF_FFFF)).unwrap();
    assert_eq!(sent(&mut edge), [fin(3), rst(3, ErrorCode::FLOW_CONTROL)].concat());
    assert_eq!(events(&mut edge), [Event::Reset(id, ErrorCode::FLOW_CONTROL)]);
}

#[test]
fn a_sender_stops_at_its_credit_and_goes_on_with_more() {
    let mut agent = agent();
    let id = agent.open().unwrap();
    write_all(&mut agent, id, &[1; 262_144]);
    assert_eq!(frames(&sent(&mut agent)).iter().map(|(_, payload)| payload.len()).sum::<usize>(), 262_144);
    assert_eq!(events(&mut agent), []);
    let mut more = Bytes::from(vec![2; 300_000]);
    // Without credit a stream holds a frame, not its whole buffer.
    assert_eq!(agent.write(id, &mut more), Ok(65_536));
    assert_eq!(agent.write(id, &mut more), Ok(0));
    assert!(!agent.wants_transmit());
    feed(&mut agent, &credit(3, 50_000)).unwrap();
    assert_eq!(frames(&sent(&mut agent)).iter().map(|(_, payload)| payload.len()).sum::<usize>(), 50_000);
    assert_eq!(events(&mut agent), [Event::Writable(id)]);
    assert_eq!(agent.write(id, &mut more), Ok(50_000));
    feed(&mut agent, &credit(3, 200_000)).unwrap();
    assert_eq!(frames(&sent(&mut agent)).iter().map(|(_, payload)| payload.len()).sum::<usize>(), 65_536);
    assert_eq!(events(&mut agent), [Event::Writable(id)]);
    assert_eq!(agent.write(id, &mut more), Ok(300_000 - 65_536 - 50_000));
}

#[test]
fn a_fin_needs_no_credit() {
    let mut agent = agent();
    let id = agent.open().unwrap();
    write_all(&mut agent, id, &[1; 262_144]);
    sent(&mut agent);
    agent.finish(id);
    assert_eq!(sent(&mut agent), fin(3));
}

#[test]
fn go_away_of_a_native_peer_resets_what_it_did_not_process_and_lets_the_rest_run() {
    let mut agent = agent();
    let ids: Vec<_> = (0..3).map(|_| agent.open().unwrap()).collect();
    write_all(&mut agent, ids[0], b"a");
    sent(&mut agent);
    write_all(&mut agent, ids[1], b"b");
    sent(&mut agent);
    let mut again = go_away(3, ErrorCode::NONE, "drain");
    again.extend(go_away(3, ErrorCode::NONE, "twice"));
    feed(&mut agent, &again).unwrap();
    let code = ErrorCode::REMOTE_GONE_AWAY;
    let gone = Event::GoneAway { last: 3, code: ErrorCode::NONE, text: "drain".into() };
    assert_eq!(events(&mut agent), [Event::Reset(ids[1], code), Event::Reset(ids[2], code), gone]);
    feed(&mut agent, &[data(3, b"answer"), fin(3)].concat()).unwrap();
    assert_eq!(read_all(&mut agent, ids[0]), (b"answer".to_vec(), Ok(None)));
}

#[test]
fn after_our_go_away_new_streams_are_refused_and_old_ones_run() {
    let mut edge = Machine::new(Role::Edge, Config::native());
    feed(&mut edge, &syn(3, b"old")).unwrap();
    let old = opened(&mut edge);
    edge.go_away(ErrorCode::NONE, "drain");
    assert_eq!(sent(&mut edge), go_away(3, ErrorCode::NONE, "drain"));
    feed(&mut edge, &syn(5, b"new")).unwrap();
    write_all(&mut edge, old, b"answer");
    assert_eq!(sent(&mut edge), [rst(5, ErrorCode::REMOTE_GONE_AWAY), data(3, b"answer")].concat());
}

#[test]
fn what_ends_a_session() {
    let long = frame(FrameKind::Data, Flags::NONE, 3, &[]);
    let mut too_large = long;
    too_large[..3].copy_from_slice(&[0xFF, 0xFF, 0xFF]);
    let cases = [
        (too_large, ErrorCode::FRAME_SIZE, Config { max_window: 262_144, ..Config::native() }),
        (frame(FrameKind::Rst, Flags::NONE, 3, b"12345"), ErrorCode::FRAME_SIZE, Config::ngrok()),
        (frame(FrameKind::WndInc, Flags::NONE, 3, b"123"), ErrorCode::FRAME_SIZE, Config::ngrok()),
        (syn(0, b""), ErrorCode::PROTOCOL, Config::ngrok()),
        (syn(2, b""), ErrorCode::PROTOCOL, Config::ngrok()),
        ([syn(3, b""), syn(3, b"")].concat(), ErrorCode::PROTOCOL, Config::ngrok()),
        ([syn(5, b""), syn(3, b"")].concat(), ErrorCode::PROTOCOL, Config::native()),
        (credit(3, 0), ErrorCode::PROTOCOL, Config::native()),
        (frame(FrameKind::Unknown(9), Flags::NONE, 0, b""), ErrorCode::PROTOCOL, Config::native()),
        (frame(FrameKind::GoAway, Flags::NONE, 1, &[0; 8]), ErrorCode::PROTOCOL, Config::native()),
        (rst(0, ErrorCode::NONE), ErrorCode::PROTOCOL, Config::native()),
    ];
    for (bytes, code, config) in cases {
        let mut edge = Machine::new(Role::Edge, config);
        let fault = feed(&mut edge, &bytes).expect_err("must end the session");
        assert_eq!(fault.code, code, "{fault}");
        assert_eq!(feed(&mut edge, &syn(11, b"")), Err(fault), "told again");
        assert_eq!(edge.open(), Err(OpenRefused::GoneAway));
        edge.go_away(fault.code, &fault.to_string());
        let last = sent(&mut edge);
        let farewell = frames(&last).pop().map(|(header, _)| header.kind);
        assert_eq!(farewell, Some(FrameKind::GoAway));
    }
}

#[test]
fn what_lax_peers_may_do() {
    let mut edge = Machine::new(Role::Edge, Config { strict_parity: false, ..Config::ngrok() });
    feed(&mut edge, &frame(FrameKind::Unknown(9), Flags::NONE, 0, &[0; 70_000])).unwrap();
    feed(&mut edge, &[syn(5, b""), syn(3, b""), credit(3, 0)].concat()).unwrap();
    assert_eq!(events(&mut edge).len(), 2);
    feed(&mut edge, &syn(2, b"")).unwrap();
    assert_eq!(sent(&mut edge), [fin(2), rst(2, ErrorCode::PROTOCOL)].concat());
}

#[test]
fn giving_a_finished_stream_up_loses_nothing_of_what_was_written() {
    let mut edge = Machine::new(Role::Edge, Config { send_buffer: 1 << 20, ..Config::native() });
    feed(&mut edge, &syn(3, b"question")).unwrap();
    let stream = opened(&mut edge);
    let answer = vec![b'a'; 300_000];
    write_all(&mut edge, stream, &answer);
    edge.finish(stream);
    edge.reset(stream, ErrorCode::STREAM_CANCELLED);
    assert_eq!(edge.write(stream, &mut Bytes::from_static(b"x")), Err(StreamFault::Finished));

    let payload = |sent: &[u8]| frames(sent).into_iter().flat_map(|(_, payload)| payload).collect::<Vec<_>>();
    let first = sent(&mut edge);
    assert_eq!(payload(&first).len(), 262_144, "the window is full");
    feed(&mut edge, &[data(3, b"more"), credit(3, 100_000)].concat()).unwrap();
    let rest = frames(&sent(&mut edge));
    let (last, before) = rest.split_last().unwrap();
    assert!(before.last().unwrap().0.flags.has(Flags::FIN));
    let length: usize = before.iter().map(|(_, payload)| payload.len()).sum();
    assert_eq!(262_144 + length, answer.len());
    assert_eq!((last.0.kind, &last.1[..]), (FrameKind::Rst, &ErrorCode::STREAM_CANCELLED.0.to_be_bytes()[..]));
    assert_eq!((edge.streams(), events(&mut edge)), (0, vec![]));

    // What the peer had on its way then is no offence.
    feed(&mut edge, &[data(3, b"late"), fin(3)].concat()).unwrap();
    assert_eq!(sent(&mut edge), b"");
}

#[test]
fn a_stream_given_up_ends_early_when_the_peer_resets_it() {
    let mut edge = Machine::new(Role::Edge, Config { send_buffer: 1 << 20, ..Config::native() });
    feed(&mut edge, &syn(3, b"")).unwrap();
    let stream = opened(&mut edge);
    write_all(&mut edge, stream, &vec![b'a'; 300_000]);
    edge.finish(stream);
    sent(&mut edge);
    edge.reset(stream, ErrorCode::STREAM_CANCELLED);
    feed(&mut edge, &rst(3, ErrorCode::NONE)).unwrap();
    assert_eq!((edge.streams(), sent(&mut edge), events(&mut edge)), (0, vec![], vec![]));
}
