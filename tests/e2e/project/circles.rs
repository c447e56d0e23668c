//! No two files of a package import each other, directly or through others.
//!
//! A file that imports or names something of another depends on it. Names that a `mod.rs` re-exports lead to the file
//! that defines them; `mod x;` and the re-export itself are no dependency of the `mod.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::slice;

use super::layering::root;
use super::source::Source;

/// The modules of a package by their paths, such as `["inbox", "queue"]`; the crate itself has an empty path.
struct Crate {
    modules: BTreeMap<Vec<String>, (String, Source)>,
}

/// For each file the files that it depends on, each with the names that it takes from there.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

impl Crate {
    /// Reads all files below a folder, except those that are compiled for unit tests alone.
    fn read(folder: &str) -> Self {
        let mut modules = BTreeMap::new();
        let mut files = vec![root().join(folder)];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("main.rs") {
                let source = Source::parse(&fs::read_to_string(&path).unwrap());
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                modules.insert(module_path(path.strip_prefix(root().join(folder)).unwrap()), (name, source));
            }
        }
        let tests = modules.iter().flat_map(|(module, (_, source))| {
            source.test_modules.iter().map(|name| [&module[..], slice::from_ref(name)].concat())
        });
        let tests: Vec<_> = tests.collect();
        modules.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Self { modules }
    }

    fn file(&self, module: &[String]) -> &str {
        &self.modules[module].0
    }

    /// Returns a path as seen from the root of the crate, if it leads into the crate.
    fn absolute(&self, module: &[String], path: &[String], with_imports: bool) -> Option<Vec<String>> {
        let (head, rest) = path.split_first()?;
        match head.as_str() {
            "crate" => return Some(rest.to_vec()),
            "self" => return Some([module, rest].concat()),
            "super" => {
                let up = rest.iter().take_while(|segment| *segment == "super").count();
                let parent = module.len().checked_sub(up + 1)?;
                return Some([&module[..parent], &rest[up..]].concat());
            }
            _ => {}
        }
        let child = [module, &path[..1]].concat();
        if self.modules.contains_key(&child) {
            return Some([module, path].concat());
        }
        let import =
            self.modules[module].1.uses.iter().find(|import| with_imports && import.name == *head)?;
        Some([self.absolute(module, &import.path, false)?, rest.to_vec()].concat())
    }

    /// Returns the module that defines what an absolute path leads to, and the name of that.
    fn definition(&self, path: &[String]) -> Option<(Vec<String>, String)> {
        let depth = (0..=path.len()).rev().find(|&depth| self.modules.contains_key(&path[..depth]))?;
        let (module, rest) = path.split_at(depth);
        let Some(name) = rest.first() else {
            return Some((module.to_vec(), module.last().map_or("crate", String::as_str).to_owned()));
        };
        for import in &self.modules[module].1.uses {
            let Some(target) = self.absolute(module, &import.path, false) else { continue };
            if import.name == *name {
                return self.definition(&[&target[..], &rest[1..]].concat());
            }
            let found = (import.name == "*" && import.is_public)
                .then(|| self.definition(&[&target[..target.len() - 1], rest].concat()))
                .flatten();
            if let Some(found) = found.filter(|(_, found)| found == name && self.defines(&target, name)) {
                return Some(found);
            }
        }
        Some((module.to_vec(), name.clone()))
    }

    /// Returns whether the module before a `*` has a word of this name.
    fn defines(&self, glob: &[String], name: &str) -> bool {
        let module = self.modules.get(&glob[..glob.len() - 1]);
        module.is_some_and(|(_, source)| source.words.iter().any(|word| word == name))
    }

    fn dependencies(&self) -> Graph {
        let mut graph = Graph::new();
        for (module, (file, source)) in &self.modules {
            let is_used = |name: &String| name == "*" || source.words.contains(name);
            let imports = source.uses.iter().filter(|import| !import.is_public || is_used(&import.name));
            let imports = imports.filter_map(|import| self.absolute(module, &import.path, false));
            let paths = source.paths.iter().filter_map(|path| self.absolute(module, path, true));
            for path in imports.chain(paths) {
                let path = path.strip_suffix(&["*".to_owned()]).unwrap_or(&path);
                let Some((target, name)) = self.definition(path) else { continue };
                if target != *module {
                    let files = graph.entry(file.clone()).or_default();
                    files.entry(self.file(&target).to_owned()).or_default().insert(name);
                }
            }
        }
        graph
    }
}

/// Turns `a/b.rs`, `a/b/mod.rs` and `lib.rs` into paths of modules.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<_> =
        file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    path.pop_if(|last| last == "mod" || last == "lib");
    path
}

/// Finds a shortest way from a file back to itself.
fn circle(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in graph.get(way.last().unwrap()).into_iter().flat_map(BTreeMap::keys) {
                let way = [&way[..], slice::from_ref(next)].concat();
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

/// Lists the circles of a graph, each as its files and the names for which one depends on the next.
fn circles(graph: &Graph) -> Vec<String> {
    let mut found: BTreeMap<BTreeSet<String>, String> = BTreeMap::new();
    for file in graph.keys() {
        let Some(way) = circle(graph, file) else { continue };
        let arrow = |pair: &[String]| {
            let names: Vec<_> = graph[&pair[0]][&pair[1]].iter().map(String::as_str).collect();
            format!("  {} -> {}: {}", pair[0], pair[1], names.join(", "))
        };
        let text = way.windows(2).map(arrow).collect::<Vec<_>>().join("\n");
        found.entry(way.into_iter().collect()).or_insert(text);
    }
    found.into_values().collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut all = Vec::new();
    for folder in ["config/src", "daemon/api/src", "daemon/text/src", "daemon/src", "ctl/src"] {
        let graph = Crate::read(folder).dependencies();
        assert!(graph.len() > 3, "{folder} has hardly any imports: {graph:#?}");
        all.extend(circles(&graph));
    }
    assert!(all.is_empty(), "{} circles:\n\n{}", all.len(), all.join("\n\n"));
}
