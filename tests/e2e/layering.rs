//! The parts of the project know only what they may: checked on what Cargo says and on the folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(["--offline".to_owned()]).exec().unwrap()
}

fn names(package: &Package, kinds: &[DependencyKind]) -> BTreeSet<String> {
    let wanted = package.dependencies.iter().filter(|dependency| kinds.contains(&dependency.kind));
    wanted.map(|dependency| dependency.name.clone()).collect()
}

/// Returns what of our own a package depends on.
fn own(package: &Package, kinds: &[DependencyKind]) -> Vec<String> {
    names(package, kinds).into_iter().filter(|name| name.starts_with("udpchat")).collect()
}

#[test]
fn each_part_depends_only_on_what_is_below_it() {
    let expected = [
        ("udpchat", &["udpchat-ctl", "udpchat-daemon"][..], &["udpchat-api"][..]),
        ("udpchat-api", &[], &[]),
        ("udpchat-config", &[], &[]),
        ("udpchat-ctl", &["udpchat-api", "udpchat-config"], &[]),
        ("udpchat-daemon", &["udpchat-api", "udpchat-config"], &[]),
    ];
    let metadata = metadata();
    assert_eq!(metadata.packages.len(), expected.len());
    for (name, below, for_tests) in expected {
        let package = metadata.packages.iter().find(|package| package.name.as_str() == name).unwrap();
        assert_eq!(own(package, &[DependencyKind::Normal, DependencyKind::Build]), below, "{name}");
        assert_eq!(own(package, &[DependencyKind::Development]), for_tests, "{name}");
    }
}

/// Returns which packages depend on a library, apart from the root's tests.
fn users_of(library: &str) -> Vec<String> {
    let all = [DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development];
    let uses = |package: &&Package| {
        let kinds = if package.name.as_str() == "udpchat" { &all[..2] } else { &all };
        names(package, kinds).contains(library)
    };
    let mut users: Vec<_> =
        metadata().packages.iter().filter(uses).map(|user| user.name.to_string()).collect();
    users.sort();
    users
}

#[test]
fn only_the_daemon_knows_the_database_and_the_sockets_of_the_network() {
    for library in ["hyper", "rusqlite", "socket2", "tracing"] {
        assert_eq!(users_of(library), ["udpchat-daemon"], "{library}");
    }
}

#[test]
fn only_the_client_knows_colours_tables_and_screens() {
    for library in ["anstream", "anstyle", "comfy-table", "ratatui", "unicode-width"] {
        assert_eq!(users_of(library), ["udpchat-ctl"], "{library}");
    }
}

#[test]
fn there_are_four_folders_beside_hidden_ones() {
    let folders = fs::read_dir(root()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let names = folders.map(|folder| folder.file_name().into_string().unwrap());
    let shown: BTreeSet<_> = names.filter(|name| !name.starts_with('.') && name != "target").collect();
    assert_eq!(
        shown.iter().map(String::as_str).collect::<Vec<_>>(),
        ["config", "ctl", "daemon", "tests"]
    );
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
    let names = text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

#[test]
fn every_file_of_tests_is_run() {
    let tests = root().join("tests/e2e");
    assert_eq!(modules_in(&tests), declared_in(&tests.join("main.rs")));
    assert_eq!(modules_in(&tests.join("support")), declared_in(&tests.join("support/mod.rs")));
    let service = root().join("tests/service");
    let mut declared = declared_in(&service.join("main.rs"));
    assert!(declared.remove("support"), "it is that of the end-to-end tests");
    assert_eq!(modules_in(&service), declared);
    assert_eq!(modules_in(&service.join("machine")), declared_in(&service.join("machine/mod.rs")));
}

#[test]
fn every_package_obeys_the_lints_of_the_workspace() {
    for package in metadata().packages {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{}", package.name);
    }
}

#[test]
fn every_dependency_says_why_it_is_there() {
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
fn every_version_stands_in_the_table_of_the_workspace() {
    for package in metadata().packages {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        let tables = manifest.split("\n[").filter(|table| {
            ["dependencies]", "dev-dependencies]", "build-dependencies]"]
                .iter()
                .any(|name| table.starts_with(name))
        });
        for line in tables.flat_map(|table| table.lines().skip(1)).filter(|line| line.contains('=')) {
            assert!(line.contains("workspace = true"), "{}: {line}", package.name);
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
