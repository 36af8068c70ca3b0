//! Bare ntex-mqtt: lets everyone in, answers every publish, does nothing with it. The floor of what a message can cost.

use std::net::SocketAddr;

use load_floors::{say_ready, workers};
use ntex::{
    SharedCfg,
    server::{self, create_tcp_listener},
};
use ntex_mqtt::{MqttServer, MqttServiceConfig, QoS, v3, v5};

/// As many connections may wait to be taken as in the product.
const BACKLOG: i32 = 2048;
/// The product's `mqtt.receive_max`, and room for as many bytes.
const RECEIVE_MAX: u16 = 64;
const RECEIVE_MAX_BYTES: usize = 1 << 20;

/// The error that the library's types ask for; nothing makes one.
#[derive(Debug)]
struct Never;

struct Session;

impl From<()> for Never {
    fn from((): ()) -> Self {
        Self
    }
}

impl TryFrom<Never> for v5::PublishAck {
    type Error = Never;

    fn try_from(never: Never) -> Result<Self, Never> {
        Err(never)
    }
}

async fn enter_v3(connect: v3::Handshake) -> Result<v3::HandshakeAck<Session>, Never> {
    Ok(connect.ack(Session, false))
}

async fn enter_v5(connect: v5::Handshake) -> Result<v5::HandshakeAck<Session>, Never> {
    Ok(connect.ack(Session))
}

async fn publish_v3(_: v3::Publish) -> Result<(), Never> {
    Ok(())
}

async fn publish_v5(publish: v5::Publish) -> Result<v5::PublishAck, Never> {
    Ok(publish.ack())
}

#[ntex::main]
async fn main() -> std::io::Result<()> {
    let listener = create_tcp_listener(SocketAddr::from(([127, 0, 0, 1], 0)), BACKLOG)?;
    let at = listener.local_addr()?;
    let limits =
        MqttServiceConfig::new().set_max_qos(QoS::ExactlyOnce).set_max_receive(RECEIVE_MAX).set_max_receive_size(RECEIVE_MAX_BYTES);
    let server = server::build()
        .workers(workers())
        .listen("mqtt", listener, async |_| {
            MqttServer::new().v3(v3::MqttServer::new(enter_v3).publish(publish_v3)).v5(v5::MqttServer::new(enter_v5).publish(publish_v5))
        })?
        .config("mqtt", SharedCfg::new("mqtt").add(limits))
        .run();
    say_ready("mqtt", at);
    server.await
}
