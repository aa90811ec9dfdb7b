//! Events: a snapshot of an object at the time of a change, listed for 30 days.

use serde_json::{Value, json};

use super::lists;
use super::router::{Route, rendered, route};
use super::world::{Answer, Call, World, int, text};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "events", &["created", "delivery_success", "type", "types"], list),
    route("GET", "events/{}", &[], get),
];

/// How long events are listed, in seconds.
const LISTED_SECONDS: i64 = 30 * 24 * 3600;

impl World {
    /// Records an event and hands it to the webhooks.
    pub(super) fn emit(&mut self, kind: &str, object: &str) {
        self.emit_with(kind, object, None);
    }

    /// The same, with what was otherwise before.
    pub(super) fn emit_with(&mut self, kind: &str, object: &str, before: Option<Value>) {
        let snapshot = rendered(self, self.get(object).clone(), &[]);
        let mut event = json!({
            "id": "", "object": "event", "api_version": self.options.event_api_version, "created": 0,
            "data": {"object": snapshot}, "livemode": false, "pending_webhooks": 1, "type": kind,
            "request": {"id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key},
        });
        if let Some(before) = before {
            event["data"]["previous_attributes"] = before;
        }
        let id = self.insert("evt_", &event.to_string(), json!({}));
        self.webhooks.enqueue(&id, self.now);
    }
}

fn list(world: &mut World, call: &Call) -> Answer {
    let types = call.params.texts("types");
    let oldest = world.now - LISTED_SECONDS;
    lists::page_of(world, call, "event", |event| {
        let kind = text(event, "type");
        int(event, "created") >= oldest
            && call.params.text("type").is_none_or(|wanted| matches_type(wanted, kind))
            && (types.is_empty() || types.iter().any(|wanted| matches_type(wanted, kind)))
    })
}

/// True if a type, or a group such as `charge.*`, includes this type.
fn matches_type(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => wanted == kind,
    }
}

fn get(world: &mut World, call: &Call) -> Answer {
    world.of_path("event", &call.id).cloned()
}

/// What is sent for an event.
pub(super) fn body_of(world: &World, id: &str) -> Value {
    rendered(world, world.get(id).clone(), &[])
}
