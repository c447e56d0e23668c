//! Dependencies between packages and the layout of folders follow the rules, checked with Cargo's metadata and files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A package of the workspace, as `cargo metadata` describes it.
struct Package(Value);

impl Package {
    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    fn manifest(&self) -> String {
        fs::read_to_string(self.0["manifest_path"].as_str().unwrap()).unwrap()
    }

    /// Returns the names of its dependencies of these kinds: `null` is a normal one, else `build` or `dev`.
    fn dependencies(&self, kinds: &[Value]) -> BTreeSet<&str> {
        let all = self.0["dependencies"].as_array().unwrap().iter();
        all.filter(|one| kinds.contains(&one["kind"])).map(|one| one["name"].as_str().unwrap()).collect()
    }

    /// Returns which packages of the workspace it depends on.
    fn workspace_packages(&self, kinds: &[Value]) -> Vec<&str> {
        self.dependencies(kinds).into_iter().filter(|name| name.starts_with("udpchat")).collect()
    }
}

fn packages() -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"]);
    let output = cargo.arg(root().join("Cargo.toml")).output().unwrap();
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else { panic!("{metadata}") };
    packages.into_iter().map(Package).collect()
}

fn normal() -> Value {
    Value::Null
}

#[test]
fn each_package_depends_only_on_lower_ones() {
    let expected = [
        (
            "udpchat",
            &["udpchat-ctl", "udpchat-daemon"][..],
            &["udpchat-api", "udpchat-config", "udpchat-locale", "udpchat-text"][..],
        ),
        ("udpchat-api", &[], &[]),
        ("udpchat-config", &[], &[]),
        ("udpchat-ctl", &["udpchat-api", "udpchat-config", "udpchat-locale", "udpchat-text"], &[]),
        ("udpchat-daemon", &["udpchat-api", "udpchat-config", "udpchat-locale", "udpchat-text"], &[]),
        ("udpchat-locale", &[], &[]),
        ("udpchat-text", &["udpchat-config"], &[]),
    ];
    let packages = packages();
    assert_eq!(packages.len(), expected.len());
    for (name, below, for_tests) in expected {
        let package = packages.iter().find(|package| package.name() == name).unwrap();
        assert_eq!(package.workspace_packages(&[normal(), "build".into()]), below, "{name}");
        assert_eq!(package.workspace_packages(&["dev".into()]), for_tests, "{name}");
    }
}

/// Returns which packages depend on a library, apart from the root's tests.
fn users_of(library: &str) -> Vec<String> {
    let all = [normal(), "build".into(), "dev".into()];
    let uses = |package: &&Package| {
        let kinds = if package.name() == "udpchat" { &all[..2] } else { &all };
        package.dependencies(kinds).contains(library)
    };
    let mut users: Vec<_> = packages().iter().filter(uses).map(|user| user.name().to_owned()).collect();
    users.sort();
    users
}

#[test]
fn only_the_daemon_uses_database_and_network_libraries() {
    for library in ["hyper", "rusqlite", "socket2", "tracing"] {
        assert_eq!(users_of(library), ["udpchat-daemon"], "{library}");
    }
}

/// Both programs use the local socket through `udpchat-api`, which hides the type of a connection.
#[test]
fn both_programs_use_interprocess_through_the_api() {
    assert_eq!(users_of("interprocess"), ["udpchat-api"]);
    for name in ["udpchat-ctl", "udpchat-daemon"] {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--offline", "--package", name, "--invert", "interprocess"]).current_dir(root());
        let tree = tree.output().unwrap();
        let shown = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.status.success() && shown.contains(name), "{name}: {shown}");
    }
}

#[test]
fn only_the_client_uses_terminal_libraries() {
    for library in ["anstream", "anstyle", "comfy-table", "ratatui"] {
        assert_eq!(users_of(library), ["udpchat-ctl"], "{library}");
    }
    // Help is wrapped, carets stand below a line of the configuration, and its listing is aligned, by the width of characters.
    let users = ["udpchat-config", "udpchat-ctl", "udpchat-daemon", "udpchat-locale"];
    assert_eq!(users_of("unicode-width"), users);
}

