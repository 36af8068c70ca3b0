//! References between elements: each identifier that stands for an element is replaced by the element.

use super::{
    Class, Member,
    element::{Child, Elements, Index},
    fault::Fault,
    grammar::Form,
};

/// Resolves every reference; a fault tells of the first that leads nowhere, and names the others too.
pub fn resolve(elements: &mut Elements) -> Result<(), Fault> {
    let mut unresolved: Option<Fault> = None;
    for index in elements.indices() {
        for n in 0..elements.at(index).children.len() {
            let (member, child) = &elements.at(index).children[n];
            let Child::Reference(id) = child else { continue };
            let member = *member;
            let Some(&target) = elements.ids.get(id) else {
                let id = id.clone();
                let rule = || format!("{id} is not defined by any of the models at hand");
                unresolved.get_or_insert_with(|| elements.fault_in(index, member.term(), rule())).missing.push(id.clone());
                continue;
            };
            fits(elements, index, member, target).map_err(|rule| elements.fault_in(index, member.term(), rule))?;
            elements.list[index as usize].children[n].1 = Child::Element(target);
        }
    }
    unresolved.map_or(Ok(()), Err)
}

/// Whether `target` can stand in a member of `index`.
fn fits(elements: &Elements, index: Index, member: Member, target: Index) -> Result<(), String> {
    let (from, to) = (elements.at(index), elements.at(target));
    let id = to.id.as_deref().unwrap_or_default();
    let Some(Form::Elements(form)) = from.class.form(member, from.version) else { return Ok(()) };
    if !form.classes.contains(&to.class) {
        let names: Vec<&str> = form.classes.iter().map(|c| c.term()).collect();
        return Err(format!("{id} is {}, and only {} can stand here", to.class.term(), names.join(", ")));
    }
    if to.class != Class::Interface && to.partition != from.partition {
        return Err(format!("{id} is defined inside {}, where only its own Interface can use it", elements.label(to.partition)));
    }
    if to.version != from.version && !(form.may_be_older && to.version < from.version) {
        return Err(format!("{id} is written in {}, which cannot stand here in {}", to.version, from.version));
    }
    Ok(())
}
