//! get, list, create, update, patch and delete.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Call, Target};
use super::{Answer, Selector, admission, parse_body, table};
use crate::sandbox::defaults;
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{int, list, set, suffix, text, unset};
use crate::sandbox::kinds::{Kind, by_kind};
use crate::sandbox::store::{Objects, Part, Writer};
use crate::sandbox::world::World;
use crate::sandbox::{json_patch, merge};

/// Answers a request for objects.
pub(crate) fn answer(
    world: &World,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
    body: &[u8],
) -> Result<Answer, ApiError> {
    if !target.subresource.is_empty() && !kind.subresources.contains(&target.subresource.as_str()) {
        return Err(ApiError::no_route());
    }
    check_dry_run(call)?;
    world.store.with(|objects| match call.verb {
        "get" if target.subresource == "scale" => {
            let object = objects.require(kind, &target.namespace, &target.name)?;
            Ok(Answer::Json(200, scale_of(&object)))
        }
        "get" => get(objects, call, kind, target),
        "list" => list_objects(objects, call, kind, target),
        "create" if target.subresource == "eviction" => {
            delete(objects, call, kind, target, &json!({}))
        }
        "create" => create(objects, call, kind, target, parse_body(body)?),
        "update" => {
            let sent = parse_body(body)?;
            write(objects, call, kind, target, &|_| Ok(sent.clone()))
        }
        "patch" => patch(objects, call, kind, target, body),
        "delete" => {
            let options = if body.is_empty() {
                json!({})
            } else {
                parse_body(body)?
            };
            delete(objects, call, kind, target, &options)
        }
        "deletecollection" => delete_all(objects, call, kind, target),
        _ => Err(ApiError::method_not_allowed()),
    })
}

/// `dryRun` is `All` or nothing.
fn check_dry_run(call: &Call) -> Result<(), ApiError> {
    let options = match call.verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        "delete" | "deletecollection" => "DeleteOptions",
        _ => return Ok(()),
    };
    match call.param("dryRun") {
        "" | "All" => Ok(()),
        other => {
            let cause =
                format!("dryRun: Unsupported value: [\"{other}\"]: supported values: \"All\"");
            Err(ApiError::invalid_options(options, &cause))
        }
    }
}

fn get(
    objects: &Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
) -> Result<Answer, ApiError> {
    let object = objects.require(kind, &target.namespace, &target.name)?;
    if table::wanted(&call.accept) {
        let include = call.param("includeObject");
        return Ok(Answer::Json(
            200,
            table::of(kind, &[(*object).clone()], include),
        ));
    }
    Ok(Answer::Json(200, (*object).clone()))
}

fn list_objects(
    objects: &Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
) -> Result<Answer, ApiError> {
    let found = select(objects, call, kind, target)?;
    let version = objects.resource_version().to_string();
    if table::wanted(&call.accept) {
        let mut out = table::of(kind, &found, call.param("includeObject"));
        set(&mut out, &["metadata", "resourceVersion"], json!(version));
        return Ok(Answer::Json(200, out));
    }
    let partial = call.accept.contains("as=PartialObjectMetadataList");
    let items: Vec<Value> = found
        .into_iter()
        .map(|o| match partial {
            true => table::partial(&o),
            false => listed(kind, o),
        })
        .collect();
    let (list_kind, api) = if partial {
        (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        )
    } else {
        (format!("{}List", kind.kind), kind.api_version())
    };
    Ok(Answer::Json(
        200,
        json!({"kind": list_kind, "apiVersion": api,
               "metadata": {"resourceVersion": version}, "items": items}),
    ))
}

/// An item of a list: those of built-in kinds do not say what they are, custom resources do.
fn listed(kind: &Kind, mut object: Value) -> Value {
    if kind.group != "argoproj.io" {
        unset(&mut object, &["apiVersion"]);
        unset(&mut object, &["kind"]);
    }
    object
}

fn select(
    objects: &Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
) -> Result<Vec<Value>, ApiError> {
    let selector = Selector::parse(call.param("labelSelector"), call.param("fieldSelector"))?;
    let found = objects.list(kind, &target.namespace);
    Ok(found
        .iter()
        .filter(|o| selector.matches(o))
        .map(|o| (**o).clone())
        .collect())
}

fn create(
    objects: &mut Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
    mut object: Value,
) -> Result<Answer, ApiError> {
    if !target.name.is_empty() {
        return Err(ApiError::method_not_allowed());
    }
    let api_version = text(&object, "/apiVersion");
    if !api_version.is_empty()
        && (api_version != kind.api_version() || text(&object, "/kind") != kind.kind)
    {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({})",
            kind.api_version()
        )));
    }
    prepare(objects, kind, &mut object, &target.namespace)?;
    let manager = call.field_manager();
    if call.param("dryRun") == "All" {
        return Ok(Answer::Json(201, object));
    }
    let made = objects.create(
        kind,
        object,
        Writer {
            manager: &manager,
            apply: false,
        },
    )?;
    Ok(Answer::Json(201, (*made).clone()))
}

