//! The commands of the `tidings` program: arguments, what is printed, exit codes.

pub mod import;
