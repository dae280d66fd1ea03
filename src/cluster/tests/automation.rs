//! Which objects of tools that set images are read.

use serde_json::{Value, json};

use super::fake::{Fake, Reply, Seen, forbidden};
use crate::model::GapReason;

fn groups(names: &[(&str, &str)]) -> Value {
    let groups = names.iter().map(|(name, version)| {
        json!({"name": name, "preferredVersion": {"groupVersion": format!("{name}/{version}")}})
    });
    json!({"kind": "APIGroupList", "groups": groups.collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_cluster_without_such_tools_is_asked_once() {
    let fake = Fake::start(|_: &Seen| Reply::Json(200, groups(&[("apps", "v1")]))).await;
    let cluster = fake.connect().await;
    let read = cluster.tool_objects().await;
    assert_eq!((read.objects, read.gaps), (vec![], vec![]));
    let sent = cluster.requests_sent();
    assert_eq!(
        sent.into_iter().collect::<Vec<_>>(),
        [("get apis".to_owned(), 1)]
    );
}

#[tokio::test]
async fn only_what_is_served_is_listed_and_what_is_forbidden_is_a_gap() {
    let served = [
        ("image.toolkit.fluxcd.io", "v1beta2"),
        ("kargo.akuity.io", "v1alpha1"),
    ];
    let fake = Fake::start(move |seen: &Seen| match seen.path() {
        "/apis" => Reply::Json(200, groups(&served)),
        "/apis/image.toolkit.fluxcd.io/v1beta2/imagepolicies" => {
            let item = json!({"metadata": {"name": "a", "namespace": "flux-system"}});
            Reply::Json(200, json!({"kind": "ImagePolicyList", "items": [item]}))
        }
        "/apis/kargo.akuity.io/v1alpha1/projectconfigs"
        | "/apis/kargo.akuity.io/v1alpha1/clusterpromotiontasks" => {
            Reply::Text(404, "404 page not found")
        }
        _ => forbidden("nobody may"),
    })
    .await;
    let cluster = fake.connect().await;
    let read = cluster.tool_objects().await;
    let [policy] = read.objects.as_slice() else {
        panic!("{read:?}");
    };
    assert_eq!(policy["kind"], "ImagePolicy");
    let gaps: Vec<&str> = read.gaps.iter().map(|gap| gap.what.as_str()).collect();
    assert_eq!(
        gaps,
        [
            "ImageUpdateAutomation",
            "Stage",
            "Warehouse",
            "PromotionTask"
        ]
    );
    assert!(
        read.gaps
            .iter()
            .all(|gap| gap.reason == GapReason::Forbidden)
    );
    assert_eq!(cluster.requests_sent().values().sum::<u64>(), 8);
}

#[tokio::test]
async fn groups_that_cannot_be_read_are_a_gap() {
    let fake = Fake::start(|_: &Seen| forbidden("nobody may")).await;
    let read = fake.connect().await.tool_objects().await;
    assert_eq!(read.gaps.len(), 1);
}
