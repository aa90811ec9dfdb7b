//! `tollkeeper charge`: charges for a run of an operation, and everything that can happen to the
//! charge afterwards. The options are in `options`.

pub(crate) mod options;

use serde_json::Value;

use self::options::{Create, Heartbeat, List, Outcome, Quote, Refund, Show, quantity_fields};
use crate::terminal::failure::Failure;
use crate::terminal::output::{lines, table};
use crate::transport::request::{Access, Request, object, path, query};

pub use options::Command;

const FIELDS: [&str; 17] = [
    "id",
    "workspace",
    "operation",
    "quantity",
    "unit_price",
    "amount",
    "status",
    "outcome",
    "refunded_amount",
    "price_version",
    "worker",
    "member",
    "reference",
    "metadata",
    "deadline",
    "created_at",
    "balance.available",
];

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(create) => self::create(create),
        Command::Show(show) => self::show(show),
        Command::List(list) => self::list(list),
        Command::Outcome(outcome) => self::outcome(outcome),
        Command::Heartbeat(heartbeat) => self::heartbeat(heartbeat),
        Command::Refund(refund) => self::refund(refund),
        Command::Quote(quote) => self::quote(quote),
    }
}

fn create(args: Create) -> Result<(), Failure> {
    let [quantity, quantities] = quantity_fields(args.quantity)?;
    let body = object([
        ("operation", Some(args.operation.into())),
        quantity,
        quantities,
        ("worker", args.worker.map(Value::from)),
        ("member", args.member.map(Value::from)),
        ("await_outcome", args.await_outcome.then_some(Value::Bool(true))),
        ("outcome_by_platform", args.outcome_by_platform.then_some(Value::Bool(true))),
        ("timeout_seconds", args.timeout_seconds.map(Value::from)),
        ("reference", args.reference.map(Value::from)),
        ("metadata", args.metadata),
    ]);
    let request = Request::write("POST", path(&["v1", "workspaces", &args.workspace, "charges"]), body);
    args.target.run(request.with_key(args.idempotency.key)?, details)
}

fn show(args: Show) -> Result<(), Failure> {
    args.target.run(Request::get(args.id.path(None)), |json| {
        let mut text = details(json);
        let draws = json["draws"].as_array().cloned().unwrap_or_default();
        for (name, rows, columns) in [
            ("draws", draws, &["grant", "amount"][..]),
            ("refunds", refund_rows(json), &["created_at", "grant", "amount", "reason", "detail"]),
        ] {
            if !rows.is_empty() {
                text += &format!("\n{name}\n{}", table(&rows, columns));
            }
        }
        text
    })
}

/// Returns the refunds of a charge, one row for each grant that got credit back.
fn refund_rows(charge: &Value) -> Vec<Value> {
    let refunds = charge["refunds"].as_array().into_iter().flatten();
    let rows = refunds.flat_map(|refund| {
        // A refund may return to a thousand grants, so its list is not copied into each row.
        refund["gives"].as_array().into_iter().flatten().map(|part| {
            let of_refund = ["created_at", "reason", "detail"].map(|name| (name, Some(refund[name].clone())));
            let mut row = object(of_refund);
            for name in ["grant", "amount"] {
                row[name] = part[name].clone();
            }
            row
        })
    });
    rows.collect()
}

fn list(args: List) -> Result<(), Failure> {
    let List { workspace, operation, worker, member, status, reference, from, to, paging, target } = args;
    let [limit, cursor] = paging.parameters();
    let query = query(&[
        ("operation", operation),
        ("worker", worker),
        ("member", member),
        ("status", status),
        ("reference", reference),
        ("from", from),
        ("to", to),
        limit,
        cursor,
    ]);
    let request = Request::get(path(&["v1", "workspaces", &workspace, "charges"]) + &query);
    target.list(request, &["id", "created_at", "operation", "quantity", "amount", "status", "outcome"])
}

fn outcome(args: Outcome) -> Result<(), Failure> {
    let [quantity, quantities] = quantity_fields(args.quantity)?;
    let body = object([
        ("result", Some(args.result.into())),
        quantity,
        quantities,
        ("fault", args.fault.map(Value::from)),
        ("detail", args.detail.map(Value::from)),
    ]);
    args.target.run(Request::write("POST", args.id.path(Some("outcome")), body), details)
}

fn heartbeat(args: Heartbeat) -> Result<(), Failure> {
    let body = object([("extend_seconds", Some(args.extend_seconds.into()))]);
    args.target.run(Request::write("POST", args.id.path(Some("heartbeat")), body), details)
}

fn refund(args: Refund) -> Result<(), Failure> {
    let body = object([
        ("amount", args.amount.map(Value::from)),
        ("amount_usd", args.usd.map(Value::from)),
        ("reason", Some(args.reason.into())),
    ]);
    let request = Request::write("POST", args.id.path(Some("refund")), body);
    args.target.run(request.with_key(args.idempotency.key)?, details)
}

fn quote(args: Quote) -> Result<(), Failure> {
    let [quantity, quantities] = quantity_fields(args.quantity)?;
    let body = object([("operation", Some(args.operation.into())), quantity, quantities]);
    let path = path(&["v1", "workspaces", &args.workspace, "quote"]);
    let request = Request::write("POST", path, body).with_access(Access::Reads);
    args.target.run(request, |json| {
        let is_metered = json.get("affordable_quantities").is_some();
        let units = if is_metered { "affordable_quantities" } else { "affordable_quantity" };
        lines(json, &["amount", "affordable", units, "available"])
    })
}

/// The fields of a charge. One of an operation with meters has units and prices of each.
fn details(json: &Value) -> String {
    let instead = |field: &&'static str| match *field {
        "quantity" => vec!["quantities", "used_quantities"],
        "unit_price" => vec![],
        other => vec![other],
    };
    let Some(meters) = json["meters"].as_array() else { return lines(json, &FIELDS) };
    let fields: Vec<&str> = FIELDS.iter().flat_map(instead).collect();
    format!("{}\nmeters\n{}", lines(json, &fields), table(meters, &["id", "unit_price", "per"]))
}
