//! The nouns that cross rooms: plain data, no I/O, no clock.
//!
//! Every client room turns what its upstream says into these types; every
//! deciding room works on nothing else.

mod access;
mod application;
mod application_json;
mod automation;
mod blocker;
mod change;
mod commit;
mod condition;
mod desired;
mod hydrator;
mod id;
mod image;
mod manager;
mod object;
mod observation;
mod recipe;
mod rights;
mod safe;
mod sourcing;
mod template;
mod trigger;
mod usage;
mod workload;

pub use access::{AccessAnswer, AccessQuery, Allowed};
pub use application::{
    Application, ApplicationSource, AutoSync, Destination, HealthStatus, HistoryEntry,
    IgnoreDifference, Operation, OperationPhase, OperationState, Project, ResourceState,
    SyncStatus, SyncWindow, TreeNode,
};
pub use automation::{AutomationView, HeldFile};
pub use blocker::Blocker;
pub use change::{Change, ChangedFile, FileText, LaterChange};
pub use commit::{Commit, Identity, Trailer};
pub use condition::{Check, Verdict};
pub use desired::{Desired, DocumentFields, Presence, Removal};
pub use hydrator::Hydrator;
pub use id::{CommitId, HistoryId, InvalidId, PlanId, RolloutRevision, RunId};
pub use image::ImageRef;
pub use manager::{Manager, ManagerTool, managers};
pub use object::{ObjectRef, WorkloadKind, WorkloadRef};
pub use observation::{
    ArgoView, ClusterView, Companion, DocumentIndex, Gap, GapReason, GitView, HistoryEnd,
    Observation, RenderedSource, SideChange, TemplateState, UsedChange,
};
pub use recipe::{Argument, Program, Recipe};
pub use rights::{Right, Rights};
pub use safe::{MASK, mask_env, mask_object, mask_text, mask_url, plain};
pub use sourcing::{
    ApplicationSet, At, Capabilities, Deployer, Elsewhere, Generator, Lands, Maker, Making, Pinned,
    Sourcing, lies_in, split_root,
};
pub use template::{Coverage, PodTemplate};
pub use trigger::{Levels, RequestCounter, Severity, TriggerId, TriggerRules};
pub use usage::Usage;
pub use workload::{
    ClusterCondition, ClusterEvent, Container, Endpoint, Hpa, Pod, PodProblem, ReplicaSet,
    RolloutState, Termination, Workload,
};
