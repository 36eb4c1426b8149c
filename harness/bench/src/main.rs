//! The program `bench`: the library with the protocols of this repository and no others.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::main()
}
