//! Parses the command line, starts the log, calls a command.

use std::process::ExitCode;

fn main() -> ExitCode {
    entra_mirror::commands::one_heap();
    entra_mirror::commands::main()
}
