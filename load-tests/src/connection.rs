//! One device's connection: connect, then send as fast as a window lets it, or at a fixed rate.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep_until, timeout},
};

use crate::{
    Result,
    frame::{self, Template},
    peer::{Device, Running},
};

/// Long, for what a flood at QoS 0 leaves in the buffers of a slow server.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

pub struct Connection {
    stream: TcpStream,
    topic: String,
    unread: Vec<u8>,
}

/// What a connection's load came to. Latencies are in microseconds.
pub struct Sent {
    pub messages: u64,
    pub latency: Histogram<u64>,
}

impl Connection {
    pub async fn open(to: &Running, device: &Device, keep_alive_seconds: u16) -> Result<Self> {
        let stream = TcpStream::connect(to.mqtt).await?;
        stream.set_nodelay(true)?;
        let mut this = Self { stream, topic: format!("devices/{}/telemetry", device.id), unread: Vec::new() };
        this.stream.write_all(&frame::connect(&device.id, device.key.as_deref(), keep_alive_seconds)).await?;
        let mut code = None;
        while code.is_none() {
            this.read(|kind, body| code = (kind == frame::CONNACK).then(|| body.get(1).copied().unwrap_or(255))).await?;
        }
        match code {
            Some(0) => Ok(this),
            code => Err(format!("{} was refused with code {code:?}", device.id).into()),
        }
    }

    /// Keeps `window` messages on their way until `deadline`, then waits for the last answers.
    pub async fn saturate(&mut self, qos: u8, window: usize, payload: &[u8], deadline: Instant) -> Result<Sent> {
        let mut sent = match qos {
            0 => self.pour(window, payload, deadline).await?,
            _ => Sent { messages: 0, latency: histogram() },
        };
        let template = Template::publish(&self.topic, 1, payload);
        // At QoS 0 one acknowledged message closes the run: all before it have been taken when it is.
        let mut left = if qos == 0 { 1 } else { u64::MAX };
        let mut on_the_way: VecDeque<Instant> = VecDeque::with_capacity(window);
        let (mut out, mut packet_id) = (Vec::new(), 0u16);
        loop {
            out.clear();
            let now = Instant::now();
            while on_the_way.len() < window && left > 0 && (now < deadline || qos == 0) {
                packet_id = packet_id.checked_add(1).unwrap_or(1);
                template.append(&mut out, packet_id);
                on_the_way.push_back(now);
                left -= 1;
            }
            if on_the_way.is_empty() {
                return Ok(sent);
            }
            if !out.is_empty() {
                self.stream.write_all(&out).await?;
            }
            let mut acks = 0;
            self.read(|kind, _| acks += usize::from(kind == frame::PUBACK)).await?;
            let now = Instant::now();
            for since in on_the_way.drain(..acks) {
                sent.latency.saturating_record(micros(now - since));
                sent.messages += 1;
            }
        }
    }

    /// QoS 0: batches of `window`, with the socket as the only brake.
    async fn pour(&mut self, window: usize, payload: &[u8], deadline: Instant) -> Result<Sent> {
        let template = Template::publish(&self.topic, 0, payload);
        let mut batch = Vec::new();
        (0..window).for_each(|_| template.append(&mut batch, 0));
        let mut messages = 0;
        while Instant::now() < deadline {
            self.stream.write_all(&batch).await?;
            messages += window as u64;
        }
        Ok(Sent { messages, latency: histogram() })
    }

    /// Sends one message each `every`, begun at `first`, whatever the answers do; latency counts from the intended time.
    pub async fn pace(self, payload: &[u8], first: Instant, every: Duration, count: u64) -> Result<Sent> {
        let template = Template::publish(&self.topic, 1, payload);
        let (mut reader, mut writer) = self.stream.into_split();
        let send = async {
            let (mut due, mut out) = (first, Vec::new());
            for n in 0..count {
                sleep_until(due.into()).await;
                out.clear();
                template.append(&mut out, (n % 65_535) as u16 + 1);
                writer.write_all(&out).await?;
                due += every;
            }
            Ok::<_, std::io::Error>(())
        };
        let receive = async {
            let (mut latency, mut messages, mut unread) = (histogram(), 0u64, Vec::new());
            while messages < count {
                if timeout(ANSWER_WITHIN, reader.read_buf(&mut unread)).await?? == 0 {
                    return Err("the server closed the connection".into());
                }
                let now = Instant::now();
                let taken = frame::take(&unread, |kind, _| {
                    if kind == frame::PUBACK {
                        let intended = first + every * u32::try_from(messages).unwrap_or(u32::MAX);
                        latency.saturating_record(micros(now.saturating_duration_since(intended)));
                        messages += 1;
                    }
                });
                unread.drain(..taken);
            }
            Ok::<_, Box<dyn std::error::Error>>(Sent { messages, latency })
        };
        let (sent, received) = tokio::join!(send, receive);
        sent?;
        received
    }

    /// Whether the server still answers.
    pub async fn ping(&mut self) -> Result<()> {
        self.stream.write_all(&frame::ping()).await?;
        let mut answered = false;
        while !answered {
            self.read(|kind, _| answered |= kind == frame::PINGRESP).await?;
        }
        Ok(())
    }

    async fn read(&mut self, each: impl FnMut(u8, &[u8])) -> Result<()> {
        if timeout(ANSWER_WITHIN, self.stream.read_buf(&mut self.unread)).await?? == 0 {
            return Err(format!("the server closed the connection of {}", self.topic).into());
        }
        let taken = frame::take(&self.unread, each);
        self.unread.drain(..taken);
        Ok(())
    }
}

/// One microsecond to a minute, three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|e| unreachable!("fixed bounds: {e}"))
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
