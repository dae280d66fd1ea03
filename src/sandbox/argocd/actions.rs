//! What the REST API changes: sync, rollback, terminate, spec.

use serde_json::{Value, json};

use super::auto_sync::is_enabled;
use super::revisions::{Commits, is_several, put_sources, sources};
use super::source::resolve;
use super::windows::Windows;
use super::{Account, GROUP, NAMESPACE, RpcError, project_of};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{int, list, seconds, set, text, unset};
use crate::sandbox::json_patch;
use crate::sandbox::kinds::by_kind;
use crate::sandbox::merge::json_merge;
use crate::sandbox::store::{Part, Writer};
use crate::sandbox::world::World;

const SERVER: Writer<'static> = Writer {
    manager: "argocd-server",
    apply: false,
};

/// Changes an Application as it is stored now, in one transaction.
fn modify(
    world: &World,
    app: &Value,
    change: impl FnOnce(&mut Value) -> Result<(), RpcError>,
) -> Result<Value, RpcError> {
    let kind = by_kind(GROUP, "Application").ok_or_else(|| RpcError::new(13, "no such kind"))?;
    let (namespace, name) = (
        text(app, "/metadata/namespace"),
        text(app, "/metadata/name"),
    );
    world.store.with(|objects| {
        let fail = |e: ApiError| RpcError::new(10, e.message);
        let mut fresh = (*objects.require(kind, namespace, name).map_err(fail)?).clone();
        change(&mut fresh)?;
        let stored = objects
            .update(kind, fresh, Part::Main, SERVER)
            .map_err(fail)?;
        Ok((*stored).clone())
    })
}

fn is_deleting(app: &Value) -> bool {
    app.pointer("/metadata/deletionTimestamp").is_some()
}

fn windows(world: &World, app: &Value) -> Windows {
    let project = by_kind(GROUP, "AppProject")
        .and_then(|k| world.store.with(|o| o.get(k, NAMESPACE, project_of(app))));
    Windows::of(app, project.as_deref(), jiff::Timestamp::now())
}

/// Starts an operation unless one is running; the state of the last one goes at once
/// (`SetAppOperation`).
fn begin(world: &World, app: &Value, operation: Value) -> Result<Value, RpcError> {
    modify(world, app, |fresh| {
        if fresh.get("operation").is_some_and(|o| !o.is_null()) {
            return Err(RpcError::new(9, "another operation is already in progress"));
        }
        fresh["operation"] = operation;
        unset(fresh, &["status", "operationState"]);
        Ok(())
    })
}

/// Refuses what the account may not do with an Application that it may see.
fn enforce(account: &Account, action: &str, app: &Value) -> Result<(), RpcError> {
    if account.may(action) {
        return Ok(());
    }
    let issued = jiff::Timestamp::from_second(account.issued_at).unwrap_or_default();
    let message = format!(
        "permission denied: applications, {action}, {}/{}, sub: {}, iat: {}",
        project_of(app),
        text(app, "/metadata/name"),
        account.name,
        seconds(issued)
    );
    Err(RpcError::new(7, message))
}

/// `POST …/sync`.
pub(crate) fn sync(
    world: &World,
    account: &Account,
    app: &Value,
    body: &Value,
) -> Result<Value, RpcError> {
    let allowed = windows(world, app);
    if let Some(error) = &allowed.broken {
        return Err(RpcError::new(7, format!("cannot sync: {error}")));
    }
    if !allowed.allow(true) {
        return Err(RpcError::new(7, "cannot sync: blocked by sync window"));
    }
    enforce(account, "sync", app)?;
    if is_deleting(app) {
        return Err(RpcError::new(9, "application is deleting"));
    }
    let own = sources(&app["spec"]);
    let dry = body["dryRun"] == true;
    let mut commits = Vec::new();
    for (at, source) in own.iter().enumerate() {
        let follows = match text(source, "/targetRevision") {
            "" => "HEAD",
            named => named,
        };
        let asked = asked_revision(app, body, at);
        if is_enabled(app) && !dry && !asked.is_empty() && asked != follows {
            let message = format!("Cannot sync to {asked}: auto-sync currently set to {follows}");
            return Err(RpcError::new(9, message));
        }
        let wanted = if asked.is_empty() { follows } else { &asked };
        commits.push(resolve(world, source, wanted).map_err(|e| RpcError::new(9, e))?);
    }
    let mut operation = json!({"initiatedBy": {"username": account.name}, "sync": {}});
    Commits::new(commits, is_several(&app["spec"])).put(&mut operation["sync"]);
    put_sources(&app["spec"], &mut operation["sync"]);
    for field in ["prune", "dryRun", "resources"] {
        let empty = [json!(null), json!(false), json!([])];
        if let Some(value) = body.get(field).filter(|v| !empty.contains(v)) {
            operation["sync"][field] = value.clone();
        }
    }
    operation["sync"]["syncStrategy"] =
        body.get("strategy").cloned().unwrap_or(json!({"hook": {}}));
    let options = match body.pointer("/syncOptions/items") {
        Some(own) => own.clone(),
        None => app
            .pointer("/spec/syncPolicy/syncOptions")
            .cloned()
            .unwrap_or(Value::Null),
    };
    if !options.is_null() {
        operation["sync"]["syncOptions"] = options;
    }
    let retry = [
        body.get("retryStrategy"),
        app.pointer("/spec/syncPolicy/retry"),
    ];
    if let Some(retry) = retry.into_iter().flatten().find(|r| !r.is_null()) {
        operation["retry"] = retry.clone();
    }
    begin(world, app, operation)
}