/// Name, namespace, defaults and checks of a new object.
pub(crate) fn prepare(
    objects: &Objects,
    kind: &'static Kind,
    object: &mut Value,
    namespace: &str,
) -> Result<(), ApiError> {
    if text(object, "/metadata/name").is_empty() {
        let prefix = text(object, "/metadata/generateName").to_owned();
        if prefix.is_empty() {
            let cause = "metadata.name: Required value: name or generateName is required";
            return Err(ApiError::invalid(kind, "", cause));
        }
        set(
            object,
            &["metadata", "name"],
            json!(format!("{prefix}{}", suffix(5))),
        );
    }
    let name = text(object, "/metadata/name").to_owned();
    if kind.namespaced {
        let own = text(object, "/metadata/namespace");
        if !own.is_empty() && own != namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        set(object, &["metadata", "namespace"], json!(namespace));
        let namespaces = by_kind("", "Namespace").ok_or_else(ApiError::no_route)?;
        objects.require(namespaces, "", namespace)?;
    }
    if objects.get(kind, namespace, &name).is_some() {
        return Err(ApiError::exists(kind, &name));
    }
    for field in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
        "generation",
    ] {
        unset(object, &["metadata", field]);
    }
    if kind.subresources.contains(&"status") {
        unset(object, &["status"]);
    }
    defaults::check(kind, object, None)?;
    defaults::fill(kind, object);
    if kind.is("", "Pod") {
        crate::sandbox::controllers::pods::admit(objects, object)?;
    }
    Ok(())
}

type Change<'a> = &'a dyn Fn(&Value) -> Result<Value, ApiError>;

/// Changes an object: the closure gives the wanted state from the present one.
fn write(
    objects: &mut Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
    change: Change<'_>,
) -> Result<Answer, ApiError> {
    let old = objects.require(kind, &target.namespace, &target.name)?;
    if target.subresource == "scale" {
        return write_scale(objects, call, kind, &old, change);
    }
    let mut new = change(&old)?;
    let renamed = text(&new, "/metadata/name") != target.name;
    if renamed {
        return Err(ApiError::bad_request(
            "the name of the object does not match the name on the URL",
        ));
    }
    if kind.namespaced {
        set(
            &mut new,
            &["metadata", "namespace"],
            json!(target.namespace),
        );
    }
    let part = if target.subresource == "status" {
        Part::Status
    } else {
        Part::Main
    };
    if part == Part::Main {
        defaults::check(kind, &new, Some(&old))?;
        defaults::fill(kind, &mut new);
    }
    let made = store(objects, call, kind, new, part)?;
    Ok(Answer::Json(200, (*made).clone()))
}

/// Stores a changed object once admission has let it pass; a dry run stops there.
fn store(
    objects: &mut Objects,
    call: &Call,
    kind: &'static Kind,
    new: Value,
    part: Part,
) -> Result<Arc<Value>, ApiError> {
    let manager = call.field_manager();
    let by = Writer {
        manager: &manager,
        apply: call.content_type.contains("apply-patch"),
    };
    let made = objects.preview(kind, new.clone(), part, by)?;
    if part != Part::Status {
        admission::check(objects, call, kind, &made)?;
    }
    if call.param("dryRun") == "All" {
        return Ok(made);
    }
    objects.update(kind, new, part, by)
}

fn write_scale(
    objects: &mut Objects,
    call: &Call,
    kind: &'static Kind,
    old: &Value,
    change: Change<'_>,
) -> Result<Answer, ApiError> {
    let wanted = change(&scale_of(old))?;
    // Left out is 0: the field is a plain number.
    let replicas = int(&wanted, "/spec/replicas").unwrap_or(0);
    let name = text(old, "/metadata/name");
    let uids = [&wanted, old].map(|o| text(o, "/metadata/uid"));
    if !uids[0].is_empty() && uids[0] != uids[1] {
        return Err(ApiError::scale_uid_conflict(kind, name, uids[0], uids[1]));
    }
    if replicas < 0 {
        let cause =
            format!("spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0");
        return Err(ApiError::invalid_scale(name, &cause));
    }
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(replicas);
    let version = text(&wanted, "/metadata/resourceVersion");
    if !version.is_empty() {
        new["metadata"]["resourceVersion"] = json!(version);
    }
    let made = store(objects, call, kind, new, Part::Scale)?;
    Ok(Answer::Json(200, scale_of(&made)))
}

fn scale_of(object: &Value) -> Value {
    let meta = &object["metadata"];
    let labels = crate::sandbox::json::labels(object, "/spec/selector/matchLabels");
    let selector: Vec<String> = labels
        .into_iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let spec = match int(object, "/spec/replicas").unwrap_or(0) {
        0 => json!({}),
        some => json!({"replicas": some}),
    };
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"]},
        "spec": spec,
        "status": {"replicas": int(object, "/status/replicas").unwrap_or(0),
            "selector": selector.join(",")}})
}

