//! The whole matrix of who may call what, made from the table of routes: a route that is added stands in it at once. Each
//! route is asked with every kind of credential; what comes back must follow from its rule, a refusal must tell nothing
//! and leave nothing behind, and ids of another workspace must answer like those that nobody has.

use futures_util::future::join_all;
use tollkeeper_ledger::{Role, Scope};

use super::teams::{Team, team};
use super::*;
use crate::access::{Rule, cookie};
use crate::http::route::Route;
use crate::startup::site;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Nobody,
    WrongKey,
    WrongKeyOfTheWorkspace,
    ExpiredKey,
    RevokedKey,
    Key(&'static [Scope]),
    AnothersKey,
    Platform,
    MemberSession,
    AdminSession,
    EndedSession,
}

use Who::*;

const EVERYBODY: [Who; 15] = [
    Nobody,
    WrongKey,
    WrongKeyOfTheWorkspace,
    ExpiredKey,
    RevokedKey,
    Key(&[Scope::Charge]),
    Key(&[Scope::Read]),
    Key(&[Scope::Manage]),
    Key(&[Scope::Charge, Scope::Read]),
    Key(&[Scope::Charge, Scope::Read, Scope::Manage]),
    AnothersKey,
    Platform,
    EndedSession,
    MemberSession,
    AdminSession,
];

/// What a rule answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    LetIn,
    No(u16, &'static str),
}

const UNKNOWN: Expected = Expected::No(401, "unauthenticated");
const NOT_YOURS: Expected = Expected::No(403, "forbidden");
const NO_SUCH_WORKSPACE: Expected = Expected::No(404, "workspace_not_found");

fn expected(rule: Rule, who: Who) -> Expected {
    let opened = |wanted: &[Scope], has: &[Scope]| has.iter().any(|scope| wanted.contains(scope));
    match (rule, who) {
        (Rule::Public, _) => Expected::LetIn,
        (Rule::SignedIn(_), AdminSession) | (Rule::SignedIn(Role::Member), MemberSession) => Expected::LetIn,
        (Rule::SignedIn(Role::Admin), MemberSession) => NOT_YOURS,
        (Rule::SignedIn(_), _) => UNKNOWN,
        (_, Platform) => Expected::LetIn,
        (Rule::Platform, Key(_) | AnothersKey) => NOT_YOURS,
        (Rule::Workspace(wanted) | Rule::AnyWorkspace(wanted), Key(has)) if !opened(wanted, has) => NOT_YOURS,
        (Rule::Workspace(_) | Rule::AnyWorkspace(_), Key(_)) => Expected::LetIn,
        (Rule::Workspace(_), AnothersKey) => NO_SUCH_WORKSPACE,
        (Rule::AnyWorkspace(_), AnothersKey) => Expected::LetIn,
        _ => UNKNOWN,
    }
}

/// A path of the route in `workspace`, with ids that are there in `acme`; deletions name what nobody has.
fn path(route: &Route, workspace: &str, team: &Team) -> String {
    let (member, key) = match route.method.as_str() {
        "DELETE" => ("nobody", "ak_01991234-5678-7abc-bfff-0123456789ab"),
        _ => ("ada", team.key_id.as_str()),
    };
    route
        .path
        .replace("{workspace}", workspace)
        .replace("{charge}", &team.charge)
        .replace("{grant}", &team.grant)
        .replace("{member}", member)
        .replace("{key}", key)
        .replace("{link}", "tk_link_x")
        .replace("{file}", "index.css")
}

