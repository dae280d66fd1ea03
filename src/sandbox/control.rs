//! The control endpoint: faults from outside of the process.
//!
//! `POST /faults` with a [`Fault`] as JSON plants one and answers its id; `GET /faults` lists
//! them; `DELETE /faults/ID` takes one away, `DELETE /faults` all; `POST /accounts/NAME/ROLE`
//! makes an Argo CD token.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::argocd::Role;
use super::faults::Fault;
use super::world::World;

/// The routes of the control endpoint.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/faults", get(list).post(plant).delete(clear))
        .route("/faults/{id}", axum::routing::delete(remove))
        .route("/accounts/{name}/{role}", post(account))
        .with_state(world)
}

type Answer = (StatusCode, Json<Value>);

async fn list(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"faults": world.faults.list()}))
}

async fn plant(State(world): State<Arc<World>>, Json(fault): Json<Fault>) -> Answer {
    match world.faults.plant(fault) {
        Ok(id) => (StatusCode::CREATED, Json(json!({"id": id}))),
        Err(error) => (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": error.to_string()})),
        ),
    }
}

async fn remove(State(world): State<Arc<World>>, Path(id): Path<u64>) -> Answer {
    match world.faults.remove(id) {
        Some(hits) => (StatusCode::OK, Json(json!({"hits": hits}))),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({"error": format!("no fault {id}")})),
        ),
    }
}

async fn clear(State(world): State<Arc<World>>) -> Json<Value> {
    world.faults.clear();
    Json(json!({}))
}

async fn account(
    State(world): State<Arc<World>>,
    Path((name, role)): Path<(String, String)>,
) -> Answer {
    let role = match role.as_str() {
        "readonly" => Role::ReadOnly,
        "sync" => Role::Sync,
        "operator" => Role::Operator,
        "admin" => Role::Admin,
        other => {
            let error = format!("no role {other:?}; there are readonly, sync, operator and admin");
            return (StatusCode::BAD_REQUEST, Json(json!({"error": error})));
        }
    };
    let token = world.accounts.token(&name, role);
    (StatusCode::CREATED, Json(json!({"token": token})))
}
