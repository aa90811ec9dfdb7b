//! Deterministic simulation of Tollkeeper: random commands by seed, answered by an engine and by a
//! reference model, with crashes and faults in between.
//!
//! ```text
//! random         a generator whose numbers depend on a seed alone
//! disk           a recording SQLite file layer: crash images and disk faults
//! model          a slow reference model of the ledger, written from the rules
//! workload       random commands, drawn by seed
//! differential   an engine beside the model: every answer, then everything that is stored
//! contract       what every engine guarantees, clause by clause
//! engines        the engines under test: in memory, embedded, PostgreSQL, several at once
//! formats        data of this release, for the tests of later ones
//! faults         power failures, failing disks, damaged files, many callers at once
//! ```
//!
//! Reading order: `model`, `workload`, `differential`, then `faults`. A lower line of the list may
//! import a higher one, never the reverse. A run depends on its seed alone: nothing here asks a
//! clock or the system for random numbers. The bank test is the exception, because its threads run
//! in any order. Not here: the server over HTTP and killed processes (the tests of crate `cli`),
//! and what tests of other crates share (crate `testkit`).

pub mod contract;
pub mod differential;
pub mod disk;
pub mod engines;
pub mod faults;
pub mod formats;
pub mod model;
pub mod random;
pub mod workload;
