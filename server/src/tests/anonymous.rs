//! An anonymous caller has no actor, so a public route cannot submit a command, even if its
//! handler does.

use axum::http::Method;
use axum::response::Response;
use tollkeeper_ledger::{Command, TeamCommand};

use super::*;
use crate::access::{Caller, Rule};
use crate::http::call::{Call, no_content};
use crate::http::problem::Problem;
use crate::http::route::{Route, Site};
use crate::http::router::Router;
use crate::startup::site;

/// Public routes with a bug: their handlers submit commands for the caller.
const BROKEN: &[Route] = &[
    Route::new(Method::POST, "/v1/workspaces/{workspace}/suspend", Rule::Public, "Suspends", |call| {
        Box::pin(suspend(call))
    }),
    Route::new(Method::POST, "/v1/workspaces/{workspace}/sign-out", Rule::Public, "Signs out", |call| {
        Box::pin(sign_out(call))
    }),
];

async fn suspend(call: Call) -> Result<Response, Problem> {
    let changes = tollkeeper_ledger::WorkspaceChanges { suspended: Some(true), ..Default::default() };
    call.run(&call.workspace()?, None, Command::UpdateWorkspace(changes)).await?;
    Ok(no_content())
}

async fn sign_out(call: Call) -> Result<Response, Problem> {
    call.run_team(&call.workspace()?, TeamCommand::SignOutAll(None)).await?;
    Ok(no_content())
}

#[tokio::test]
async fn a_public_route_cannot_submit_a_command() {
    assert_eq!(Caller::Anonymous.actor(), None);
    let world = world().await;
    for route in BROKEN {
        let site = Site { routes: vec![route], pages: site().pages };
        let request = Request::post(route.path.replace("{workspace}", "acme")).body(Body::empty());
        let request = request.expect("the path is well-formed");
        let response = Router::new(Arc::clone(&world.app), site).answer(request).await;
        assert_eq!(response.status().as_u16(), 500, "{}", route.path);
    }
    assert_eq!(world.get("/v1/workspaces/acme").await.json()["suspended"], false);
    let entries = world.get("/v1/workspaces/acme/entries").await.json();
    assert_eq!(entries["data"].as_array().map(Vec::len), Some(1), "only the workspace was created");
}
