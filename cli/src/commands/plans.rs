//! `tollkeeper plans`: shows the plans and sets a new version of them (P4).

use std::path::PathBuf;

use serde_json::Value;

use crate::terminal::failure::Failure;
use crate::terminal::input;
use crate::terminal::output::{lines, table};
use crate::transport::request::{Access, Request, path};
use crate::transport::target::Target;

const EXAMPLE: &str = "Examples:
  tollkeeper plans show
  tollkeeper plans show --json > plans.json
  tollkeeper plans set plans.json";

const SHOW_EXAMPLE: &str = "Until plans are set, three samples are shown, with `sample` true.

Example:
  tollkeeper plans show";

const SET_EXAMPLE: &str =
    "The file is a JSON object. A plan that it does not list is retired: nobody can start it any more.
A subscription keeps the terms with which it was started.
  {\"plans\": [{\"id\": \"starter\", \"name\": \"Starter\", \"price_usd\": \"19.00\",
              \"credits\": 2000000, \"interval\": \"month\"}]}
credits is the credit of a month in micro-units; credits_usd gives it in dollars instead.
interval is month or year. A free plan has the price 0.00. The output of `plans show --json` can be
edited and used as the file.

Example:
  tollkeeper plans set plans.json";

/// Show the plans, set a new version of them
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLE)]
pub enum Command {
    /// Show the newest version of the plans
    #[command(after_help = SHOW_EXAMPLE)]
    Show {
        #[command(flatten)]
        target: Target,
    },
    /// Set all plans from a file, as a new version
    #[command(after_help = SET_EXAMPLE)]
    Set {
        /// The new plans, a JSON file; `-` reads stdin
        file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs a command.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Show { target } => target.run(Request::get(path(&["v1", "plans"])), as_text),
        Command::Set { file, target } => {
            let plans = input::json(&file, "plans", "tollkeeper plans set --help")?;
            let request = Request::write("PUT", path(&["v1", "plans"]), without_answer_fields(plans));
            target.run(request.with_access(Access::Creates), as_text)
        }
    }
}

fn as_text(json: &Value) -> String {
    let plans = json["plans"].as_array().map_or(&[][..], Vec::as_slice);
    let head = lines(json, &["version"]);
    format!("{head}\n{}", table(plans, &["id", "name", "price_usd", "credits", "interval", "sample"]))
}

/// Removes the fields that only answers have, so that the output of `plans show --json` can be used
/// as input. A file without `version` was not such an output: it stays as it is, and the API names
/// its errors.
fn without_answer_fields(mut list: Value) -> Value {
    let Some(version) = list.as_object_mut().filter(|list| list.contains_key("version")) else {
        return list;
    };
    version.retain(|name, _| name == "plans");
    let plans = version.get_mut("plans").and_then(Value::as_array_mut);
    for plan in plans.into_iter().flatten().filter_map(Value::as_object_mut) {
        plan.retain(|name, _| name != "credits_usd" && name != "sample");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_output_of_show_can_be_used_as_input() {
        let plan = |more: Value| {
            let mut plan = json!({
                "id": "a", "name": "A", "price_usd": "19.00", "credits": 5, "interval": "month",
            });
            let fields = plan.as_object_mut().expect("it is an object");
            fields.extend(more.as_object().expect("it is an object").clone());
            plan
        };
        let answer_fields = json!({"credits_usd": "0.00005", "sample": true});
        let shown = json!({"version": 0, "plans": [plan(answer_fields)]});
        assert_eq!(without_answer_fields(shown), json!({"plans": [plan(json!({}))]}));
        let written = json!({"plans": [{"id": "a", "credits_usd": "1", "sample": true}]});
        assert_eq!(without_answer_fields(written.clone()), written);
    }
}
