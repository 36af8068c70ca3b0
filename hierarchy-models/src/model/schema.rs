//! Schemas as values are held against them: one list for a set of models, in which schemas point at each other, so that
//! one that names itself ends where the value ends.

use std::collections::HashMap;

use smol_str::format_smolstr;

use super::{Misfit, Standard, text};
use crate::{
    dtdl::{Child, Class, Constant, Index, Member, Ontology},
    id::Name,
    value::{Map, Value},
};

/// A schema's place in [`Schemas`].
pub type SchemaId = u32;

#[derive(Debug, Clone, PartialEq)]
enum Schema {
    Standard(Standard),
    Array(SchemaId),
    Map(SchemaId),
    Enum(Vec<Constant>),
    /// By name, and whether it must be there.
    Object(Vec<(Name, SchemaId, bool)>),
}

/// Whether a value is whole, or a merge patch of one, in which `null` removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Whole,
    Patch,
}

#[derive(Debug, Default)]
pub struct Schemas {
    list: Vec<Schema>,
    of: HashMap<Index, SchemaId>,
    standard: HashMap<Standard, SchemaId>,
}

impl Schemas {
    /// All schemas of a set of models.
    pub fn of(ontology: &Ontology) -> Self {
        let mut schemas = Self::default();
        let elements = &ontology.elements;
        // Places first, for a schema may name one that comes later.
        for index in elements.indices().filter(|i| elements.at(*i).class.is_complex_schema()) {
            let id = schemas.add(Schema::Enum(Vec::new()));
            schemas.of.insert(index, id);
        }
        let all: Vec<(Index, SchemaId)> = schemas.of.iter().map(|(index, id)| (*index, *id)).collect();
        for (index, id) in all {
            schemas.list[id as usize] = schemas.compiled(ontology, index);
        }
        // Those that only members name.
        for index in elements.indices() {
            for (_, child) in &elements.at(index).children {
                if let Child::Standard(standard) = child {
                    schemas.standard(*standard);
                }
            }
        }
        schemas
    }

    fn add(&mut self, schema: Schema) -> SchemaId {
        self.list.push(schema);
        self.list.len() as SchemaId - 1
    }

    fn standard(&mut self, standard: Standard) -> SchemaId {
        if let Some(id) = self.standard.get(&standard) {
            return *id;
        }
        let id = self.add(Schema::Standard(standard));
        self.standard.insert(standard, id);
        id
    }

    fn compiled(&mut self, ontology: &Ontology, index: Index) -> Schema {
        let elements = &ontology.elements;
        match elements.at(index).class {
            Class::Array => Schema::Array(self.placed(ontology, index, Member::ElementSchema)),
            Class::Map => {
                let value = elements.in_member(index, Member::MapValue).next().unwrap_or(index);
                Schema::Map(self.placed(ontology, value, Member::Schema))
            }
            Class::Object => {
                let fields: Vec<Index> = elements.in_member(index, Member::Fields).collect();
                let field = |schemas: &mut Self, field: Index| {
                    let element = elements.at(field);
                    let is_required = element.adjuncts.contains(&"Required");
                    (element.name.clone().unwrap_or_default(), schemas.placed(ontology, field, Member::Schema), is_required)
                };
                Schema::Object(fields.into_iter().map(|f| field(self, f)).collect())
            }
            _ => Schema::Enum(elements.in_member(index, Member::EnumValues).filter_map(|v| elements.at(v).constant.clone()).collect()),
        }
    }

    fn placed(&mut self, ontology: &Ontology, index: Index, member: Member) -> SchemaId {
        match child(ontology, index, member) {
            Some(Child::Element(schema)) => self.of.get(schema).copied().unwrap_or_default(),
            Some(Child::Standard(standard)) => self.standard(*standard),
            _ => self.standard(Standard::String),
        }
    }

    /// The schema in a member of an element.
    pub fn in_member(&self, ontology: &Ontology, index: Index, member: Member) -> SchemaId {
        match child(ontology, index, member) {
            Some(Child::Element(schema)) => self.of.get(schema).copied().unwrap_or_default(),
            Some(Child::Standard(standard)) => self.standard.get(standard).copied().unwrap_or_default(),
            _ => 0,
        }
    }

    /// Holds a value against a schema. As deep as the value is.
    ///
    /// # Errors
    /// The first part of the value that does not fit; its pointer is relative to the value.
    pub fn check(&self, schema: SchemaId, value: &Value, mode: Mode) -> Result<(), Misfit> {
        let Some(schema) = self.list.get(schema as usize) else { return Ok(()) };
        match (schema, value) {
            (Schema::Standard(standard), value) => of_standard(*standard, value).map_or(Ok(()), Err),
            (Schema::Array(of), Value::List(list)) => {
                let mut each = list.iter().enumerate();
                each.try_for_each(|(n, v)| self.check(*of, v, Mode::Whole).map_err(|m| m.within(&format_smolstr!("{n}"))))
            }
            (Schema::Map(of), Value::Map(map)) => map.iter().try_for_each(|(name, v)| match v {
                Value::Null if mode == Mode::Patch => Ok(()),
                v => self.check(*of, v, mode).map_err(|m| m.within(name)),
            }),
            (Schema::Object(fields), Value::Map(map)) => self.check_object(fields, map, mode),
            (Schema::Enum(constants), value) if constants.iter().any(|c| is_constant(c, value)) => Ok(()),
            (Schema::Enum(constants), _) => Err(Misfit::here(format!("must be one of {}", shown(constants)))),
            (Schema::Array(_), _) => Err(Misfit::here("must be an array")),
            (Schema::Map(_) | Schema::Object(_), _) => Err(Misfit::here("must be an object")),
        }
    }

