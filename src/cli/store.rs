//! `store copy`: twins from one kind of store into the other, with the settings of both.

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use persistence::Error as PersistenceError;

use super::{Failure, ServeArgs, serve};
use crate::{
    app::stores::{self, StoreError},
    config::StoreKind,
    store_copy,
};

#[derive(Debug, Subcommand)]
pub enum StoreAction {
    /// Copy all twins, identities and keys, and verify each; run it again to go on after a stop
    Copy(CopyArgs),
}

#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Where twins are now: embedded or scylla
    #[arg(long, value_parser = StoreKind::parse)]
    from: StoreKind,
    /// Where they go
    #[arg(long, value_parser = StoreKind::parse)]
    to: StoreKind,
    #[command(flatten)]
    serve: ServeArgs,
}

impl StoreAction {
    pub fn run(self) -> Result<(), Failure> {
        let Self::Copy(CopyArgs { from, to, serve }) = self;
        if from == to {
            return Err(Failure::Start("--from and --to name the same store".into()));
        }
        let (config, _) = serve.layers().load()?;
        serve::run(async {
            let (mut there, mut here) = (config.clone(), config);
            (there.store, here.store) = (to, from);
            let (from, to) = (stores::open(&here).await?, stores::open(&there).await?);
            let count = from.store.count().await.map_err(|e: PersistenceError| StoreError::new(&here, e))?;
            let bar = bar(count);
            let copied = store_copy::copy(&from, &to, || bar.inc(1)).await;
            bar.finish_and_clear();
            // What is committed is durable, whatever a close says.
            let _ = (from.store.close().await, to.store.close().await);
            let copied = copied?;
            serve::to_stdout(&format!(
                "{} twins ({} were there), {} events, {} identities, {} keys and other documents, {} records of the audit log: all read back as they were; {} that the old store has no more were removed\n",
                copied.twins, copied.twins_found, copied.events, copied.identities, copied.documents, copied.audit_records, copied.removed
            ))
        })
    }
}

fn bar(twins: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} twins  {elapsed_precise}  left {eta_precise}");
    let bar = ProgressBar::new(twins);
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}
