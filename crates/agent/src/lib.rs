//! The agent: sessions, endpoints and forwarding, as a library.