fn patch(
    objects: &mut Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
    body: &[u8],
) -> Result<Answer, ApiError> {
    let media = call
        .content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_owned();
    let patch = parse_body(body)?;
    if media == "application/json-patch+json" && !patch.is_array() {
        return Err(ApiError::bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type \
             []handlers.jsonPatchOp",
        ));
    }
    let apply = media.starts_with("application/apply-patch");
    if apply && objects.get(kind, &target.namespace, &target.name).is_none() {
        let nameless = Target {
            name: String::new(),
            ..target.clone()
        };
        return create(objects, call, kind, &nameless, patch);
    }
    // Custom resources know no strategic merge, as upstream.
    let custom = kind.group == "argoproj.io";
    write(objects, call, kind, target, &|old| {
        let mut new = old.clone();
        match media.as_str() {
            "application/json-patch+json" => {
                json_patch::apply(&mut new, &patch).map_err(|e| ApiError::patch_refused(&e))?;
            }
            "application/merge-patch+json" => merge::json_merge(&mut new, &patch),
            "application/strategic-merge-patch+json" if custom => {
                return Err(ApiError::unsupported_media(&media));
            }
            "application/strategic-merge-patch+json" => merge::strategic(&mut new, &patch),
            // Server-side apply is taken as a merge: fields left out are not given up.
            _ if apply => merge::strategic(&mut new, &patch),
            other => return Err(ApiError::unsupported_media(other)),
        }
        // A patch has no precondition on the uid, as an update has: it may not change it.
        let uid = text(&new, "/metadata/uid");
        if target.subresource.is_empty() && uid != text(old, "/metadata/uid") {
            let cause = format!("metadata.uid: Invalid value: \"{uid}\": field is immutable");
            return Err(ApiError::invalid(kind, &target.name, &cause));
        }
        Ok(new)
    })
}

fn delete(
    objects: &mut Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
    options: &Value,
) -> Result<Answer, ApiError> {
    let old = objects.require(kind, &target.namespace, &target.name)?;
    let wanted = text(options, "/preconditions/uid");
    if !wanted.is_empty() && wanted != text(&old, "/metadata/uid") {
        return Err(ApiError::uid_conflict(
            kind,
            &target.name,
            wanted,
            text(&old, "/metadata/uid"),
        ));
    }
    let uid = text(&old, "/metadata/uid").to_owned();
    // Of the finalizers only those of Argo CD have a controller here that takes them off.
    if kind.is("argoproj.io", "Application") && !list(&old, "/metadata/finalizers").is_empty() {
        let mut leaving = (*old).clone();
        set(
            &mut leaving,
            &["metadata", "deletionTimestamp"],
            crate::sandbox::json::now(),
        );
        let leaving = objects.put(kind, leaving, Part::Main)?;
        return Ok(Answer::Json(200, (*leaving).clone()));
    }
    if call.param("dryRun") != "All" {
        let policy = match text(options, "/propagationPolicy") {
            "" => call.param("propagationPolicy"),
            named => named,
        };
        if policy == "Orphan" {
            orphan(objects, &target.namespace, &uid)?;
        }
        objects.delete(kind, &target.namespace, &target.name)?;
    }
    Ok(Answer::Json(
        200,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {"name": target.name, "group": kind.group, "kind": kind.plural, "uid": uid}}),
    ))
}

fn orphan(objects: &mut Objects, namespace: &str, uid: &str) -> Result<(), ApiError> {
    let children: Vec<(&'static Kind, Value)> = objects
        .all()
        .filter(|(_, o)| text(o, "/metadata/namespace") == namespace)
        .filter(|(_, o)| {
            list(o, "/metadata/ownerReferences")
                .iter()
                .any(|r| r["uid"] == uid)
        })
        .map(|(k, o)| (k, (**o).clone()))
        .collect();
    for (kind, mut child) in children {
        if let Some(owners) = child
            .pointer_mut("/metadata/ownerReferences")
            .and_then(Value::as_array_mut)
        {
            owners.retain(|r| r["uid"] != uid);
        }
        objects.put(kind, child, Part::Main)?;
    }
    Ok(())
}

fn delete_all(
    objects: &mut Objects,
    call: &Call,
    kind: &'static Kind,
    target: &Target,
) -> Result<Answer, ApiError> {
    let found = select(objects, call, kind, target)?;
    if call.param("dryRun") != "All" {
        for object in &found {
            objects.delete(
                kind,
                text(object, "/metadata/namespace"),
                text(object, "/metadata/name"),
            )?;
        }
    }
    Ok(Answer::Json(
        200,
        json!({"kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
               "metadata": {}, "items": found}),
    ))
}
