//! An enrolment as it is answered: without its key, and with its authorities as PEM.

use actors::identity::{Enrolment, EnrolmentKind};
use hierarchy_models::{ModelId, Name, TwinId};
use serde::Serialize;
use utoipa::ToSchema;

/// Devices that register themselves the first time they connect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Enrolment)]
pub struct EnrolmentDocument {
    #[schema(value_type = String)]
    id: Name,
    /// `key` or `certificate`.
    by: &'static str,
    enabled: bool,
    #[schema(value_type = String)]
    model: ModelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    parent: Option<TwinId>,
    #[schema(value_type = Vec<String>)]
    tags: Vec<Name>,
    /// Ids begin with this.
    id_prefix: String,
    devices_max: u64,
    per_minute_max: u32,
    /// Devices it has registered.
    registered: u64,
    /// Who signs the devices' certificates (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    authorities: Option<String>,
}

impl From<Enrolment> for EnrolmentDocument {
    fn from(enrolment: Enrolment) -> Self {
        let Enrolment { id, asked, registered, .. } = enrolment;
        let (by, authorities) = match &asked.kind {
            EnrolmentKind::Key => ("key", None),
            EnrolmentKind::Certificate { authorities } => ("certificate", Some(authorities.iter().map(|der| pem(der)).collect())),
        };
        Self {
            id,
            by,
            enabled: asked.enabled,
            model: asked.model,
            parent: asked.parent,
            tags: asked.tags,
            id_prefix: asked.id_prefix,
            devices_max: asked.devices_max,
            per_minute_max: asked.per_minute_max,
            registered,
            authorities,
        }
    }
}

/// Of DER in the URL's alphabet of base64, which is not PEM's.
fn pem(der: &str) -> String {
    let mut text: String = der
        .chars()
        .map(|c| {
            if c == '-' {
                '+'
            } else if c == '_' {
                '/'
            } else {
                c
            }
        })
        .collect();
    text.extend(std::iter::repeat_n('=', (4 - text.len() % 4) % 4));
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    #[test]
    fn pem_reads_back_as_what_was_kept() {
        for length in [1, 2, 3, 48, 49, 500] {
            let der: Vec<u8> = (0..length).map(|n| (n * 7 % 256) as u8).collect();
            let text = pem(&BASE64.encode(&der));
            assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).unwrap().as_ref(), der, "{text}");
        }
    }
}
