//! A forwarder of the agent: it carries bytes between a stream and the service behind it.

use super::*;

/// Bytes of one read or write.
const PIECE: usize = 32 * 1024;

impl Agent {
    pub(super) fn forward(&mut self, number: u32) {
        if self.slots.get(&number).is_some_and(|slot| slot.accepted) {
            self.read(number);
            self.write(number);
            self.close(number);
        }
    }

    /// Credit goes back for each read, for exactly what was read.
    fn read(&mut self, number: u32) {
        while let Some(slot) = self.slots.get_mut(&number) {
            let count = slot.inbox.len().min(slot.appetite).min(PIECE);
            if count == 0 {
                return;
            }
            let (index, opener, broken) = (slot.index, slot.opener, slot.broken);
            slot.appetite -= count;
            slot.window += count;
            for byte in slot.inbox.drain(..count) {
                let at = self.ledgers[index].read;
                assert_eq!(byte, content(index, opener, Side::Edge, at), "stream {index} at {at}");
                self.ledgers[index].read += 1;
            }
            if !broken {
                self.send(0x20, number, &(count as u32).to_be_bytes());
            }
        }
    }

    fn write(&mut self, number: u32) {
        while let Some(slot) = self.slots.get_mut(&number) {
            let count = slot.to_say.min(slot.credit).min(PIECE);
            if count == 0 || slot.finished || slot.broken {
                return;
            }
            let (index, opener) = (slot.index, slot.opener);
            slot.to_say -= count;
            slot.credit -= count;
            let from = self.ledgers[index].sent;
            let bytes: Vec<u8> = (from..from + count).map(|at| content(index, opener, Side::Agent, at)).collect();
            self.ledgers[index].sent += count;
            self.send(0x10, number, &bytes);
        }
    }

    /// A service ends when its visitor has. The Rust family's forwarders end one direction after the other, the Go family's both with the
    /// first.
    fn close(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        let heard_all = slot.eof && slot.inbox.is_empty();
        slot.ends |= heard_all;
        let said_all = slot.ends && slot.to_say == 0;
        match self.family {
            Family::Go if heard_all || said_all => self.drop_stream(number),
            Family::Go => {}
            // A write fails after a reset, and so does the end of one.
            Family::Rust if slot.broken && (slot.to_say > 0 || slot.ends) => self.drop_stream(number),
            Family::Rust if said_all && !slot.finished => {
                slot.finished = true;
                self.send(0x11, number, b"");
                self.close(number);
            }
            Family::Rust if heard_all && slot.finished => self.drop_stream(number),
            Family::Rust => {}
        }
    }
}
