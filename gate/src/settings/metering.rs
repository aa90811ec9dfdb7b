//! The settings of a metered route: what is held before a request, and how usage is read after it.
//!
//! A request holds the meters `input` and `output`, because only they have a bound before it runs.
//! All other meters are known when the answer has arrived, and count then. The ledger compares the
//! total price with the hold, so a part of the input may be settled under a meter of its own.
//!
//! Two ways of counting cached input exist. Anthropic counts it beside `input_tokens`, so a meter
//! `cached_input` with a pointer of its own suffices. OpenAI counts it within `prompt_tokens`. So
//! such a route also says `included_in = { cached_input = "input" }`, and the gate subtracts it
//! there. Cached input is held at the price of `input`. A dearer part, such as input written
//! to a cache, can cost more than the hold. It is then settled at the hold, so such a route needs a
//! larger `input_constant`.
//!
//! How usage is read is in `exchange/usage.rs`, how a hold is computed in `quantity/hold.rs`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Dialect, RouteTable, within};

/// The meter that the size of a request bounds.
pub const INPUT: &str = "input";

/// The meter that a limit in the request bounds.
pub const OUTPUT: &str = "output";

/// The most units of one meter that the ledger takes in one charge.
pub const UNITS_MAX: i64 = 1_000_000_000;

/// The most meters that an operation may have in the price book.
const METERS_MAX: usize = 8;

/// The most JSON pointers of one meter: an answer and its events, of a few dialects.
const POINTERS_MAX: usize = 8;

/// What a server may add to a request, such as the text that separates messages.
const INPUT_CONSTANT: i64 = 256;

/// The member that most servers read, also those that do not know a newer one.
const OUTPUT_MEMBER: &str = "max_tokens";

/// The members that some servers read as a limit of the output, beside the one that is written.
const REFUSED_MEMBERS: [&str; 6] =
    ["n_predict", "n_cmpl", "num_predict", "max_new_tokens", "max_gen_len", "max_output_tokens"];

/// A metered route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metering {
    /// The meters that are settled.
    pub meters: Vec<Meter>,
    /// Pairs of meters, by index: the units of the first are counted in the second as well.
    pub included: Vec<(usize, usize)>,
    /// How `input` is held, if the route has this meter.
    pub input: Option<InputHold>,
    /// How `output` is held, if the route has this meter.
    pub output: Option<OutputHold>,
    /// The least output that is worth running, if the output may be lowered to what is affordable.
    pub fit_min: Option<i64>,
    /// What an answer without usage costs.
    pub on_missing: OnMissing,
    /// Whether the gate asks the upstream for usage in a stream.
    pub stream_usage: bool,
}

/// A meter, and where an answer has its units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// The id in the price book.
    pub id: String,
    /// JSON pointers into an answer or an event of it. The first one with a number counts.
    pub pointers: Vec<String>,
}

/// The bound of the input: a token is at least a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputHold {
    /// The most that is held.
    pub max: i64,
    /// What is held beyond the bytes of the body.
    pub constant: i64,
}

/// The bound of the output: a limit that the gate writes into the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputHold {
    /// The most output of a request, of all its answers together.
    pub max: i64,
    /// The limit of a request that has none.
    pub default: i64,
    /// The only member of the body with the limit. If it is `None`, the client's own member counts.
    pub member: Option<String>,
    /// The members that a request must not have, because a server may read them as a limit.
    pub refused: Vec<String>,
}

impl OutputHold {
    /// The member that gets the limit if the client used none.
    #[must_use]
    pub fn default_member(&self) -> &str {
        self.member.as_deref().unwrap_or(OUTPUT_MEMBER)
    }
}

/// What an answer without usage costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// What the sizes of the request and of the answer suggest, at most the hold.
    #[default]
    Estimate,
    /// All that was held.
    Hold,
    /// Nothing.
    Refund,
}

