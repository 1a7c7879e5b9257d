//! Bursts of streams towards an SDK, and its refusals.

use super::*;

const WAITING: usize = 3;

fn edge() -> Machine {
    Machine::new(Role::Edge, Config { max_unanswered: Some(WAITING), ..Config::ngrok() })
}

/// Opens streams that have something to say.
fn open(edge: &mut Machine, count: u8) -> Vec<StreamId> {
    (0..count)
        .map(|number| {
            let id = edge.open().unwrap();
            write_all(edge, id, &[number]);
            id
        })
        .collect()
}

fn syns(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let opened = frames(bytes).into_iter().filter(|(header, _)| header.flags.has(Flags::SYN));
    opened.map(|(header, payload)| (header.stream, payload)).collect()
}

#[test]
fn a_burst_leaves_as_fast_as_it_is_accepted_and_in_order() {
    let mut edge = edge();
    open(&mut edge, 6);
    assert_eq!(syns(&sent(&mut edge)), [(2, vec![0]), (4, vec![1]), (6, vec![2])]);
    feed(&mut edge, &credit(4, 1)).unwrap();
    assert_eq!(syns(&sent(&mut edge)), [(8, vec![3])]);
    feed(&mut edge, &[credit(4, 1), fin(2), data(6, b"x")].concat()).unwrap();
    assert_eq!(syns(&sent(&mut edge)), [(10, vec![4]), (12, vec![5])]);
}

#[test]
fn a_stream_that_waits_keeps_what_is_written_and_may_be_given_up() {
    let mut edge = edge();
    let ids = open(&mut edge, 5);
    sent(&mut edge);
    write_all(&mut edge, ids[3], b"more");
    assert_eq!(sent(&mut edge), b"");
    edge.reset(ids[4], ErrorCode::STREAM_CANCELLED);
    feed(&mut edge, &[credit(2, 1), credit(4, 1)].concat()).unwrap();
    assert_eq!(syns(&sent(&mut edge)), [(8, b"\x03more".to_vec())]);
    assert_eq!(edge.streams(), 4);
}

#[test]
fn a_stream_that_ends_unanswered_makes_room() {
    let mut edge = edge();
    let ids = open(&mut edge, 4);
    sent(&mut edge);
    edge.reset(ids[0], ErrorCode::STREAM_CANCELLED);
    assert_eq!(syns(&sent(&mut edge)), [(8, vec![3])]);
    feed(&mut edge, &rst(4, ErrorCode::INTERNAL)).unwrap();
    assert_eq!(events(&mut edge), [Event::Reset(ids[1], ErrorCode::INTERNAL)]);
}

#[test]
fn a_refusal_for_a_full_queue_is_tried_again_whole() {
    let mut edge = edge();
    let id = open(&mut edge, 1)[0];
    sent(&mut edge);
    write_all(&mut edge, id, b"rest");
    edge.finish(id);
    sent(&mut edge);
    feed(&mut edge, &rst(2, ErrorCode::ACCEPT_QUEUE_FULL)).unwrap();
    assert_eq!(events(&mut edge), []);
    // The refused stream goes out of the peer's table, and comes again.
    let again = frame(FrameKind::Data, Flags::SYN.with(Flags::FIN), 4, b"\0rest");
    assert_eq!(sent(&mut edge), [rst(2, ErrorCode::STREAM_CANCELLED), again].concat());
    feed(&mut edge, &[data(4, b"answer"), fin(4)].concat()).unwrap();
    assert_eq!(read_all(&mut edge, id), (b"answer".to_vec(), Ok(None)));
    assert_eq!(edge.streams(), 0);
}

#[test]
fn a_refusal_is_told_at_last() {
    let mut edge = edge();
    let ids = open(&mut edge, 2);
    sent(&mut edge);
    for number in [2, 6, 8, 10] {
        feed(&mut edge, &rst(number, ErrorCode::ACCEPT_QUEUE_FULL)).unwrap();
        sent(&mut edge);
    }
    assert_eq!(events(&mut edge), [Event::Reset(ids[0], ErrorCode::ACCEPT_QUEUE_FULL)]);
    feed(&mut edge, &credit(4, 1)).unwrap();
    feed(&mut edge, &rst(4, ErrorCode::ACCEPT_QUEUE_FULL)).unwrap();
    assert_eq!(
        events(&mut edge),
        [Event::Reset(ids[1], ErrorCode::ACCEPT_QUEUE_FULL)],
        "an accepted stream is not refused"
    );
}

/// Opens as many streams as there are places, all of them answered.
fn full_edge() -> (Machine, Vec<StreamId>) {
    let mut edge = Machine::new(Role::Edge, Config { max_streams: 4, ..Config::ngrok() });
    let ids = open(&mut edge, 4);
    sent(&mut edge);
    (1..=4).for_each(|number| feed(&mut edge, &credit(2 * number, 1)).unwrap());
    (edge, ids)
}

#[test]
fn the_place_of_a_stream_that_ended_is_free_when_two_later_ones_are_answered_in_turn() {
    let (mut edge, ids) = full_edge();
    ids[..3].iter().for_each(|id| edge.reset(*id, ErrorCode::STREAM_CANCELLED));
    open(&mut edge, 3);
    assert_eq!(syns(&sent(&mut edge)), [(10, vec![0])], "one asks");
    feed(&mut edge, &[credit(8, 1), fin(6), data(3, b"x")].concat()).unwrap();
    assert_eq!(syns(&sent(&mut edge)), [], "what the peer says of older streams tells nothing");
    feed(&mut edge, &credit(10, 1)).unwrap();
    assert_eq!(syns(&sent(&mut edge)), [(12, vec![1])], "another one asks");
    feed(&mut edge, &credit(10, 1)).unwrap();
    assert_eq!(syns(&sent(&mut edge)), [], "and has no answer yet");
    feed(&mut edge, &credit(12, 1)).unwrap();
    assert_eq!(
        syns(&sent(&mut edge)),
        [(14, vec![2])],
        "one of eight, six, four and ten has ended, so one place is free"
    );
}

#[test]
fn without_an_answer_a_place_is_free_after_some_time() {
    let (mut edge, ids) = full_edge();
    ids.iter().for_each(|id| edge.reset(*id, ErrorCode::STREAM_CANCELLED));
    for number in 0..8 {
        let id = open(&mut edge, 1)[0];
        assert_eq!(syns(&sent(&mut edge)), [(10 + 2 * number, vec![0])]);
        edge.reset(id, ErrorCode::STREAM_CANCELLED);
    }
    open(&mut edge, 3);
    let mut at = |millis| {
        edge.receive(&mut BytesMut::new(), NOW + Duration::from_millis(millis)).unwrap();
        syns(&sent(&mut edge)).len()
    };
    assert_eq!((at(0), at(1_999), at(2_000)), (0, 0, 3));
}

#[test]
fn native_peers_have_no_limit_and_no_second_try() {
    let mut edge = Machine::new(Role::Edge, Config::native());
    let ids = open(&mut edge, 200);
    assert_eq!(syns(&sent(&mut edge)).len(), 200);
    feed(&mut edge, &rst(2, ErrorCode::ACCEPT_QUEUE_FULL)).unwrap();
    assert_eq!(events(&mut edge), [Event::Reset(ids[0], ErrorCode::ACCEPT_QUEUE_FULL)]);
}