#[test]
fn there_are_four_folders_apart_from_hidden_ones() {
    let folders = fs::read_dir(root()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let names = folders.map(|folder| folder.file_name().into_string().unwrap());
    let shown: BTreeSet<_> = names.filter(|name| !name.starts_with('.') && name != "target").collect();
    assert_eq!(shown.iter().map(String::as_str).collect::<Vec<_>>(), ["config", "ctl", "daemon", "tests"]);
}

/// Lists the names of what is in a folder, without those of other kinds of files and of folders that hold only such.
fn modules_in(folder: &Path) -> BTreeSet<String> {
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_code = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs");
    let has_code = |path: &PathBuf| entries(path).any(|path| is_code(&path));
    let modules = entries(folder).filter(|path| if path.is_dir() { has_code(path) } else { is_code(path) });
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    modules.map(stem).filter(|name| name != "main" && name != "mod").collect()
}

fn declared_in(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    let names = text
        .lines()
        .filter_map(|line| line.trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

#[test]
fn every_file_of_tests_is_run() {
    let tests = root().join("tests/e2e");
    let mut areas = declared_in(&tests.join("main.rs"));
    assert!(areas.remove("support"), "it is shared with other tests");
    assert_eq!(modules_in(&tests), areas);
    for folder in areas.iter().map(|area| tests.join(area)).chain([root().join("tests/support")]) {
        assert_all_declared(&folder);
    }
    for folder in ["tests/service", "tests/campaigns"].map(|folder| root().join(folder)) {
        let mut declared = declared_in(&folder.join("main.rs"));
        assert!(declared.remove("support"), "it is shared with other tests");
        assert_eq!(modules_in(&folder), declared);
    }
    assert_all_declared(&root().join("tests/service/machine"));
}

/// Checks that each `mod.rs` declares all files of its folder, and so for the folders in it.
#[track_caller]
fn assert_all_declared(folder: &Path) {
    let modules = modules_in(folder);
    assert_eq!(modules, declared_in(&folder.join("mod.rs")), "{}", folder.display());
    let folders = modules.iter().map(|name| folder.join(name)).filter(|path| path.is_dir());
    folders.for_each(|folder| assert_all_declared(&folder));
}

#[test]
fn every_package_obeys_the_lints_of_the_workspace() {
    for package in packages() {
        let manifest = package.manifest();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{}", package.name());
    }
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let table = manifest.split("[workspace.dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let groups = group_by_comment(table);
    assert!(groups.len() > 10, "{groups:#?}");
    for (comment, dependencies) in groups {
        assert!(
            comment.is_some() || dependencies.iter().all(|line| line.starts_with("udpchat-")),
            "{dependencies:#?}"
        );
    }
}

#[test]
fn every_version_is_in_the_workspace_table() {
    for package in packages() {
        let manifest = package.manifest();
        let tables = manifest.split("\n[").filter(|table| {
            ["dependencies]", "dev-dependencies]", "build-dependencies]"]
                .iter()
                .any(|name| table.starts_with(name))
        });
        for line in tables.flat_map(|table| table.lines().skip(1)).filter(|line| line.contains('=')) {
            assert!(line.contains("workspace = true"), "{}: {line}", package.name());
        }
    }
}

/// Splits the lines of a table at its comments and empty lines: each group with the comment above it.
fn group_by_comment(table: &str) -> Vec<(Option<&str>, Vec<&str>)> {
    let mut groups = vec![(None, Vec::new())];
    for line in table.lines() {
        match line.trim() {
            "" => groups.push((None, Vec::new())),
            comment if comment.starts_with('#') => groups.push((Some(comment), Vec::new())),
            dependency => groups.last_mut().unwrap().1.push(dependency),
        }
    }
    groups.retain(|(_, dependencies)| !dependencies.is_empty());
    groups
}
