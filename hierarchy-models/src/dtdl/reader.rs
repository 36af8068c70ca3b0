//! From a JSON document to elements: everything that can be said about an element by looking at it alone.

use super::{
    Class, Json, Member, Standard, UndefinedExtensions, Version,
    adjuncts::{self, Types},
    context::Context,
    dtmi,
    element::{Child, Constant, Element, Elements, Index, Site},
    fault::Fault,
    grammar::{self, Form},
    literal,
};
use crate::id::Name;

pub struct Reader<'a> {
    pub elements: &'a mut Elements,
    pub undefined: UndefinedExtensions,
}

const TOP: &[Class] = &[Class::Interface];

impl Reader<'_> {
    /// Reads a document: one top-level element, or an array of them.
    pub fn document(&mut self, document: &Json) -> Result<(), Fault> {
        for (n, top) in document.included().iter().enumerate() {
            let site = Site { parent: None, member: None, position: n as u32 };
            let Json::Object(members) = top else {
                return Err(Fault::new(format!("/{n}"), "a document is an object or an array of objects"));
            };
            self.element(members, site, TOP, None)?;
        }
        Ok(())
    }

    fn element(
        &mut self,
        members: &[(Name, Json)],
        site: Site,
        classes: &'static [Class],
        outer: Option<&Context>,
    ) -> Result<Index, Fault> {
        let get = |name: &str| members.iter().find(|(n, _)| n == name).map(|(_, value)| value);
        let own = match get("@context") {
            Some(value) => Some(Context::read(value, outer, self.undefined).map_err(|rule| here(self.elements, site, members, rule))?),
            None => None,
        };
        let Some(context) = own.as_ref().or(outer) else {
            let rule = "a top-level element needs @context, such as \"dtmi:dtdl:context;3\"";
            return Err(here(self.elements, site, members, rule.into()));
        };
        let types = adjuncts::types(get("@type"), classes, context).map_err(|rule| here(self.elements, site, members, rule))?;
        let index = self.elements.list.len() as Index;
        let parent = site.parent.map(|p| self.elements.at(p));
        if let Some(parent) = parent
            && let Some(Form::Elements(form)) = site.member.and_then(|m| parent.class.form(m, parent.version))
            && context.version != parent.version
            && !(form.may_be_older && context.version < parent.version)
        {
            let rule = format!("is written in {}, which cannot stand here in {}", context.version, parent.version);
            return Err(here(self.elements, site, members, rule));
        }
        let partition = match parent {
            Some(parent) if types.class != Class::Interface => parent.partition,
            _ => index,
        };
        let id = self.id(get("@id"), &types, site, context).map_err(|rule| here(self.elements, site, members, rule))?;
        if let Some(id) = &id
            && let Some(first) = self.elements.ids.insert(id.clone(), index)
        {
            let rule = format!("this identifier is used twice: it is also that of {}", describe(self.elements, first));
            return Err(here(self.elements, site, members, rule));
        }
        self.elements.list.push(blank(&types, context, site, partition, id));
        self.members(index, members, &types, context)?;
        Ok(index)
    }

    fn id(&self, value: Option<&Json>, types: &Types, site: Site, context: &Context) -> Result<Option<Name>, String> {
        let Some(value) = value else {
            return match (types.class, site.member) {
                (Class::Interface, _) => Err("an Interface needs @id".into()),
                (_, Some(Member::Schemas)) => Err("a schema among the schemas of an Interface needs @id".into()),
                _ => Ok(None),
            };
        };
        let Some(id) = value.as_text() else { return Err("@id must be a string".into()) };
        let limits = &context.limits;
        let most = if types.class == Class::Interface { limits.interface_id_chars_max } else { limits.id_chars_max };
        match id {
            id if !dtmi::is_dtmi(id, context.version) => Err(format!("@id {id:?} is not a DTMI of {}", context.version)),
            id if dtmi::is_reserved(id) => Err(format!("@id {id:?} begins with a prefix that belongs to the language")),
            id if id.len() > most => Err(format!("@id is {} characters long; at most {most} are allowed", id.len())),
            id => Ok(Some(id.clone())),
        }
    }

    fn members(&mut self, index: Index, members: &[(Name, Json)], types: &Types, context: &Context) -> Result<(), Fault> {
        let class = types.class;
        let mut seen: Vec<Member> = Vec::new();
        // The name first: it is how later faults of this element are told.
        let is_name = |(name, _): &&(Name, Json)| Member::of_name(name, context.version) == Some(Member::Name);
        let ordered = members.iter().filter(is_name).chain(members.iter().filter(|m| !is_name(m)));
        for (name, value) in ordered {
            if name.starts_with('@') {
                if !["@context", "@id", "@type"].contains(&name.as_str()) && context.version > Version::V2 {
                    return Err(self.elements.fault(index, format!("a member {name:?} is not allowed")));
                }
                continue;
            }
            let known = Member::of_name(name, context.version).and_then(|member| Some((member, class.form(member, context.version)?)));
            match known {
                Some((member, form)) => {
                    if seen.contains(&member) {
                        return Err(self
                            .elements
                            .fault(index, format!("{} is given twice, by its term and by its identifier", member.term())));
                    }
                    seen.push(member);
                    self.member(index, member, form, value, context)?;
                    self.count_text(index, name, value, form);
                }
                None => {
                    let kept = types.added(name, context, value).map_err(|rule| self.elements.fault_in(index, name, rule))?;
                    let element = &mut self.elements.list[index as usize];
                    match kept {
                        Some(adjuncts::Kept::Unit) => element.unit = value.included().first().and_then(Json::as_text).cloned(),
                        Some(adjuncts::Kept::Added(term)) => element.added.push((term, value.clone())),
                        None => {}
                    }
                    self.add_text(index, name.len() + 4 + value.text_bytes());
                }
            }
        }
        if let Some(missing) = class.required(context.version).iter().find(|m| !seen.contains(m)) {
            return Err(self.elements.fault(index, format!("{} needs {}", article(class), missing.term())));
        }
        types.complete(self.elements.at(index)).map_err(|rule| self.elements.fault(index, rule))
    }

    /// Adds a member to the size of the Interface it stands in; elements in it add themselves.
    fn count_text(&mut self, index: Index, name: &str, value: &Json, form: Form) {
        let bytes = |v: &Json| if matches!(v, Json::Object(_)) { 2 } else { v.text_bytes() };
        let own = match form {
            Form::Elements(_) => value.included().iter().map(bytes).sum(),
            _ => value.text_bytes(),
        };
        self.add_text(index, name.len() + 4 + own);
    }

    fn add_text(&mut self, index: Index, bytes: usize) {
        let partition = self.elements.at(index).partition as usize;
        self.elements.list[partition].text_bytes += bytes;
    }

    fn member(&mut self, index: Index, member: Member, form: Form, value: &Json, context: &Context) -> Result<(), Fault> {
        if let Form::Elements(form) = form {
            return self.children(index, member, form, value, context);
        }
        let element = &mut self.elements.list[index as usize];
        let mut read = || -> Result<(), String> {
            let version = context.version;
            match form {
                Form::Text { chars_max } => {
                    let chars = literal::one(value, false)?.map(literal::text).transpose()?.map_or(0, |text| text.chars().count());
                    if chars > chars_max {
                        return Err(format!("is {chars} characters long; at most {chars_max} are allowed"));
                    }
                }
                Form::Localized { chars_max } => {
                    // A limit extension reaches further than the version does.
                    let chars_max = if member == Member::Description { context.limits.description_chars_max } else { chars_max };
                    let text = literal::localized(value, chars_max)?;
                    match member {
                        Member::DisplayName => element.display_name = text,
                        _ => element.description = text,
                    }
                }
                Form::Name => {
                    let name = literal::one(value, true)?.map(literal::text).transpose()?.unwrap_or_default();
                    let most = context.limits.name_chars_max;
                    if name.len() > most {
                        return Err(format!("is {} characters long; at most {most} are allowed", name.len()));
                    }
                    if !dtmi::is_name(&name) {
                        return Err(format!("{name:?} must be letters, digits and '_', begin with a letter and not end with '_'"));
                    }
                    element.name = Some(name);
                }
                Form::Bool => {
                    let flag = literal::one(value, false)?.map(literal::boolean).transpose()?.unwrap_or(false);
                    match member {
                        Member::Nullable => element.nullable = flag,
                        _ => element.writable = flag,
                    }
                }
                Form::Integer { least, most } => {
                    let number = literal::one(value, false)?.map(literal::integer).transpose()?;
                    if let Some(number) = number.filter(|n| !(least..=most).contains(n)) {
                        return Err(format!("{number} is not allowed; it must be from {least} to {most}"));
                    }
                    if member == Member::MaxMultiplicity {
                        element.max_multiplicity = number;
                    }
                }
                Form::Dtmi => {
                    let target = literal::one(value, false)?.map(|v| v.as_text().ok_or("must be a string")).transpose()?;
                    if let Some(other) = target.filter(|t| !dtmi::is_dtmi(t, version)) {
                        return Err(format!("{other:?} is not a DTMI of {version}"));
                    }
                    element.target = target.cloned();
                }
                Form::CommandType => {
                    let kind = literal::one(value, false)?.map(|v| v.as_text().ok_or("must be a string")).transpose()?;
                    let term = |text: &str| {
                        let id = format!(";{}", version.number());
                        let term = text.strip_prefix("dtmi:dtdl:instance:CommandType:").and_then(|rest| rest.strip_suffix(id.as_str()));
                        ["synchronous", "asynchronous"].contains(&term.unwrap_or(text))
                    };
                    if kind.is_some_and(|kind| !term(kind)) {
                        return Err("must be synchronous or asynchronous".into());
                    }
                }
                Form::Value(allowed) => {
                    let text = literal::one(value, true)?.and_then(Json::as_text).ok_or("must be a string")?;
                    let schema = Standard::of_text(text, version).filter(|s| allowed.contains(s));
                    let names = || allowed.iter().map(|s| s.term()).collect::<Vec<_>>().join(" or ");
                    element.value_schema = Some(schema.ok_or_else(|| format!("{text:?} is not allowed; it must be {}", names()))?);
                }
                Form::EnumValue => {
                    let one = literal::one(value, true)?.ok_or("must hold a value")?;
                    element.constant = Some(match literal::is_text(one) {
                        true => Constant::Text(literal::text(one)?),
                        false => Constant::Integer(
                            literal::integer(one).map_err(|_| "must be a string or a whole number of at most four bytes")?,
                        ),
                    });
                }
                Form::Elements(_) => {}
            }
            Ok(())
        };
        read().map_err(|rule| self.elements.fault_in(index, member.term(), rule))
    }

    fn children(&mut self, index: Index, member: Member, form: grammar::Elements, value: &Json, context: &Context) -> Result<(), Fault> {
        let refuse = |elements: &Elements, rule: String| Err(elements.fault_in(index, member.term(), rule));
        let values = value.included();
        if values.len() < form.least {
            return refuse(self.elements, "must hold a value".into());
        }
        if values.len() > form.most {
            return refuse(self.elements, format!("holds {} values; at most {} are allowed", values.len(), form.most));
        }
        if member == Member::Extends && values.len() > context.limits.extends_direct_max {
            let most = context.limits.extends_direct_max;
            return refuse(self.elements, format!("names {} Interfaces; at most {most} are allowed", values.len()));
        }
        for (n, value) in values.iter().enumerate() {
            let child = match value {
                Json::Object(members) => {
                    let site = Site { parent: Some(index), member: Some(member), position: n as u32 };
                    Child::Element(self.element(members, site, form.classes, Some(context))?)
                }
                Json::Text(text) => match standard(text, form, context) {
                    Some(standard) => Child::Standard(standard),
                    None if dtmi::is_dtmi(text, context.version) => Child::Reference(text.clone()),
                    None => {
                        let what = if form.standard { "a schema of the language, nor a DTMI" } else { "a DTMI" };
                        return refuse(self.elements, format!("{text:?} is not {what}"));
                    }
                },
                _ => return refuse(self.elements, "must hold elements or their identifiers".into()),
            };
            self.elements.list[index as usize].children.push((member, child));
        }
        Ok(())
    }
}

