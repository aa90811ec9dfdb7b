//! The tours through the gate, of the README and of the page about models, work when they are
//! pasted, on free ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("the file is there")
}

/// The first block of shell below a heading, without its first line, which builds the programs.
fn tour(document: &str, heading: &str) -> String {
    let text = read(document);
    let part = text.split(heading).nth(1).expect("the tour has a heading");
    let block = part.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let (build, tour) = block.and_then(|block| block.split_once('\n')).expect("a block of shell");
    // The build of the test has built the program already.
    assert!(build.starts_with("cargo build --release --package tollkeeper"), "{build}");
    tour.to_owned()
}

/// Runs a tour with the routes of a settings file, and returns what it prints.
fn paste(tour: &str, routes: &str) -> String {
    let own = tempfile::tempdir().expect("a directory can be made");
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    let ports = listeners.map(|free| free.local_addr().expect("it has an address").port().to_string());
    let [models, server, gate] = ports;
    let settings = own.path().join("gate.toml");
    let on_free_ports =
        |text: &str| text.replace(":9000", &format!(":{models}")).replace(":8081", &format!(":{gate}"));
    std::fs::write(&settings, on_free_ports(&read(routes))).expect("it can be written");
    let tour = on_free_ports(tour)
        .replace("worker & ", &format!("worker 127.0.0.1:{models} & "))
        .replace(routes, settings.to_str().expect("paths are text"));

    // If a line fails, what runs in the background must not keep the output open.
    let tour = format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{tour}");

    let worker = Path::new(env!("CARGO_BIN_EXE_worker"));
    let programs = worker.parent().expect("it is in a directory");
    let program = programs.join("tollkeeper");
    assert!(program.is_file(), "there is no {}: run `cargo build` first", program.display());
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.args(["-e", "-u", "-o", "pipefail", "-c", &tour]).current_dir(root());
    shell.env("PATH", path).env("TMPDIR", own.path());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TOLLKEEPER_")) {
        shell.env_remove(name);
    }
    let output = shell.env("TOLLKEEPER_LISTEN", format!("127.0.0.1:{server}")).output().expect("bash runs");
    let shown = String::from_utf8(output.stdout).expect("the output is text");
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    shown
}

#[test]
fn the_tour_through_the_gate_works_when_it_is_pasted() {
    let shown = paste(&tour("README.md", "## Behind the gate"), "examples/worker/gate.toml");
    for expected in [
        "HTTP/1.1 200",
        "tollkeeper-amount: 40000",
        "tollkeeper-balance: 10000",
        "Ada in a linen jacket, view 2",
        "HTTP/1.1 503",
        "HTTP/1.1 402",
        "insufficient_credits",
        "charge.refunded",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("\"product\""), "the model of a refused request did not run: {shown}");
}

#[test]
fn the_tour_of_the_page_about_models_works_when_it_is_pasted() {
    let shown = paste(&tour("docs/MODELS.md", "## Run it"), "examples/worker/chat.toml");
    for expected in [
        "data: [DONE]",
        // 6 words of input and 25 of output, then 6 and 40: 26.5 and 41.5 micro-units, each rounded
        // up.
        "69 (0.00069 USD)",
        "tollkeeper-fitted: ",
        "HTTP/1.1 402",
        "insufficient_quota",
        "settled  succeeded",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("\"usage\":null"), "{shown}");
}
