//! Exchanges from end to end: a gate, an API that keeps what it is asked, and an upstream that
//! speaks HTTP on a socket. No ledger takes part; the tests of the program have a real one.

mod deadlines;
mod ends;
mod metered;
mod refusals;
mod tool_calls;
mod world;
