//! Argo CD's REST API.
//!
//! Every request has a time limit and a size limit and is counted. What is read needs no
//! more than Argo CD's own `get` right; `refresh` included, as Argo CD's server sets the
//! annotation with its own rights (3.0 to 3.5). The writes are all in `writes.rs`: sync,
//! rollback, terminate (right `sync`) and the patch of an Application (right `update`);
//! each is sent once.

mod cli_config;
mod client;
mod error;
#[cfg(test)]
mod fake;
mod opts;
mod reads;
mod refusal;
mod settings;
mod writes;

pub use cli_config::CliConfigFile;
pub use client::Argocd;
pub use error::Error;
pub use reads::{
    AppSyncWindows, ApplicationFilter, ApplicationKey, ManagedResource, Refresh, ServerSettings,
    UserInfo,
};
pub use settings::{Inputs, Resolution, Resolved, SettingsError, resolve};
