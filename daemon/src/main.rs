//! The `udpchatd` binary.

fn main() -> std::process::ExitCode {
    udpchat_daemon::main()
}
