//! The documents: commands of their `console` blocks run in a real shell and print what the documents show, links lead to files,
//! and ARCHITECTURE.md names folders and tests that exist.
//!
//! Ports are replaced by free ones; numbers and the width of blanks may differ, since times and addresses do.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Daemon, available};

/// Documents with commands that are run. Each also exists in Chinese.
const WITH_COMMANDS: [&str; 5] = [
    "README.md",
    "daemon/docs/administration.md",
    "daemon/docs/configuration.md",
    "daemon/docs/encodings.md",
    "daemon/docs/usage.md",
];

/// Waits, as a reader of the document would, until there is something to read.
const WAIT_FOR_NEWS: &str =
    "for _ in $(seq 600); do [ -n \"$(udpchatctl inbox --peek)\" ] && break; sleep 0.05; done";

/// Precedes the output of each command.
const MARK: &str = "@@ next";

/// A command of a document and what it prints.
#[derive(Debug)]
struct Step {
    command: String,
    output: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn in_chinese(document: &str) -> String {
    document.replace(".md", ".zh-CN.md")
}

#[test]
fn the_readme_is_short() {
    for document in ["README.md", "README.zh-CN.md"] {
        let lines = read(document).lines().count();
        assert!(lines <= 150, "{document} has {lines} lines");
    }
}

#[test]
fn commands_in_documents_print_what_is_shown() {
    for document in WITH_COMMANDS {
        run_commands(document, "en");
    }
}

#[test]
fn commands_in_chinese_documents_print_what_is_shown() {
    for document in WITH_COMMANDS {
        run_commands(&in_chinese(document), "zh");
    }
}

#[test]
fn both_languages_run_the_same_commands() {
    let commands = |text: &str| steps(text).into_iter().map(|step| step.command).collect::<Vec<_>>();
    for document in WITH_COMMANDS {
        assert_eq!(commands(&read(document)), commands(&read(&in_chinese(document))), "{document}");
    }
}

#[test]
fn relative_links_lead_to_files() {
    let mut checked = 0;
    for document in documents() {
        let text = read(&document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = root().join(&document).parent().unwrap().join(target);
            assert!(path.exists(), "{document}: {target}");
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn architecture_names_folders_and_tests_that_exist() {
    let text = read("ARCHITECTURE.md");
    let folders: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("/`")).collect();
    assert!(folders.len() > 15, "only {} folders were found", folders.len());
    for (folder, _) in folders {
        assert!(root().join(folder).is_dir(), "{folder}");
    }
    let invariants = text.split("\n## Invariants\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let (tests, mut named) = (tests(), 0);
    for brackets in invariants.expect("a section on invariants").split("[`").skip(1) {
        for test in brackets.split("`]").next().unwrap_or_default().split("`, `") {
            assert!(tests.contains(test), "{test}");
            named += 1;
        }
    }
    assert!(named > 15, "only {named} tests were found");
}

#[test]
fn the_readme_lists_every_command() {
    let help = Command::new(env!("CARGO_BIN_EXE_udpchatctl")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let commands = commands.lines().filter_map(|line| line.split_whitespace().next());
    for document in ["README.md", "README.zh-CN.md"] {
        let text = read(document);
        for command in commands.clone().filter(|command| *command != "help") {
            let named = ["`", " "].iter().any(|end| text.contains(&format!("`{command}{end}")));
            assert!(named, "{document}: {command}");
        }
    }
}

/// Lists every Markdown file of the repository.
fn documents() -> Vec<String> {
    let mut documents = Vec::new();
    visit(root(), &mut |path| {
        if path.extension().is_some_and(|end| end == "md") {
            documents.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    });
    documents
}

/// Returns the names of all functions that follow a line `#[test]`, within three lines.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    visit(root(), &mut |path| {
        if path.extension().is_none_or(|end| end != "rs") {
            return;
        }
        let text = fs::read_to_string(path).unwrap();
        for rest in text.split("#[test]").skip(1) {
            let name = rest.lines().take(4).find_map(|line| line.trim().strip_prefix("fn "));
            tests.extend(name.and_then(|name| name.split('(').next()).map(str::to_owned));
        }
    });
    tests
}

fn visit(folder: &Path, see: &mut dyn FnMut(&Path)) {
    let skipped = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name == "target" || name.to_string_lossy().starts_with('.'))
    };
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| !skipped(path))
    {
        if path.is_dir() { visit(&path, see) } else { see(&path) }
    }
}

