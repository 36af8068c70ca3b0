//! The common name in a client's certificate.
//!
//! rustls has verified the certificate by then; only its subject is read here, by a walk of a few DER headers. A
//! certificate parser would be a dependency of some 60,000 lines for one field.

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const CONTEXT_0: u8 = 0xA0;
/// UTF8String, PrintableString, IA5String: those that are UTF-8 as they stand.
const TEXTS: [u8; 3] = [0x0C, 0x13, 0x16];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The subject's common name; `None` when there is none or more than one.
pub(crate) fn common_name(certificate: &[u8]) -> Option<&str> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if let Some((_, rest)) = element(fields, CONTEXT_0) {
        fields = rest; // version
    }
    // serial number, signature algorithm, issuer, validity
    for _ in 0..4 {
        fields = header(fields)?.2;
    }
    let (mut subject, _) = element(fields, SEQUENCE)?;
    let mut found = None;
    while !subject.is_empty() {
        let (mut names, rest) = element(subject, SET)?;
        subject = rest;
        while !names.is_empty() {
            let (name, rest) = element(names, SEQUENCE)?;
            names = rest;
            let (kind, value) = element(name, OBJECT_ID)?;
            if kind == COMMON_NAME {
                let (tag, text, _) = header(value)?;
                let text = if TEXTS.contains(&tag) { std::str::from_utf8(text).ok()? } else { return None };
                if found.replace(text).is_some() {
                    return None;
                }
            }
        }
    }
    found
}

/// The content of the element at the start, which must have this tag, and what follows it.
fn element(src: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    header(src).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

fn header(src: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = src else { return None };
    let (length, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_common_name_is_found_among_others() {
        let der = certificate(&[(DnType::OrganizationName, "acme"), (DnType::CommonName, "pump-1"), (DnType::CountryName, "AT")]);
        assert_eq!(common_name(&der), Some("pump-1"));
        assert_eq!(common_name(&certificate(&[(DnType::OrganizationName, "acme")])), None);
    }

    #[test]
    fn a_certificate_cut_short_has_no_name() {
        let der = certificate(&[(DnType::CommonName, "pump-1")]);
        for cut in 0..der.len() {
            assert_eq!(common_name(&der[..cut]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            common_name(&bytes);
        }
    }
}
