//! The command `bench` with one protocol more.

mod turns;

fn main() -> std::process::ExitCode {
    bench::main_with([bench::Entry::of::<turns::Turns>()])
}