    fn check_object(&self, fields: &[(Name, SchemaId, bool)], map: &Map, mode: Mode) -> Result<(), Misfit> {
        for (name, value) in map {
            let Some((_, schema, is_required)) = fields.iter().find(|(field, ..)| field == name) else {
                return Err(Misfit::here("the schema has no field of this name").within(name));
            };
            match value {
                Value::Null if mode == Mode::Patch && !is_required => {}
                value => self.check(*schema, value, mode).map_err(|m| m.within(name))?,
            }
        }
        match fields.iter().find(|(name, _, is_required)| *is_required && mode == Mode::Whole && !map.contains_key(name)) {
            Some((name, ..)) => Err(Misfit::here("is missing").within(name)),
            None => Ok(()),
        }
    }
}

fn child(ontology: &Ontology, index: Index, member: Member) -> Option<&Child> {
    ontology.elements.at(index).children.iter().find(|(m, _)| *m == member).map(|(_, child)| child)
}

fn is_constant(constant: &Constant, value: &Value) -> bool {
    match (constant, value) {
        (Constant::Integer(i), Value::Int(v)) => i == v,
        (Constant::Integer(i), Value::Float(v)) => *i as f64 == *v,
        (Constant::Text(text), Value::Text(v)) => text == v,
        _ => false,
    }
}

/// At most this many values of an Enum are named in a refusal.
const SHOWN_MAX: usize = 8;

fn shown(constants: &[Constant]) -> String {
    let one = |c: &Constant| match c {
        Constant::Integer(i) => i.to_string(),
        Constant::Text(text) => format!("{text:?}"),
    };
    let more = if constants.len() > SHOWN_MAX { ", …" } else { "" };
    constants.iter().take(SHOWN_MAX).map(one).collect::<Vec<_>>().join(", ") + more
}

fn of_standard(standard: Standard, value: &Value) -> Option<Misfit> {
    use Standard::*;
    let refuse = |wanted: &str| Some(Misfit::here(format!("must be {wanted}")));
    match standard {
        Boolean => (!matches!(value, Value::Bool(_))).then(|| Misfit::here("must be true or false")),
        Double => (value.as_f64().is_none()).then(|| Misfit::here("must be a number")),
        Float => match value.as_f64() {
            Some(v) if v.abs() <= f64::from(f32::MAX) => None,
            Some(_) => refuse("a number that fits four bytes"),
            None => refuse("a number"),
        },
        Byte => whole(value, i64::from(i8::MIN), i64::from(i8::MAX)),
        Short => whole(value, i64::from(i16::MIN), i64::from(i16::MAX)),
        Integer => whole(value, i64::from(i32::MIN), i64::from(i32::MAX)),
        Long => whole(value, i64::MIN, i64::MAX),
        UnsignedByte => whole(value, 0, i64::from(u8::MAX)),
        UnsignedShort => whole(value, 0, i64::from(u16::MAX)),
        UnsignedInteger => whole(value, 0, i64::from(u32::MAX)),
        UnsignedLong => match value {
            Value::Float(v) if *v >= 0.0 && *v < 18_446_744_073_709_551_616.0 && v.fract() == 0.0 => None,
            value => whole(value, 0, i64::MAX),
        },
        String | Date | DateTime | Time | Duration | Decimal | Uuid | Bytes => match value {
            Value::Text(t) => text::misfit(standard, t).and_then(refuse),
            _ => refuse("a string"),
        },
        Point | LineString | Polygon | MultiPoint | MultiLineString | MultiPolygon => geometry(standard, value),
        ScaledDecimal => {
            let fits = value.get("scale").is_some_and(|s| whole(s, i64::from(i16::MIN), i64::from(i16::MAX)).is_none())
                && value.get("value").is_some_and(|v| of_standard(Decimal, v).is_none());
            if fits { None } else { refuse("an object with a whole number `scale` and a decimal text `value`") }
        }
    }
}

/// Numbers without a fraction are whole, however they were encoded.
fn whole(value: &Value, least: i64, most: i64) -> Option<Misfit> {
    let number = match value {
        Value::Int(i) => Some(*i),
        // Beyond 2^53 a float is not exact, so it cannot say which whole number is meant.
        Value::Float(f) if f.fract() == 0.0 && f.abs() <= 9_007_199_254_740_992.0 => Some(*f as i64),
        _ => None,
    };
    match number {
        None => Some(Misfit::here("must be a whole number")),
        Some(n) if (least..=most).contains(&n) => None,
        Some(_) => Some(Misfit::here(format!("must be from {least} to {most}"))),
    }
}

/// A GeoJSON geometry of one type: its name, and coordinates nested as that type has them.
fn geometry(standard: Standard, value: &Value) -> Option<Misfit> {
    let (name, nesting) = match standard {
        Standard::Point => ("Point", 0),
        Standard::LineString => ("LineString", 1),
        Standard::MultiPoint => ("MultiPoint", 1),
        Standard::Polygon => ("Polygon", 2),
        Standard::MultiLineString => ("MultiLineString", 2),
        _ => ("MultiPolygon", 3),
    };
    if value.get("type").and_then(Value::as_str) != Some(name) {
        return Some(Misfit::here(format!("must be a GeoJSON {name}")).within("type"));
    }
    let fits = value.get("coordinates").is_some_and(|c| are_coordinates(c, nesting));
    (!fits).then(|| Misfit::here(format!("must be the coordinates of a {name}")).within("coordinates"))
}

fn are_coordinates(value: &Value, nesting: usize) -> bool {
    let Value::List(list) = value else { return false };
    match nesting {
        0 => list.len() >= 2 && list.iter().all(|v| v.as_f64().is_some()),
        _ => list.iter().all(|v| are_coordinates(v, nesting - 1)),
    }
}
