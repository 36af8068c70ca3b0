//! The program: chooses the allocator, parses the command line, runs.

use std::process::ExitCode;

/// After thousands of twins have left memory only jemalloc gives it back. How soon is set in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    twinfold::cli::run()
}
