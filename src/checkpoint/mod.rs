//! What a checkpoint is, and every decision about one.
//!
//! A checkpoint is a committed epoch, and its record is a [`marker::Marker`] that the table itself
//! carries. This room holds the marker and the rules about markers; it holds no I/O. Whoever loads
//! a table turns what it sees into facts ([`decisions::Observed`]), asks here, and acts.
//!
//! ```text
//!   table metadata ──facts──▶ decisions (pure) ──▶ Start | Decision ──▶ I/O acts on it
//! ```
//!
//! Invariants, each of which the decisions exist for:
//!
//! * no offset is in two live snapshots, and none below the cut is in none;
//! * a marker's ranges start where its parent's ended;
//! * one generation commits at a time.
//!
//! What this room must never do: load, store, wait, read a clock, or know the `iceberg` crate.

pub mod decisions;
pub mod marker;
