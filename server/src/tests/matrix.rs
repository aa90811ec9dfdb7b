//! The matrix of who may call what, made from the table of routes, so that it has every new route.
//!
//! Each route is called with every kind of credential. The response must follow from its rule. A
//! denial must show no data and change nothing. Ids of another workspace must be answered like ids
//! that do not exist.

use futures_util::future::join_all;
use tollkeeper_ledger::{Role, Scope};

use super::teams::{Team, team};
use super::*;
use crate::access::{Rule, cookie};
use crate::http::route::Route;
use crate::startup::site;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    NoCredential,
    WrongKey,
    WrongKeyOfTheWorkspace,
    ExpiredKey,
    RevokedKey,
    Key(&'static [Scope]),
    OtherWorkspaceKey,
    Platform,
    MemberSession,
    AdminSession,
    EndedSession,
    OperatorSession,
}

use Who::*;

const CREDENTIALS: [Who; 17] = [
    NoCredential,
    WrongKey,
    WrongKeyOfTheWorkspace,
    ExpiredKey,
    RevokedKey,
    Key(&[Scope::Charge]),
    Key(&[Scope::Read]),
    Key(&[Scope::Manage]),
    Key(&[Scope::Settle]),
    Key(&[Scope::Charge, Scope::Read]),
    Key(&[Scope::Charge, Scope::Read, Scope::Manage]),
    OtherWorkspaceKey,
    Platform,
    EndedSession,
    MemberSession,
    AdminSession,
    OperatorSession,
];

/// What the rule of a route decides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Admitted,
    Denied(u16, &'static str),
}

const UNAUTHENTICATED: Expected = Expected::Denied(401, "unauthenticated");
const FORBIDDEN: Expected = Expected::Denied(403, "forbidden");
const NO_SUCH_WORKSPACE: Expected = Expected::Denied(404, "workspace_not_found");

fn expected(rule: Rule, who: Who) -> Expected {
    let opened = |wanted: &[Scope], has: &[Scope]| has.iter().any(|scope| wanted.contains(scope));
    match (rule, who) {
        (Rule::Public, _) => Expected::Admitted,
        (Rule::SignedIn(_), AdminSession) | (Rule::SignedIn(Role::Member), MemberSession) => {
            Expected::Admitted
        }
        (Rule::SignedIn(Role::Admin), MemberSession) => FORBIDDEN,
        (Rule::SignedIn(_), _) => UNAUTHENTICATED,
        (Rule::Operator, OperatorSession) => Expected::Admitted,
        (Rule::Operator, _) => UNAUTHENTICATED,
        (_, Platform) => Expected::Admitted,
        (Rule::Platform, Key(_) | OtherWorkspaceKey) => FORBIDDEN,
        (Rule::Workspace(wanted) | Rule::AnyWorkspace(wanted), Key(has)) if !opened(wanted, has) => FORBIDDEN,
        (Rule::Workspace(_) | Rule::AnyWorkspace(_), Key(_)) => Expected::Admitted,
        (Rule::Workspace(_), OtherWorkspaceKey) => NO_SUCH_WORKSPACE,
        (Rule::AnyWorkspace(_), OtherWorkspaceKey) => Expected::Admitted,
        _ => UNAUTHENTICATED,
    }
}

/// The path of the route in `workspace`, with ids that exist in `acme`; deletions name ids that do
/// not exist.
fn path(route: &Route, workspace: &str, team: &Team) -> String {
    let (member, key) = match route.method.as_str() {
        "DELETE" => ("unknown", "ak_01991234-5678-7abc-bfff-0123456789ab"),
        _ => ("ada", team.key_id.as_str()),
    };
    route
        .path
        .replace("{workspace}", workspace)
        .replace("{charge}", &team.charge)
        .replace("{grant}", &team.grant)
        .replace("{top_up}", &team.top_up)
        .replace("{member}", member)
        .replace("{key}", key)
        .replace("{endpoint}", "we_01991234-5678-7abc-bfff-0123456789ab")
        .replace("{delivery}", "msg_1")
        .replace("{link}", "tk_link_x")
        .replace("{recipient}", "member:ada")
        .replace("{topic}", "balance.low")
        .replace("{file}", "index.css")
}

async fn ask(world: &World, team: &Team, route: &Route, workspace: &str, who: Who) -> Reply {
    let bearer = |secret: &str| vec![("authorization", format!("Bearer {secret}"))];
    let cookie = |secret: &str| vec![("cookie", format!("a=b; tollkeeper_session={secret}"))];
    let mut headers = match who {
        NoCredential => Vec::new(),
        WrongKey => bearer("tk_platform_0000"),
        WrongKeyOfTheWorkspace => bearer(&format!("tk_workspace_{}_acme", "0".repeat(64))),
        ExpiredKey => bearer(&team.expired),
        RevokedKey => bearer(&team.revoked),
        Key(scopes) => bearer(team.key(scopes)),
        OtherWorkspaceKey => bearer(&team.other_key),
        Platform => bearer(KEY),
        MemberSession => cookie(&team.member_session),
        AdminSession => cookie(&team.admin_session),
        EndedSession => cookie(&team.ended_session),
        OperatorSession => vec![("cookie", format!("tollkeeper_console={}", team.operator_session))],
    };
    let session = match who {
        MemberSession => team.member_session.as_str(),
        AdminSession => team.admin_session.as_str(),
        OperatorSession => team.operator_session.as_str(),
        _ => "",
    };
    let (media_type, body) = match (route.is_form(), route.body) {
        (true, _) => ("application/x-www-form-urlencoded", format!("token={}", cookie::form_token(session))),
        (false, Some(_)) => ("application/json", "{}".to_owned()),
        (false, None) => ("application/json", String::new()),
    };
    headers.push(("content-type", media_type.to_owned()));
    headers.push(("idempotency-key", format!("{who:?}")));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    world.ask(route.method.as_str(), &path(route, workspace, team), &headers, body).await
}

