//! Lists: newest first, pages, filters by time, and objects that appear late.

use serde_json::{Value, json};

use super::error::StripeError;
use super::world::{Answer, Call, World, int, text};

/// Stripe's default and greatest sizes of a page.
const PAGE_DEFAULT: i64 = 10;
const PAGE_MAX: i64 = 100;

/// A page of the objects of a kind that pass the filter.
pub(super) fn page_of(world: &World, call: &Call, kind: &str, filter: impl Fn(&Value) -> bool) -> Answer {
    let visible = |value: &&Value| int(value, "_at") + world.list_lag <= world.now;
    let bounds = created_bounds(call)?;
    let within = |value: &&Value| bounds.iter().all(|(bound, at)| bound.holds(int(value, "created"), *at));
    let matching = world.all(kind).rev().filter(visible).filter(within);
    let matching: Vec<&Value> = matching.filter(|value| filter(value)).collect();
    page(call, &matching)
}

/// A page of these objects, which are in the order of the list.
pub(super) fn page(call: &Call, objects: &[&Value]) -> Answer {
    let limit = call.params.integer("limit")?.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(StripeError::invalid("Limit is out of range: 1 to 100", "limit"));
    }
    let limit = usize::try_from(limit).expect("it is at most 100");
    let place = |name: &str| -> Result<Option<usize>, StripeError> {
        let Some(id) = call.params.text(name) else { return Ok(None) };
        let found = objects.iter().position(|object| text(object, "id") == id);
        found.map(Some).ok_or_else(|| StripeError::no_such_parameter("object", id, name))
    };
    let (first, end) = match (place("starting_after")?, place("ending_before")?) {
        (Some(after), _) => (after + 1, objects.len()),
        (None, Some(before)) => (before.saturating_sub(limit), before),
        (None, None) => (0, objects.len()),
    };
    let data: Vec<&Value> = objects[first..end].iter().take(limit).copied().collect();
    let has_more = if call.params.has("ending_before") { first > 0 } else { first + data.len() < end };
    Ok(json!({"object": "list", "data": data, "has_more": has_more, "url": call.path}))
}

/// A list that is a field of an object, with its first `size` elements.
pub(super) fn embedded(elements: &[Value], size: usize, url: &str) -> Value {
    let data: Vec<&Value> = elements.iter().take(size).collect();
    json!({"object": "list", "data": data, "has_more": elements.len() > size, "url": url})
}

enum Bound {
    AtLeast,
    Above,
    AtMost,
    Below,
}

impl Bound {
    fn holds(&self, created: i64, at: i64) -> bool {
        match self {
            Bound::AtLeast => created >= at,
            Bound::Above => created > at,
            Bound::AtMost => created <= at,
            Bound::Below => created < at,
        }
    }
}

fn created_bounds(call: &Call) -> Result<Vec<(Bound, i64)>, StripeError> {
    let mut bounds = Vec::new();
    if let Some(at) = call.params.text("created").and_then(|text| text.parse().ok()) {
        bounds.extend([(Bound::AtLeast, at), (Bound::AtMost, at)]);
    }
    let named = [
        (Bound::AtLeast, "created.gte"),
        (Bound::Above, "created.gt"),
        (Bound::AtMost, "created.lte"),
        (Bound::Below, "created.lt"),
    ];
    for (bound, name) in named {
        if let Some(at) = call.params.integer(name)? {
            bounds.push((bound, at));
        }
    }
    Ok(bounds)
}

/// True if the parameter was not sent or equals the field.
pub(super) fn fits(call: &Call, param: &str, value: &Value, field: &str) -> bool {
    call.params.text(param).is_none_or(|wanted| text(value, field) == wanted)
}
