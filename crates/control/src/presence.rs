//! Which edges watch now: their leases live.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use portway_names::EdgeId;

/// The edges that watch. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence {
    /// Watches of each edge: while one reconnects it may have two.
    watches: Arc<Mutex<HashMap<EdgeId, usize>>>,
}

/// One watch of an edge; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Present {
    edge: EdgeId,
    presence: Presence,
}

impl Presence {
    pub(crate) fn enter(&self, edge: EdgeId) -> Present {
        *self.lock().entry(edge.clone()).or_default() += 1;
        Present { edge, presence: self.clone() }
    }

    pub(crate) fn edges(&self) -> Vec<EdgeId> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<EdgeId, usize>> {
        // Nothing in here panics half-way.
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    pub(crate) fn edge(&self) -> &EdgeId {
        &self.edge
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut watches = self.presence.lock();
        if let Some(count) = watches.get_mut(&self.edge) {
            *count -= 1;
            if *count == 0 {
                watches.remove(&self.edge);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Presence;

    #[test]
    fn an_edge_is_present_until_its_last_watch_ends() {
        let presence = Presence::default();
        let first = presence.enter("a".parse().unwrap());
        let second = presence.enter("a".parse().unwrap());
        drop(first);
        assert_eq!(presence.edges().len(), 1);
        drop(second);
        assert!(presence.edges().is_empty());
    }
}