/// Runs the commands of a document in their order, in its language, beside a daemon of their own.
fn run_commands(document: &str, language: &str) {
    if !available("bash") || !available("nc") || !available("python3") {
        return;
    }
    let text = read(document);
    let daemon = Daemon::start_with("", &["--listen", "[::]:0"]);
    let peer = free_port();
    let ports = |text: &str| {
        text.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", peer.port()))
            .replace("(\"\", 8080)", &format!("(\"\", {})", peer.port()))
            .replace("7788", &daemon.address().port().to_string())
    };
    for (language, file) in [("python", "device.py"), ("toml", "config.toml")] {
        if let Some(content) = block(&text, language) {
            fs::write(daemon.path(file), ports(content)).unwrap();
        }
    }

    let steps = steps(&text);
    assert!(!steps.is_empty(), "{document}: no command was found");
    let outputs = shell(&daemon, &ports(&shell_script(&steps)), language);
    assert_eq!(outputs.len(), steps.len(), "{document}");
    let folder = daemon.folder.path().to_str().unwrap();
    for (step, output) in steps.iter().zip(outputs) {
        let output = output.replace(folder, "/home/ann");
        // Where the data directory of a user is without the flags of a test.
        let output = output.replace("/home/ann/data/", "/home/ann/.local/share/udpchat/");
        assert_eq!(comparable(&output), comparable(&step.output), "{document}: $ {}", step.command);
    }
}

/// Returns the inside of the first block of a language.
fn block<'a>(text: &'a str, language: &str) -> Option<&'a str> {
    text.split_once(&format!("```{language}\n"))?.1.split("```").next()
}

/// Takes the console blocks apart.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for rest in text.split("```console\n").skip(1) {
        for line in rest.split("```").next().unwrap_or_default().lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), output: String::new() }),
                (None, Some(step)) => step.output += &format!("{line}\n"),
                (None, None) => panic!("output before any command: {line}"),
            }
        }
    }
    steps
}

fn shell_script(steps: &[Step]) -> String {
    // The printf of bash writes each line on its own, and on a busy machine nc sends each as a message.
    let mut script = "exec 2>&1\nprintf() { env printf \"$@\"; }\n".to_owned();
    let mut arriving = false;
    for step in steps {
        if arriving && step.command.starts_with("udpchatctl inbox") {
            script += &format!("{WAIT_FOR_NEWS}\n");
            arriving = false;
        }
        arriving |= step.command.contains("| nc -u") || step.command.ends_with('&');
        script += &format!("echo '{MARK}'\n{}\n", step.command);
    }
    script
}

/// Runs the script as a user of this language; returns what each command printed.
fn shell(daemon: &Daemon, script: &str, language: &str) -> Vec<String> {
    let bin = Path::new(env!("CARGO_BIN_EXE_udpchatctl")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash")
        .current_dir(daemon.folder.path())
        .env_clear()
        .env("PATH", path)
        .env("PYTHONIOENCODING", "utf-8")
        .env("UDPCHAT_LANG", language)
        .env("UDPCHAT_SOCKET", daemon.socket())
        .env("UDPCHAT_DATA_DIR", daemon.path("data"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = String::from_utf8(bash.wait_with_output().unwrap().stdout).unwrap();
    output.split(&format!("{MARK}\n")).skip(1).map(str::to_owned).collect()
}

/// Makes every run of digits, and of blanks, the same.
fn comparable(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let same = if character.is_ascii_digit() { '0' } else { character };
        if !(matches!(same, '0' | ' ') && out.ends_with(same)) {
            out.push(same);
        }
    }
    out
}

fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
