//! The shells: their completion scripts, and the answers that a script requests.

use std::ffi::OsString;

use clap::{Command, ValueEnum};
use clap_complete::env::Shells;

use super::candidates::words;

/// The shells with a completion script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// GNU bash
    Bash,
    /// The Z shell
    Zsh,
    /// fish
    Fish,
}

impl Shell {
    /// Returns the name of the shell.
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

/// The environment variable that a completion script sets to the name of its shell.
const VARIABLE: &str = "_UDPCHATCTL_COMPLETE";

/// The shells that clap supports.
const SHELLS: Shells<'static> = Shells::builtins();

/// Completes addresses in bash, which splits words at colons: joins the word again, and inserts only the part of a
/// candidate after the last colon.
const BASH_COLONS: &str = r#"
_udpchatctl() {
    local line="${COMP_LINE:0:COMP_POINT}"
    local word="${line##*[[:space:]]}"
    if [[ "$word" != *:* || "$COMP_WORDBREAKS" != *:* ]]; then
        _clap_complete_udpchatctl "$@"
        return
    fi
    local COMP_WORDS
    read -ra COMP_WORDS <<< "$line"
    local COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _clap_complete_udpchatctl "$1" "$word" ""
    COMPREPLY=("${COMPREPLY[@]#"${word%:*}:"}")
}
complete -o nospace -o bashdefault -o nosort -F _udpchatctl udpchatctl 2> /dev/null ||
    complete -o nospace -o bashdefault -F _udpchatctl udpchatctl
"#;

/// Answers the first Tab as well where zsh loads the script on demand.
const ZSH_AUTOLOADED: &str = r#"
if [ "$funcstack[1]" = "_udpchatctl" ]; then
    _clap_dynamic_completer_udpchatctl "$@"
fi
"#;

/// Returns the completion script for a shell; the script runs this program.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(adapter) = SHELLS.completer(shell.name()) {
        let (name, program) = ("udpchatctl", "udpchatctl");
        // Writing to memory cannot fail.
        drop(adapter.write_registration(VARIABLE, name, name, program, &mut script));
    }
    script.extend_from_slice(extra(shell).as_bytes());
    script
}

/// Returns an addition to the script of clap.
fn extra(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => BASH_COLONS,
        Shell::Zsh => ZSH_AUTOLOADED,
        Shell::Fish => "",
    }
}

/// Returns the completions for a shell; none if no completion script runs this program. `definition` returns the
/// definition of the command line.
pub(crate) fn answer(arguments: &[OsString], definition: fn() -> Command) -> Option<Vec<u8>> {
    let shell = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty())?;
    let words = words(arguments).to_vec();
    let folder = std::env::current_dir().ok();
    let (mut command, mut answer) = (definition(), Vec::new());
    command.build();
    if let Some(adapter) = shell.to_str().and_then(|shell| SHELLS.completer(shell)) {
        // An invalid line has no completions.
        drop(adapter.write_complete(&mut command, words, folder.as_deref(), &mut answer));
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(script(shell)).unwrap();
            assert!(script.contains(VARIABLE) && script.contains("udpchatctl"), "{script}");
        }
    }
}
