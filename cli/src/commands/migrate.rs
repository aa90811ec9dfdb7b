//! `tollkeeper migrate`: brings the tables of a database to this program's version, and distributes them on Citus.
//! `serve` migrates too; this is for whoever wants it done at another time, or by another user of the database.

use serde_json::json;
use tollkeeper_engine::postgres;
use tollkeeper_server::Store;

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;
use crate::transport::store_args::Place;

const EXAMPLE: &str = "\
`serve` does it too when it starts. It is safe to repeat, and beside others that do the same.

Examples:
  tollkeeper migrate --database-url postgres://db/tollkeeper
  tollkeeper migrate --distribute --json";

/// Bring the tables of a PostgreSQL database to this version
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    place: Place,

    /// Distribute the tables by workspace over the nodes of a Citus cluster
    #[arg(long)]
    distribute: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let store = args.place.store()?;
    let Store::Database(url) = &store else {
        return Err(Failure::new(Exit::Usage, "there is no database to migrate").hint(
            "give it with --database-url or TOLLKEEPER_DATABASE_URL; a data directory migrates itself",
        ));
    };
    let failed = |why| Failure::of_engine(format!("{store} cannot be migrated"), &why);
    let version = postgres::migrate(url.expose()).map_err(failed)?;
    let distributed = match args.distribute {
        true => Some(postgres::distribute(url.expose()).map_err(failed)?),
        false => None,
    };
    if args.json {
        return output::data(&format!("{}\n", json!({"version": version, "distributed": distributed})));
    }
    let mut text = format!("{store} has version {version} of the tables\n");
    if let Some(tables) = distributed {
        text += &match tables.is_empty() {
            true => "every table was distributed already\n".to_owned(),
            false => format!("distributed by workspace: {}\n", tables.join(", ")),
        };
    }
    output::data(&text)
}
