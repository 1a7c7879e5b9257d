//! Byte formats: muxado frames, native stream heads, control messages, PROXY protocol, ClientHello, strict HTTP/1 framing.
