//! EPaxos.