impl Metering {
    /// Reads the settings of a metered route; `None` if the route has no meters.
    ///
    /// # Errors
    /// A value is wrong, or belongs to a route with meters and there are none.
    pub(super) fn check(table: &RouteTable, dialect: Dialect) -> Result<Option<Metering>, String> {
        let Some(meters) = &table.meters else { return without_meters(table).map(|()| None) };
        if table.quantity.is_some() {
            return Err("a route has `quantity` or `meters`, not both".to_owned());
        }
        let meters =
            meters.iter().map(|(id, pointers)| meter(id, pointers)).collect::<Result<Vec<_>, _>>()?;
        if meters.is_empty() || meters.len() > METERS_MAX {
            return Err(format!("`meters` must name 1 to {METERS_MAX} meters"));
        }
        let has = |id: &str| meters.iter().any(|meter| meter.id == id);
        if !has(INPUT) && !has(OUTPUT) {
            return Err("`meters` must have `input` or `output`, which are held".to_owned());
        }
        let input = if has(INPUT) { Some(input(table)?) } else { None };
        let output = if has(OUTPUT) { Some(output(table)?) } else { None };
        if input.is_none() && (table.max_input.is_some() || table.input_constant.is_some()) {
            return Err("`max_input` and `input_constant` need the meter `input`".to_owned());
        }
        let is_of_output =
            [table.max_output, table.default_output, table.fit_min].iter().any(Option::is_some)
                || table.output_member.is_some()
                || table.refused_members.is_some()
                || table.fit == Some(true);
        if output.is_none() && is_of_output {
            return Err("limits of the output and `fit` need the meter `output`".to_owned());
        }
        let fit_min = within("fit_min", table.fit_min, 1, 1..=UNITS_MAX)?;
        if table.fit_min.is_some() && table.fit != Some(true) {
            return Err("`fit_min` needs `fit = true`".to_owned());
        }
        Ok(Some(Metering {
            included: included(table.included_in.as_ref(), &meters)?,
            meters,
            input,
            output,
            fit_min: table.fit.unwrap_or_default().then_some(fit_min),
            on_missing: table.on_missing.unwrap_or_default(),
            stream_usage: table.stream_usage.unwrap_or(dialect == Dialect::Openai),
        }))
    }
}

