//! What programs read: every JSON document fits its published schema, and every
//! command's help has an example. Also how a clone is found.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod common;

use std::process::Command;

use common::{Outcome, World, world};
use serde_json::Value;

/// Checks a value against the part of JSON Schema that the published schemas use.
fn fits(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root
            .pointer(reference.trim_start_matches('#'))
            .ok_or("a dead reference")?;
        return fits(root, target, value, at);
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[word].as_array() {
            let any = choices
                .iter()
                .any(|choice| fits(root, choice, value, at).is_ok());
            if !any {
                return Err(format!("{at}: {value} fits none of {word}"));
            }
        }
    }
    if let Some(wanted) = schema.get("const")
        && wanted != value
    {
        return Err(format!("{at}: {value} is not {wanted}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{at}: {value} is none of {words:?}"));
    }
    type_fits(schema, value, at)?;
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(name).is_none() {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, item) in value.as_object().into_iter().flatten() {
        if let Some(own) = schema["properties"].get(name) {
            fits(root, own, item, &format!("{at}.{name}"))?;
        } else if schema["properties"].is_object() && schema.get("additionalProperties").is_none() {
            return Err(format!("{at}: {name} is not in the schema"));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            fits(root, &schema["items"], item, &format!("{at}[{index}]"))?;
        }
    }
    Ok(())
}

fn type_fits(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(wanted) = schema.get("type") else {
        return Ok(());
    };
    let words: Vec<&str> = match wanted {
        Value::String(word) => vec![word],
        other => other
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect(),
    };
    let is = |word: &str| match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    };
    if words.iter().any(|word| is(word)) {
        Ok(())
    } else {
        Err(format!("{at}: {value} is no {words:?}"))
    }
}

fn unship(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_unship"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn schema(kind: &str) -> Value {
    serde_json::from_str(&unship(&["config", "schema", "--kind", kind])).unwrap()
}

#[track_caller]
fn document_fits(outcome: &Outcome) {
    let document = outcome.json();
    let kind = document["kind"].as_str().unwrap();
    assert_eq!(document["apiVersion"], "unship/v1");
    let schema = schema(kind);
    if let Err(error) = fits(&schema, &schema, &document, kind) {
        panic!("{error}\n{document:#}");
    }
}

fn json(world: &World, words: &[&str]) -> Outcome {
    let namespace = world.name.as_str();
    world.unship(&[words, &["zai-proxy", "-n", namespace, "-o", "json"]].concat())
}

#[test]
fn documents_fit_their_schemas() {
    let world = world("documents");
    for words in [
        &["status"][..],
        &["history"],
        &["explain"],
        &["access"],
        &["assess"],
        &["assess", "--reason", "corrupted data", "--exit-code"],
        &["plan"],
        &["plan", "--to", "9.9.9"],
        // Nothing is needed: a run that never began.
        &["plan", "--from", "9.9.9"],
        &["request", "--record", "file", "--out", "../request.md"],
        &["request", "--record", "none", "--to", "9.9.9"],
        &["rollback", "--yes"],
        // There is nothing left to ask for.
        &["request", "--record", "file"],
    ] {
        document_fits(&json(&world, words));
    }
    let out = world.engineer.home.join("bundle").display().to_string();
    document_fits(&json(&world, &["collect", "--out", &out]));
    let manifest = std::fs::read_to_string(format!("{out}/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let published = schema("BundleManifest");
    assert_eq!(manifest["kind"], "BundleManifest");
    assert_eq!(
        fits(&published, &published, &manifest, "BundleManifest"),
        Ok(())
    );
    let missing = world.unship(&["status", "nobody", "-n", &world.name, "-o", "json"]);
    document_fits(&missing);
    let error = schema("Error");
    let wrong = serde_json::json!({"apiVersion": "unship/v1", "kind": "Error", "message": 1});
    assert!(
        fits(&error, &error, &wrong, "Error").is_err(),
        "the check can fail"
    );
}

#[test]
fn a_run_that_is_given_up_is_a_document() {
    let world = world("given-up");
    world.hook("pre-receive", "#!/bin/sh\nexit 1\n");
    let run = json(&world, &["rollback", "--yes"]).json();
    let id = run["runId"].as_str().unwrap();
    let given_up = world.unship(&["abandon", id, "-o", "json"]);
    document_fits(&given_up);
    assert_eq!(given_up.json()["kind"], "Abandon");
    assert_eq!(given_up.json()["commit"], Value::Null, "it was refused");
    // Once more there is nothing to give up.
    document_fits(&world.unship(&["abandon", id, "-o", "json"]));
}

#[test]
fn documents_about_held_tools_fit_their_schemas() {
    let world = world("held");
    let file = world.file("zai-proxy");
    let workflow = format!("on: push\njobs:\n  a:\n    steps:\n    - run: sed -i s/1/2/ {file}\n");
    let renovate = "{\n  \"kubernetes\": {\"fileMatch\": [\"\\\\.ya?ml$\"]}\n}\n";
    world.push("ci: a job", &[(".github/workflows/a.yml", workflow)]);
    let refused = json(&world, &["hold", "--yes"]);
    document_fits(&refused);
    assert_eq!(refused.json()["kind"], "Refusal");
    world.push("ci: Renovate", &[("renovate.json", renovate.to_owned())]);
    let plan = json(&world, &["plan", "--hold"]);
    document_fits(&plan);
    let tools = plan.json()["automation"].as_array().unwrap().len();
    assert_eq!(
        (tools, plan.json()["holds"][0]["tool"].as_str()),
        (2, Some("renovate"))
    );
    for words in [&["hold", "--yes"], &["unhold", "--yes"]] {
        let run = json(&world, words);
        document_fits(&run);
        assert_eq!(run.json()["state"], "succeeded", "{words:?}");
    }
    let text = world.remote(&["show", "main:renovate.json"]);
    assert_eq!(text.trim_end(), renovate.trim_end(), "as it was before");
}

#[test]
fn every_command_shows_an_example() {
    let help = unship(&["--help"]);
    let commands = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() >= 14, "{names:?}");
    for name in names {
        let help = unship(&[name, "--help"]);
        assert!(help.contains("Example"), "{name}: {help}");
        assert!(help.contains(&format!("unship {name}")), "{name}: {help}");
    }
}

#[test]
fn a_clone_that_the_configuration_names_is_used_from_anywhere() {
    let world = world("configured");
    let mut command = world.command(&["plan", "zai-proxy", "-n", &world.name, "-o", "json"]);
    let home = world.engineer.home.clone();
    let folder = home.join(".config/unship");
    std::fs::create_dir_all(&folder).unwrap();
    let clone = world.engineer.clone.display();
    let text = format!("repositories:\n  {}: {clone}\n", world.url());
    std::fs::write(folder.join("config.yaml"), text).unwrap();
    command.current_dir(&home);
    let outcome = common::run(command);
    assert_eq!(outcome.json()["kind"], "Plan");
    assert!(
        !home.join(".cache/unship").exists(),
        "no other clone was made"
    );
}
