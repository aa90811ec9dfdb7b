//! How the program fits into a shell: completion scripts, manual pages, colors.

use std::fs;
use std::process::Stdio;

use tempfile::TempDir;

use super::usage::COMMANDS;
use crate::harness::{TestServer, printed, run, tollkeeper};

#[test]
fn the_completion_script_of_every_shell_knows_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}: {}", printed(&output));
        assert!(output.stderr.is_empty(), "{shell}: {}", printed(&output));
        let script = String::from_utf8(output.stdout).expect("a script is text");
        for name in COMMANDS.iter().copied().flatten() {
            assert!(script.contains(name), "{shell} has no {name}");
        }
        for option in ["database-url", "await-outcome", "credential"] {
            assert!(script.contains(option), "{shell} has no option {option}");
        }
    }
}

#[test]
fn bash_accepts_its_completion_script_and_completes() {
    let script = printed(&run(&["completions", "bash"]));
    let complete = format!(
        "{script}\nCOMP_WORDS=(tollkeeper work); COMP_CWORD=1; _tollkeeper tollkeeper work tollkeeper; \
         echo \"${{COMPREPLY[@]}}\""
    );
    // The script is longer than an argument may be.
    let own = TempDir::new().expect("a temporary directory can be created");
    let file = own.path().join("complete.bash");
    std::fs::write(&file, complete).expect("the directory can be written");
    let output = std::process::Command::new("bash").arg(&file).output().expect("bash is installed");
    assert_eq!(printed(&output), "workspace\n");
}

#[test]
fn the_manual_page_has_its_sections_and_names_every_subcommand() {
    let output = run(&["man"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let page = printed(&output);
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SUBCOMMANDS", "EXTRA", "VERSION"] {
        assert!(page.contains(&format!("\n.SH {section}\n")), "no section {section}: {page}");
    }
    assert!(page.contains(".TH tollkeeper 1 "), "{page}");
    for command in COMMANDS.iter().filter(|command| command.len() == 1) {
        let name = command[0].replace('-', "\\-");
        assert!(page.contains(&format!("tollkeeper\\-{name}(1)")), "{name}: {page}");
    }
    assert!(page.contains("Exit codes:"), "{page}");
}

#[test]
fn the_manual_pages_of_all_subcommands_are_written_to_a_directory() {
    let own = TempDir::new().expect("a temporary directory can be created");
    let directory = own.path().to_str().expect("the path is UTF-8");
    let output = run(&["man", "--to", directory]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    for command in COMMANDS {
        let name = [&["tollkeeper"], command].concat().join("-");
        let page = fs::read_to_string(own.path().join(format!("{name}.1")));
        let page = page.unwrap_or_else(|why| panic!("{name}.1: {why}"));
        assert!(page.contains("\n.SH SYNOPSIS\n"), "{name}: {page}");
    }
    let output = run(&["man", "--to", "/nonexistent/directory"]);
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(printed(&output).contains("hint: "), "{}", printed(&output));
}

/// The log of a server and the output of some commands under these variables.
fn output_under(variables: &[(&str, &str)]) -> String {
    let own = TempDir::new().expect("a temporary directory can be created");
    let data = own.path().join("data");
    let mut serve = TestServer::command(&data);
    serve.env("TOLLKEEPER_LOG_LEVEL", "debug").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    serve.envs(variables.iter().copied());
    let mut server = TestServer::spawned(serve, &data);
    // A connection that breaks is logged at the level debug.
    server.send_bytes(b"GET / HTTP/9.9\r\n\r\n");
    server.send_bytes(b"POST /v1/workspaces HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{");
    assert_eq!(server.stop().code(), Some(0));
    let log = server.stderr_text();
    assert!(!log.is_empty(), "the server writes a log");
    let mut text = log;
    for args in [&["--help"][..], &["fly"], &["balance", "acme", "--server", "http://127.0.0.1:1"]] {
        let mut command = tollkeeper();
        command.args(args).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").stdin(Stdio::null());
        let output = command.envs(variables.iter().copied()).output().expect("the binary runs");
        let output = printed(&output);
        assert!(!output.contains('\u{1b}'), "commands are never colored: {output:?}");
        text += &output;
    }
    text
}

#[test]
fn no_color_prevents_escape_bytes_also_where_they_are_forced() {
    let escapes = |variables: &[(&str, &str)]| output_under(variables).contains('\u{1b}');
    assert!(!escapes(&[]), "a file is not a terminal");
    assert!(escapes(&[("CLICOLOR_FORCE", "1")]), "colors can be forced");
    assert!(!escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "NO_COLOR wins");
    assert!(!escapes(&[("CLICOLOR_FORCE", "0")]), "0 forces nothing");
    assert!(escapes(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]), "an empty NO_COLOR counts as not set");
}
