//! Packets as a client writes them.

pub const CONNACK: u8 = 0x20;
pub const PUBLISH: u8 = 0x30;
pub const PUBACK: u8 = 0x40;
pub const PUBREC: u8 = 0x50;
pub const PUBCOMP: u8 = 0x70;
pub const SUBACK: u8 = 0x90;
pub const UNSUBACK: u8 = 0xB0;
pub const DISCONNECT: u8 = 0xE0;
pub const AUTH: u8 = 0xF0;

pub const V3: u8 = 4;
pub const V5: u8 = 5;

pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut length = body.len();
    loop {
        let more = length >= 128;
        out.push((length % 128) as u8 | if more { 0x80 } else { 0 });
        length /= 128;
        if !more {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

pub fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut out = (text.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(text);
    out
}

/// A will: topic, payload, v5 delay in seconds.
#[derive(Clone, Copy)]
pub struct Will<'a> {
    pub topic: &'a str,
    pub payload: &'a str,
    pub delay: u32,
    pub retain: bool,
}

#[derive(Clone, Copy)]
pub struct Connect<'a> {
    pub version: u8,
    pub client_id: &'a str,
    pub user_name: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    pub clean: bool,
    pub keep_alive: u16,
    /// v5 properties beside the session expiry.
    pub properties: &'a [u8],
    pub expiry: u32,
    pub will: Option<Will<'a>>,
}

impl<'a> Connect<'a> {
    pub fn v5(client_id: &'a str) -> Self {
        Self {
            version: V5,
            client_id,
            user_name: Some(client_id),
            password: None,
            clean: true,
            keep_alive: 60,
            properties: &[],
            expiry: 0,
            will: None,
        }
    }

    pub fn v3(client_id: &'a str) -> Self {
        Self { version: V3, ..Self::v5(client_id) }
    }

    /// A session that outlives its connection.
    pub fn lasting(self) -> Self {
        Self { clean: false, expiry: 3600, ..self }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut flags = if self.clean { 0b10 } else { 0 };
        flags |= if self.user_name.is_some() { 0x80 } else { 0 } | if self.password.is_some() { 0x40 } else { 0 };
        if let Some(will) = self.will {
            flags |= 0b100 | if will.retain { 0x20 } else { 0 };
        }
        let mut body = text("MQTT");
        body.extend([self.version, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        if self.version == V5 {
            let mut properties = self.properties.to_vec();
            if self.expiry > 0 {
                properties.push(0x11);
                properties.extend(self.expiry.to_be_bytes());
            }
            let mut length = properties.len();
            while length >= 128 {
                body.push((length % 128) as u8 | 0x80);
                length /= 128;
            }
            body.push(length as u8);
            body.extend(properties);
        }
        body.extend(text(self.client_id));
        if let Some(will) = self.will {
            if self.version == V5 {
                body.extend([5, 0x18]);
                body.extend(will.delay.to_be_bytes());
            }
            body.extend(text(will.topic));
            body.extend(text(will.payload));
        }
        body.extend(self.user_name.map(text).unwrap_or_default());
        body.extend(self.password.map(text).unwrap_or_default());
        packet(0x10, &body)
    }
}

/// A PUBLISH; `properties` is `None` for 3.1.1.
pub fn publish(topic: &str, payload: impl AsRef<[u8]>, qos: u8, id: u16, properties: Option<&[u8]>) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    if let Some(properties) = properties {
        body.push(properties.len() as u8);
        body.extend_from_slice(properties);
    }
    body.extend_from_slice(payload.as_ref());
    packet(PUBLISH | qos << 1, &body)
}

pub fn publish5(topic: &str, payload: impl AsRef<[u8]>, qos: u8, id: u16) -> Vec<u8> {
    publish(topic, payload, qos, id, Some(&[]))
}

pub fn publish3(topic: &str, payload: impl AsRef<[u8]>, qos: u8, id: u16) -> Vec<u8> {
    publish(topic, payload, qos, id, None)
}

/// The same packet, sent again.
pub fn again(mut packet: Vec<u8>) -> Vec<u8> {
    packet[0] |= 0b1000;
    packet
}

pub fn retained(mut packet: Vec<u8>) -> Vec<u8> {
    packet[0] |= 1;
    packet
}

pub fn pubrel(id: u16) -> Vec<u8> {
    packet(0x62, &id.to_be_bytes())
}

pub fn puback(id: u16) -> Vec<u8> {
    packet(PUBACK, &id.to_be_bytes())
}

pub fn subscribe(version: u8, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == V5 {
        body.push(0);
    }
    for (filter, qos) in filters {
        body.extend(text(filter));
        body.push(*qos);
    }
    packet(0x82, &body)
}

pub fn unsubscribe(version: u8, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == V5 {
        body.push(0);
    }
    for filter in filters {
        body.extend(text(filter));
    }
    packet(0xA2, &body)
}

/// The properties of enhanced authentication.
pub fn authentication(method: &str, data: Option<&str>) -> Vec<u8> {
    let mut properties = vec![0x15];
    properties.extend(text(method));
    if let Some(data) = data {
        properties.push(0x16);
        properties.extend(text(data));
    }
    properties
}

pub fn auth(reason: u8, properties: &[u8]) -> Vec<u8> {
    let mut body = vec![reason];
    let mut length = properties.len();
    while length >= 128 {
        body.push((length % 128) as u8 | 0x80);
        length /= 128;
    }
    body.push(length as u8);
    body.extend_from_slice(properties);
    packet(AUTH, &body)
}

pub fn disconnect() -> Vec<u8> {
    packet(DISCONNECT, &[])
}

pub fn disconnect_with(code: u8) -> Vec<u8> {
    packet(DISCONNECT, &[code, 0])
}
