//! `audit verify`: whether the audit log is as it was written, read from the store itself.

use clap::{Args, Subcommand};

use super::{Failure, ServeArgs, serve};
use crate::app::stores;

#[derive(Debug, Subcommand)]
pub enum AuditAction {
    /// Read the whole audit log from the store and say whether it is unbroken; of the embedded store, while no server runs
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A record as it was written down once, such as from `GET /audit`: its number and its hash
    #[arg(long, value_name = "NUMBER:HASH", value_parser = written_down)]
    expect: Option<(u64, String)>,
    #[command(flatten)]
    serve: ServeArgs,
}

fn written_down(text: &str) -> Result<(u64, String), String> {
    let (number, hash) = text.split_once(':').ok_or("write NUMBER:HASH")?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let number = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
    if is_hash { Ok((number, hash.to_owned())) } else { Err("a hash has 64 hexadecimal digits".into()) }
}

impl AuditAction {
    pub fn run(self) -> Result<(), Failure> {
        let Self::Verify(VerifyArgs { expect, serve }) = self;
        let (config, _) = serve.layers().load()?;
        serve::run(async {
            let verified = actors::audit::verify(&*stores::audit_log(&config).await?, expect).await?;
            serve::to_stdout(&format!("{} records, unbroken, the last one {}:{}\n", verified.records, verified.records, verified.head))
        })
    }
}
