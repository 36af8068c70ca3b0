//! `key`: master keys in the data directory. A rotation adds one; it is used from the server's next start on.

use clap::{Args, Subcommand};

use super::{Failure, ServeArgs, serve};
use crate::app;

#[derive(Debug, Subcommand)]
pub enum KeyAction {
    /// Add a master key: devices registered or reset after the server's next start use it, the others go on with theirs
    Rotate(KeyArgs),
    /// Print which master keys there are
    List(KeyArgs),
}

#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(flatten)]
    serve: ServeArgs,
}

impl KeyAction {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Rotate(args) => {
                let (config, _) = args.serve.layers().load()?;
                let (kid, path) = app::add_master_key(&config.data_dir)?;
                serve::to_stdout(&format!(
                    "master key {kid} is in {}: back it up, copy it to every server of this store, and restart them\n",
                    path.display()
                ))
            }
            Self::List(args) => {
                let (config, _) = args.serve.layers().load()?;
                let kids = app::master_kids(&config.data_dir)?;
                let newest = kids.last().copied();
                let line = |kid: &u32| format!("{kid}{}\n", if Some(*kid) == newest { "  newest" } else { "" });
                serve::to_stdout(&kids.iter().map(line).collect::<String>())
            }
        }
    }
}
