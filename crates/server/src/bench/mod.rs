//! What `tidings bench` measures with. The *receiver* costs little; the *ceiling* is what the outbound client reaches
//! with no server between; *fill* leaves a store behind as a server would; the *server* is this program in a process of
//! its own. Reads the process's clocks and the kernel's books; in the server
//! only the metrics of the process do so, with `cpu` and `process`.

pub mod ceiling;
pub mod cpu;
pub mod drain;
pub mod events;
pub mod fill;
pub mod latency;
pub mod nats;
pub mod process;
pub mod receiver;
pub mod resting;
pub mod server;
pub mod throughput;
pub mod told;

pub use ceiling::{Ceiling, ceiling};
pub use fill::{Filled, Population};
pub use receiver::{Manner, Receiver};
pub use server::Server;
pub use told::Told;
