//! What holds for every route: keys, methods, paths, queries, bodies, and that every error is a
//! problem.

use super::*;

#[tokio::test]
async fn a_route_needs_a_valid_key() {
    let world = world().await;
    let path = "/v1/workspaces/acme";
    let none = world.ask("GET", path, &[], Body::empty()).await;
    none.problem(401, "unauthenticated");
    assert_eq!(none.header("www-authenticate"), Some("Bearer"));
    for wrong in ["Bearer", "Bearer ", "Bearer x", "Basic dDp0", "tk_platform_of_the_tests", "Bearer \u{e4}"]
    {
        let reply = world.ask("GET", path, &[("authorization", wrong)], Body::empty()).await;
        reply.problem(401, "unauthenticated");
    }
    let right = world.ask("GET", path, &[("authorization", &format!("bearer {KEY}"))], Body::empty()).await;
    assert_eq!(right.status, 200, "the scheme is case-insensitive");
}

#[tokio::test]
async fn a_header_that_is_not_text_is_refused() {
    let world = world().await;
    let bytes = axum::http::HeaderValue::from_bytes(b"k\xff").expect("headers may hold such bytes");
    let request = |name: &str| {
        let value = if name == "authorization" { bytes.clone() } else { bearer() };
        let mut request = Request::post("/v1/workspaces/acme/charges")
            .header("content-type", "application/json")
            .header("authorization", value);
        if name != "authorization" {
            request = request.header(name, bytes.clone());
        }
        request.body(Body::from(r#"{"operation":"support_message"}"#)).expect("the request is well-formed")
    };
    world.send(request("authorization")).await.problem(401, "unauthenticated");
    world.send(request("idempotency-key")).await.problem(400, "invalid_parameter");
}

fn bearer() -> axum::http::HeaderValue {
    format!("Bearer {KEY}").parse().expect("the key is ASCII")
}

#[tokio::test]
async fn a_path_without_a_route_is_a_problem() {
    let world = world().await;
    for path in ["/", "/v1", "/v1/wallets", "/v1/workspaces/", "/v1/workspaces/acme/charges/x/y", "/docs/x/y"]
    {
        world.get(path).await.problem(404, "not_found");
    }
    world.get("/docs/none.js").await.problem(404, "not_found");
    let reply = world.put("DELETE", "/v1/workspaces/acme", "", "").await;
    reply.problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET,HEAD,PATCH"));
}

#[tokio::test]
async fn head_is_answered_where_get_is() {
    let world = world().await;
    let reply = world.put("HEAD", "/v1/workspaces/acme", "", "").await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ""));
    assert_eq!(world.put("HEAD", "/v1/workspaces/unknown", "", "").await.status, 404);
}

#[tokio::test]
async fn an_invalid_workspace_id_is_an_unknown_workspace() {
    let world = world().await;
    let long = "x".repeat(65);
    for name in ["unknown", "a%20b", "%2A", "*", "%ff", "a%2Fb", &long] {
        for rest in ["", "/balance", "/charges", "/grants", "/entries", "/charges/ch_x"] {
            let reply = world.get(&format!("/v1/workspaces/{name}{rest}")).await;
            let code = if name == "%ff" { "not_found" } else { "workspace_not_found" };
            reply.problem(404, code);
        }
    }
    assert_eq!(world.get("/v1/workspaces/%61cme").await.status, 200, "an escaped id is decoded");
}

