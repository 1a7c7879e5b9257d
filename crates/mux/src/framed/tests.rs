//! Loopback sessions over TLS.
