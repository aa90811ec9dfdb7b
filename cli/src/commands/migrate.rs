//! `tollkeeper migrate`: migrates the tables of a database to the version of this program, and
//! distributes them on Citus.
//!
//! `serve` migrates too. This command is for operators who migrate at another time, or as another
//! database user.

use serde_json::json;
use tollkeeper_engine::postgres;
use tollkeeper_server::Store;

use crate::terminal::failure::{Exit, Failure};
use crate::terminal::output;
use crate::transport::store_args::StoreArgs;

const EXAMPLE: &str = "\
`serve` migrates too when it starts. The command is safe to repeat, also at the same time as others.

Examples:
  tollkeeper migrate --database-url postgres://db/tollkeeper
  tollkeeper migrate --distribute --json";

/// Migrate the tables of a PostgreSQL database to this version
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// Distribute the tables by workspace over the nodes of a Citus cluster
    #[arg(long)]
    distribute: bool,

    /// Shards of the tables; default: two for each worker node
    #[arg(long, value_name = "N", requires = "distribute", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    shards: Option<u32>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let store = args.store.store()?;
    let Store::Database(url) = &store else {
        return Err(Failure::new(Exit::Usage, "no database to migrate is named").hint(
            "name it with --database-url or TOLLKEEPER_DATABASE_URL; a data directory is migrated when a server opens it",
        ));
    };
    let failed = |why| Failure::of_engine(format!("{store} cannot be migrated"), &why);
    let version = postgres::migrate(url.expose()).map_err(failed)?;
    let distributed = match args.distribute {
        true => Some(postgres::distribute(url.expose(), args.shards).map_err(failed)?),
        false => None,
    };
    if args.json {
        return output::data(&format!("{}\n", json!({"version": version, "distributed": distributed})));
    }
    let mut text = format!("the tables of {store} have version {version}\n");
    if let Some(tables) = distributed {
        text += &match tables.is_empty() {
            true => "all tables were distributed already\n".to_owned(),
            false => format!("distributed by workspace: {}\n", tables.join(", ")),
        };
    }
    output::data(&text)
}
