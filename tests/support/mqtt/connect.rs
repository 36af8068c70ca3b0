//! How a device introduces itself.

use std::net::{SocketAddr, TcpStream};

use super::{
    Client, Packet, Properties, Property, Version,
    client::Transport,
    id,
    packet::{frame, put_text},
};

#[derive(Debug, Clone)]
pub struct Connect {
    pub version: Version,
    pub client_id: String,
    pub user: Option<String>,
    pub password: Option<String>,
    /// Clean session, clean start.
    pub clean: bool,
    pub keep_alive: u16,
    pub properties: Properties,
    /// Topic, QoS, payload, properties.
    pub will: Option<(String, u8, Vec<u8>, Properties)>,
}

impl Connect {
    pub fn new(version: Version, id: &str, key: &str) -> Self {
        Self {
            version,
            client_id: id.into(),
            user: Some(id.into()),
            password: Some(key.into()),
            clean: true,
            keep_alive: 60,
            properties: Properties::default(),
            will: None,
        }
    }

    pub fn v5(id: &str, key: &str) -> Self {
        Self::new(Version::V5, id, key)
    }

    pub fn v311(id: &str, key: &str) -> Self {
        Self::new(Version::V311, id, key)
    }

    /// A session that goes on without the connection.
    pub fn persistent(mut self) -> Self {
        self.clean = false;
        if self.version == Version::V5 {
            self = self.property(id::SESSION_EXPIRY, Property::Four(3600));
        }
        self
    }

    pub fn property(mut self, id: u8, value: Property) -> Self {
        self.properties.0.retain(|(i, _)| *i != id);
        self.properties.0.push((id, value));
        self
    }

    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    pub fn will(mut self, topic: &str, qos: u8, payload: &str) -> Self {
        self.will = Some((topic.into(), qos, payload.as_bytes().to_vec(), Properties::default()));
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let v5 = self.version == Version::V5;
        let mut flags = u8::from(self.clean) << 1 | u8::from(self.user.is_some()) << 7 | u8::from(self.password.is_some()) << 6;
        if let Some((_, qos, ..)) = &self.will {
            flags |= 4 | qos << 3;
        }
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', if v5 { 5 } else { 4 }, flags];
        body.extend(self.keep_alive.to_be_bytes());
        if v5 {
            self.properties.write(&mut body);
        }
        put_text(&mut body, self.client_id.as_bytes());
        if let Some((topic, _, payload, properties)) = &self.will {
            if v5 {
                properties.write(&mut body);
            }
            put_text(&mut body, topic.as_bytes());
            put_text(&mut body, payload);
        }
        for text in [&self.user, &self.password].into_iter().flatten() {
            put_text(&mut body, text.as_bytes());
        }
        frame(0x10, &body)
    }

    /// Connects; panics unless the server takes it.
    #[track_caller]
    pub fn open(self, to: SocketAddr) -> Client {
        self.open_over(Box::new(TcpStream::connect(to).unwrap()))
    }

    #[track_caller]
    pub fn open_over(self, transport: Box<dyn Transport>) -> Client {
        let (client, packet) = self.try_over(transport);
        match packet {
            Some(Packet::ConnAck { session_present, code: 0, properties }) => client.accepted(session_present, properties),
            other => panic!("not connected: {other:?}"),
        }
    }

    /// Connects, unless the server is away or says no.
    pub fn attempt(self, to: SocketAddr) -> Option<Client> {
        let (client, packet) = self.try_over(Box::new(TcpStream::connect(to).ok()?));
        match packet {
            Some(Packet::ConnAck { session_present, code: 0, properties }) => Some(client.accepted(session_present, properties)),
            _ => None,
        }
    }

    /// Connects; what the server answered, `None` when it closed without a word.
    pub fn try_open(self, to: SocketAddr) -> (Client, Option<Packet>) {
        self.try_over(Box::new(TcpStream::connect(to).unwrap()))
    }

    /// The code of the CONNACK that must come.
    #[track_caller]
    pub fn refusal(self, to: SocketAddr) -> u8 {
        match self.try_open(to).1 {
            Some(Packet::ConnAck { code, .. }) => code,
            other => panic!("no CONNACK: {other:?}"),
        }
    }

    fn try_over(self, transport: Box<dyn Transport>) -> (Client, Option<Packet>) {
        let mut client = Client::over(transport, self.version);
        client.send_raw(&self.encode());
        let packet = client.read();
        (client, packet)
    }
}
