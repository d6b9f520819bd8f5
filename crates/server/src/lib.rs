//! The `tidings` server as a library, so that tests and benchmarks can run it in process.

pub mod bench;
pub mod clock;
pub mod engine;
pub mod ids;
pub mod outbound;
