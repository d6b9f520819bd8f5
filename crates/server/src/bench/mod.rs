//! What `tidings bench` measures with: a receiver that costs little, and the ceiling that the outbound
//! client reaches with no server between. Reads the process's clocks; nothing in the server does so here.

pub mod ceiling;
pub mod cpu;
pub mod drain;
pub mod load;
pub mod receiver;

pub use ceiling::{Ceiling, ceiling};
pub use receiver::Receiver;
