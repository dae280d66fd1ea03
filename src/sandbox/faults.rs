//! Faults that tests and demos plant at run time, by request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::error::Error;

/// Which of the sandbox's servers a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// The Kubernetes API.
    Kubernetes,
    /// The Argo CD API.
    Argocd,
    /// Git over HTTP.
    Git,
}

/// What happens to a request that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It is answered with this HTTP code and the error body of its surface.
    Answer(u16),
    /// It is answered after so many milliseconds.
    DelayMs(u64),
    /// Its connection is closed without an answer.
    Drop,
    /// The connection is closed without an answer, but the request has taken effect.
    DropAfter,
    /// Half of its answer is sent, then its connection is closed (Kubernetes only).
    Half,
    /// A GET of an Application answers what was true so many milliseconds ago.
    StaleMs(u64),
    /// A write to the Kubernetes API that RBAC allows is denied by admission in these words:
    /// `admission webhook "images.example" denied the request: only signed images`.
    Deny(String),
}

/// A planted fault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The server concerned.
    pub surface: Surface,
    /// HTTP method, any when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// Regular expression, searched in path and query.
    pub path: String,
    /// How many matching requests pass before it begins.
    #[serde(default)]
    pub skip: u64,
    /// How many requests it hits, all when absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// What it does.
    pub effect: Effect,
}

#[derive(Debug)]
struct Planted {
    id: u64,
    fault: Fault,
    path: Regex,
    seen: u64,
    hits: u64,
}

/// The planted faults; clones of the handle share them.
#[derive(Debug, Default)]
pub struct Faults(Mutex<(u64, Vec<Planted>)>);

impl Faults {
    /// Plants a fault and gives its id.
    pub fn plant(&self, fault: Fault) -> Result<u64, Error> {
        let path = Regex::new(&fault.path)?;
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 += 1;
        let id = inner.0;
        inner.1.push(Planted {
            id,
            fault,
            path,
            seen: 0,
            hits: 0,
        });
        Ok(id)
    }

    /// Takes a fault away; says how many requests it hit, None when there is no such fault.
    pub fn remove(&self, id: u64) -> Option<u64> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = inner.1.iter().position(|p| p.id == id)?;
        Some(inner.1.remove(at).hits)
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .clear();
    }

    /// How many requests a fault hit so far.
    pub fn hits(&self, id: u64) -> Option<u64> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1.iter().find(|p| p.id == id).map(|p| p.hits)
    }

    /// The planted faults with their ids and hits, for the control endpoint.
    pub(crate) fn list(&self) -> Vec<serde_json::Value> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let show = |p: &Planted| serde_json::json!({"id": p.id, "fault": p.fault, "hits": p.hits});
        inner.1.iter().map(show).collect()
    }

    /// What is to happen to a request.
    pub(crate) fn effects(&self, surface: Surface, method: &str, path: &str) -> Effects {
        let mut out = Effects::default();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for planted in &mut inner.1 {
            let fault = &planted.fault;
            let other_method = fault
                .method
                .as_ref()
                .is_some_and(|m| !m.eq_ignore_ascii_case(method));
            if fault.surface != surface || other_method || !planted.path.is_match(path) {
                continue;
            }
            planted.seen += 1;
            let over = fault.times.is_some_and(|times| planted.hits >= times);
            if planted.seen <= fault.skip || over {
                continue;
            }
            planted.hits += 1;
            match &fault.effect {
                Effect::Answer(code) => out.answer = Some(*code),
                Effect::DelayMs(ms) => out.delay += Duration::from_millis(*ms),
                Effect::Drop => out.drop = true,
                Effect::DropAfter => out.drop_after = true,
                Effect::Half => out.half = true,
                Effect::StaleMs(ms) => out.stale = Some(Duration::from_millis(*ms)),
                Effect::Deny(message) => out.deny = Some(message.clone()),
            }
        }
        out
    }
}

/// The effects of all faults that a request meets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects {
    pub(crate) answer: Option<u16>,
    pub(crate) delay: Duration,
    pub(crate) drop: bool,
    pub(crate) drop_after: bool,
    pub(crate) half: bool,
    pub(crate) stale: Option<Duration>,
    pub(crate) deny: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_and_times_choose_the_requests() {
        let faults = Faults::default();
        let fault = Fault {
            surface: Surface::Git,
            method: Some("post".to_owned()),
            path: "git-receive-pack$".to_owned(),
            skip: 1,
            times: Some(1),
            effect: Effect::Answer(500),
        };
        let id = faults.plant(fault).unwrap();
        let ask = |method| {
            faults
                .effects(Surface::Git, method, "/a.git/git-receive-pack")
                .answer
        };
        assert_eq!(ask("GET"), None);
        assert_eq!(ask("POST"), None);
        assert_eq!(ask("POST"), Some(500));
        assert_eq!(ask("POST"), None);
        assert_eq!(faults.remove(id), Some(1));
    }
}
