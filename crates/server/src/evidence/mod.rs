//! What shows that nothing is lost: ledgers counted again from the log, and notifications told again.

pub mod replay;
pub mod verify;