/// `revision`, or the one of `revisions` at the source's place in `sourcePositions` (from 1).
fn asked_revision(app: &Value, body: &Value, source: usize) -> String {
    if !is_several(&app["spec"]) {
        return text(body, "/revision").to_owned();
    }
    let wanted = i64::try_from(source).unwrap_or_default() + 1;
    let positions = list(body, "/sourcePositions");
    let at = positions.iter().position(|at| at.as_i64() == Some(wanted));
    let found = at.and_then(|at| list(body, "/revisions").get(at)?.as_str());
    found.unwrap_or_default().to_owned()
}

/// `POST …/rollback`: a sync to a history entry, without hooks.
pub(crate) fn rollback(
    world: &World,
    account: &Account,
    app: &Value,
    body: &Value,
) -> Result<Value, RpcError> {
    if is_deleting(app) {
        return Err(RpcError::new(9, "application is deleting"));
    }
    if is_enabled(app) {
        return Err(RpcError::new(
            9,
            "rollback cannot be initiated when auto-sync is enabled",
        ));
    }
    let wanted = int(body, "/id").unwrap_or(0);
    let name = format!(
        "{}/{}",
        text(app, "/metadata/namespace"),
        text(app, "/metadata/name")
    );
    let entry = list(app, "/status/history")
        .iter()
        .find(|h| int(h, "/id") == Some(wanted));
    let Some(entry) = entry else {
        let message = format!("application {name} does not have deployment with id {wanted}");
        return Err(RpcError::new(3, message));
    };
    if sources(entry).is_empty() {
        let message = "cannot rollback to revision deployed with Argo CD v0.11 or lower. sync to revision instead.";
        return Err(RpcError::new(9, message));
    }
    let mut operation = json!({"initiatedBy": {"username": account.name},
        "sync": {"syncStrategy": {"apply": {}}}});
    Commits::of(entry).put(&mut operation["sync"]);
    put_sources(entry, &mut operation["sync"]);
    for field in ["prune", "dryRun"] {
        if body[field] == true {
            operation["sync"][field] = json!(true);
        }
    }
    if let Some(options) = app.pointer("/spec/syncPolicy/syncOptions") {
        operation["sync"]["syncOptions"] = options.clone();
    }
    begin(world, app, operation)
}

/// `DELETE …/operation`.
pub(crate) fn terminate(world: &World, app: &Value) -> Result<Value, RpcError> {
    modify(world, app, |fresh| {
        let running = fresh.get("operation").is_some_and(|o| !o.is_null());
        if !running || fresh.pointer("/status/operationState").is_none() {
            let message = "Unable to terminate operation. No operation is in progress";
            return Err(RpcError::new(3, message));
        }
        set(
            fresh,
            &["status", "operationState", "phase"],
            json!("Terminating"),
        );
        Ok(())
    })?;
    Ok(json!({}))
}

/// `PUT …/spec`.
pub(crate) fn put_spec(world: &World, app: &Value, body: &Value) -> Result<Value, RpcError> {
    let stored = modify(world, app, |fresh| {
        fresh["spec"] = body.clone();
        Ok(())
    })?;
    Ok(stored["spec"].clone())
}

/// `PATCH …`: `{"name", "patch", "patchType"}`. Of the patched object spec, labels,
/// annotations and finalizers are taken over; errors of the patch have no code of their own.
pub(crate) fn patch(
    world: &World,
    account: &Account,
    app: &Value,
    body: &Value,
) -> Result<Value, RpcError> {
    enforce(account, "update", app)?;
    let sent = text(body, "/patch");
    let parse = |act: &str| {
        serde_json::from_str::<Value>(sent).map_err(|e| RpcError::new(2, format!("{act}: {e}")))
    };
    let mut patched = app.clone();
    match text(body, "/patchType") {
        "json" | "" => {
            let decoding = "error decoding json patch";
            let operations = parse(decoding)?;
            let operations = json_patch::decode(&operations)
                .map_err(|e| RpcError::new(2, format!("{decoding}: {e}")))?;
            json_patch::apply(&mut patched, operations)
                .map_err(|e| RpcError::new(2, format!("error applying patch: {e}")))?;
        }
        "merge" => json_merge(&mut patched, &parse("error calculating merge patch")?),
        other => {
            let message = format!("Patch type '{other}' is not supported");
            return Err(RpcError::new(3, message));
        }
    }
    modify(world, app, |fresh| {
        fresh["spec"] = patched["spec"].clone();
        for field in ["labels", "annotations", "finalizers"] {
            match patched.pointer(&format!("/metadata/{field}")) {
                Some(value) => set(fresh, &["metadata", field], value.clone()),
                None => unset(fresh, &["metadata", field]),
            }
        }
        Ok(())
    })
}
