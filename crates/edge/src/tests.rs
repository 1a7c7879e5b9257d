//! The edge as agents and visitors meet it, over real sockets.

mod faults;
mod lifecycle;
mod native;
mod ngrok;
mod passing;
