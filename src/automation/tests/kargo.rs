//! Kargo's expressions, tasks and policies.

use super::*;

fn kargo(text: &str) -> Vec<Finding> {
    find(&world("kind: Deployment\n", &[("kargo.yaml", text)]))
}

/// The fixture with another path in its writing step.
fn at(path: &str) -> Vec<Finding> {
    let text = KARGO.replace("./src/apps/zai-proxy.yaml", path);
    assert!(text != KARGO || path == "./src/apps/zai-proxy.yaml");
    kargo(&text)
}

#[test]
fn what_an_expression_names_is_worked_out_where_it_can_be() {
    let own = |path: &str| {
        let text = KARGO
            .replace("./src/apps/zai-proxy.yaml", path)
            .replace("  promotionTemplate:\n    spec:\n", "  vars:\n    - name: src\n      value: ./src\n  promotionTemplate:\n    spec:\n      vars:\n        - name: name\n          value: zai-proxy\n        - name: dir\n          value: ${{ vars.src }}/apps\n");
        kargo(&text)
    };
    let found = own("${{ vars.dir }}/${{ vars.name }}.yaml");
    assert!(found[0].certain, "{found:#?}");
    assert_eq!(own("${{ vars.dir }}/${{vars.name}}-canary.yaml"), []);
    // The Stage's and the project's own names.
    let staged = |stage: &str| {
        let text = KARGO.replace(
            "./src/apps/zai-proxy.yaml",
            "./src/${{ ctx.stage }}/zai-proxy.yaml",
        );
        let text = text.replace("name: prod", &format!("name: {stage}"));
        kargo(&text)
    };
    assert!(staged("apps")[0].certain);
    assert_eq!(staged("prod"), []);
}

#[test]
fn an_expression_that_cannot_be_worked_out_is_a_maybe() {
    let found = at("./src/${{ outputs['a'].dir }}/zai-proxy.yaml");
    let [finding] = found.as_slice() else {
        panic!("{found:#?}");
    };
    assert!(!finding.certain, "its policy alone would promote");
    assert!(
        finding.when.contains("if it writes the target's file"),
        "{}",
        finding.when
    );
    assert_eq!(at("./src/${{ outputs['a'].dir }}/other.yaml"), []);
    assert_eq!(at("./${{ outputs['a'].src }}/other/zai-proxy.yaml"), []);
    assert_eq!(at("./${{ outputs['a'].src }}/apps/zai-proxy.yaml").len(), 1);
    // Freight without an image of the target is of no matter.
    let text = KARGO
        .replace("./src/apps/zai-proxy.yaml", "${{ outputs.a.path }}")
        .replace(
            "repoURL: docker.io/ronaldraygun/zai-proxy",
            "repoURL: nginx",
        );
    assert_eq!(kargo(&text), []);
}

#[test]
fn only_the_path_of_a_step_is_where_it_writes() {
    let text = KARGO
        .replace("./src/apps/zai-proxy.yaml", "./src/other.yaml")
        .replace(
            "value: ${{ imageFrom",
            "note: ./src/apps/zai-proxy.yaml\n                value: ${{ imageFrom",
        );
    assert_eq!(kargo(&text), []);
}

const TASK: &str = "---
apiVersion: kargo.akuity.io/v1alpha1
kind: PromotionTask
metadata:
  name: write
  namespace: mcp
spec:
  vars:
    - name: file
    - name: dir
      value: apps
  steps:
    - uses: yaml-update
      config:
        path: ./src/${{ vars.dir }}/${{ vars.file }}
";

