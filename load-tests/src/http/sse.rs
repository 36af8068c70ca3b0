//! The live stream as a dashboard reads it.

use super::client::Client;
use crate::{Result, peer::Running};

/// A reader of `GET /live`.
pub struct Live {
    client: Client,
    /// The beginning of an event whose end has not come.
    partial: Vec<u8>,
}

impl Live {
    pub async fn open(server: &Running, query: &str) -> Result<Self> {
        let mut client = Client::open(server).await?;
        client.follow(&format!("/live?{query}")).await?;
        Ok(Self { client, partial: Vec::new() })
    }

    /// Reads on until the snapshot is whole; says how many bytes it was and how many twins it had.
    pub async fn snapshot(&mut self) -> Result<(usize, usize)> {
        let (mut bytes, mut twins, mut whole) = (0, 0, false);
        while !whole {
            self.next(|event| {
                bytes += event.len();
                twins += usize::from(name(event) == b"snapshot");
                whole |= name(event) == b"live";
            })
            .await?;
        }
        Ok((bytes, twins))
    }

    /// Waits for the next bytes and calls `each` for every whole event in them.
    pub async fn next(&mut self, mut each: impl FnMut(&[u8])) -> Result<()> {
        let chunk = self.client.next().await?;
        let mut rest = chunk;
        if !self.partial.is_empty() {
            self.partial.extend(chunk);
            rest = &self.partial;
        }
        while let Some(end) = memchr::memmem::find(rest, b"\n\n") {
            each(&rest[..end]);
            rest = &rest[end + 2..];
        }
        self.partial = rest.to_vec();
        Ok(())
    }
}

/// The name of an event; empty for a comment.
pub fn name(event: &[u8]) -> &[u8] {
    let line = event.split(|b| *b == b'\n').next().unwrap_or_default();
    line.strip_prefix(b"event: ").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_event_has_a_name_and_a_comment_has_none() {
        assert_eq!(super::name(b"event: state\ndata: {}"), b"state");
        assert_eq!(super::name(b": still here"), b"");
    }
}