#[tokio::test]
async fn query_parameters_are_known_single_and_valid() {
    let world = world().await;
    for (path, parameter) in [
        ("/v1/workspaces?page=1", "page"),
        ("/v1/workspaces?limit=0", "limit"),
        ("/v1/workspaces?limit=201", "limit"),
        ("/v1/workspaces?limit=-1", "limit"),
        ("/v1/workspaces?limit=x", "limit"),
        ("/v1/workspaces?limit=", "limit"),
        ("/v1/workspaces?limit=1&limit=2", "limit"),
        ("/v1/workspaces?cursor=", "cursor"),
        ("/v1/workspaces?cursor=nonsense", "cursor"),
        ("/v1/workspaces?name=", "name"),
        ("/v1/workspaces?name=%20%26", "name"),
        ("/v1/workspaces?suspended=yes", "suspended"),
        ("/v1/workspaces?debt=TRUE", "debt"),
        ("/v1/workspaces?debt=true&debt=false", "debt"),
        ("/v1/workspaces?unused_since=2026-11-23", "unused_since"),
        ("/v1/workspaces/acme?limit=1", "limit"),
        ("/v1/workspaces/acme/charges?cursor=%00", "cursor"),
        ("/v1/workspaces/acme/charges?status=gone", "status"),
        ("/v1/workspaces/acme/charges?operation=a%20b", "operation"),
        ("/v1/workspaces/acme/charges?reference=", "reference"),
        ("/v1/workspaces/acme/charges?from=yesterday", "from"),
        ("/v1/workspaces/acme/grants?cursor=nonsense", "cursor"),
        ("/v1/workspaces/acme/entries?cursor=nonsense", "cursor"),
        ("/v1/workspaces/acme/balance?at=1", "at"),
        ("/v1/price-book/versions?cursor=9", "cursor"),
        ("/healthz?x=1", "x"),
    ] {
        let problem = world.get(path).await.problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], parameter, "{path}");
    }
    let list = world.get("/v1/workspaces?limit=200").await;
    assert_eq!(list.status, 200, "{}", list.text);
}

