//! Properties of MQTT 5.0: a list of numbered values of seven types.

use super::packet::{Reader, put_text, put_varint};

#[derive(Debug, Clone, PartialEq)]
pub enum Property {
    Byte(u8),
    Two(u16),
    Four(u32),
    Varint(u32),
    Text(String),
    Binary(Vec<u8>),
    Pair(String, String),
}

/// The identifiers used here.
pub mod id {
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const AUTH_METHOD: u8 = 0x15;
    pub const WILL_DELAY: u8 = 0x18;
    pub const REASON_STRING: u8 = 0x1F;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub const SUBSCRIPTION_ID: u8 = 0x0B;
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Properties(pub Vec<(u8, Property)>);

impl Properties {
    pub fn get(&self, id: u8) -> Option<&Property> {
        self.0.iter().find(|(i, _)| *i == id).map(|(_, value)| value)
    }

    pub fn reason(&self) -> &str {
        match self.get(id::REASON_STRING) {
            Some(Property::Text(text)) => text,
            _ => "",
        }
    }

    pub fn number(&self, id: u8) -> Option<u32> {
        match self.get(id)? {
            Property::Byte(n) => Some((*n).into()),
            Property::Two(n) => Some((*n).into()),
            Property::Four(n) | Property::Varint(n) => Some(*n),
            _ => None,
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        for (id, property) in &self.0 {
            body.push(*id);
            match property {
                Property::Byte(n) => body.push(*n),
                Property::Two(n) => body.extend(n.to_be_bytes()),
                Property::Four(n) => body.extend(n.to_be_bytes()),
                Property::Varint(n) => put_varint(&mut body, *n as usize),
                Property::Text(text) => put_text(&mut body, text.as_bytes()),
                Property::Binary(bytes) => put_text(&mut body, bytes),
                Property::Pair(name, value) => {
                    put_text(&mut body, name.as_bytes());
                    put_text(&mut body, value.as_bytes());
                }
            }
        }
        put_varint(out, body.len());
        out.extend(body);
    }

    pub fn read(reader: &mut Reader) -> Self {
        let length = reader.varint();
        let mut inner = Reader::new(reader.take(length));
        let mut list = Vec::new();
        while !inner.is_empty() {
            let id = inner.byte();
            let value = match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => Property::Byte(inner.byte()),
                0x13 | 0x21 | 0x22 | 0x23 => Property::Two(inner.two()),
                0x02 | 0x11 | 0x18 | 0x27 => Property::Four(inner.four()),
                0x0B => Property::Varint(inner.varint() as u32),
                0x09 | 0x16 => Property::Binary(inner.binary().to_vec()),
                0x26 => Property::Pair(inner.text(), inner.text()),
                _ => Property::Text(inner.text()),
            };
            list.push((id, value));
        }
        Self(list)
    }
}
