//! The muxado session as a state machine, without sockets, tasks or a clock.
