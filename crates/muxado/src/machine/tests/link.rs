//! Two machines over a link that delays: growth of windows seen from outside, on a virtual clock.

use std::collections::VecDeque;

use super::*;

/// One direction of a link: what was sent, and when it arrives.
#[derive(Default)]
struct Cable {
    flying: VecDeque<(Duration, Vec<u8>)>,
    input: BytesMut,
}

impl Cable {
    fn carry(&mut self, from: &mut Machine, to: &mut Machine, now: Duration, delay: Duration) {
        let bytes = sent(from);
        if !bytes.is_empty() {
            self.flying.push_back((now + delay, bytes));
        }
        while self.flying.front().is_some_and(|(at, _)| *at <= now) {
            let (_, bytes) = self.flying.pop_front().unwrap();
            self.input.extend_from_slice(&bytes);
            to.receive(&mut self.input, now).unwrap();
        }
    }
}

/// Sends `total` bytes over a link with this delay each way, read as they come; tells how long it took.
fn transfer(total: usize, delay: Duration, config: &Config) -> Duration {
    const STEP: Duration = Duration::from_millis(1);
    let mut agent = Machine::new(Role::Agent, config.clone());
    let mut edge = Machine::new(Role::Edge, Config { strict_frames: true, fin_before_reset: false, ..config.clone() });
    edge.set_rtt(2 * delay);
    let (mut up, mut down) = (Cable::default(), Cable::default());
    let source = agent.open().unwrap();
    let (mut written, mut read, mut sink, mut now) = (0, 0, None, Duration::ZERO);
    while read < total {
        while written < total {
            let mut piece = Bytes::from(vec![7; 65_536.min(total - written)]);
            match agent.write(source, &mut piece).unwrap() {
                0 => break,
                taken => written += taken,
            }
            up.carry(&mut agent, &mut edge, now, delay);
        }
        up.carry(&mut agent, &mut edge, now, delay);
        for event in events(&mut edge) {
            if let Event::Opened(id) = event {
                sink = Some(id);
            }
        }
        while let Some(Ok(Some(piece))) = sink.map(|id| edge.read(id, usize::MAX, now)) {
            read += piece.len();
        }
        down.carry(&mut edge, &mut agent, now, delay);
        now += STEP;
        assert!(now < Duration::from_secs(600), "stuck at {read} of {total}");
    }
    now
}

#[test]
fn throughput_over_distance_is_not_bound_by_the_initial_window() {
    let total = 64 << 20;
    let delay = Duration::from_millis(50);
    let fixed = transfer(total, delay, &Config::ngrok());
    let grown = transfer(total, delay, &Config::native());
    assert!(fixed > Duration::from_secs(20), "{fixed:?}");
    assert!(grown < Duration::from_secs(3), "{grown:?}");
}

#[test]
fn a_budget_of_nothing_is_slow_but_moves() {
    let config = Config { memory_budget: 0, ..Config::native() };
    assert!(transfer(8 << 20, Duration::from_millis(20), &config) < Duration::from_secs(10));
}
