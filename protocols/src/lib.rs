//! Paxos, Multi-Paxos and EPaxos as deterministic state machines, and the key-value machine they replicate.
