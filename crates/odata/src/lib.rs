//! The part of OData's query language that Graph uses: parser, tree, printer and evaluator.
//!
//! Pure, and without Graph's types: what a name means is for the caller's [`Schema`] to say, and what an
//! item holds for its [`Value`]. Text goes through three stages: [`parse`] gives a tree or all that is
//! wrong with the text, [`check`] gives it types, and what was checked is evaluated without errors.

pub mod check;
pub mod fuzz;
pub mod instant;
pub mod parse;
pub mod problem;
pub mod sample;
pub mod tree;

mod compare;
mod evaluate;
mod lexer;
mod print;

pub use check::{Filter, Order, Property, Schema, Shape};
pub use compare::folded;
pub use evaluate::{Scalar, Value};
pub use problem::{Problem, ProblemKind, Problems};

/// The longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;
/// How deep parentheses, functions and lambdas may nest.
pub const DEPTH_MAX: usize = 32;
/// How many literals, paths, operators and functions one text may hold.
pub const NODES_MAX: usize = 1_024;
/// How many problems of one text are told.
pub const PROBLEMS_MAX: usize = 16;
