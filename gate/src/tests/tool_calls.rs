//! Calls of tools are charged, other messages are free, and no call is free.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::world::{Report, Step, World, json_of, stream_head, whole};
use crate::outcome::{Failure, Outcome};

const ROUTE: &str = "mcp = true\ntools = { search = \"web_search\" }\n";

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":"a7","method":"tools/call","params":{"name":"search","arguments":{}}}"#;

async fn world(status: &str) -> World {
    let answer = whole(status, "application/json", r#"{"jsonrpc":"2.0","id":"a7","result":{}}"#);
    World::new(ROUTE, vec![answer]).await
}

/// A request without a body.
fn bare(method: &str) -> Request<Body> {
    let (mut head, _) = World::request("").into_parts();
    head.method = method.parse().expect("a method");
    Request::from_parts(head, Body::empty())
}

#[tokio::test]
async fn a_call_is_charged_as_the_operation_of_its_tool() {
    let world = world("200 OK").await;
    let (status, headers, _) = world.post(CALL).await;
    assert_eq!((status.as_u16(), &headers["tollkeeper-charge"]), (200, &"ch_1".parse().expect("a value")));
    let [charge] = &world.calls("/charges")[..] else { panic!("one charge") };
    assert_eq!((&charge["operation"], &charge["quantity"]), (&json!("web_search"), &json!(1)));
    assert_eq!(world.reports(1).await, [Report::Outcome(Outcome::Succeeded)]);
    assert_eq!(world.seen()[0].body, CALL, "it is passed on as it came");
    assert!(world.seen()[0].head.contains("content-type: application/json\r\n"), "{:?}", world.seen());
    let _ = world.post(&CALL.replace("search", "other")).await;
    assert_eq!(world.calls("/charges")[1]["operation"], "chat", "the operation of the route");
}

#[tokio::test]
async fn a_call_that_fails_is_refunded_and_its_failure_is_a_result() {
    let failed = world("500 Said").await;
    assert_eq!(failed.post(CALL).await.0, 500);
    assert_eq!(failed.reports(1).await, [Report::Outcome(Outcome::SystemFailed(Failure::Status(500)))]);
    let cut = World::new(ROUTE, vec![Step::Close]).await;
    let response = cut.send(World::request(CALL)).await;
    assert_eq!(response.status(), 200);
    let body = json_of(response).await;
    assert_eq!((&body["id"], &body["result"]["isError"]), (&json!("a7"), &json!(true)), "{body}");
    assert_eq!(cut.reports(1).await, [Report::Outcome(Outcome::SystemFailed(Failure::Connection))]);
}

#[tokio::test]
async fn a_refusal_is_the_result_of_the_tool() {
    let world = world("200 OK").await;
    world.answer_calls("/charges", 402, json!({ "code": "insufficient_credits", "detail": "Add credits." }));
    let body = json_of(world.send(World::request(CALL)).await).await;
    let expected: Value = json!({
        "jsonrpc": "2.0", "id": "a7",
        "result": {
            "content": [{ "type": "text", "text": "Add credits." }],
            "isError": true,
            "resultType": "complete",
            "_meta": { "tollkeeper": { "code": "insufficient_credits", "detail": "Add credits." } },
        },
    });
    assert_eq!(body, expected);
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn other_messages_are_free_but_not_anonymous() {
    let world = world("200 OK").await;
    let (status, headers, _) = world.post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await;
    assert_eq!((status.as_u16(), headers.get("tollkeeper-charge")), (200, None));
    assert_eq!(world.send(bare("GET")).await.status(), 200);
    assert_eq!(world.send(bare("DELETE")).await.status(), 200);
    assert_eq!((world.calls("/charges").len(), world.calls("/quote").len(), world.seen().len()), (0, 3, 3));
    assert!(world.seen().iter().all(|seen| !seen.head.contains("tk_workspace")), "{:?}", world.seen());
    world.answer_calls("/quote", 401, json!({ "code": "unauthenticated", "detail": "No." }));
    for request in [bare("GET"), bare("DELETE"), World::request(r#"{"id":1,"method":"ping"}"#)] {
        assert_eq!(world.send(request).await.status(), 401);
    }
    assert_eq!(world.send(bare("PUT")).await.status(), 404);
    assert_eq!(world.seen().len(), 3, "nothing more reached the upstream");
}

#[tokio::test]
async fn a_batch_with_a_call_reaches_no_upstream() {
    let world = world("200 OK").await;
    for body in [format!("[{CALL}]"), format!("[{{\"id\":1,\"method\":\"ping\"}},{CALL}]")] {
        let response = world.send(World::request(&body)).await;
        assert_eq!(response.status(), 400);
        let body = json_of(response).await;
        assert_eq!((&body["error"]["code"], &body["id"]), (&json!(-32_600), &Value::Null), "{body}");
        let message = body["error"]["message"].as_str().expect("it has one");
        assert!(message.contains("must not contain tools/call"), "{message}");
    }
    assert!(world.calls("").is_empty() && world.seen().is_empty());
}

#[tokio::test]
async fn an_error_of_the_server_is_refunded() {
    for (error, outcome) in [
        (r#""error":{"code":-32603,"message":"a"}"#, Outcome::SystemFailed(Failure::Answer)),
        (r#""error":{"code":-32050,"message":"a"}"#, Outcome::SystemFailed(Failure::Answer)),
        (r#""error":{"code":-32602,"message":"a"}"#, Outcome::Succeeded),
        (r#""result":{"isError":true,"error":{"code":-32603}}"#, Outcome::Succeeded),
    ] {
        let answer = format!(r#"{{"jsonrpc":"2.0","id":"a7",{error}}}"#);
        let world = World::new(ROUTE, vec![whole("200 OK", "application/json", &answer)]).await;
        let (_, _, body) = world.post(CALL).await;
        assert_eq!(body, Ok(answer), "it is passed on as it came");
        assert_eq!(world.reports(1).await, [Report::Outcome(outcome)], "{error}");
    }
    let pad = "x".repeat(70_000);
    let answer = format!(r#"{{"id":"a7","error":{{"code":-32603,"message":"{pad}"}}}}"#);
    let world = World::new(ROUTE, vec![whole("200 OK", "application/json", &answer)]).await;
    let _ = world.post(CALL).await;
    assert_eq!(world.reports(1).await, [Report::Outcome(Outcome::Succeeded)], "it is too long to be read");
}

#[tokio::test]
async fn a_stream_that_can_be_fetched_later_is_paid() {
    let route = format!("timeout_seconds = 1\n{ROUTE}");
    for (begin, outcome) in [
        (stream_head(), Outcome::Succeeded),
        (
            Step::Send(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{".to_owned(),
            ),
            Outcome::SystemFailed(Failure::TimeOut),
        ),
    ] {
        let world = World::new(&route, vec![begin, Step::AwaitClose]).await;
        assert!(world.post(CALL).await.2.is_err(), "it breaks off");
        assert_eq!(world.reports(1).await, [Report::Outcome(outcome)]);
    }
}

#[tokio::test]
async fn free_messages_do_not_depend_on_the_price_of_the_route() {
    let world = world("200 OK").await;
    for (status, code, expected) in [
        (422, "invalid_field", 200),
        (404, "operation_not_found", 200),
        (404, "workspace_not_found", 404),
        (403, "forbidden", 403),
    ] {
        world.api.answers.lock().expect("no test panicked").clear();
        world.answer_calls("/quote", status, json!({ "code": code, "detail": "No." }));
        assert_eq!(world.send(bare("GET")).await.status(), expected, "{code}");
    }
}
