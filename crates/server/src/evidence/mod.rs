//! What shows that nothing is lost: ledgers counted again from the log.

pub mod verify;
