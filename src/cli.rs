//! The command line: every subcommand in one enum, one `match` that runs them.
//!
//! The flags of `serve` are read off the table of settings, so they cannot differ from it.

mod audit;
mod key;
mod model;
mod serve;
mod store;

use std::{path::PathBuf, process::ExitCode};

use actors::kind::Kinds;
use clap::{ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use crate::{
    app,
    client::{self, http::ClientError},
    config::{ConfigError, Layers, SETTINGS},
    demo,
};

/// Bad usage or bad configuration.
const EXIT_USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[command(name = "twinfold", version, about = "An actor-model back end for device twins")]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the server
    Serve(ServeArgs),
    /// Run the server with a simulated campus, until Ctrl-C
    Demo(DemoArgs),
    /// Print the settings in force and where each comes from
    Settings(ServeArgs),
    /// Register, look at, change and remove twins
    #[command(subcommand_required = true)]
    Twin(ClientArgs<client::TwinAction>),
    /// Send commands to devices and look at their inboxes
    Command(ClientArgs<client::CommandAction>),
    /// Follow what happens at a twin and below it
    Watch(WatchArgs),
    /// Make API keys
    Token(ClientArgs<client::TokenAction>),
    /// Register many twins from a file
    Import(ImportArgs),
    /// Look at models of the Digital Twins Definition Language
    #[command(subcommand)]
    Model(model::ModelAction),
    /// Look after the audit log
    #[command(subcommand)]
    Audit(audit::AuditAction),
    /// The master keys that devices' keys are derived from
    #[command(subcommand)]
    Key(key::KeyAction),
    /// Move twins between stores, while no server runs
    #[command(subcommand)]
    Store(store::StoreAction),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The configuration file (TOML) [environment: TWINFOLD_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: SettingFlags,
}

#[derive(Debug, Args)]
struct DemoArgs {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    demo: demo::Options,
}

#[derive(Debug, Args)]
struct ClientArgs<T: Subcommand> {
    #[command(subcommand)]
    action: T,
    #[command(flatten)]
    server: client::Server,
}

#[derive(Debug, Args)]
struct WatchArgs {
    #[command(flatten)]
    watch: client::Watch,
    #[command(flatten)]
    server: client::Server,
}

#[derive(Debug, Args)]
struct ImportArgs {
    #[command(flatten)]
    import: client::Import,
    #[command(flatten)]
    server: client::Server,
}

/// The settings given as flags, by key.
#[derive(Debug)]
struct SettingFlags(Vec<(&'static str, String)>);

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().filter_map(|s| Some((s, s.flag?))).fold(command, |command, (setting, flag)| {
            let help = format!("{} [default: {}]", setting.meaning, setting.default);
            command.arg(clap::Arg::new(setting.key).long(flag).help(help).value_name("VALUE"))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |key: &'static str| matches.get_one::<String>(key).map(|value| (key, value.clone()));
        Ok(Self(SETTINGS.iter().filter(|s| s.flag.is_some()).filter_map(|s| given(s.key)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl ServeArgs {
    fn layers(self) -> Layers {
        Layers::of_process(self.config, self.flags.0)
    }
}

/// Why a call failed, sorted by exit code.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    App(#[from] app::Error),
    #[error(transparent)]
    Demo(#[from] demo::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] app::stores::StoreError),
    #[error(transparent)]
    Audit(#[from] actors::audit::Broken),
    #[error(transparent)]
    Secret(#[from] app::SecretError),
    #[error(transparent)]
    Copy(#[from] crate::store_copy::Error),
    /// It was said already, line by line.
    #[error("not every file is valid")]
    InvalidModels,
    #[error("{0}")]
    Start(String),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => EXIT_USAGE,
            Self::App(error) | Self::Demo(demo::Error::App(error)) if error.is_configuration() => EXIT_USAGE,
            _ => 1,
        }
    }
}

/// Parses the command line, runs what it says, and tells of a failure in one line.
pub fn run() -> ExitCode {
    run_with(Kinds::built_in()).into()
}

/// The same with these kinds of twin; the exit code.
pub fn run_with(kinds: Kinds) -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match act(cli.action, kinds) {
        Ok(()) => 0,
        Err(Failure::InvalidModels) => 1,
        Err(failure) => {
            eprintln!("twinfold: {}", client::table::clean(&failure.to_string()));
            failure.exit_code()
        }
    }
}

fn usage(error: &clap::Error) -> u8 {
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ => EXIT_USAGE,
    }
}

fn act(action: Action, kinds: Kinds) -> Result<(), Failure> {
    match action {
        Action::Serve(args) => serve::serve(args.layers(), kinds),
        Action::Demo(args) => serve::demo(args.serve.layers(), args.demo, kinds),
        Action::Settings(args) => serve::settings(&args.layers()),
        Action::Twin(args) => Ok(args.action.run(&args.server)?),
        Action::Command(args) => Ok(args.action.run(&args.server)?),
        Action::Watch(args) => Ok(args.watch.run(&args.server)?),
        Action::Token(args) => Ok(args.action.run(&args.server)?),
        Action::Import(args) => Ok(args.import.run(&args.server)?),
        Action::Model(action) => action.run(),
        Action::Audit(action) => action.run(),
        Action::Key(action) => action.run(),
        Action::Store(action) => action.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_the_table_reaches_its_setting() {
        for setting in SETTINGS {
            let Some(flag) = setting.flag else { continue };
            let cli = Cli::try_parse_from(["twinfold", "serve", &format!("--{flag}"), "x"]).unwrap();
            let Action::Serve(args) = cli.action else { panic!("not serve") };
            assert_eq!(args.flags.0, [(setting.key, "x".to_owned())]);
        }
    }
}
