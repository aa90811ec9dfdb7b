//! Where a data command goes, and how its answer is shown. One code path for both: the same request, the same JSON.

use serde_json::Value;

use super::request::{Answer, Request};
use super::store_args::Place;
use super::{local, problem, remote};
use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;

/// Options that every data command has.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Ask a running server at this address; its key is read from TOLLKEEPER_KEY or TOLLKEEPER_PLATFORM_KEY.
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "database_url"])]
    server: Option<String>,

    #[command(flatten)]
    place: Place,

    /// Print the API's JSON as it is.
    #[arg(long)]
    json: bool,
}

/// Which part of a list.
#[derive(Debug, clap::Args)]
pub struct Paging {
    /// At most so many rows, 1 to 200 [default: 50].
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,

    /// Go on where the page before ended.
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

impl Paging {
    /// The page as parameters of a query.
    pub fn parameters(&self) -> [(&'static str, Option<String>); 2] {
        [("limit", self.limit.map(|limit| limit.to_string())), ("cursor", self.cursor.clone())]
    }
}

impl Target {
    /// Sends the request; shows the answer with `show`, or as JSON.
    pub fn run(self, request: Request, show: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        let json = self.json;
        let answer = self.send(request)?;
        if answer.replayed {
            output::remark("replayed: this key was answered before; nothing was moved this time");
        }
        if json {
            return output::data(&format!("{}\n", answer.text.trim_end()));
        }
        output::data(&show(&parsed(&answer)?))
    }

    /// Ends what stands at this path. The API has nothing to say of it, so JSON is none; people read `done`.
    pub fn end(self, path: String, done: &str) -> Result<(), Failure> {
        let json = self.json;
        self.send(Request::delete(path))?;
        if json { Ok(()) } else { output::data(&format!("{}\n", output::plain(done))) }
    }

    /// Whether it goes to a server, which knows where it is reached.
    pub fn is_server(&self) -> bool {
        self.server.is_some()
    }

    /// Sends the request; what is not done is a failure.
    fn send(self, request: Request) -> Result<Answer, Failure> {
        let again = request.again();
        let answer = match &self.server {
            Some(url) => remote::send(url, request)?,
            None => local::send(&self.place.store()?, request)?,
        };
        if answer.status < 300 {
            return Ok(answer);
        }
        if self.json {
            output::data(&format!("{}\n", answer.text.trim_end()))?;
        }
        let failure = problem::failure(&answer);
        Err(if answer.status >= 500 { failure.or_hint(again) } else { failure })
    }

    /// Sends the request for a list; shows it as a table of these columns.
    pub fn list(self, request: Request, columns: &[&str]) -> Result<(), Failure> {
        self.run(request, |json| {
            if let Some(cursor) = json["next_cursor"].as_str() {
                output::remark(&format!("there is more: --cursor {cursor}"));
            }
            let rows = json["data"].as_array().map_or(&[][..], Vec::as_slice);
            if rows.is_empty() {
                output::remark("nothing here");
                return String::new();
            }
            output::table(rows, columns)
        })
    }
}

fn parsed(answer: &Answer) -> Result<Value, Failure> {
    serde_json::from_str(&answer.text).map_err(|why| {
        Failure::new(Exit::NotNow, "the answer is not one of Tollkeeper's")
            .because(why)
            .hint("is the address that of a Tollkeeper server?")
    })
}