/// Refuses a setting that has no meaning without meters.
fn without_meters(table: &RouteTable) -> Result<(), String> {
    let given = [
        ("included_in", table.included_in.is_some()),
        ("max_input", table.max_input.is_some()),
        ("input_constant", table.input_constant.is_some()),
        ("max_output", table.max_output.is_some()),
        ("default_output", table.default_output.is_some()),
        ("output_member", table.output_member.is_some()),
        ("refused_members", table.refused_members.is_some()),
        ("fit", table.fit.is_some()),
        ("fit_min", table.fit_min.is_some()),
        ("on_missing", table.on_missing.is_some()),
        ("stream_usage", table.stream_usage.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(format!("`{name}` needs `meters`")),
        None => Ok(()),
    }
}

fn meter(id: &str, pointers: &[String]) -> Result<Meter, String> {
    let is_id = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:@-".contains(&byte))
        && id.bytes().any(|byte| byte != b'.');
    if !is_id {
        return Err(format!("`meters` must have ids of the price book, not {id:?}"));
    }
    let are_pointers = pointers.iter().all(|pointer| pointer.starts_with('/'));
    if pointers.is_empty() || pointers.len() > POINTERS_MAX || !are_pointers {
        return Err(format!("`meters.{id}` must be 1 to {POINTERS_MAX} JSON pointers, which begin with /"));
    }
    Ok(Meter { id: id.to_owned(), pointers: pointers.to_vec() })
}

fn input(table: &RouteTable) -> Result<InputHold, String> {
    let max = table.max_input.ok_or("`max_input` is missing: the most input that is held for a request")?;
    Ok(InputHold {
        max: within("max_input", Some(max), max, 1..=UNITS_MAX)?,
        constant: within("input_constant", table.input_constant, INPUT_CONSTANT, 0..=UNITS_MAX)?,
    })
}

fn output(table: &RouteTable) -> Result<OutputHold, String> {
    let max = table.max_output.ok_or("`max_output` is missing: the most output of a request")?;
    let max = within("max_output", Some(max), max, 1..=UNITS_MAX)?;
    let default = within("default_output", table.default_output, max, 1..=max)?;
    let member = table.output_member.clone();
    if member.as_ref().is_some_and(|name| name.is_empty() || name.starts_with('/')) {
        return Err("`output_member` must be a member of the body, such as max_tokens".to_owned());
    }
    let refused = match &table.refused_members {
        Some(own) if own.iter().any(|name| name.is_empty() || member.as_ref() == Some(name)) => {
            return Err(
                "`refused_members` must be members of the body, other than `output_member`".to_owned()
            );
        }
        Some(own) => own.clone(),
        None => {
            let others = REFUSED_MEMBERS.into_iter().filter(|name| member.as_deref() != Some(name));
            others.map(str::to_owned).collect()
        }
    };
    Ok(OutputHold { max, default, member, refused })
}

/// The pairs of meters of which one includes the other. A meter that includes others is not itself
/// a part, so that each unit is subtracted once.
fn included(
    table: Option<&BTreeMap<String, String>>,
    meters: &[Meter],
) -> Result<Vec<(usize, usize)>, String> {
    let Some(table) = table else { return Ok(Vec::new()) };
    let index = |id: &str| {
        let at = meters.iter().position(|meter| meter.id == id);
        at.ok_or_else(|| format!("`included_in` names {id}, which is no meter of the route"))
    };
    let pairs = table.iter().map(|(part, whole)| {
        if table.contains_key(whole) {
            return Err(format!("`included_in`: {whole} includes {part}, so it cannot be a part itself"));
        }
        Ok((index(part)?, index(whole)?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Quantity, Route, Settings};
    use super::*;

    const METERS: &str =
        "meters = { input = [\"/usage/prompt_tokens\"], output = [\"/usage/completion_tokens\"] }\n";

    const BOUNDS: &str = "max_input = 1000\nmax_output = 500\n";

    fn route(more: &str) -> Result<Route, String> {
        let text = format!(
            "[gate]\nlisten = \"127.0.0.1:0\"\n[[gate.routes]]\nmethod = \"POST\"\npath = \"/v1/chat\"\n\
             operation = \"chat\"\nupstream = \"http://127.0.0.1:1\"\n{more}"
        );
        let settings = Settings::parse(&text).map_err(|why| why.to_string())?;
        Ok(settings.expect("there is a gate").routes[0].clone())
    }

    fn metering(more: &str) -> Metering {
        let route = route(more).expect("it is right");
        let Quantity::Metered(metering) = &route.quantity else { panic!("{route:?}") };
        Metering::clone(metering)
    }

    #[test]
    fn a_metered_route_has_defaults() {
        let plain = metering(&format!("{METERS}{BOUNDS}"));
        assert_eq!(plain.input, Some(InputHold { max: 1_000, constant: 256 }));
        let output = plain.output.expect("it has the meter");
        assert_eq!((output.max, output.default, output.default_member()), (500, 500, "max_tokens"));
        assert_eq!((plain.fit_min, plain.on_missing, plain.stream_usage), (None, OnMissing::Estimate, false));
        let openai = metering(&format!(
            "{METERS}{BOUNDS}dialect = \"openai\"\nfit = true\nfit_min = 16\ndefault_output = 100\n\
             on_missing = \"hold\"\ninput_constant = 0\noutput_member = \"max_completion_tokens\"\n"
        ));
        assert_eq!(
            (openai.fit_min, openai.on_missing, openai.stream_usage),
            (Some(16), OnMissing::Hold, true)
        );
        let output = openai.output.expect("it has the meter");
        assert_eq!((output.default, output.default_member()), (100, "max_completion_tokens"));
        let embeddings = metering("meters = { input = [\"/usage/prompt_tokens\"] }\nmax_input = 9\n");
        assert_eq!((embeddings.output, embeddings.fit_min), (None, None));
    }

    #[test]
    fn a_route_refuses_other_members_with_a_limit() {
        let refused = |more: &str| {
            let metering = metering(&format!("{METERS}{BOUNDS}{more}"));
            metering.output.expect("it has the meter").refused
        };
        assert_eq!(refused(""), REFUSED_MEMBERS);
        assert_eq!(refused("output_member = \"max_output_tokens\"\n"), REFUSED_MEMBERS[..5]);
        assert_eq!(refused("refused_members = [\"limit\"]\n"), ["limit"]);
        assert!(refused("refused_members = []\n").is_empty());
    }

    #[test]
    fn a_part_of_a_meter_can_have_a_price_of_its_own() {
        let metering = metering(&format!(
            "{BOUNDS}included_in = {{ cached_input = \"input\" }}\n[gate.routes.meters]\n\
             cached_input = [\"/usage/prompt_tokens_details/cached_tokens\"]\n\
             input = [\"/usage/prompt_tokens\"]\noutput = [\"/usage/completion_tokens\"]\n"
        ));
        let ids: Vec<&str> = metering.meters.iter().map(|meter| &*meter.id).collect();
        assert_eq!(ids, ["cached_input", "input", "output"]);
        assert_eq!(metering.included, [(0, 1)]);
    }

    #[test]
    fn a_wrong_value_of_a_metered_route_stops_the_start() {
        let check = |more: &str, expected: &str| {
            let why = route(more).expect_err(more);
            assert!(why.contains(expected), "{more}: {why}");
        };
        check(&format!("quantity = 1\n{METERS}{BOUNDS}"), "`quantity` or `meters`, not both");
        check("max_input = 5\n", "`max_input` needs `meters`");
        check("on_missing = \"hold\"\n", "`on_missing` needs `meters`");
        check(METERS, "`max_input` is missing");
        check(&format!("{METERS}max_input = 5\n"), "`max_output` is missing");
        check("meters = {}\n", "1 to 8 meters");
        check("meters = { other = [\"/a\"] }\n", "`input` or `output`, which are held");
        check("meters = { \"in put\" = [\"/a\"] }\n", "ids of the price book");
        check("meters = { input = [] }\nmax_input = 1\n", "`meters.input` must be 1 to 8 JSON pointers");
        check("meters = { input = [\"usage\"] }\nmax_input = 1\n", "which begin with /");
        check(&format!("{METERS}max_input = 0\nmax_output = 5\n"), "`max_input` must be a whole number");
        check(&format!("{METERS}max_input = 5\nmax_output = 1000000001\n"), "`max_output` must be");
        check(&format!("{METERS}{BOUNDS}default_output = 501\n"), "`default_output` must be");
        check(&format!("{METERS}{BOUNDS}fit_min = 5\n"), "`fit_min` needs `fit = true`");
        check(&format!("{METERS}{BOUNDS}fit = true\nfit_min = 0\n"), "`fit_min` must be");
        check(&format!("{METERS}{BOUNDS}on_missing = \"guess\"\n"), "unknown variant `guess`");
        check(&format!("{METERS}{BOUNDS}output_member = \"/max\"\n"), "`output_member` must be");
        let both = "output_member = \"a\"\nrefused_members = [\"a\"]\n";
        check(&format!("{METERS}{BOUNDS}{both}"), "`refused_members` must be");
        check("refused_members = []\n", "`refused_members` needs `meters`");
        check(&format!("{METERS}{BOUNDS}included_in = {{ cached = \"input\" }}\n"), "names cached");
        check(&format!("{METERS}{BOUNDS}included_in = {{ input = \"input\" }}\n"), "cannot be a part itself");
        check("meters = { input = [\"/a\"] }\nmax_input = 1\nfit = true\n", "need the meter `output`");
        check("meters = { output = [\"/a\"] }\nmax_output = 1\nmax_input = 5\n", "need the meter `input`");
    }
}
