//! Twins as documents: written once, tagged by what was written, and kept for whoever reads the same again.
//!
//! The entity tag is the twin's version, its event number, and a hash of the document's bytes: two tags are equal when the documents
//! are, whatever moved in them. What is kept is sent only after the runtime said that the twin is as it was when it was written
//! (`Twins::is_as_seen`). Each worker keeps its own, so that no lock is shared.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::{Ready, ready},
    hash::{DefaultHasher, Hasher},
    rc::Rc,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{self, HeaderValue},
    web::Bytes,
};
use actors::{Sighting, TreeNode, Twins, view::TwinView};
use hierarchy_models::TwinId;

use crate::{
    json,
    problem::{self, Problem},
};

/// Documents a worker keeps at most, the youngest and those before them together.
const DOCUMENTS_MAX: usize = 2_048;
/// Bytes of them at most.
const DOCUMENTS_BYTES_MAX: usize = 8 << 20;
/// Twins of a tree that are asked for together, so that no more than these are there as they are and as they are written.
const SEEN_AT_ONCE: usize = 256;

/// A twin as it is sent.
#[derive(Clone)]
pub struct Document {
    pub etag: HeaderValue,
    pub text: Bytes,
}

impl Document {
    pub fn of(twin: &TwinView) -> Result<Self, Problem> {
        let text = json::written(twin)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&text);
        let etag = format!("\"{}.{}.{:x}\"", twin.version, twin.seq, hasher.finish());
        Ok(Self { etag: HeaderValue::from_str(&etag).map_err(|error| json::unwritable(&error))?, text })
    }

    /// 200 with it.
    pub fn answer(self) -> HttpResponse {
        HttpResponse::Ok().insert_header((header::ETAG, self.etag)).insert_header(json::content_type()).body(self.text)
    }

    /// 304: the caller holds it.
    pub fn answer_held(self) -> HttpResponse {
        HttpResponse::NotModified().insert_header((header::ETAG, self.etag)).finish()
    }
}

#[derive(Clone)]
struct Kept {
    sighting: Sighting,
    document: Document,
}

/// What one worker keeps. Clones are the same shelf.
#[derive(Clone, Default)]
pub struct Documents(Rc<RefCell<Shelf<Kept>>>);

impl Documents {
    /// The twin as it is now.
    pub async fn read(&self, twins: &Twins, id: &TwinId) -> Result<Document, Problem> {
        match self.kept(twins, id) {
            Some(document) => Ok(document),
            None => {
                let (view, sighting) = twins.see(id).await?;
                self.keep(&view, sighting)
            }
        }
    }

    /// The twins of a tree as they are now; `None` for those that are gone.
    pub async fn read_all(&self, twins: &Twins, nodes: &[TreeNode]) -> Result<Vec<Option<Document>>, Problem> {
        let mut all: Vec<_> = nodes.iter().map(|node| self.kept(twins, &node.id)).collect();
        let missing: Vec<usize> = (0..nodes.len()).filter(|n| all[*n].is_none()).collect();
        for part in missing.chunks(SEEN_AT_ONCE) {
            let asked: Vec<&TreeNode> = part.iter().map(|n| &nodes[*n]).collect();
            for (n, seen) in part.iter().zip(twins.see_all(&asked).await?) {
                all[*n] = seen.map(|(view, sighting)| self.keep(&view, sighting)).transpose()?;
            }
        }
        Ok(all)
    }

    fn kept(&self, twins: &Twins, id: &TwinId) -> Option<Document> {
        let kept = self.0.borrow_mut().get(id)?;
        twins.is_as_seen(id, &kept.sighting).then_some(kept.document)
    }

    fn keep(&self, view: &TwinView, sighting: Option<Sighting>) -> Result<Document, Problem> {
        let document = Document::of(view)?;
        if let Some(sighting) = sighting {
            let bytes = document.text.len();
            self.0.borrow_mut().put(&view.id, Kept { sighting, document: document.clone() }, bytes);
        }
        Ok(document)
    }
}

impl FromRequest for Documents {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let shelf = request.app_data::<Self>().cloned();
        ready(shelf.ok_or_else(|| Problem::new(problem::INTERNAL, "the server keeps no documents")))
    }
}

/// Two halves, each with half of the room. What is used moves to the young one; when that is full, it becomes the old one and what
/// the old one held goes: about what a list by last use would keep, without the list.
struct Shelf<T> {
    young: HashMap<TwinId, (T, usize)>,
    young_bytes: usize,
    old: HashMap<TwinId, (T, usize)>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), young_bytes: 0, old: HashMap::new() }
    }
}

impl<T: Clone> Shelf<T> {
    fn get(&mut self, id: &TwinId) -> Option<T> {
        if let Some((found, _)) = self.young.get(id) {
            return Some(found.clone());
        }
        let (found, bytes) = self.old.remove(id)?;
        self.put(id, found.clone(), bytes);
        Some(found)
    }

    fn put(&mut self, id: &TwinId, kept: T, bytes: usize) {
        const BYTES_MAX: usize = DOCUMENTS_BYTES_MAX / 2;
        if bytes > BYTES_MAX {
            return;
        }
        let known = self.young.get(id).map_or(0, |(_, bytes)| *bytes);
        let is_full = known == 0 && self.young.len() >= DOCUMENTS_MAX / 2;
        if is_full || self.young_bytes - known + bytes > BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        } else {
            self.young_bytes -= known;
        }
        self.young_bytes += bytes;
        self.young.insert(id.clone(), (kept, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> TwinId {
        TwinId::new(format!("t{n}")).unwrap()
    }

    fn held<T>(shelf: &Shelf<T>) -> (usize, usize) {
        let bytes = |half: &HashMap<TwinId, (T, usize)>| half.values().map(|(_, bytes)| bytes).sum::<usize>();
        assert_eq!(bytes(&shelf.young), shelf.young_bytes);
        (shelf.young.len() + shelf.old.len(), bytes(&shelf.young) + bytes(&shelf.old))
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut many = Shelf::default();
        let mut large = Shelf::default();
        for n in 0..3 * DOCUMENTS_MAX {
            many.put(&id(n), n, 1);
            large.put(&id(n % 700), n, 20_000 + n);
            assert!(held(&many).0 <= DOCUMENTS_MAX);
            assert!(held(&large).1 <= DOCUMENTS_BYTES_MAX);
        }
        large.put(&id(0), 0, DOCUMENTS_BYTES_MAX);
        assert!(held(&large).1 <= DOCUMENTS_BYTES_MAX, "one that is larger than all room is not kept");
    }

    #[test]
    fn what_is_read_again_and_again_stays() {
        let mut shelf = Shelf::default();
        shelf.put(&id(0), 0, 10);
        for n in 1..3 * DOCUMENTS_MAX {
            shelf.put(&id(n), n, 10);
            assert_eq!(shelf.get(&id(0)), Some(0), "after {n} others");
        }
        assert_eq!(shelf.get(&id(1)), None);
    }

    #[test]
    fn the_newest_of_a_twin_replaces_the_one_before() {
        let mut shelf = Shelf::default();
        for bytes in [10, 30, 20] {
            shelf.put(&id(1), bytes, bytes);
        }
        assert_eq!((shelf.get(&id(1)), held(&shelf)), (Some(20), (1, 20)));
    }
}
