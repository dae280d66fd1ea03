//! Text from outside cannot drive the terminal.

use serde_json::json;

use super::common::{BAD, bed, release, run, world};

const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[31mred\u{9b}1A\r\u{202e}";

#[test]
fn escape_sequences_in_commit_messages_and_events() {
    let world = world("hostile");
    let text = release(&world.name, "zai-proxy", BAD).replace("\"10\"", "\"11\"");
    let file = world.file("zai-proxy");
    world.push(&format!("more workers {ESCAPES}"), &[(&file, text)]);
    let pods = bed().sandbox.list("", "Pod", &world.name);
    let pod = &pods[0];
    bed()
        .sandbox
        .create(json!({
            "apiVersion": "v1", "kind": "Event", "type": "Warning",
            "metadata": {"name": "hostile", "namespace": world.name},
            "involvedObject": {"kind": "Pod", "namespace": world.name,
                "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]},
            "reason": "BackOff", "message": format!("hostile-event {ESCAPES}"),
            "count": 1, "firstTimestamp": "2099-01-01T00:00:00Z", "lastTimestamp": "2099-01-01T00:00:00Z",
        }))
        .unwrap();
    let namespace = world.name.clone();
    let mut all = String::new();
    for words in [
        &["status"][..],
        &["history"],
        &["plan"],
        &["rollback", "--yes", "--discard-later"],
    ] {
        for format in ["human", "markdown", "json", "yaml"] {
            let mut command = world.command(words);
            command.args(["zai-proxy", "-n", &namespace, "-o", format]);
            let outcome = run(command);
            assert!(
                matches!(outcome.code, Some(0)),
                "{words:?}: {}",
                outcome.shown()
            );
            let said = outcome.text();
            for bad in ['\u{1b}', '\u{7}', '\u{9b}', '\r', '\u{202e}'] {
                assert!(
                    !said.contains(bad),
                    "{words:?} -o {format} prints {bad:?}: {said:?}"
                );
            }
            all.push_str(&said);
        }
    }
    assert!(
        all.contains("more workers"),
        "the message itself is shown: {all}"
    );
    assert!(
        all.contains("hostile-event"),
        "the event itself is shown: {all}"
    );
}
