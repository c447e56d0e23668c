//! The pager: which one to use, and the running program.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The environment variables that name the pager, in the order of their precedence.
const VARIABLES: [&str; 2] = ["UDPCHAT_PAGER", "PAGER"];

/// The default pager, and what it gets unless the user has set it: it ends if everything fits on the screen (F), shows
/// colours (R), and leaves the text on the screen (X); the text is UTF-8, whatever the locale is.
const DEFAULT: &str = "less";
const LESS_VARIABLES: [(&str, &str); 2] = [("LESS", "FRX"), ("LESSCHARSET", "utf-8")];

/// Characters that need a shell, beside white space.
const SHELL_CHARACTERS: &str = "|&;<>()$`\\\"'*?[#~=%";

/// A running pager.
#[derive(Debug)]
pub(super) struct Pager {
    program: Child,
    /// None once it is closed.
    stdin: Option<ChildStdin>,
    /// Ctrl-C is meant for the pager. Without a handler it would end this program and leave two readers of the keyboard.
    _interrupt: Option<Signal>,
}

impl Pager {
    /// Returns the command line of the pager; none if the environment or the terminal excludes one.
    pub(super) fn command_line() -> Option<OsString> {
        let terminal = env::var_os("TERM").filter(|terminal| !terminal.is_empty() && terminal != "dumb");
        terminal.and_then(|_| chosen(|variable| env::var_os(variable)))
    }

    /// Starts a pager.
    ///
    /// # Errors
    /// The program cannot be started. A shell that starts one reports that itself.
    pub(super) fn start(command_line: &OsString) -> io::Result<Self> {
        let mut command = command(command_line);
        for (name, value) in LESS_VARIABLES {
            if env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        let mut program = command.stdin(Stdio::piped()).spawn()?;
        let interrupt = Handle::try_current().ok().and_then(|_| signal(SignalKind::interrupt()).ok());
        Ok(Self { stdin: program.stdin.take(), program, _interrupt: interrupt })
    }

    /// Returns the pipe that the pager reads.
    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.stdin.as_ref().map(AsFd::as_fd)
    }

    /// Ends its input, and waits until the user leaves it.
    pub(super) fn wait(&mut self) {
        drop(self.stdin.take());
        // However it ended, the terminal is free again.
        let _ended = self.program.wait();
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdin.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |stdin| stdin.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Chooses the pager: the first variable that is set, otherwise the default. An empty one, and `cat`, mean none.
fn chosen(variable: impl Fn(&str) -> Option<OsString>) -> Option<OsString> {
    let pager = VARIABLES.into_iter().find_map(variable).unwrap_or_else(|| DEFAULT.into());
    let is_none = pager.to_string_lossy().trim().is_empty() || pager == "cat";
    (!is_none).then_some(pager)
}

/// Prepares the pager. A plain command line needs no shell, and then a missing program is noticed at once.
fn command(command_line: &OsString) -> Command {
    let plain = command_line.to_str().filter(|line| !line.contains(|c| SHELL_CHARACTERS.contains(c)));
    let mut words = plain.unwrap_or_default().split_whitespace();
    match words.next() {
        Some(program) => {
            let mut command = Command::new(program);
            command.args(words);
            command
        }
        None => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(command_line);
            command
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen_of(own: Option<&str>, common: Option<&str>) -> Option<String> {
        let pager = chosen(|variable| if variable == VARIABLES[0] { own } else { common }.map(Into::into));
        pager.map(|pager| pager.into_string().unwrap())
    }

    #[test]
    fn the_environment_chooses_the_pager() {
        assert_eq!(chosen_of(None, None).as_deref(), Some("less"));
        assert_eq!(chosen_of(None, Some("more")).as_deref(), Some("more"));
        assert_eq!(chosen_of(Some("less -S"), Some("more")).as_deref(), Some("less -S"));
        for none in
            [chosen_of(Some(""), Some("more")), chosen_of(None, Some(" ")), chosen_of(None, Some("cat"))]
        {
            assert_eq!(none, None);
        }
    }

    #[test]
    fn only_a_complex_command_line_uses_a_shell() {
        let program = |line: &str| command(&line.into()).get_program().to_owned();
        assert_eq!(program("less -S"), "less");
        assert_eq!(program("LESS=X less"), "sh");
        assert_eq!(program("sed s/a/b/ | less"), "sh");
    }
}
