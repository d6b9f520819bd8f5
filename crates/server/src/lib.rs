//! The `tidings` server as a library, so that tests and benchmarks can run it in process.

pub mod admin;
pub mod app;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod directory;
pub mod engine;
pub mod evidence;
pub mod http;
pub mod identity;
pub mod ids;
pub mod key_file;
pub mod outbound;
pub mod sealed_file;
pub mod seed;
pub mod server;
pub mod sources;
pub mod telemetry;
pub mod tls;
