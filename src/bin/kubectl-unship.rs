//! The same program as a kubectl plugin: `kubectl unship`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(unship::cli::main(std::env::args_os()).code())
}
