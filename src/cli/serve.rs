//! `serve`, `demo` and `settings`: the calls that need the configuration.

use std::{
    io::{self, Write},
    time::Duration,
};

use actors::kind::Kinds;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

use super::Failure;
use crate::{
    app::App,
    config::{Config, Layers, Source, print},
    demo,
};

/// As a shell has it: 128 and the signal's number.
const EXIT_INTERRUPTED: i32 = 130;
/// For work that a stop leaves behind on other threads.
const RUNTIME_STOP_MAX: Duration = Duration::from_millis(500);

pub fn serve(layers: Layers, kinds: Kinds) -> Result<(), Failure> {
    let (config, _) = layers.load()?;
    log_to_stderr(&config)?;
    run(async {
        let stop = stop_signal()?;
        let app = App::start_with(config, kinds).await?;
        announce(&app)?;
        stop.await;
        app.stop().await;
        Ok(())
    })
}

pub fn demo(layers: Layers, options: demo::Options, kinds: Kinds) -> Result<(), Failure> {
    let (mut config, in_force) = layers.load()?;
    let log_is_default = in_force.iter().any(|v| v.setting.key == "log" && v.source == Source::Default);
    if log_is_default {
        // The screen is for the campus; who wants the log asks for it.
        config.log = Some("warn".to_owned());
    }
    log_to_stderr(&config)?;
    run(async {
        let stop = stop_signal()?;
        demo::run(config, options, kinds, stop).await?;
        Ok(())
    })
}

pub fn settings(layers: &Layers) -> Result<(), Failure> {
    let (_, in_force) = layers.load()?;
    to_stdout(&print(&in_force))
}

/// The one line that scripts wait for.
fn announce(app: &App) -> Result<(), Failure> {
    to_stdout(&format!("ready http={} mqtt={} store={}\n", app.http, app.mqtt, app.store_kind()))
}

pub fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Start(format!("standard output: {error}"))),
        _ => Ok(()),
    }
}

fn log_to_stderr(config: &Config) -> Result<(), Failure> {
    let Some(filter) = &config.log else { return Ok(()) };
    let filter =
        EnvFilter::try_new(filter).map_err(|e| crate::config::ConfigError::Conflict(format!("log: {filter:?} is not a filter: {e}")))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init();
    Ok(())
}

pub fn run(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = Runtime::new().map_err(|e| Failure::Start(format!("starting the runtime: {e}")))?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(RUNTIME_STOP_MAX);
    result
}

/// Listens from now on; the future ends with the first SIGTERM or SIGINT. A second SIGINT ends the process at once: a
/// person who presses Ctrl-C again means it.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| signal(kind).map_err(|e| Failure::Start(format!("listening for signals: {e}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            interrupt.recv().await;
            std::process::exit(EXIT_INTERRUPTED);
        });
    })
}
