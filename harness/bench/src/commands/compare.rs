//! `bench compare`: two results held against each other, from their files alone.

use std::process::ExitCode;

use report::{Outcome, Style};

use crate::{
    cli::{CompareArguments, CompareFormat},
    exit::{self, Failure},
    output,
};

pub(crate) fn run(arguments: &CompareArguments) -> Result<ExitCode, Failure> {
    for dir in [&arguments.before, &arguments.after] {
        if !dir.is_dir() {
            let remedy = "is no directory: name a results directory, such as results/latest";
            return Err(Failure::usage(format!("{}: {remedy}", dir.display())));
        }
    }
    let compared = report::compare(&arguments.before, &arguments.after, arguments.force)
        .map_err(Failure::usage)?;
    let text = match arguments.format {
        CompareFormat::Text if output::takes_colour() => compared.text(Style::Colour),
        CompareFormat::Text => compared.text(Style::Plain),
        CompareFormat::Json => format!("{:#}\n", compared.json()),
        CompareFormat::Markdown => compared.markdown(),
    };
    output::print(&text)?;
    let (code, why) = ending(&compared.outcome(), arguments.fail_on_regression);
    if let Some(why) = why {
        say!("{why}");
    }
    Ok(ExitCode::from(code))
}

/// The exit code, the gravest first, and why it is not 0.
fn ending(outcome: &Outcome, fail_on_regression: bool) -> (u8, Option<String>) {
    let Outcome { regressed, not_compared, violation, .. } = *outcome;
    if violation {
        let why =
            "VIOLATION: replicas or histories contradict each other in runs that were compared";
        return (exit::VIOLATION, Some(why.to_owned()));
    }
    if !fail_on_regression {
        return (0, None);
    }
    match (regressed, not_compared) {
        (0, 0) => (0, None),
        (0, count) => {
            let why = format!(
                "nothing regressed, but {count} could not be compared: not valid, or missing"
            );
            (exit::NOT_VALID, Some(why))
        }
        (1, _) => (exit::FAILED, Some("1 figure regressed".to_owned())),
        (count, _) => (exit::FAILED, Some(format!("{count} figures regressed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_outcome_is_the_exit_code() {
        let outcome = |regressed, not_compared, violation| Outcome {
            regressed,
            not_compared,
            violation,
            improved: 9,
            ..Outcome::default()
        };
        assert_eq!(ending(&outcome(2, 2, true), false).0, exit::VIOLATION);
        assert_eq!(ending(&outcome(2, 2, false), false), (0, None));
        assert_eq!(ending(&outcome(2, 2, false), true).0, exit::FAILED);
        assert_eq!(ending(&outcome(0, 2, false), true).0, exit::NOT_VALID);
        assert_eq!(ending(&outcome(0, 0, false), true), (0, None));
    }
}
