//! `pods/log`: what the containers of the simulated pods would have written.

use serde_json::Value;

use super::Answer;
use super::request::{Call, Target};
use crate::sandbox::controllers::pods::{Behaviour, container_behaviour};
use crate::sandbox::error::ApiError;
use crate::sandbox::json::{annotation, list, text};
use crate::sandbox::kinds::by_kind;
use crate::sandbox::world::World;

/// Annotation of a pod: so many more lines are in its logs.
const MORE_LINES: &str = "unship.test/log-lines";
/// Annotation of a pod: these lines are in its logs as well.
const OWN_LINES: &str = "unship.test/log-text";

/// Answers a log request of one container.
pub(crate) fn answer(world: &World, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let kind = by_kind("", "Pod").ok_or_else(ApiError::no_route)?;
    let pod = world
        .store
        .with(|o| o.require(kind, &target.namespace, &target.name))?;
    let containers = list(&pod, "/spec/containers");
    let init = list(&pod, "/spec/initContainers");
    let container = match call.param("container") {
        "" if containers.len() == 1 => &containers[0],
        "" => {
            let names: Vec<&str> = containers.iter().map(|c| text(c, "/name")).collect();
            return Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                target.name,
                names.join(" ")
            )));
        }
        name => containers
            .iter()
            .chain(init)
            .find(|c| text(c, "/name") == name)
            .ok_or_else(|| {
                ApiError::bad_request(format!(
                    "container {name} is not valid for pod {}",
                    target.name
                ))
            })?,
    };
    let behaviour = container_behaviour(text(container, "/image"));
    let text = lines(&pod, container, behaviour, call)?;
    let tail = call.param("tailLines").parse().unwrap_or(usize::MAX);
    let skip = text.len().saturating_sub(tail);
    let mut out = String::new();
    for line in &text[skip..] {
        if call.flag("timestamps") {
            out.push_str(self::text(&pod, "/metadata/creationTimestamp").trim_end_matches('Z'));
            out.push_str(".000000000Z ");
        }
        out.push_str(line);
        out.push('\n');
    }
    Ok(Answer::Text(out))
}

fn lines(
    pod: &Value,
    container: &Value,
    behaviour: Behaviour,
    call: &Call,
) -> Result<Vec<String>, ApiError> {
    let name = text(container, "/name");
    let pod_name = text(pod, "/metadata/name");
    let waiting = |reason: &str| {
        ApiError::bad_request(format!(
            "container \"{name}\" in pod \"{pod_name}\" is waiting to start: {reason}"
        ))
    };
    let previous = call.flag("previous");
    match behaviour {
        Behaviour::NoPull => return Err(waiting("trying and failing to pull image")),
        Behaviour::Healthy | Behaviour::NeverReady if previous => {
            return Err(ApiError::bad_request(format!(
                "previous terminated container \"{name}\" in pod \"{pod_name}\" not found"
            )));
        }
        _ => {}
    }
    let image = text(container, "/image");
    let last: &[&str] = match behaviour {
        Behaviour::Crash => &[
            "level=info msg=\"loading configuration\" path=/etc/proxy/config.yaml",
            "level=error msg=\"upstream table is empty\" hint=\"key routes.default is missing\"",
            "panic: runtime error: index out of range [0] with length 0",
            "goroutine 1 [running]:",
            "main.(*router).defaultRoute(...)",
        ],
        Behaviour::OutOfMemory => &[
            "level=info msg=\"loading configuration\" path=/etc/proxy/config.yaml",
            "level=warn msg=\"token cache grows beyond its limit\" bytes=66060288",
        ],
        Behaviour::NeverReady => &["level=info msg=\"waiting for upstream\" attempt=1"],
        Behaviour::Healthy | Behaviour::NoPull => &[
            "level=info msg=\"loading configuration\" path=/etc/proxy/config.yaml",
            "level=info msg=\"listening\" address=:8080",
            "level=info msg=\"health check\" code=200",
        ],
    };
    let first = format!("level=info msg=starting image={image} pod={pod_name}");
    let number = |key| annotation(pod, key).and_then(|count| count.parse::<u32>().ok());
    let filler = (0..number(MORE_LINES).unwrap_or(0))
        .map(|n| format!("level=info msg=\"request served\" code=200 bytes=1184 number={n}"));
    let own = annotation(pod, OWN_LINES).unwrap_or_default().lines();
    Ok(std::iter::once(first)
        .chain(filler)
        .chain(own.map(str::to_owned))
        .chain(last.iter().map(|s| (*s).to_owned()))
        .collect())
}
