//! `twinfold demo`: the server, and a campus of two hundred devices that live their days in minutes.
//!
//! Nothing here takes a short cut into the server: twins are registered over HTTP, devices connect over MQTT with the keys
//! they were given, and the screen shows what the API answers.

mod campus;
mod device;
mod fleet;
mod guide;
mod provision;
mod rhythm;
mod screen;

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use actors::kind::Kinds;
use serde_json::Value;

use crate::{
    app::{self, App},
    client::http::{Api, ClientError},
    config::{Config, value},
};
use fleet::Fleet;

/// How often the screen is drawn, and how often a plain line is written.
const DRAW_EVERY: Duration = Duration::from_secs(1);
const LINE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long a simulated day takes
    #[arg(long, value_parser = value::duration, default_value = "10m")]
    day: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    App(#[from] app::Error),
    #[error("setting up the campus: {0}")]
    Provision(ClientError),
    #[error("starting the devices: {0}")]
    Devices(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
}

/// Runs until `stop` ends.
pub async fn run(config: Config, options: Options, kinds: Kinds, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let app = App::start_with(config.clone(), kinds).await?;
    tokio::pin!(stop);
    let result = tokio::select! {
        () = &mut stop => say("\nstopping …\n"),
        result = with(&app, &config, &options) => result,
    };
    app.stop().await;
    result
}

/// The devices and the screen. Dropped to stop: the fleet ends with it.
async fn with(app: &App, config: &Config, options: &Options) -> Result<(), Error> {
    let certificate = config.http.tls.as_ref().map(|tls| tls.cert.as_path());
    let api = Api::new(&app.url(), app.admin_token(), certificate).map_err(Error::Provision)?;
    say("registering the campus …\n")?;
    let at_work = api.clone();
    let registered = tokio::task::spawn_blocking(move || provision::campus(&at_work)).await;
    let (made, keys) = registered.unwrap_or_else(|_| Err(ClientError::Usage("interrupted".into()))).map_err(Error::Provision)?;
    say(&format!("{made} twins registered, {} devices connecting\n\n", keys.len()))?;
    say(&guide::text(app, config))?;
    let fleet = Fleet::start(app.mqtt, options.day, keys).map_err(Error::Devices)?;
    show(&api, &fleet).await
}

/// Draws for ever.
async fn show(api: &Api, fleet: &Fleet) -> Result<(), Error> {
    let on_terminal = io::stdout().is_terminal();
    let every = if on_terminal { DRAW_EVERY } else { LINE_EVERY };
    let mut drawn = 0;
    let mut before = (Instant::now(), 0);
    loop {
        tokio::time::sleep(every).await;
        let Some(tree) = tree(api).await else { continue };
        let acknowledged = fleet.figures.acknowledged.load(Relaxed);
        let strip = screen::Strip {
            messages_per_second: (acknowledged - before.1) as f64 / before.0.elapsed().as_secs_f64(),
            acknowledged,
            refused: fleet.figures.refused.load(Relaxed),
            commands: fleet.figures.commands.load(Relaxed),
            hour: fleet.now().hour(),
        };
        before = (Instant::now(), acknowledged);
        if on_terminal {
            let lines = screen::lines(&tree, strip, std::env::var_os("NO_COLOR").is_none());
            say(&screen::redraw(&lines, drawn))?;
            drawn = lines.len();
        } else {
            say(&format!("{}\n", screen::summary(&tree, strip)))?;
        }
    }
}

async fn tree(api: &Api) -> Option<Value> {
    let api = api.clone();
    let answer = tokio::task::spawn_blocking(move || api.get(&format!("/twins/{}/tree?depth=2", campus::SITE))).await.ok()?;
    answer.inspect_err(|error| tracing::warn!(%error, "the campus cannot be drawn")).ok()
}

fn say(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}
