//! The examples in the API's description: each request is accepted by its handler, and each
//! response has the fields of the real one.

use super::description::api_routes;
use super::*;
use crate::api::openapi::example;
use crate::http::route::Route;

/// The routes that need others to come first, in an order in which all of them succeed. All other
/// routes follow: those that read, then those that delete.
const IN_ORDER: [(&str, &str); 33] = [
    ("POST", "/v1/workspaces"),
    ("PATCH", "/v1/workspaces/{workspace}"),
    ("POST", "/v1/workspaces/{workspace}/members"),
    ("PATCH", "/v1/workspaces/{workspace}/members/{member}"),
    ("POST", "/v1/workspaces/{workspace}/api-keys"),
    ("POST", "/v1/workspaces/{workspace}/portal-sessions"),
    ("POST", "/v1/workspaces/{workspace}/grants"),
    ("PUT", "/v1/workspaces/{workspace}/limits"),
    ("PUT", "/v1/workspaces/{workspace}/alerts"),
    ("PUT", "/v1/workspaces/{workspace}/alerts/recipients/{recipient}"),
    ("POST", "/v1/mail-events"),
    ("POST", "/v1/workspaces/{workspace}/top-ups"),
    ("POST", "/v1/workspaces/{workspace}/top-ups/{top_up}/confirm"),
    ("PUT", "/v1/workspaces/{workspace}/auto-top-up"),
    ("POST", "/v1/workspaces/{workspace}/top-ups/{top_up}/refund"),
    ("POST", "/v1/workspaces/{workspace}/charges"),
    ("POST", "/v1/workspaces/{workspace}/charges/{charge}/heartbeat"),
    ("POST", "/v1/workspaces/{workspace}/charges/{charge}/outcome"),
    ("POST", "/v1/workspaces/{workspace}/charges/{charge}/refund"),
    ("POST", "/v1/charges/batch"),
    ("POST", "/v1/price-book/simulate"),
    ("POST", "/v1/workspaces/{workspace}/quote"),
    ("POST", "/v1/workspaces/{workspace}/grants/{grant}/void"),
    ("PUT", "/v1/price-book"),
    ("PUT", "/v1/plans"),
    ("POST", "/v1/workspaces/{workspace}/subscription/preview"),
    ("PUT", "/v1/workspaces/{workspace}/subscription"),
    ("POST", "/v1/workspaces/{workspace}/subscription/confirm"),
    ("PUT", "/v1/settings"),
    ("POST", "/v1/webhook-endpoints"),
    ("PATCH", "/v1/webhook-endpoints/{endpoint}"),
    ("POST", "/v1/webhook-endpoints/{endpoint}/rotate-secret"),
    ("POST", "/v1/clock/confirm"),
];

/// Pages of a payment provider, which `manual` does not have. The tests of Stripe ask for them.
const AT_A_PROVIDER: [&str; 2] =
    ["/v1/workspaces/{workspace}/payment-method", "/v1/workspaces/{workspace}/billing-portal"];

/// Routes that send mails. The tests of the mailer have a relay for them.
const WITH_A_RELAY: [&str; 1] = ["/v1/workspaces/{workspace}/alerts/test"];

/// Routes that send messages. The tests of deliveries have receivers for them.
const WITH_A_RECEIVER: [&str; 2] = [
    "/v1/webhook-endpoints/{endpoint}/ping",
    "/v1/webhook-endpoints/{endpoint}/deliveries/{delivery}/resend",
];

/// The ids that the server made, by the name of the path parameter.
#[derive(Default)]
struct Ids {
    charge: String,
    grant: String,
    key: String,
    top_up: String,
    endpoint: String,
}

impl Ids {
    fn path(&self, route: &Route) -> String {
        let path = route.path.replace("{workspace}", "acme").replace("{member}", "ada");
        let path = path.replace("{charge}", &self.charge).replace("{grant}", &self.grant);
        let path = path.replace("{key}", &self.key).replace("{top_up}", &self.top_up);
        path.replace("{endpoint}", &self.endpoint).replace("{recipient}", "member:ada")
    }

