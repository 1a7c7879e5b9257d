//! Sessions and streams for callers, whatever the carrier: dial, accept, liveness, redial, byte pipe.
