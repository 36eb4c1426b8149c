//! One replica as a process: QUIC transport, identities, client sessions.
