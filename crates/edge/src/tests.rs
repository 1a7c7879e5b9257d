//! The edge as agents and visitors meet it, over real sockets.

mod actions;
mod dedicated;
mod faults;
mod lifecycle;
mod native;
mod ngrok;
mod online;
mod passing;
mod restrictions;
mod ssh;
