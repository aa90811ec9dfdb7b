//! The options that every data command has, and how its answer is shown.
//!
//! A request goes to a running server (`--server`) or to a store in this process. Both ways give
//! the same JSON, so one code path shows it.

use serde_json::Value;

use super::request::{Answer, Request, path, query};
use super::store_args::StoreArgs;
use super::{local, problem, remote};
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;

/// Where a data command sends its request, and the format of its output.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Ask a running server at this address; its key is read from TOLLKEEPER_KEY, else
    /// TOLLKEEPER_PLATFORM_KEY
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "database_url"])]
    server: Option<String>,

    #[command(flatten)]
    store: StoreArgs,

    /// Print the JSON of the API
    #[arg(long)]
    json: bool,
}

/// Which page of a list.
#[derive(Debug, clap::Args)]
pub struct Paging {
    /// Show at most N rows, 1 to 200 [default: 50]
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,

    /// Continue after the page that printed this cursor
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

impl Paging {
    /// The page as query parameters.
    pub fn parameters(&self) -> [(&'static str, Option<String>); 2] {
        [("limit", self.limit.map(|limit| limit.to_string())), ("cursor", self.cursor.clone())]
    }
}

/// The options of a command about one workspace, without others.
#[derive(Debug, clap::Args)]
pub struct WorkspaceArgs {
    /// The id of the workspace
    pub workspace: String,
    #[command(flatten)]
    pub target: Target,
}

/// The options of a command that lists something of a workspace, without filters.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// The id of the workspace
    pub workspace: String,
    #[command(flatten)]
    pub paging: Paging,
    #[command(flatten)]
    pub target: Target,
}

impl ListArgs {
    /// Shows a page of a collection of the workspace, such as `grants`, with these columns.
    pub fn show(self, collection: &str, columns: &[&str]) -> Result<(), Failure> {
        let path = path(&["v1", "workspaces", &self.workspace, collection]);
        self.target.list(Request::get(path + &query(&self.paging.parameters())), columns)
    }
}

/// The idempotency key of a command that moves credit.
#[derive(Debug, clap::Args)]
pub struct KeyArg {
    /// The idempotency key, which makes the command safe to repeat [default: a random key, which is
    /// printed]
    #[arg(long)]
    pub key: Option<String>,
}

impl Target {
    /// Sends the request. Prints its answer as JSON, or as `show` formats it.
    pub fn run(self, request: Request, show: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        let json = self.json;
        let what = if request.key.is_some() {
            "this key was used before for the same request"
        } else {
            "this was done before"
        };
        let answer = self.send(request)?;
        if answer.replayed {
            let status = answer.charge_status.as_deref();
            let since = status.map_or_else(String::new, |status| format!("; the charge is {status} now"));
            output::remark(&format!("replayed: {what}; nothing moved this time{since}"));
        }
        if json {
            return output::data(&format!("{}\n", answer.text.trim_end()));
        }
        output::data(&show(&parse(&answer)?))
    }

    /// Asks for the report at this path, which may take long. Prints it as comma-separated values
    /// (`is_csv`), as JSON, or as `show` formats it.
    pub fn run_report(
        self,
        path: String,
        is_csv: bool,
        show: impl FnOnce(&Value) -> String,
    ) -> Result<(), Failure> {
        let mut request = Request::get(path);
        request.is_long = true;
        if !is_csv {
            return self.run(request, show);
        }
        request.accept = "text/csv";
        output::data(&self.send(request)?.text)
    }

    /// Sends a DELETE of this path. The API answers it without a body, so nothing is printed with
    /// `--json`; without it, `done` is.
    pub fn delete(self, path: String, done: &str) -> Result<(), Failure> {
        let json = self.json;
        self.send(Request::delete(path))?;
        if json { Ok(()) } else { output::data(&format!("{}\n", output::plain(done))) }
    }

    /// Sends the request and returns its answer, for a command that asks several times.
    pub fn ask(&self, request: Request) -> Result<Value, Failure> {
        parse(&self.send(request)?)
    }

    /// True if the output is the JSON of the API.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// True if the request goes to a running server.
    pub fn is_server(&self) -> bool {
        self.server.is_some()
    }

    /// Sends the request; a status of 300 or more is a failure.
    fn send(&self, request: Request) -> Result<Answer, Failure> {
        let repeat_hint = request.repeat_hint();
        let answer = match &self.server {
            Some(url) => remote::send(url, request)?,
            None => local::send(&self.store.store()?, request)?,
        };
        if answer.status < 300 {
            return Ok(answer);
        }
        if self.json {
            output::data(&format!("{}\n", answer.text.trim_end()))?;
        }
        let failure = problem::failure(&answer);
        Err(if answer.status >= 500 { failure.or_hint(repeat_hint) } else { failure })
    }

    /// Sends the request for a list; shows it as a table with these columns.
    pub fn list(self, request: Request, columns: &[&str]) -> Result<(), Failure> {
        self.run(request, |json| {
            if let Some(cursor) = json["next_cursor"].as_str() {
                output::remark(&format!("more rows follow: --cursor {cursor}"));
            }
            let rows = json["data"].as_array().map_or(&[][..], Vec::as_slice);
            if rows.is_empty() {
                output::remark("no rows");
                return String::new();
            }
            output::table(rows, columns)
        })
    }
}

fn parse(answer: &Answer) -> Result<Value, Failure> {
    serde_json::from_str(&answer.text).map_err(|why| {
        Failure::new(Exit::Unavailable, "the answer does not come from a Tollkeeper server")
            .because(why)
            .hint("check that the address is that of a Tollkeeper server")
    })
}
