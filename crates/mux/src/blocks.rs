//! Read and write buffers, lent for the time of one poll.
//!
//! A task that reads or writes takes the thread's block, and gives it back before it waits. Idle sessions and pipes hold no buffer at all,
//! and a busy thread works in memory that is warm in its cache. What was split off a block keeps its memory alive; `BytesMut` takes it
//! back as soon as nobody holds a piece.

use std::cell::Cell;

use bytes::BytesMut;

/// Size of a block: two frames of the largest size, so that a whole one usually fits behind a partial one.
pub(crate) const BLOCK: usize = 128 * 1024;

/// Least room worth reading into; with less, the block is renewed.
pub(crate) const ROOM: usize = 16 * 1024;

thread_local! {
    static READING: Cell<Option<BytesMut>> = const { Cell::new(None) };
    static WRITING: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// Takes the thread's block for reading. It is empty; [`make_room`] gives it memory.
pub(crate) fn take_reading() -> BytesMut {
    READING.with(Cell::take).unwrap_or_default()
}

/// Gives a block back. One with bytes in it is only dropped: the caller meant to keep it.
pub(crate) fn give_reading(block: BytesMut) {
    if block.is_empty() && block.capacity() > 0 {
        READING.with(|cell| cell.set(Some(block)));
    }
}

/// Takes the thread's block for writing.
pub(crate) fn take_writing() -> BytesMut {
    WRITING.with(Cell::take).unwrap_or_default()
}

/// Gives a block for writing back.
pub(crate) fn give_writing(block: BytesMut) {
    if block.is_empty() && block.capacity() > 0 {
        WRITING.with(|cell| cell.set(Some(block)));
    }
}

/// Makes sure that at least [`ROOM`] bytes can be read behind what the block holds.
pub(crate) fn make_room(block: &mut BytesMut) {
    if block.capacity() - block.len() < ROOM {
        block.reserve(BLOCK - block.len().min(BLOCK - ROOM));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_given_back_is_lent_again() {
        let mut block = take_reading();
        make_room(&mut block);
        let capacity = block.capacity();
        assert!(capacity >= BLOCK);
        give_reading(block);
        assert_eq!(take_reading().capacity(), capacity);
        assert_eq!(take_reading().capacity(), 0);
    }

    #[test]
    fn a_block_with_bytes_in_it_is_not_lent_to_others() {
        let _ = take_reading();
        give_reading(BytesMut::from(&b"mine"[..]));
        assert!(take_reading().is_empty());
    }

    #[test]
    fn room_is_made_behind_a_partial_frame() {
        let mut block = BytesMut::with_capacity(BLOCK);
        block.resize(BLOCK - 10, 1);
        make_room(&mut block);
        assert!(block.capacity() - block.len() >= ROOM);
        assert_eq!(block.len(), BLOCK - 10);
    }
}
