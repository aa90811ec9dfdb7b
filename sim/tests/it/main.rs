//! The simulator's tests, in one binary: engines beside the model, the engine contract, faults,
//! data of earlier versions, and the rules of the source tree.

mod audit;
mod bank;
mod closed_days;
mod contract;
mod crash;
mod damage;
mod deliveries;
mod determinism;
mod formats;
mod isolation;
mod long_history;
mod personal;
mod postgres;
mod seeds;
mod tidy;
mod transfer;
