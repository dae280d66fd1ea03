//! Argo CD's REST API, read only.
//!
//! Every request is a GET with a time limit and a size limit, is counted, and needs no
//! more than Argo CD's own `get` right; `refresh` included, as Argo CD's server sets the
//! annotation with its own rights (3.0 to 3.5).

mod cli_config;
mod client;
mod error;
#[cfg(test)]
mod fake;
mod opts;
mod reads;
mod settings;

pub use cli_config::CliConfigFile;
pub use client::Argocd;
pub use error::Error;
pub use reads::{
    AppSyncWindows, ApplicationFilter, ApplicationKey, ManagedResource, Refresh, ServerSettings,
    UserInfo,
};
pub use settings::{Inputs, Resolution, Resolved, SettingsError, resolve};