async fn entries(world: &World) -> Value {
    // The use of keys is recorded in the background; nothing else may change.
    let mut list = world.get("/v1/workspaces/acme/entries?limit=200").await.json();
    let rows = list["data"].as_array_mut().expect("a list has rows");
    rows.retain(|row| row["kind"] != "api_key.used");
    rows.iter().map(|row| row["kind"].clone()).collect()
}

/// Calls a route with every kind of credential; returns how many were denied.
async fn call_with_every_credential(route: &Route) -> usize {
    let world = world_with(123_456_789).await;
    let team = team(&world).await;
    let mut refused = 0;
    for who in CREDENTIALS {
        let before = entries(&world).await;
        let reply = ask(&world, &team, route, "acme", who).await;
        let at = format!("{} {} by {who:?}: {} {}", route.method, route.path, reply.status, reply.text);
        match expected(route.rule, who) {
            Expected::Admitted => {
                let missing = reply.status == 404 && reply.text.contains("workspace_not_found");
                assert!(!missing && !matches!(reply.status, 401 | 403 | 500..), "{at}");
            }
            Expected::Denied(status, code) => {
                refused += 1;
                reply.problem(status, code);
                assert_eq!(entries(&world).await, before, "{at}");
                for secret in ["123456789", "Acme", "ada@example.com", team.charge.as_str()] {
                    assert!(!reply.text.contains(secret), "{at}");
                }
            }
        }
    }
    refused
}

#[tokio::test]
async fn every_route_admits_exactly_the_callers_of_its_rule() {
    let mut refused = 0;
    // Eight worlds at a time, because each has about twenty open files.
    let routes = site().routes;
    for routes in routes.chunks(8) {
        refused += join_all(routes.iter().map(|route| call_with_every_credential(route)))
            .await
            .iter()
            .sum::<usize>();
    }
    let asked = routes.len() * CREDENTIALS.len();
    println!("{asked} requests over {} routes, {refused} refused, 0 leaks", routes.len());
    assert!(refused > asked / 2, "most of the matrix is denied");
}

#[tokio::test]
async fn another_workspace_is_answered_like_an_unknown_one() {
    let world = world_with(1_000).await;
    let team = team(&world).await;
    let own = Key(&[Scope::Charge, Scope::Read, Scope::Manage]);
    let mut compared = 0;
    for route in site().routes.iter().filter(|route| matches!(route.rule, Rule::Workspace(_))) {
        let other = ask(&world, &team, route, "other", own).await;
        let missing = ask(&world, &team, route, "unknown", own).await;
        let same = |reply: &Reply, name: &str| reply.text.replace(name, "W");
        assert_eq!(same(&other, "other"), same(&missing, "unknown"), "{} {}", route.method, route.path);
        other.problem(404, "workspace_not_found");
        compared += 1;
    }
    println!("{compared} routes answer for another workspace as for an unknown one");
    assert!(compared > 10);
}

#[tokio::test]
async fn ids_of_another_workspace_are_answered_like_unknown_ones() {
    let world = world_with(1_000).await;
    let team = team(&world).await;
    let unknown_id = "01991234-5678-7abc-bfff-0123456789ab";
    let mut compared = 0;
    for route in site().routes {
        for (name, theirs) in [
            ("{charge}", &team.other_charge),
            ("{grant}", &team.other_grant),
            ("{top_up}", &team.other_top_up),
            ("{member}", &"eve".to_owned()),
            ("{key}", &team.other_key_id),
        ] {
            if !route.path.contains(name) {
                continue;
            }
            let missing = match theirs.split_once('_') {
                Some((prefix, _)) => format!("{prefix}_{unknown_id}"),
                None => "unknown".to_owned(),
            };
            let body = route.body.map_or("", |body| body.content.example);
            let path = |id: &str| route.path.replace("{workspace}", "acme").replace(name, id);
            let ask = async |id: &str, key| match route.rule {
                Rule::SignedIn(_) => {
                    let cookie = format!("tollkeeper_session={}", team.admin_session);
                    let form = format!("token={}", cookie::form_token(&team.admin_session));
                    let media_type = ("content-type", "application/x-www-form-urlencoded");
                    world
                        .ask(
                            route.method.as_str(),
                            &path(id),
                            &[("cookie", cookie.as_str()), media_type],
                            form,
                        )
                        .await
                }
                _ => world.put(route.method.as_str(), &path(id), key, body).await,
            };
            let theirs = ask(theirs, "theirs").await;
            let missing = ask(&missing, "unknown").await;
            assert_eq!(
                (theirs.status, &theirs.text),
                (404, &missing.text),
                "{} {}",
                route.method,
                route.path
            );
            compared += 1;
        }
    }
    println!("{compared} routes answer for another workspace's ids as for unknown ones");
    assert!(compared > 7);
}
