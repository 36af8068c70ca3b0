//! The native dialect: the topics and payloads of the contract's section 2.

mod downlink;
mod message;
pub mod topic;

use actors::device::Downlink;
use bytes::Bytes;
use hierarchy_models::{DeviceMessage, Timestamp, TwinId};

use super::{Claim, ClaimError, Dialect, Outgoing, TopicError, Uplink, Wanted};
use crate::codec::PayloadError;

pub struct Native;

impl Dialect for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn device(&self, claim: &Claim<'_>) -> Result<TwinId, ClaimError> {
        let device = TwinId::new(claim.client_id).map_err(|_| ClaimError::BadIdentifier)?;
        match claim.user_name {
            Some(name) if name != claim.client_id => Err(ClaimError::NameMismatch),
            _ => Ok(device),
        }
    }

    fn uplink<'t>(&self, topic: &'t str) -> Result<Uplink<'t>, TopicError> {
        topic::parse_publish(topic)
    }

    fn message(
        &self,
        uplink: &Uplink<'_>,
        content_type: Option<&str>,
        payload: &Bytes,
        now: Timestamp,
    ) -> Result<DeviceMessage, PayloadError> {
        message::read(uplink, content_type, payload, now)
    }

    fn wanted<'t>(&self, filter: &'t str) -> Result<Wanted<'t>, TopicError> {
        topic::parse_filter(filter)
    }

    fn downlink(&self, target: &TwinId, message: &Downlink) -> Option<Outgoing> {
        downlink::write(target, message)
    }
}
