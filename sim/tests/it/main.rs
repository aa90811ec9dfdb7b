//! The simulator's tests, one binary: seeds beside the model, and that a seed is all there is to a run.

mod bank;
mod contract;
mod crash;
mod damage;
mod determinism;
mod long_ago;
mod moving;
mod postgres;
mod postgres_failures;
mod postgres_teams;
mod postgres_tls;
mod postgres_versions;
mod seeds;
mod tidy;
