//! Control plane and edge in one process, or one role alone: server configuration, start, drain order, admin address.
