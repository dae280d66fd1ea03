//! Against a small API server on loopback.

mod automation;
mod connecting;
mod evidence;
mod failing;
mod fake;
mod forwarding;
mod reading;
mod tls;
mod writing;
