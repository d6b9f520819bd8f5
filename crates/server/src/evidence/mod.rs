//! What shows that nothing is lost: ledgers counted again from the log, notifications told again, and what came of
//! each attempt.

pub mod attempts;
pub mod replay;
pub mod verify;
