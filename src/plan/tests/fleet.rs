//! Many targets planned together.

use super::super::fleet::{Member, Share, stages, together};
use super::*;

fn shares(text: &str) -> Vec<Share> {
    text.split(',')
        .map(|one| Share::parse(one).unwrap())
        .collect()
}

#[test]
fn stages_are_shares_of_all_targets() {
    assert_eq!(stages(40, &shares("1,10%,100%")), [1, 3, 36]);
    assert_eq!(stages(3, &shares("1,10%,100%")), [1, 2]);
    assert_eq!(stages(3, &[]), [3]);
    // What no stage names is the last one.
    assert_eq!(stages(10, &shares("2,50%")), [2, 3, 5]);
    assert_eq!(stages(2, &shares("5")), [2]);
    assert_eq!(stages(0, &shares("1")), [0; 0]);
    for wrong in ["0", "0%", "101%", "x", "", "-1"] {
        assert!(Share::parse(wrong).is_err(), "{wrong:?}");
    }
}

/// The second workload of the same file.
fn other(seen: &Observation) -> Observation {
    let mut other = seen.clone();
    other.target.name = "second".into();
    let workload = other.cluster.workload.as_mut().unwrap();
    workload.reference.name = "second".into();
    other
}

#[test]
fn members_of_one_file_become_one_edit_of_it() {
    let two = |tag: &str| {
        let second = manifest(tag, "").replace("name: zai-proxy\nspec", "name: second\nspec");
        let second = second.split("---").next().unwrap().to_owned();
        format!("{}---\n{second}", manifest(tag, ""))
    };
    let mut seen = world(&BAD);
    let git = seen.git.as_mut().unwrap();
    for (state, tag) in git.states.iter_mut().zip(["1.2.1", "1.2.0", "1.1.0"]) {
        state.text = Arc::from(two(tag));
    }
    git.text = Arc::from(two("1.2.1"));
    let second = other(&seen);
    let member = |observation: &Observation| Member {
        request: Request {
            target: observation.target.clone(),
            ..request()
        },
        observation: observation.clone(),
    };
    let members = [member(&seen), member(&second)];
    let planned = together(&members, &[]);
    for decision in &planned.decisions {
        assert!(matches!(decision, Decision::Plan(_)), "{decision:?}");
    }
    let [file] = planned.files.as_slice() else {
        panic!("{:?}", planned.files)
    };
    assert_eq!(file.before, two("1.2.1"));
    assert_eq!(file.after, two("1.2.0"));
    // The order does not matter.
    let members = [member(&second), member(&seen)];
    assert_eq!(together(&members, &[]).files[0].after, two("1.2.0"));
    // What is planned of a member does not depend on the others: it is told again after a race.
    let alone = planned_effect(&together(&[member(&second)], &[]).decisions[0]);
    assert_eq!(planned_effect(&planned.decisions[1]), alone);
}

fn planned_effect(decision: &Decision) -> String {
    match decision {
        Decision::Plan(prepared) => prepared.plan.effect_id.clone(),
        other => panic!("{other:?}"),
    }
}
