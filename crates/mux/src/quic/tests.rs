//! Loopback sessions over QUIC.
