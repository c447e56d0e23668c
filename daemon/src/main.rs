//! The `udpchatd` binary.

/// Gives memory back to the system some seconds after it is freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    udpchat_daemon::main()
}
