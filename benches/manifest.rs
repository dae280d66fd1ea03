//! One image set in a manifest of 1 MB: thousands of small documents, 754 of the usual size, one
//! large `List`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use unship::manifest::{Address, Edit, Manifest, Path};

const MEGABYTE: usize = 1 << 20;

fn deployment(number: usize) -> String {
    format!(
        "apiVersion: apps/v1\n\
         kind: Deployment\n\
         metadata:\n\
         \x20 name: web-{number} # number {number}\n\
         \x20 namespace: shop\n\
         spec:\n\
         \x20 replicas: 3\n\
         \x20 template:\n\
         \x20   spec:\n\
         \x20     containers:\n\
         \x20       - name: web\n\
         \x20         image: \"ghcr.io/acme/web:1.{number}.0\"\n\
         \x20         env:\n\
         \x20           - {{name: REGION, value: eu-west-1}}\n\
         \x20           - name: MODE\n\
         \x20             value: 'steady'\n\
         \x20         resources:\n\
         \x20           requests: {{cpu: 100m, memory: 128Mi}}\n"
    )
}

/// Many documents.
fn stream() -> String {
    let mut text = String::with_capacity(MEGABYTE + 1024);
    for number in 0.. {
        text.push_str("---\n");
        text.push_str(&deployment(number));
        if text.len() >= MEGABYTE {
            break;
        }
    }
    text
}

/// 754 documents of the size that a Deployment and its Service have.
fn usual_stream() -> String {
    let mut text = String::with_capacity(MEGABYTE + 2048);
    for number in 0..754 {
        text.push_str("---\n");
        text.push_str(&deployment(number));
        text.push_str("            limits:\n              memory: 512Mi\n          args:\n");
        for flag in 0..20 {
            text.push_str(&format!(
                "            - --upstream-{flag}=http://backend-{flag}:80\n"
            ));
        }
    }
    text
}

/// The same as one document: a `List`.
fn list() -> String {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for number in 0.. {
        for (place, line) in deployment(number).lines().enumerate() {
            text.push_str(if place == 0 { "- " } else { "  " });
            text.push_str(line);
            text.push('\n');
        }
        if text.len() >= MEGABYTE {
            break;
        }
    }
    text
}

fn set_image(text: &str, address: Address) -> String {
    let manifest = Manifest::parse(text).expect("the generated text is YAML");
    set_in(&manifest, address)
}

fn set_in(manifest: &Manifest, address: Address) -> String {
    let path: Path = "spec.template.spec.containers[web].image"
        .parse()
        .expect("a path");
    let edit = Edit::Set {
        path,
        value: "ghcr.io/acme/web:2.0.0".into(),
    };
    manifest
        .edit(&address, &[edit])
        .expect("the edit is possible")
        .text
}

/// As `unship patch-file --document` does it.
fn find_and_set(text: &str) -> String {
    let manifest = Manifest::parse(text).expect("the generated text is YAML");
    let found = manifest.find("Deployment", "web-500", None);
    set_in(&manifest, found[0].address)
}

fn benches(criterion: &mut Criterion) {
    let (stream, usual, list) = (stream(), usual_stream(), list());
    let mut group = criterion.benchmark_group("1 MB");
    group.sample_size(20);
    group.bench_function("parse, many documents", |bench| {
        bench.iter(|| Manifest::parse(black_box(&*stream)));
    });
    group.bench_function("parse and set an image, many documents", |bench| {
        bench.iter(|| set_image(black_box(&stream), Address::document(1000)));
    });
    group.bench_function("parse, find and set an image, 754 documents", |bench| {
        bench.iter(|| find_and_set(black_box(&usual)));
    });
    let item = Address {
        document: 0,
        item: Some(1000),
    };
    group.bench_function("parse and set an image, one document", |bench| {
        bench.iter(|| set_image(black_box(&list), item));
    });
    group.finish();
}

criterion_group!(manifest, benches);
criterion_main!(manifest);
