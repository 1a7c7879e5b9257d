//! The bytes of one direction of one stream.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// Smaller pieces are copied rather than kept: a handle to a few bytes would pin the whole buffer they arrived in (or, when many wait,
/// cost more than the bytes).
const COPY_BELOW: usize = 1024;
/// The same for received bytes behind others that wait already: with a reader that lags, pieces of less than a quarter of a usual read
/// buffer (64 KiB) are compacted, so that a stream pins at most about four times what its window allows.
const COPY_BELOW_WAITING: usize = 16 * 1024;
/// Compacted bytes are sealed into a piece at this size, so that growing never copies more.
const SEGMENT: usize = 64 * 1024;

/// See [`copy`].
const COPY_STEP: usize = 2048;

/// A first-in first-out queue of bytes that keeps large pieces as they are and compacts small ones.
#[derive(Default)]
pub(super) struct ByteQueue {
    /// In order.
    pieces: VecDeque<Bytes>,
    /// After `pieces`: small pieces, copied together.
    tail: BytesMut,
    len: usize,
}

impl ByteQueue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes cut off a receive buffer.
    pub(super) fn push_received(&mut self, bytes: BytesMut) {
        if self.is_empty() && bytes.len() < COPY_BELOW {
            self.len += bytes.len();
            self.pieces.push_back(Bytes::copy_from_slice(&bytes));
        } else if !self.is_empty() && bytes.len() < COPY_BELOW_WAITING {
            self.compact(&bytes);
        } else {
            self.append(bytes.freeze());
        }
    }

    /// Appends bytes that the application wrote.
    pub(super) fn push_written(&mut self, bytes: Bytes) {
        if !self.is_empty() && bytes.len() < COPY_BELOW {
            self.compact(&bytes);
        } else {
            self.append(bytes);
        }
    }

    /// Puts bytes back in front of all others.
    pub(super) fn push_front(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.pieces.push_front(bytes);
        }
    }

    /// The first bytes, without taking them.
    pub(super) fn front(&self) -> &[u8] {
        self.pieces.front().map_or(&self.tail, |piece| piece)
    }

    /// Takes the first piece, or `max` bytes of it.
    pub(super) fn pop(&mut self, max: usize) -> Bytes {
        let taken = match self.pieces.front_mut() {
            Some(piece) if piece.len() > max => piece.split_to(max),
            Some(_) => self.pieces.pop_front().unwrap_or_default(),
            None if self.tail.len() > max => self.tail.split_to(max).freeze(),
            None => std::mem::take(&mut self.tail).freeze(),
        };
        self.len -= taken.len();
        taken
    }

    /// Moves the first `count` bytes to `out`. There are that many.
    pub(super) fn copy_to(&mut self, out: &mut BytesMut, mut count: usize) {
        debug_assert!(count <= self.len);
        self.len -= count;
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len() > count {
                copy(&piece[..count], out);
                piece.advance(count);
                return;
            }
            copy(piece, out);
            count -= piece.len();
            self.pieces.pop_front();
        }
        copy(&self.tail[..count], out);
        self.tail.advance(count);
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn append(&mut self, bytes: Bytes) {
        self.seal();
        self.len += bytes.len();
        self.pieces.push_back(bytes);
    }

    fn compact(&mut self, bytes: &[u8]) {
        if self.tail.len() + bytes.len() > SEGMENT {
            self.seal();
        }
        self.len += bytes.len();
        self.tail.extend_from_slice(bytes);
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.tail).freeze());
        }
    }
}

/// Copies in steps that stay below the size from which a C library copies with `rep movsb`: where source and destination lie alike within
/// their pages (both start a large allocation, and eight bytes of header stand before one), some processors do that at a tenth of the
/// speed.
fn copy(bytes: &[u8], out: &mut BytesMut) {
    for step in bytes.chunks(COPY_STEP) {
        out.extend_from_slice(step);
    }
}

// The bytes are a user's: only their number is shown.
impl fmt::Debug for ByteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteQueue({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Received(usize),
        Written(usize),
        Pop(usize),
        Copy(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![0..64usize, 0..3000usize, 10_000..70_000usize];
        prop_oneof![
            size.clone().prop_map(Step::Received),
            size.clone().prop_map(Step::Written),
            size.clone().prop_map(Step::Pop),
            size.prop_map(Step::Copy),
        ]
    }

    proptest! {
        #[test]
        fn is_a_queue_of_bytes(steps in prop::collection::vec(step(), 1..60)) {
            let (mut queue, mut model, mut next) = (ByteQueue::default(), VecDeque::new(), 0u8);
            let mut fresh = |count: usize, model: &mut VecDeque<u8>| -> BytesMut {
                let bytes: BytesMut = (0..count).map(|_| { next = next.wrapping_add(1); next }).collect();
                model.extend(&bytes);
                bytes
            };
            for step in steps {
                match step {
                    Step::Received(count) if count > 0 => queue.push_received(fresh(count, &mut model)),
                    Step::Written(count) if count > 0 => queue.push_written(fresh(count, &mut model).freeze()),
                    Step::Pop(max) if max > 0 && !queue.is_empty() => {
                        prop_assert_eq!(queue.front().first(), model.front());
                        let taken = queue.pop(max);
                        prop_assert!(!taken.is_empty() && taken.len() <= max);
                        prop_assert!(taken.iter().eq(model.drain(..taken.len()).collect::<Vec<_>>().iter()));
                    }
                    Step::Copy(count) => {
                        let (mut out, count) = (BytesMut::new(), count.min(queue.len()));
                        queue.copy_to(&mut out, count);
                        prop_assert!(out.iter().eq(model.drain(..count).collect::<Vec<_>>().iter()));
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }
}
