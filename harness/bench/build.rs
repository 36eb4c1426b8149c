//! Lets the program know the commit that it is built from: a driver and its agents must be of the
//! same.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-env-changed=BENCH_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let given = env::var("BENCH_COMMIT").ok();
    let commit = given.or_else(|| ask(&["rev-parse", "HEAD"])).unwrap_or_default();
    // Each commit and each checkout writes to both.
    for name in ["HEAD", "logs/HEAD"] {
        let file = ask(&["rev-parse", "--git-path", name]);
        if let Some(file) = file.filter(|file| Path::new(file).exists()) {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    println!("cargo:rustc-env=BENCH_COMMIT={commit}");
}

/// What git says; none without git or outside a checkout.
fn ask(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
