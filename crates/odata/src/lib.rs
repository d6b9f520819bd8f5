//! The part of OData's query language that Graph uses: parser, tree, printer and evaluator.
//!
//! Pure, and without Graph's types: what a name means is for the caller's schema to say.
