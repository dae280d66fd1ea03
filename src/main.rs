//! The `unship` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(unship::cli::main(std::env::args_os()).code())
}
