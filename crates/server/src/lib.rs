//! The `tidings` server as a library, so that tests and benchmarks can run it in process.

pub mod outbound;