#[test]
fn the_steps_of_a_task_are_the_stages() {
    let (stage, _) = KARGO.split_once("        - uses: yaml-update").unwrap();
    let with = |file: &str, task: &str| {
        kargo(&format!(
            "{stage}        - task:\n            name: write\n          vars:\n            - name: file\n              value: {file}\n{task}"
        ))
    };
    let found = with("zai-proxy.yaml", TASK);
    assert!(found[0].certain, "{found:#?}");
    assert_eq!(with("other.yaml", TASK), []);
    let unread = with("zai-proxy.yaml", "");
    assert!(!unread[0].certain, "{unread:#?}");
    assert!(unread[0].when.contains("if it writes the target's file"));
    let cluster = TASK.replace("kind: PromotionTask", "kind: ClusterPromotionTask");
    let other = with("other.yaml", &cluster);
    assert!(
        !other[0].certain,
        "a task of the cluster is not the project's"
    );
}

#[test]
fn a_policy_selects_stages_by_patterns_and_labels() {
    let by = |selector: &str| {
        kargo(&KARGO.replace(
            "        name: prod\n      auto",
            &format!("{selector}\n      auto"),
        ))
    };
    for selector in ["        name: glob:pr*", "        name: \"regex:^pro?d$\""] {
        assert!(by(selector)[0].certain, "{selector}");
    }
    for selector in ["        name: glob:test-*", "        name: regex:^test"] {
        let found = by(selector);
        assert_eq!(
            found[0].when, "when somebody promotes Freight",
            "{selector}"
        );
    }
    let unread = by("        name: regex:(?!x)");
    assert!(unread[0].when.contains("could not be seen"), "{unread:#?}");
    let labels = "        matchLabels:\n          tier: prod";
    assert_eq!(by(labels)[0].when, "when somebody promotes Freight");
    let text = KARGO
        .replace(
            "        name: prod\n      auto",
            &format!("{labels}\n      auto"),
        )
        .replace(
            "kind: Stage\nmetadata:\n",
            "kind: Stage\nmetadata:\n  labels:\n    tier: prod\n",
        );
    assert!(kargo(&text)[0].certain);
    let expressions = by("        matchExpressions:\n          - {key: tier, operator: Exists}");
    assert!(expressions[0].when.contains("could not be seen"));
}

#[test]
fn a_kargo_stage_promotes_by_its_policy() {
    let found = |text: &str| find(&world("kind: Deployment\n", &[("kargo.yaml", text)]));
    let [own] = &found(KARGO)[..] else {
        panic!("{:#?}", found(KARGO));
    };
    assert!(own.certain);
    assert_eq!(
        own.does,
        "promotes docker.io/ronaldraygun/zai-proxy (SemVer ^1.0.0) into Stage mcp/prod"
    );
    assert!(matches!(own.pin, Pin::ByHand(_)));
    let by_hand =
        found(&KARGO.replace("autoPromotionEnabled: true", "autoPromotionEnabled: false"));
    assert!(!by_hand[0].certain);
    assert_eq!(by_hand[0].when, "when somebody promotes Freight");
    assert_eq!(
        found(&KARGO.replace("src/apps/zai-proxy.yaml", "src/apps/other.yaml")),
        []
    );
    // The Application says which Stage may touch it; nothing else of Kargo was read.
    let own = json!({"kargo.akuity.io/authorized-stage": "mcp:prod"});
    let found = find(&with_application(world("kind: Deployment\n", &[]), own));
    assert!(!found[0].certain);
    assert!(found[0].when.contains("could not be seen"));
}

#[test]
fn unread_tasks_are_said_where_a_stage_leaves_something_open() {
    let named = |text: &str| -> Vec<String> {
        let mut world = world("kind: Deployment\n", &[("kargo.yaml", text)]);
        world.automation.gaps = vec![Gap {
            what: "PromotionTask".into(),
            reason: crate::model::GapReason::Forbidden,
            message: "no".into(),
        }];
        let gaps = gaps(&world, &find(&world)).into_iter();
        gaps.map(|gap| gap.what.clone()).collect()
    };
    assert_eq!(named(KARGO), Vec::<String>::new(), "all steps are known");
    let (stage, _) = KARGO.split_once("        - uses: yaml-update").unwrap();
    let task = format!("{stage}        - task:\n            name: write\n");
    assert_eq!(named(&task), ["PromotionTask"]);
}
