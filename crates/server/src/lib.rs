//! The parts of the `tidings` program.

pub mod cli;
pub mod sources;
