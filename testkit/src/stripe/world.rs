//! The state of the account: objects, clock, keys, faults, events. One mutex holds it.
//!
//! An object is the JSON that Stripe would answer. Fields that begin with an underscore belong to
//! the stand-in and are never sent.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Options;
use super::error::StripeError;
use super::faults::FaultPlan;
use super::idempotency::IdempotencyKeys;
use super::params::Params;
use super::recorded::RecordedRequest;
use super::webhooks::WebhookQueue;

/// A request for an endpoint: the ids in its path and its parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// The id in the path, empty if there is none.
    pub id: String,
    /// The path, which lists name as their address.
    pub path: String,
    pub params: Params,
}

/// The answer of an endpoint, with hidden fields.
pub(super) type Answer = Result<Value, StripeError>;

/// The request that causes an event.
#[derive(Debug, Clone, Default)]
pub(super) struct Cause {
    pub request_id: Option<String>,
    pub idempotency_key: Option<String>,
}

/// Everything that the stand-in knows.
#[derive(Debug)]
pub(super) struct World {
    pub options: Options,
    pub base_url: String,
    /// Seconds since 1970.
    pub now: i64,
    pub keys: IdempotencyKeys,
    pub faults: FaultPlan,
    pub webhooks: WebhookQueue,
    pub requests: Vec<RecordedRequest>,
    pub cause: Cause,
    /// Tax in hundredths of a percent, where `automatic_tax` is asked for.
    pub tax_basis_points: i64,
    /// How long a new object is missing in lists, in seconds.
    pub list_lag: i64,
    /// The status of refunds that are made next.
    pub refund_status: &'static str,
    counter: u64,
    objects: BTreeMap<String, Value>,
    /// The ids of each kind in the order of creation.
    ids: BTreeMap<String, Vec<String>>,
}

impl World {
    pub(super) fn new(options: Options, base_url: String) -> World {
        let webhooks = WebhookQueue::new(options.webhook_secrets.clone());
        World {
            now: options.now,
            options,
            base_url,
            keys: IdempotencyKeys::default(),
            faults: FaultPlan::default(),
            webhooks,
            requests: Vec::new(),
            cause: Cause::default(),
            tax_basis_points: 0,
            list_lag: 0,
            refund_status: "succeeded",
            counter: 0,
            objects: BTreeMap::new(),
            ids: BTreeMap::new(),
        }
    }

    /// The next id with a prefix such as `cus_`.
    pub(super) fn next_id(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{}{:08}", self.options.id_salt, self.counter)
    }

    /// Adds an object: the shape of its kind, with these fields set. Returns its id.
    pub(super) fn insert(&mut self, prefix: &str, shape: &str, fields: Value) -> String {
        let id = self.next_id(prefix);
        let mut value = shaped(shape, fields);
        value["id"] = json!(id);
        set_if_present(&mut value, "created", json!(self.now));
        set_if_present(&mut value, "livemode", json!(self.options.livemode));
        value["_at"] = json!(self.now);
        self.ids.entry(text(&value, "object").to_owned()).or_default().push(id.clone());
        self.objects.insert(id.clone(), value);
        id
    }

    /// The object with this id. Panics if there is none: the caller knows it.
    pub(super) fn get(&self, id: &str) -> &Value {
        self.objects.get(id).unwrap_or_else(|| panic!("the stand-in has no object {id}"))
    }

    pub(super) fn get_mut(&mut self, id: &str) -> &mut Value {
        self.objects.get_mut(id).unwrap_or_else(|| panic!("the stand-in has no object {id}"))
    }

    /// Sets fields of an object.
    pub(super) fn set(&mut self, id: &str, fields: Value) {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        for (name, value) in fields {
            self.get_mut(id)[name.as_str()] = value;
        }
    }

    /// Replaces an object by what is left of it.
    pub(super) fn replace(&mut self, id: &str, value: Value) {
        *self.get_mut(id) = value;
    }

    /// The object with this id, if there is one.
    pub(super) fn lookup(&self, id: &str) -> Option<&Value> {
        self.objects.get(id)
    }

    /// An object of a kind, by its id.
    pub(super) fn find(&self, kind: &str, id: &str) -> Option<&Value> {
        self.objects.get(id).filter(|value| text(value, "object") == kind)
    }

    /// The object of the path, or 404.
    pub(super) fn of_path(&self, kind: &str, id: &str) -> Result<&Value, StripeError> {
        self.find(kind, id).ok_or_else(|| StripeError::no_such(kind, id))
    }

    /// The object that a parameter names, or 400. A deleted object is missing.
    pub(super) fn of_parameter(&self, kind: &str, id: &str, param: &str) -> Result<&Value, StripeError> {
        let found = self.find(kind, id).filter(|value| value.get("deleted").is_none());
        found.ok_or_else(|| StripeError::no_such_parameter(kind, id, param))
    }

    /// The objects of a kind, oldest first.
    pub(super) fn all<'a>(&'a self, kind: &'a str) -> impl DoubleEndedIterator<Item = &'a Value> {
        self.ids.get(kind).into_iter().flatten().filter_map(move |id| self.find(kind, id))
    }

    /// Amount of tax on an amount, half a cent rounded up.
    pub(super) fn tax_on(&self, cents: i64, is_taxed: bool) -> i64 {
        if is_taxed { (cents * self.tax_basis_points + 5_000).div_euclid(10_000) } else { 0 }
    }

    /// The address of a page, with a path of this stand-in.
    pub(super) fn page(&self, path: &str) -> Value {
        json!(format!("{}{path}", self.base_url))
    }
}

/// The template of a kind with fields set.
pub(super) fn shaped(shape: &str, fields: Value) -> Value {
    let mut value: Value = serde_json::from_str(shape).expect("a shape is JSON");
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (name, field) in fields {
        value[name.as_str()] = field;
    }
    value
}

fn set_if_present(value: &mut Value, name: &str, field: Value) {
    if let Some(place) = value.get_mut(name) {
        *place = field;
    }
}

/// A text field, empty if it is null.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// An integer field, zero if it is null.
pub(super) fn int(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}

/// Metadata after an update: an empty value removes its key.
pub(super) fn merged(metadata: &Value, update: Map<String, Value>) -> Value {
    let mut merged = metadata.as_object().cloned().unwrap_or_default();
    for (name, value) in update {
        if value == "" {
            merged.remove(&name)
        } else {
            merged.insert(name, value)
        };
    }
    Value::Object(merged)
}
