//! The program `udpchatctl`.

fn main() -> std::process::ExitCode {
    udpchat_ctl::main()
}
