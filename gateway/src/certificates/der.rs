//! The common name and the time of validity in a client's certificate.
//!
//! rustls has shown by then that the peer holds its key; only two fields are read here, by a walk of a few DER headers. A
//! certificate parser would be a dependency of some 60,000 lines for them.

use hierarchy_models::Timestamp;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const CONTEXT_0: u8 = 0xA0;
/// UTF8String, PrintableString, IA5String: those that are UTF-8 as they stand.
const TEXTS: [u8; 3] = [0x0C, 0x13, 0x16];
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The subject's common name; `None` when there is none or more than one.
pub(crate) fn common_name(certificate: &[u8]) -> Option<&str> {
    let (mut subject, _) = element(fields_after(certificate, 4)?, SEQUENCE)?;
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

/// Since when and until when it is valid.
pub(crate) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (validity, _) = element(fields_after(certificate, 3)?, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    Some((from, time(rest)?.0))
}

/// The fields of a certificate behind the first `count` of serial number, signature algorithm, issuer, validity.
fn fields_after(certificate: &[u8], count: usize) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if let Some((_, rest)) = element(fields, CONTEXT_0) {
        fields = rest; // version
    }
    for _ in 0..count {
        fields = header(fields)?.2;
    }
    Some(fields)
}

/// `YYMMDDHHMMSSZ` with years from 1950, or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
fn time(src: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, text, rest) = header(src)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (century, text) = match tag {
        UTC_TIME if text.len() == 12 => (if text.get(..2)? < "50" { "20" } else { "19" }, text),
        GENERALIZED_TIME if text.len() == 14 => (text.get(..2)?, text.get(2..)?),
        _ => return None,
    };
    if !text.bytes().chain(century.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let at = |n: usize| &text[2 * n..2 * n + 2];
    let rfc_3339 = format!("{century}{}-{}-{}T{}:{}:{}Z", at(0), at(1), at(2), at(3), at(4), at(5));
    Some((rfc_3339.parse().ok()?, rest))
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

    #[test]
    fn both_forms_of_a_time_are_read() {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(2055, 2, 28);
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(validity(&der), Some((at("1999-12-31T00:00:00Z"), at("2055-02-28T00:00:00Z"))));
        let utc = |text: &str| time(&[&[UTC_TIME, text.len() as u8], text.as_bytes()].concat()).map(|(at, _)| at);
        assert_eq!(utc("491231235959Z"), Some(at("2049-12-31T23:59:59Z")));
        assert_eq!(utc("500101000000Z"), Some(at("1950-01-01T00:00:00Z")));
        for bad in ["491331235959Z", "4912312359Z", "491231235959", "49123123595+Z"] {
            assert_eq!(utc(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            common_name(&bytes);
            validity(&bytes);
            time(&bytes);
        }
    }
}