/// The standard schema that a text names here, those of extensions included.
fn standard(text: &str, form: grammar::Elements, context: &Context) -> Option<Standard> {
    if !form.standard {
        return None;
    }
    // A property that overrides a unit has the unit type as its schema; its values are terms.
    Standard::of_text(text, context.version).or_else(|| adjuncts::is_unit_type(text, context).then_some(Standard::String))
}

fn blank(types: &Types, context: &Context, site: Site, partition: Index, id: Option<Name>) -> Element {
    Element {
        class: types.class,
        version: context.version,
        limits: context.limits,
        site,
        partition,
        id,
        name: None,
        display_name: None,
        description: None,
        writable: false,
        nullable: false,
        target: None,
        max_multiplicity: None,
        semantic: types.semantic.clone(),
        unit: None,
        constant: None,
        value_schema: None,
        children: Vec::new(),
        adjuncts: types.adjuncts.iter().map(|a| a.name).collect(),
        added: Vec::new(),
        text_bytes: 0,
    }
}

/// A fault of an element that is not in the list yet.
fn here(elements: &Elements, site: Site, members: &[(Name, Json)], rule: String) -> Fault {
    Fault::new(label(elements, site, members), rule)
}

/// The place of an element that is not read yet, by its identifier when it has one.
fn label(elements: &Elements, site: Site, members: &[(Name, Json)]) -> String {
    let text = |name: &str| members.iter().find(|(n, _)| n == name).and_then(|(_, value)| value.as_text());
    match text("@id") {
        Some(id) => id.chars().take(200).collect(),
        None => elements.label_of(site, text("name")),
    }
}

fn describe(elements: &Elements, index: Index) -> String {
    // It may be the very element under way, which is not in the list.
    match elements.list.get(index as usize) {
        Some(element) => format!("{} {}", article(element.class), elements.label_of(element.site, element.name.as_ref())),
        None => "an element around it".into(),
    }
}

fn article(class: Class) -> String {
    let term = class.term();
    let article = if matches!(term.as_bytes()[0], b'A' | b'E' | b'I' | b'O') { "an" } else { "a" };
    format!("{article} {term}")
}
