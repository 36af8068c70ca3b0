//! A closed loop: a window of messages is kept on its way, and the server sets the pace. Right for cost and for the highest
//! rate, wrong for latency: a server that stalls is sent less.

use std::{collections::VecDeque, time::Instant};

use hdrhistogram::Histogram;
use tokio::{io::AsyncWriteExt, task::JoinSet};

use super::{
    connection::Connection,
    frame::{self, Template},
};
use crate::{
    Result,
    clock::{histogram, micros},
};

/// What a device says next.
pub trait Source {
    /// Appends the next message; `false` when there is none left.
    fn append(&mut self, out: &mut Vec<u8>, packet_id: u16) -> bool;

    /// The oldest message not acknowledged yet now is.
    fn acknowledged(&mut self) {}
}

/// One template without end, each message with the next number.
pub struct Endless {
    pub template: Template,
    pub number: u64,
}

impl Source for Endless {
    fn append(&mut self, out: &mut Vec<u8>, packet_id: u16) -> bool {
        self.number += 1;
        self.template.append(out, packet_id, self.number);
        true
    }
}

/// What a load came to. Latencies are in microseconds.
pub struct Sent {
    pub messages: u64,
    pub latency: Histogram<u64>,
}

impl Sent {
    pub fn none() -> Self {
        Self { messages: 0, latency: histogram() }
    }
}

/// Every connection keeps its window full until `deadline`; together they come to this.
pub async fn saturate_all<S: Source + 'static>(
    connections: Vec<Connection>,
    qos: u8,
    window: usize,
    deadline: Instant,
    source: impl Fn(&Connection) -> S,
) -> Result<(Sent, Vec<Connection>)> {
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let mut source = source(&connection);
        tasks.spawn_local(async move {
            let sent = saturate(&mut connection, qos, window, deadline, &mut source).await.map_err(|e| e.to_string())?;
            Ok::<_, String>((sent, connection))
        });
    }
    let (mut all, mut connections) = (Sent::none(), Vec::with_capacity(tasks.len()));
    while let Some(done) = tasks.join_next().await {
        let (sent, connection) = done??;
        all.messages += sent.messages;
        all.latency.add(&sent.latency)?;
        connections.push(connection);
    }
    Ok((all, connections))
}

/// Keeps `window` messages on their way until `deadline` or until there are none left, then waits for the last answers.
pub async fn saturate(connection: &mut Connection, qos: u8, window: usize, deadline: Instant, source: &mut impl Source) -> Result<Sent> {
    if qos == 0 {
        return pour(connection, window, deadline, source).await;
    }
    let mut sent = Sent::none();
    let mut on_the_way: VecDeque<Instant> = VecDeque::with_capacity(window);
    let (mut out, mut packet_id, mut more) = (Vec::new(), 0u16, true);
    loop {
        let now = Instant::now();
        while more && on_the_way.len() < window && now < deadline {
            packet_id = packet_id.checked_add(1).unwrap_or(1);
            more = source.append(&mut out, packet_id);
            if more {
                on_the_way.push_back(now);
            }
        }
        if !out.is_empty() {
            connection.stream.write_all(&out).await?;
            out.clear();
        }
        if on_the_way.is_empty() {
            return Ok(sent);
        }
        let mut done = 0;
        connection
            .read(|frame| match frame.kind() {
                frame::PUBREC => out.extend(frame::acknowledgement(frame::PUBREL, frame.packet_id())),
                frame::PUBACK | frame::PUBCOMP => done += 1,
                _ => {}
            })
            .await?;
        let now = Instant::now();
        for since in on_the_way.drain(..done) {
            sent.latency.saturating_record(micros(now - since));
            sent.messages += 1;
            source.acknowledged();
        }
    }
}

/// QoS 0: batches of `window`, with the socket as the only brake. A ping closes the run: all before it have been taken when
/// it is answered. That answer says nothing about the others, so there are no latencies.
async fn pour(connection: &mut Connection, window: usize, deadline: Instant, source: &mut impl Source) -> Result<Sent> {
    let (mut batch, mut sent) = (Vec::new(), Sent::none());
    while Instant::now() < deadline {
        batch.clear();
        sent.messages += (0..window).filter(|_| source.append(&mut batch, 0)).count() as u64;
        connection.stream.write_all(&batch).await?;
    }
    connection.ping().await?;
    Ok(sent)
}
