//! Directed tests of EPaxos: each a schedule that a wrong implementation gets wrong.

mod net;
mod ordinary;
mod recovery;
<<<<<<< HEAD
mod snapshot;
=======
mod retries;
>>>>>>> a2a5e87 (Golden scripts: schedules that read as sequence diagrams and run as tests, a directed test for every listed mistake, and the test of the mutants)
