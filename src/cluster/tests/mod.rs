//! Against a small API server on loopback.
