//! A twin with all that stands below it: each twin's own document, with two more members at its end.

use actix_web::web::Bytes;
use actors::TreeNode;

/// Bytes that the two members take, about.
const MEMBERS_BYTES: usize = 40;

/// The tree under the first of the nodes, out of the document of each. A twin without one is gone, and what was below it is left out with it.
pub fn written(nodes: &[TreeNode], documents: &[Option<Bytes>]) -> Vec<u8> {
    let mut children = vec![Vec::new(); nodes.len()];
    for (n, node) in nodes.iter().enumerate() {
        if let Some(parent) = node.parent.filter(|_| documents[n].is_some()) {
            children[parent].push(n);
        }
    }
    let bytes = documents.iter().flatten().map(|text| text.len() + MEMBERS_BYTES).sum();
    let tree = Tree { nodes, documents, children };
    let mut text = Vec::with_capacity(bytes);
    tree.put(&mut text, 0);
    text
}

struct Tree<'a> {
    nodes: &'a [TreeNode],
    documents: &'a [Option<Bytes>],
    children: Vec<Vec<usize>>,
}

impl Tree<'_> {
    /// As deep as a tree of twins may be.
    fn put(&self, text: &mut Vec<u8>, n: usize) {
        let Some(own) = self.documents[n].as_deref().and_then(|own| own.strip_suffix(b"}")) else { return };
        text.extend_from_slice(own);
        text.extend_from_slice(b",\"children\":[");
        for (place, child) in self.children[n].iter().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            self.put(text, *child);
        }
        text.extend_from_slice(format!("],\"children_left_out\":{}}}", self.nodes[n].children_left_out).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use hierarchy_models::{TwinId, tree::Path};
    use serde_json::{Value, json};

    use super::*;

    fn node(name: &str, parent: Option<usize>, children_left_out: u64) -> TreeNode {
        let id = TwinId::new(name).unwrap();
        TreeNode { path: Path::root(&id), id, parent, has_children: true, children_left_out }
    }

    #[test]
    fn each_twin_holds_its_children_and_one_that_is_gone_holds_none() {
        let nodes = [
            node("site", None, 0),
            node("a", Some(0), 1),
            node("gone", Some(0), 0),
            node("b", Some(0), 0),
            node("a1", Some(1), 0),
            node("of-gone", Some(2), 0),
            node("b1", Some(3), 2),
            node("b2", Some(3), 0),
        ];
        let document = |node: &TreeNode| (node.id.as_str() != "gone").then(|| Bytes::from(format!("{{\"id\":\"{}\"}}", node.id)));
        let documents: Vec<_> = nodes.iter().map(document).collect();
        let tree: Value = serde_json::from_slice(&written(&nodes, &documents)).unwrap();
        let leaf = |name: &str, left_out: u64| json!({"id": name, "children": [], "children_left_out": left_out});
        let a = json!({"id": "a", "children": [leaf("a1", 0)], "children_left_out": 1});
        let b = json!({"id": "b", "children": [leaf("b1", 2), leaf("b2", 0)], "children_left_out": 0});
        assert_eq!(tree, json!({"id": "site", "children": [a, b], "children_left_out": 0}));
    }
}
