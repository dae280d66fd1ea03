use super::*;
use std::os::unix::fs::PermissionsExt;

/// A folder with programs of the test's own, and what finds them.
fn programs(scripts: &[(&str, &str)]) -> (tempfile::TempDir, Programs) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in scripts {
        let file = folder.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = folder.path().as_os_str().to_owned();
    let env = HashMap::from([(OsString::from("PATH"), path)]);
    (folder, Programs::new(&env))
}

fn recipe(program: Program, calls: &[&[Argument]]) -> Recipe {
    Recipe {
        program,
        folder: "apps/web".to_owned(),
        folders: vec!["apps/web".to_owned(), "//values@main//env".to_owned()],
        copies: Vec::new(),
        texts: Vec::new(),
        given: vec!["tag: '1'\n".to_owned()],
        calls: calls.iter().map(|call| call.to_vec()).collect(),
    }
}

fn word(text: &str) -> Argument {
    Argument::Text(text.to_owned())
}

fn render(programs: &Programs, recipe: &Recipe, laid: &Laid) -> Result<String, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(programs.render(recipe, laid))
}

#[test]
fn calls_run_one_after_the_other_where_the_files_are() {
    let (_folder, programs) = programs(&[(
        "helm",
        "for a in \"$@\"; do case $a in /*|*=/*) a=$(cat ${a#*=});; esac; echo \"$a\"; done",
    )]);
    let file = |before: &str, path: &str| Argument::File {
        before: before.to_owned(),
        path: path.to_owned(),
    };
    let recipe = recipe(
        Program::Helm,
        &[
            &[word("first")],
            &[
                word("template"),
                file("", "apps/web/values.yaml"),
                file("key=", "//values@main//env/prod.yaml"),
                Argument::Given(0),
            ],
        ],
    );
    let mut laid = Laid::new(&recipe).unwrap();
    laid.put("apps/web/values.yaml", b"own").unwrap();
    laid.put("//values@main//env/prod.yaml", b"other").unwrap();
    let printed = render(&programs, &recipe, &laid).unwrap();
    assert_eq!(printed, "template\nown\nother\ntag: '1'\n");
}

#[test]
fn nothing_of_the_user_and_no_way_out() {
    let (_folder, programs) = programs(&[(
        "kustomize",
        "echo \"$PWD|$HOME|$https_proxy|$KUBECONFIG|$PATH\" | sed s,$(dirname $HOME),ROOT,g; exit 0",
    )]);
    let recipe = recipe(Program::Kustomize, &[&[word("build")]]);
    let laid = Laid::new(&recipe).unwrap();
    let printed = render(&programs, &recipe, &laid).unwrap();
    let parts: Vec<&str> = printed.trim().split('|').collect();
    assert!(parts[0].ends_with("/files-0/apps/web"), "{printed}");
    assert!(parts[1].ends_with("/home"), "{printed}");
    assert_eq!(parts[2..4], [NO_NETWORK, ""], "{printed}");
    // The shell has a default of its own where there is none; the user's is not there.
    assert!(!parts[4].contains("cargo"), "{printed}");
}

#[test]
fn a_program_that_hangs_is_stopped() {
    let (_folder, programs) = programs(&[("helm", "exec /bin/sleep 60")]);
    let programs = programs.with_limit(Duration::from_millis(200));
    let recipe = recipe(Program::Helm, &[&[word("template")]]);
    let laid = Laid::new(&recipe).unwrap();
    let began = Instant::now();
    let error = render(&programs, &recipe, &laid).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_goes_wrong_is_told_without_our_own_paths() {
    let (_folder, programs) = programs(&[(
        "helm",
        "echo \"Error: $PWD/Chart.yaml: no https://me:secret@example.org\" >&2; echo 'Use --debug flag' >&2; exit 1",
    )]);
    let recipe_of = |program| recipe(program, &[&[word("template")]]);
    let recipe = recipe_of(Program::Helm);
    let laid = Laid::new(&recipe).unwrap();
    let words = render(&programs, &recipe, &laid).unwrap_err().to_string();
    assert!(
        words.starts_with("helm says: Error: files-0/apps/web/Chart.yaml"),
        "{words}"
    );
    assert!(
        !words.contains("secret") && !words.contains("debug"),
        "{words}"
    );
    let missing = recipe_of(Program::Kustomize);
    let laid = Laid::new(&missing).unwrap();
    let words = render(&programs, &missing, &laid).unwrap_err().to_string();
    assert_eq!(words, "kustomize is not on the PATH");
    assert!(!programs.has(Program::Kustomize) && programs.has(Program::Helm));
}

#[test]
fn a_relative_folder_on_the_path_is_not_searched() {
    let env = HashMap::from([(OsString::from("PATH"), OsString::from(".:bin"))]);
    assert!(!Programs::new(&env).has(Program::Helm));
}

#[test]
fn files_stay_in_their_place_and_do_not_become_too_many() {
    let recipe = recipe(Program::Helm, &[]);
    let mut laid = Laid::new(&recipe).unwrap();
    for path in [
        "../x",
        "apps/../../x",
        "//unknown//x",
        "//values@main//../x",
    ] {
        let error = laid.put(path, b"x").unwrap_err();
        assert!(matches!(error, Error::Files(_)), "{path}: {error}");
    }
    let large = vec![b'x'; 40 * 1024 * 1024];
    laid.put("apps/web/large", &large).unwrap();
    let error = laid.put("apps/web/larger", &large).unwrap_err();
    assert!(error.to_string().contains("64 MiB"), "{error}");
}
