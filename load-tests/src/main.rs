//! `load-tests`: how dear, how fast and how steady a twin platform is, beside its peers, in one run.
//!
//! It shares no code with the server and uses no broker client: a generator that costs as much as the server would
//! measure itself. What counts is the CPU time of the server's process, the one stable figure on a shared machine.

mod clock;
mod http;
mod machine;
mod mqtt;
mod options;
mod payload;
mod peer;
mod process;
mod report;
mod scenarios;

use tokio::task::LocalSet;

use crate::{
    options::{Options, Scenario},
    peer::Kind,
    report::Row,
};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    if let Some(shown) = report::show_files() {
        return shown;
    }
    let options = Options::from_command_line();
    let rows = LocalSet::new().run_until(measure(&options)).await;
    report::write(&options, &rows)
}

async fn measure(options: &Options) -> Vec<Row> {
    let mut rows = Vec::new();
    for round in 1..=options.rounds {
        for scenario in options.chosen() {
            for peer in &options.peers {
                eprintln!("round {round} of {}: {scenario:?} of {}", options.rounds, peer.label());
                // One that cannot be had, or fails, is a line in the report; the others go on.
                let failed = |why: Box<dyn std::error::Error>| vec![Row::failed(format!("{scenario:?}").to_lowercase(), *peer, &*why)];
                let measured = run(scenario, *peer, options).await.unwrap_or_else(failed);
                rows.extend(measured.into_iter().map(|row| Row { round, ..row }));
            }
        }
    }
    rows
}

/// The rows of one scenario; none when the peer cannot take part in it.
async fn run(scenario: Scenario, peer: Kind, options: &Options) -> Result<Vec<Row>> {
    use scenarios::*;
    match scenario {
        Scenario::Start => start::run(peer, options).await,
        Scenario::Connect => connect::plain(peer, options).await,
        Scenario::Tls => connect::tls(peer, options).await,
        Scenario::Revoke => revocation::revoke(peer, options).await,
        Scenario::Reconnect => revocation::reconnect(peer, options).await,
        Scenario::Idle => idle::run(peer, options).await,
        Scenario::Ingest => ingest::run(peer, options).await,
        Scenario::Latency => latency::run(peer, options).await,
        Scenario::Live => live::run(peer, options).await,
        Scenario::Reads => reads::run(peer, options).await,
        Scenario::History => history::run(peer, options).await,
        Scenario::Commands => commands::run(peer, options).await,
        Scenario::Overload => overload::run(peer, options).await,
        Scenario::Fleet => fleet::run(peer, options).await,
        Scenario::Recover => recover::run(peer, options).await,
        Scenario::Rollup => rollup::run(peer, options).await,
        Scenario::Dashboard => dashboard::run(peer, options).await,
    }
}
