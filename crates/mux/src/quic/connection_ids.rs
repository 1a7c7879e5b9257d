//! Connection ids that tell which listener gave them out.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

/// Bytes of an id: two say which listener, three are random (16 million ids for each listener), three prove the key.
const ID_LEN: usize = TAG_LEN + NONCE_LEN + PROOF_LEN;
const TAG_LEN: usize = 2;
const NONCE_LEN: usize = 3;
const PROOF_LEN: usize = 3;

/// Makes the ids of one listener, and knows its own and those of earlier listeners with the same key again.
#[derive(Clone)]
pub(super) struct ConnectionIds {
    key: Arc<hmac::Key>,
    /// Random: a listener and its successors, of which two live at a time, have the same one once in 65,536 upgrades. Observers learn
    /// from it what the address says already.
    tag: [u8; TAG_LEN],
}

impl ConnectionIds {
    pub(super) fn new(key: Arc<hmac::Key>) -> Self {
        Self { key, tag: rand::random() }
    }

    /// Whether the datagram is for a session that has an id of this very listener. The first datagrams of a client never are: their ids are
    /// the client's invention.
    pub(super) fn has(&self, datagram: &[u8]) -> bool {
        destination(datagram).is_some_and(|id| id.starts_with(&self.tag) && self.proves(id))
    }

    /// Whether `id` was made with the key, by whatever listener.
    fn proves(&self, id: &[u8]) -> bool {
        let split = id.split_at_checked(TAG_LEN + NONCE_LEN);
        split.is_some_and(|(named, proof)| proof == self.proof(named))
    }

    fn proof(&self, named: &[u8]) -> [u8; PROOF_LEN] {
        hmac::sign(&self.key, named).as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = Vec::with_capacity(ID_LEN);
        id.extend_from_slice(&self.tag);
        id.extend_from_slice(&rand::random::<[u8; NONCE_LEN]>());
        id.extend_from_slice(&self.proof(&id));
        ConnectionId::new(&id)
    }

    /// A packet for an id of an earlier listener is answered with a reset, any other with nothing.
    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        if self.proves(id) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        ID_LEN
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

impl fmt::Debug for ConnectionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionIds").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// The id that a datagram's first packet is for (RFC 9000 section 17).
fn destination(datagram: &[u8]) -> Option<&[u8]> {
    let (first, rest) = datagram.split_first()?;
    if first & 0x80 == 0 {
        return rest.get(..ID_LEN);
    }
    // Behind the version.
    let (length, rest) = rest.get(4..)?.split_first()?;
    rest.get(..usize::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(key: &Arc<hmac::Key>, tag: [u8; 2]) -> ConnectionIds {
        ConnectionIds { key: Arc::clone(key), tag }
    }

    fn key(secret: &[u8]) -> Arc<hmac::Key> {
        Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    fn short(id: &[u8]) -> Vec<u8> {
        [&[0x40], id, &[0; 20]].concat()
    }

    fn long(id: &[u8]) -> Vec<u8> {
        [&[0xE0, 0, 0, 0, 1, u8::try_from(id.len()).unwrap()], id, &[0; 20]].concat()
    }

    #[test]
    fn a_listener_tells_its_own_from_those_of_others() {
        let key_of_both = key(b"one");
        let (mut old, mut new) = (ids(&key_of_both, [1, 1]), ids(&key_of_both, [2, 2]));
        let (of_old, of_new) = (old.generate_cid(), new.generate_cid());
        for datagram in [short, long] {
            assert!(old.has(&datagram(&of_old)) && new.has(&datagram(&of_new)));
            assert!(!old.has(&datagram(&of_new)) && !new.has(&datagram(&of_old)));
        }
        // Both know that it is worth a reset.
        assert!(new.validate(&of_old).is_ok() && old.validate(&of_new).is_ok());
        let mut stranger = ids(&key(b"two"), [1, 1]);
        let foreign = stranger.generate_cid();
        assert!(!old.has(&short(&foreign)) && old.validate(&foreign).is_err());
    }

    #[test]
    fn what_a_client_invents_and_what_is_too_short_belongs_to_nobody() {
        let ids = ids(&key(b"one"), [1, 1]);
        for id in [&[][..], &[7; 8], &[7; 20]] {
            assert!(!ids.has(&long(id)));
        }
        let whole = short(&ids.clone().generate_cid());
        for length in 0..9 {
            assert!(!ids.has(&whole[..length]));
        }
        assert!(!ids.has(&[0xE0, 0, 0, 0, 1, 20, 1]));
    }
}
