//! As much of OpenAPI v3 as makes kubectl leave the validation of fields to the server: for each
//! kind, that its PATCH takes `fieldValidation`.

use serde_json::{Map, Value, json};

use crate::sandbox::kinds::{self, KINDS};

/// `/openapi/v3`: the documents by path.
pub(crate) fn index() -> Value {
    let mut paths = Map::new();
    paths.insert(
        "api/v1".to_owned(),
        json!({"serverRelativeURL": "/openapi/v3/api/v1"}),
    );
    for (group, api) in kinds::groups() {
        let path = format!("apis/{group}/{api}");
        let url = format!("/openapi/v3/{path}");
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

/// The document of one group version.
pub(crate) fn document(path: &[&str]) -> Option<Value> {
    let (group, api) = match path {
        ["api", api] => ("", *api),
        ["apis", group, api] => (*group, *api),
        _ => return None,
    };
    let mut paths = Map::new();
    for kind in KINDS.iter().filter(|k| k.group == group && k.api == api) {
        let base = if group.is_empty() {
            "/api/v1".to_owned()
        } else {
            format!("/apis/{group}/{api}")
        };
        let scope = if kind.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let gvk = json!({"group": group, "version": api, "kind": kind.kind});
        paths.insert(
            format!("{base}{scope}/{}/{{name}}", kind.plural),
            json!({"patch": {
                "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": gvk,
                "parameters": [{"name": "fieldValidation", "in": "query",
                                "schema": {"type": "string"}}],
                "responses": {"200": {"description": "OK"}}}}),
        );
    }
    Some(
        json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.1"},
        "paths": paths, "components": {"schemas": {}}}),
    )
}
