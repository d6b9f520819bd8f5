//! What the tests of the house are made of: a reader of Rust sources, the layering rules, a reader of
//! the documents. Everything but [`tree`] is a pure function over (path, text) pairs, so that the
//! tests can be tested.

pub mod documents;
pub mod layering;
pub mod source;
pub mod tree;
