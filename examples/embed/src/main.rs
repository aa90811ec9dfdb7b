//! Example: the ledger and the embedded engine as a library, without a server and without HTTP.
//!
//! `cargo run -p tollkeeper-example-embed -- DIRECTORY` opens a new data directory, sets one price,
//! creates a workspace, grants it credit, charges it and refunds the charge. Commands that move
//! credit carry an idempotency key: the same key and the same command return the first answer
//! again, and no credit moves twice. The `tollkeeper` binary works on the same directory
//! (`tollkeeper audit --data DIRECTORY`).
//!
//! Not here: charges with a deadline. A program that opens them also refunds those that are due: it
//! calls [`Engine::due`] every second or so and runs `ChargeCommand::TimeOut` for each charge in
//! the answer.

use std::error::Error;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tollkeeper_engine::{Embedded, Engine, Options, Output};
use tollkeeper_ledger::{
    Actor, Balance, ChargeCommand, ChargeRequest, Command, GrantRequest, IdempotencyKey, Micros, OperationId,
    OperationPrice, Source, Submission, Timestamp, WorkspaceChanges, WorkspaceId,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "tollkeeper-data".to_owned());
    let (charged, refunded) = tour(Path::new(&directory)).await?;
    println!("available after the charge: {}", charged.available);
    println!("available after the refund: {}", refunded.available);
    Ok(())
}

/// Sets a price, opens a workspace with 10 USD, charges one run and refunds it. Returns the balance
/// after the charge and after the refund.
async fn tour(directory: &Path) -> Result<(Balance, Balance)> {
    let engine = Embedded::open(directory, Options::default())?;
    let (acme, try_on) = (WorkspaceId::new("acme")?, OperationId::new("virtual_try_on")?);
    let price =
        OperationPrice { id: try_on.clone(), price: Micros::new(20_000).into(), timeout_seconds: None };
    let prices = Command::SetPrices { operations: vec![price], effective_at: None };
    run(&engine, &WorkspaceId::platform(), None, prices).await?;
    run(&engine, &acme, None, Command::CreateWorkspace(WorkspaceChanges::default())).await?;
    let welcome = GrantRequest::new(Source::Promotional, Micros::from_usd("10")?);
    run(&engine, &acme, Some("welcome"), Command::Grant(welcome)).await?;
    let charge = Command::Charge(ChargeRequest::new(try_on, 1));
    let charge = run(&engine, &acme, Some("order-17"), charge).await?;
    let Output::Charge(charge, charged) = charge else { return Err("a charge answers a charge".into()) };
    let refund = ChargeCommand::Refund { amount: None, reason: "the customer complained".into() };
    let refund = run(&engine, &acme, Some("refund-17"), refund.for_charge(charge.details.id)).await?;
    let Output::Charge(_, refunded) = refund else { return Err("a refund answers its charge".into()) };
    engine.close().await?;
    Ok((charged, refunded))
}

/// Runs a command for the platform. The answer is on disk; the same key again returns the same
/// answer.
async fn run(
    engine: &Embedded,
    workspace: &WorkspaceId,
    key: Option<&str>,
    command: Command,
) -> Result<Output> {
    let (workspace, key) = (workspace.clone(), key.map(IdempotencyKey::new).transpose()?);
    let submission = Submission { workspace, key, actor: Actor::Platform, command };
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    // The outer error means that the store cannot be used now (a full disk); the inner one is the
    // ledger's refusal (insufficient credits).
    let answer = engine.run(submission, Timestamp::from_millis(now)).await?;
    Ok(answer.map_err(|refusal| refusal.code())?.output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_refund_returns_the_charge_and_the_audit_agrees() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let (charged, refunded) = tour(directory.path()).await.expect("a new directory takes every command");
        assert_eq!(charged.available, Micros::new(980_000));
        assert_eq!(refunded.available, Micros::new(1_000_000));
        let report = tollkeeper_engine::embedded::audit(directory.path()).expect("the directory can be read");
        assert!(report.disagreement.is_none(), "{report:?}");
    }
}