    fn remember(&mut self, route: &Route, reply: &Reply) {
        match route.path.rsplit('/').next() {
            Some("charges") => self.charge = reply.id(),
            Some("grants") => self.grant = reply.id(),
            Some("top-ups") => self.top_up = reply.id(),
            Some("webhook-endpoints") => self.endpoint = reply.id(),
            Some("api-keys") => self.key = reply.id(),
            _ => {}
        }
    }
}

/// The query whose response the example of a route shows.
fn query(route: &Route) -> &'static str {
    match route.path {
        "/v1/workspaces/{workspace}/usage" => "?group_by=operation,day",
        "/v1/workspaces/{workspace}/usage/changes" | "/v1/workspaces/{workspace}/burn-rate" => {
            "?group_by=operation"
        }
        _ => "",
    }
}

/// Sends the example of a route and compares the response with its example.
async fn try_example(world: &World, route: &Route, ids: &mut Ids) {
    let body = route.body.map_or_else(String::new, |body| body.content.example.to_owned());
    let key = if route.requires_idempotency_key { route.path } else { "" };
    let path = ids.path(route) + query(route);
    let reply = world.put(route.method.as_str(), &path, key, &body).await;
    let at = format!("{} {}: {}", route.method, route.path, reply.text);
    assert_eq!(reply.status, route.success.status, "{at}");
    if let Some(content) = route.success.content {
        let is_list = (content.shape)().is_list;
        assert_same_fields(&example(&content, is_list), &reply.json(), &at);
    }
    if route.method == "POST" {
        ids.remember(route, &reply);
    }
}

/// Asserts that both values have the same fields, as far as both have objects and rows.
fn assert_same_fields(example: &Value, real: &Value, at: &str) {
    match (example, real) {
        (Value::Object(example), Value::Object(real)) => {
            let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(example), names(real), "{at}");
            // Metadata is the caller's own object.
            for (name, value) in example.iter().filter(|(name, _)| *name != "metadata") {
                assert_same_fields(value, &real[name], at);
            }
        }
        (Value::Array(example), Value::Array(real)) => {
            if let (Some(example), Some(real)) = (example.first(), real.first()) {
                assert_same_fields(example, real, at);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_example_request_is_accepted_and_every_example_response_has_the_real_fields() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let clock = Arc::new(AtomicI64::new(NOW));
    let app = open(dir.path(), &settings(), &clock);
    prepare(&app).await.expect("an empty engine takes prices");
    let world = World { app: app.into(), clock, _dir: dir };
    let mut ids = Ids::default();
    let mut rest = api_routes();
    let elsewhere = [&AT_A_PROVIDER[..], &WITH_A_RECEIVER, &WITH_A_RELAY].concat();
    rest.retain(|route| route.method != "POST" || !elsewhere.contains(&route.path));
    for (method, path) in IN_ORDER {
        let index = rest.iter().position(|route| route.method == method && route.path == path);
        let route = rest.remove(index.expect("the table has the route"));
        try_example(&world, route, &mut ids).await;
        if path == "/v1/workspaces" {
            world.save_card("acme").await;
        }
    }
    let (reads, deletes): (Vec<_>, Vec<_>) = rest.into_iter().partition(|route| route.method == "GET");
    for route in reads {
        try_example(&world, route, &mut ids).await;
    }
    // The last admin cannot be removed, so there is another one.
    world.add_member("acme", "bob", "admin").await;
    for route in deletes {
        assert_eq!(route.method, "DELETE", "{} is not in the order", route.path);
        if route.path.ends_with("{key}") {
            ids.key = world.make_key("acme", r#"{"name":"k","scopes":["read"]}"#).await.0;
        }
        try_example(&world, route, &mut ids).await;
    }
}
