//! The command line of wgflow: parses arguments, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    wgflow::commands::main(std::env::args_os()).into()
}
