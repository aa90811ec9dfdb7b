//! Charges for an operation, runs it, and settles or refunds by its result.
//!
//! `TOLLKEEPER_URL` is the address of the server, `TOLLKEEPER_KEY` a key with the scopes `charge`,
//! `settle` and `read`. The workspace `acme` pays.

use std::error::Error;

use tollkeeper_client::types::{BalanceQuery, ChargeRequest};
use tollkeeper_client::{Client, Code, Failure, RunError};

/// The operation of your product: here it draws an ellipse instead of a jacket.
async fn try_on(picture: &str) -> Result<String, Failure<String>> {
    match picture {
        "" => Err(Failure::user("there is no picture".to_owned())),
        "offline" => Err(Failure::system("the model does not answer".to_owned())),
        name => Ok(format!("({name})")),
    }
}

/// Runs the operation for one picture and says what became of it.
async fn serve(client: &Client, picture: &str) -> Result<String, Box<dyn Error>> {
    let charge = ("acme", ChargeRequest::new("virtual_try_on"));
    match client.run(charge, async |_| try_on(picture).await).await {
        Ok(finished) => Ok(format!("{} for {} micro-units", finished.value, finished.amount)),
        Err(RunError::Failed { error, charge, .. }) => Ok(format!("{error}: {}", charge.status)),
        Err(RunError::Charge(error)) => Err(error.into()),
    }
}

/// Serves three pictures, and asks for a charge that the credit does not cover.
pub async fn serve_all(client: &Client) -> Result<Vec<String>, Box<dyn Error>> {
    let mut lines = Vec::new();
    for picture in ["jacket.png", "", "offline"] {
        lines.push(serve(client, picture).await?);
    }
    let request = ChargeRequest { quantity: Some(1_000_000), ..ChargeRequest::new("smart_pricing") };
    if let Err(error) = client.charges("acme").create(&request).await {
        assert_eq!(error.code(), Some(&Code::InsufficientCredits));
        lines.push(error.problem().map(|problem| problem.title.clone()).unwrap_or_default());
    }
    let balance = client.workspaces().balance("acme", &BalanceQuery::default()).await?;
    lines.push(format!("{} USD are left", balance.available_usd));
    Ok(lines)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client =
        Client::builder(std::env::var("TOLLKEEPER_URL")?, std::env::var("TOLLKEEPER_KEY")?).build()?;
    for line in serve_all(&client).await? {
        println!("{line}");
    }
    Ok(())
}
