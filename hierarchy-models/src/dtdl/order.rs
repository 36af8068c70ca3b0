//! An order of the elements in which what an element holds comes before it, and so the rule that none holds itself.

use super::{
    Class, Version,
    element::{Child, Elements, Index},
    fault::Fault,
};

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

/// Whether this child is followed: since version 4 a schema may name itself, or one that holds it.
pub fn is_followed(elements: &Elements, index: Index, child: &Child) -> Option<Index> {
    let Child::Element(target) = child else { return None };
    let (from, to) = (elements.at(index), elements.at(*target));
    let is_named = to.site.parent != Some(index);
    let may_recur = is_named && from.version >= Version::V4 && to.class.is_complex_schema() && from.class != Class::Interface;
    (!may_recur).then_some(*target)
}

/// Every element once, the ones it holds (by reference too) before it.
pub fn children_first(elements: &Elements) -> Result<Vec<Index>, Fault> {
    let mut marks = vec![Mark::New; elements.list.len()];
    let mut order = Vec::with_capacity(elements.list.len());
    // Ways down from the element at the bottom: the element, and how many of its children are behind us. Not recursion: a
    // chain of bases may be as long as a document.
    let mut way: Vec<(Index, usize)> = Vec::new();
    for start in elements.indices() {
        if marks[start as usize] != Mark::New {
            continue;
        }
        way.push((start, 0));
        marks[start as usize] = Mark::Open;
        while let Some((index, behind)) = way.last_mut() {
            let index = *index;
            let Some((_, child)) = elements.at(index).children.get(*behind) else {
                marks[index as usize] = Mark::Done;
                order.push(index);
                way.pop();
                continue;
            };
            *behind += 1;
            let Some(next) = is_followed(elements, index, child) else { continue };
            match marks[next as usize] {
                Mark::Done => {}
                Mark::New => {
                    marks[next as usize] = Mark::Open;
                    way.push((next, 0));
                }
                Mark::Open => return Err(elements.fault(next, "holds itself, by its bases, components or schemas")),
            }
        }
    }
    Ok(order)
}
