//! All of a subcommand of `udpchatctl` is in one place: a file or folder of its name below `ctl/src/command`.

use std::fs;
use std::path::PathBuf;

use super::layering::root;
use crate::support::ctl_without_daemon;

/// Returns the files of source code below a folder.
pub(super) fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (inner, others): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        folders.extend(inner);
        files.extend(others);
    }
    files
}

/// Returns the subcommands that the help lists.
fn subcommands() -> Vec<String> {
    let help = ctl_without_daemon(&["--help"], &[]).ok();
    let lines =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

#[test]
fn each_subcommand_has_one_file_or_folder() {
    let code = sources(root().join("ctl/src"));
    let subcommands = subcommands();
    assert!(subcommands.len() > 10, "{subcommands:?}");
    let has_one_place = |name: &String| {
        let place = root().join("ctl/src/command").join(name);
        // Its arguments, such as `SendArgs`.
        let arguments = format!("struct {}{}Args", name[..1].to_uppercase(), &name[1..]);
        let defines = |file: &&PathBuf| fs::read_to_string(file).unwrap().contains(&arguments);
        let mut definitions = code.iter().filter(defines);
        place.is_dir() != place.with_extension("rs").is_file()
            && definitions.all(|file| file.starts_with(&place) || *file == place.with_extension("rs"))
    };
    let others: Vec<_> = subcommands.iter().filter(|name| !has_one_place(name)).collect();
    assert!(others.is_empty(), "{others:?} have no one file or folder below ctl/src/command");
}