async fn ask(world: &World, team: &Team, route: &Route, workspace: &str, who: Who) -> Reply {
    let bearer = |secret: &str| vec![("authorization", format!("Bearer {secret}"))];
    let cookie = |secret: &str| vec![("cookie", format!("a=b; tollkeeper_session={secret}"))];
    let mut headers = match who {
        Nobody => Vec::new(),
        WrongKey => bearer("tk_platform_0000"),
        WrongKeyOfTheWorkspace => bearer(&format!("tk_workspace_{}_acme", "0".repeat(64))),
        ExpiredKey => bearer(&team.expired),
        RevokedKey => bearer(&team.revoked),
        Key(scopes) => bearer(team.key(scopes)),
        AnothersKey => bearer(&team.anothers),
        Platform => bearer(KEY),
        MemberSession => cookie(&team.member_session),
        AdminSession => cookie(&team.admin_session),
        EndedSession => cookie(&team.ended_session),
    };
    let session = match who {
        MemberSession => team.member_session.as_str(),
        AdminSession => team.admin_session.as_str(),
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
    // The background notes the use of keys; everything else must stand still.
    let mut list = world.get("/v1/workspaces/acme/entries?limit=200").await.json();
    let rows = list["data"].as_array_mut().expect("a list has rows");
    rows.retain(|row| row["kind"] != "api_key.used");
    rows.iter().map(|row| row["kind"].clone()).collect()
}

/// Asks a route with every kind of credential; how many were refused.
async fn ask_everybody(route: &Route) -> usize {
    let world = world_with(123_456_789).await;
    let team = team(&world).await;
    let mut refused = 0;
    for who in EVERYBODY {
        let before = entries(&world).await;
        let reply = ask(&world, &team, route, "acme", who).await;
        let at = format!("{} {} by {who:?}: {} {}", route.method, route.path, reply.status, reply.text);
        match expected(route.rule, who) {
            Expected::LetIn => {
                let missing = reply.status == 404 && reply.text.contains("workspace_not_found");
                assert!(!missing && !matches!(reply.status, 401 | 403 | 500..), "{at}");
            }
            Expected::No(status, code) => {
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
async fn everybody_finds_what_the_table_says_and_nothing_more() {
    let mut refused = 0;
    // Some worlds at a time: each has some twenty files open.
    let routes = site().routes;
    for routes in routes.chunks(8) {
        refused += join_all(routes.iter().map(|route| ask_everybody(route))).await.iter().sum::<usize>();
    }
    let asked = routes.len() * EVERYBODY.len();
    println!("{asked} requests over {} routes, {refused} refused, 0 leaks", routes.len());
    assert!(refused > asked / 2, "most of the matrix is shut");
}

#[tokio::test]
async fn another_workspace_answers_like_one_that_nobody_has() {
    let world = world_with(1_000).await;
    let team = team(&world).await;
    let own = Key(&[Scope::Charge, Scope::Read, Scope::Manage]);
    let mut compared = 0;
    for route in site().routes.iter().filter(|route| matches!(route.rule, Rule::Workspace(_))) {
        let other = ask(&world, &team, route, "other", own).await;
        let nobodys = ask(&world, &team, route, "nobodys", own).await;
        let same = |reply: &Reply, name: &str| reply.text.replace(name, "W");
        assert_eq!(same(&other, "other"), same(&nobodys, "nobodys"), "{} {}", route.method, route.path);
        other.problem(404, "workspace_not_found");
        compared += 1;
    }
    println!("{compared} routes answer for another workspace as for none");
    assert!(compared > 10);
}

#[tokio::test]
async fn ids_of_another_workspace_answer_like_unknown_ones() {
    let world = world_with(1_000).await;
    let team = team(&world).await;
    let unknown = "01991234-5678-7abc-bfff-0123456789ab";
    let mut compared = 0;
    for route in site().routes {
        for (name, theirs) in [
            ("{charge}", &team.anothers_charge),
            ("{grant}", &team.anothers_grant),
            ("{member}", &"eve".to_owned()),
            ("{key}", &team.anothers_key_id),
        ] {
            if !route.path.contains(name) {
                continue;
            }
            let nobodys = match theirs.split_once('_') {
                Some((prefix, _)) => format!("{prefix}_{unknown}"),
                None => "nobody".to_owned(),
            };
            let body = match route.path.rsplit('/').next() {
                Some("outcome") => r#"{"result":"failed","fault":"system"}"#,
                Some("heartbeat") => r#"{"extend_seconds":60}"#,
                Some("refund") => r#"{"reason":"x"}"#,
                _ if route.body.is_some() => r#"{}"#,
                _ => "",
            };
            let path = |id: &str| route.path.replace("{workspace}", "acme").replace(name, id);
            let theirs = world.put(route.method.as_str(), &path(theirs), "theirs", body).await;
            let nobodys = world.put(route.method.as_str(), &path(&nobodys), "nobodys", body).await;
            assert_eq!(
                (theirs.status, &theirs.text),
                (404, &nobodys.text),
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
