//! A request stream: how it is split must not change what passes and what is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portway_wire::http1_guard::{GuardLimits, GuardState, Http1Guard, Refusal};

const LIMITS: GuardLimits = GuardLimits { max_head: 2048, max_headers: 20, max_target: 512, max_trailers: 256 };

// First byte: the size of pieces, and whether upgrades are granted.
fuzz_target!(|data: &[u8]| {
    let Some((&mode, data)) = data.split_first() else { return };
    let granted = mode & 1 == 1;
    let at_once = run(data, data.len().max(1), granted);
    let in_pieces = run(data, usize::from(mode / 2) + 1, granted);
    assert_eq!(at_once, in_pieces);
    assert!(data.starts_with(&at_once.0));
});

fn run(data: &[u8], size: usize, granted: bool) -> (Vec<u8>, Option<Refusal>) {
    let (mut guard, mut passed, mut kept) = (Http1Guard::new(LIMITS), Vec::new(), Vec::new());
    for piece in data.chunks(size) {
        kept.extend_from_slice(piece);
        loop {
            match guard.observe(&kept) {
                Ok(good) => passed.extend(kept.drain(..good)),
                Err(error) => {
                    passed.extend(kept.drain(..error.offset));
                    return (passed, Some(error.kind));
                }
            }
            match guard.state() {
                GuardState::MaybeUpgrade if granted => guard.upgraded(),
                GuardState::MaybeUpgrade => guard.not_upgraded(),
                _ => break,
            }
        }
        assert!(kept.len() <= LIMITS.max_head + size);
    }
    (passed, None)
}