#[tokio::test]
async fn requests_that_move_credit_need_an_idempotency_key() {
    let world = world_with(1_000).await;
    let charge = world.charge("c", r#"{"operation":"support_message"}"#).await.id();
    let grant = world.grant("acme", "g", 1).await.id();
    for (path, body) in [
        ("charges".to_owned(), r#"{"operation":"support_message"}"#),
        (format!("charges/{charge}/refund"), r#"{"reason":"x"}"#),
        ("grants".to_owned(), r#"{"source":"promotional","amount":1,"reason":"x"}"#),
        (format!("grants/{grant}/void"), "{}"),
    ] {
        let path = format!("/v1/workspaces/acme/{path}");
        world.post(&path, "", body).await.problem(400, "idempotency_key_required");
        let long = "k".repeat(256);
        for key in [long.as_str(), "a\tb"] {
            world.post(&path, key, body).await.problem(400, "invalid_parameter");
        }
    }
    assert_eq!(world.balance().await, (501, 0), "nothing moved");
}

#[tokio::test]
async fn a_body_must_be_json_and_not_too_large() {
    let world = world().await;
    let bearer = format!("Bearer {KEY}");
    let path = "/v1/workspaces/acme/quote";
    let body = r#"{"operation":"support_message"}"#;
    let send = async |kind: &str, body: Body| {
        world.ask("POST", path, &[("authorization", &bearer), ("content-type", kind)], body).await
    };
    for kind in
        ["text/plain", "", "application/jsonx", "multipart/form-data", "application/x-www-form-urlencoded"]
    {
        send(kind, body.into()).await.problem(415, "unsupported_media_type");
    }
    let none = world.ask("POST", path, &[("authorization", &bearer)], body).await;
    none.problem(415, "unsupported_media_type");
    assert_eq!(send("Application/JSON; charset=utf-8", body.into()).await.status, 200);

    let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
    assert_eq!(send("application/json", padded(1 << 20).into()).await.status, 200);
    send("application/json", padded((1 << 20) + 1).into()).await.problem(413, "body_too_large");
    let chunks = |bytes: usize| {
        let whole = padded(bytes).into_bytes();
        let chunks: Vec<_> =
            whole.chunks(1_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
        Body::from_stream(futures_util::stream::iter(chunks))
    };
    assert_eq!(send("application/json", chunks(1 << 20)).await.status, 200);
    send("application/json", chunks((1 << 20) + 1)).await.problem(413, "body_too_large");
    send("application/json", chunks(1 << 22)).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_closed_store_is_unavailable_and_has_retry_after() {
    let world = world_with(1_000).await;
    world.app.engine().close().await.expect("the engine closes");
    let reply = world.charge("c", r#"{"operation":"support_message"}"#).await;
    reply.problem(503, "store_unavailable");
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_name_is_read_as_it_is_written() {
    let world = world().await;
    for name in ["\u{202e}gnp.exe", "\u{feff}", "a\u{200b}b", "\u{2066}x"] {
        let body = serde_json::json!({"name": name}).to_string();
        world.post("/v1/workspaces", "", &body).await.problem(422, "invalid_field");
    }
    // A text is counted in characters, and the joiners of scripts and emoji are no marks.
    for name in ["é".repeat(128), "ü".repeat(255), "👩\u{200d}🔧".to_owned()] {
        let body = serde_json::json!({"name": name}).to_string();
        assert_eq!(world.post("/v1/workspaces", "", &body).await.status, 201);
    }
    let long = serde_json::json!({"name": "ü".repeat(256)}).to_string();
    world.post("/v1/workspaces", "", &long).await.problem(422, "invalid_field");
    for id in [".", "..", "..."] {
        let body = format!(r#"{{"id":"{id}","name":"x"}}"#);
        world.post("/v1/workspaces", "", &body).await.problem(422, "invalid_field");
        let member = format!(r#"{{"id":"{id}","email":"a@x.example","name":"A","role":"admin"}}"#);
        world.post("/v1/workspaces/acme/members", "", &member).await.problem(422, "invalid_field");
        let charge = format!(r#"{{"operation":"support_message","worker":"{id}"}}"#);
        world.charge("k", &charge).await.problem(422, "invalid_field");
    }
    for zone in ["europe/berlin", "Etc/Unknown", "Factory", "utc"] {
        let body = format!(r#"{{"timezone":"{zone}"}}"#);
        world.put("PATCH", "/v1/workspaces/acme", "", &body).await.problem(422, "invalid_field");
    }
    for zone in ["Europe/Berlin", "UTC", "Etc/UTC", "US/Eastern"] {
        let body = format!(r#"{{"timezone":"{zone}"}}"#);
        assert_eq!(world.put("PATCH", "/v1/workspaces/acme", "", &body).await.json()["timezone"], zone);
    }
}

#[tokio::test]
async fn a_key_has_no_blank_at_either_end() {
    let world = world_with(1_000).await;
    for key in [" q", "q ", " q "] {
        let item =
            format!(r#"{{"workspace":"acme","idempotency_key":"{key}","operation":"support_message"}}"#);
        let body = format!(r#"{{"charges":[{item}]}}"#);
        let result = world.post("/v1/charges/batch", "", &body).await.json()["results"][0].clone();
        assert_eq!(
            (&result["status"], &result["problem"]["field"]),
            (&422.into(), &"idempotency_key".into())
        );
    }
    assert_eq!(world.balance().await, (1_000, 0));
}

#[tokio::test]
async fn null_removes_metadata_and_is_no_other_value() {
    let world = world().await;
    let path = "/v1/workspaces/acme";
    world.put("PATCH", path, "", r#"{"metadata":{"a":1}}"#).await;
    let kept = world.put("PATCH", path, "", r#"{"name":"Acme"}"#).await.json();
    assert_eq!(kept["metadata"], serde_json::json!({"a": 1}));
    let removed = world.put("PATCH", path, "", r#"{"metadata":null}"#).await.json();
    assert_eq!(removed["metadata"], Value::Null);
    for field in ["name", "timezone", "suspended"] {
        let body = format!(r#"{{"{field}":null}}"#);
        assert_eq!(world.put("PATCH", path, "", &body).await.problem(422, "invalid_field")["field"], field);
    }
    world
        .post(
            "/v1/workspaces/acme/members",
            "",
            r#"{"id":"ada","email":"a@x.example","name":"A","role":"admin"}"#,
        )
        .await;
    for field in ["name", "email", "role"] {
        let body = format!(r#"{{"{field}":null}}"#);
        let refused = world.put("PATCH", "/v1/workspaces/acme/members/ada", "", &body).await;
        assert_eq!(refused.problem(422, "invalid_field")["field"], field);
    }
}

#[tokio::test]
async fn a_request_that_keeps_no_key_takes_none() {
    let world = world().await;
    for (path, body) in [
        ("/v1/workspaces/acme/api-keys", r#"{"name":"k","scopes":["read"]}"#),
        ("/v1/workspaces", r#"{"name":"x"}"#),
        ("/v1/workspaces/acme/members", r#"{"id":"ada","email":"a@x.example","name":"A","role":"admin"}"#),
        ("/v1/workspaces/acme/portal-sessions", r#"{"member":"ada"}"#),
    ] {
        let problem = world.post(path, "k", body).await.problem(400, "invalid_parameter");
        assert_eq!(problem["parameter"], "Idempotency-Key", "{path}");
        assert!(world.post(path, "", body).await.status < 300, "{path}");
    }
}

#[tokio::test]
async fn bodies_are_not_compressed_and_may_begin_with_a_mark() {
    let world = world_with(1_000).await;
    let bearer = format!("Bearer {KEY}");
    let send = async |encoding: &str, body: Vec<u8>| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("content-encoding", encoding),
        ];
        world.ask("POST", "/v1/workspaces/acme/quote", &headers, body).await
    };
    let body = r#"{"operation":"support_message"}"#;
    for encoding in ["gzip", "foo", ""] {
        send(encoding, body.into()).await.problem(415, "unsupported_media_type");
    }
    assert_eq!(send("identity", format!("\u{feff}{body}").into()).await.status, 200);
}

#[tokio::test]
async fn an_answer_is_kept_by_no_cache_and_a_key_is_given_once() {
    let world = world().await;
    let made = world.post("/v1/workspaces/acme/api-keys", "", r#"{"name":"k","scopes":["read"]}"#).await;
    let missing = world.get("/v1/unknown").await;
    for reply in [&made, &world.get("/v1/workspaces/acme").await] {
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(missing.header("x-content-type-options"), Some("nosniff"));
    let bearer = format!("Bearer {KEY}");
    let twice = [("authorization", bearer.as_str()), ("authorization", "Bearer wrong")];
    let refused = world.ask("GET", "/v1/workspaces", &twice, Body::empty()).await;
    refused.problem(401, "unauthenticated");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let page = world.ask("GET", "/portal", &[("accept", "text/html")], Body::empty()).await;
    assert_eq!((page.status, page.header("www-authenticate")), (401, Some("Bearer")));
}

#[tokio::test]
async fn a_quote_sees_suspension_and_limits() {
    let world = world_with(10_000).await;
    let quote = async |secret: &str| {
        let reply = world.ask_with(
            secret,
            ("POST", "/v1/workspaces/acme/quote"),
            "",
            r#"{"operation":"support_message"}"#,
        );
        let quote = reply.await.json();
        (quote["affordable"].clone(), quote["affordable_quantity"].clone(), quote["refusal"].clone())
    };
    let (_, tied) = world.make_key("acme", r#"{"name":"k","scopes":["charge"],"member":"ada"}"#).await;
    let passes = |quantity: i64| (true.into(), quantity.into(), Value::Null);
    let refused = |quantity: i64, code: &str| (false.into(), quantity.into(), code.into());
    assert_eq!(quote(KEY).await, passes(20));
    let limits = r#"{"limits":[{"subject":"member","id":"ada","period":"day","amount":400},
        {"subject":"workspace","period":"month","amount":1700}]}"#;
    assert_eq!(world.put("PUT", "/v1/workspaces/acme/limits", "", limits).await.status, 200);
    assert_eq!(quote(KEY).await, passes(3));
    assert_eq!(quote(&tied).await, refused(0, "limit_exceeded"));
    world.put("PATCH", "/v1/workspaces/acme", "", r#"{"suspended":true}"#).await;
    assert_eq!(quote(KEY).await, refused(0, "workspace_suspended"));
}
