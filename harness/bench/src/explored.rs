//! The exploration of one configuration, whatever the protocol.

use explore::{Bounds, Limits, Mark, Marks, Report, Setup, Subject as Core};

use crate::subject::Subject;

/// A configuration that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice<'a> {
    /// The one with this name.
    Named(&'a str),
    /// So many replicas and so many conflicting commands, where nothing goes wrong but delay and
    /// order.
    Custom { replicas: usize, commands: usize },
}

/// What an exploration found.
#[derive(Debug)]
pub(crate) struct Explored {
    pub(crate) report: Report,
    /// The names of the marks that were reached.
    pub(crate) reached: Vec<&'static str>,
    /// Those of the marks that must be reached and were not.
    pub(crate) missing: Vec<&'static str>,
}

/// The names of the configurations of `subject`, with what they are about.
pub(crate) fn configurations<R: Core>(subject: Subject) -> Vec<(&'static str, &'static str)> {
    setups_of::<R>(subject).map(|setup| (setup.name, setup.about)).collect()
}

/// Explores one configuration of `subject`; none if it has none of that name.
pub(crate) fn explore<R: Core>(
    subject: Subject,
    choice: Choice<'_>,
    limits: &Limits,
) -> Option<Explored> {
    let setup = match choice {
        Choice::Named(name) => setups_of::<R>(subject).find(|setup| setup.name == name)?,
        Choice::Custom { replicas, commands } => {
            let about = "as the command line says";
            let reach = Marks::only(Mark::Everywhere);
            let mut setup = Setup::plain("custom", about, replicas, commands, Bounds::NONE, reach);
            subject.configure(&mut setup.config);
            setup
        }
    };
    let report = explore::explore(&setup, limits);
    let reached = report.reached.iter().map(Mark::name::<R>).collect();
    let missing = report.missing.iter().map(|mark| mark.name::<R>()).collect();
    Some(Explored { report, reached, missing })
}

fn setups_of<R: Core>(subject: Subject) -> impl Iterator<Item = Setup<R>> {
    R::setups().into_iter().filter(move |setup| subject.is_of(&setup.config))
}
