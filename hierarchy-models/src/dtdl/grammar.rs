//! The elements of the language: which members each has, what form they take, and which must be there.

use super::Version;

/// A table of names and the variants they stand for, both ways.
macro_rules! named {
    ($(#[$doc:meta])* $ty:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $ty { $($variant),* }

        impl $ty {
            pub const fn term(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
            pub fn of_term(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

named!(Class {
    Array = "Array", Command = "Command", CommandPayload = "CommandPayload", CommandRequest = "CommandRequest",
    CommandResponse = "CommandResponse", Component = "Component", Enum = "Enum", EnumValue = "EnumValue", Field = "Field",
    Interface = "Interface", Map = "Map", MapKey = "MapKey", MapValue = "MapValue", Object = "Object", Property = "Property",
    Relationship = "Relationship", Telemetry = "Telemetry",
});

named!(Member {
    CommandType = "commandType", Comment = "comment", Contents = "contents", Description = "description",
    DisplayName = "displayName", ElementSchema = "elementSchema", EnumValue = "enumValue", EnumValues = "enumValues",
    Extends = "extends", Fields = "fields", MapKey = "mapKey", MapValue = "mapValue", MaxMultiplicity = "maxMultiplicity",
    MinMultiplicity = "minMultiplicity", Name = "name", Nullable = "nullable", Properties = "properties", Request = "request",
    Response = "response", Schema = "schema", Schemas = "schemas", Target = "target", ValueSchema = "valueSchema",
    Writable = "writable",
});

named!(
    /// Schemas that come with the language.
    Standard {
        Boolean = "boolean", Byte = "byte", Bytes = "bytes", Date = "date", DateTime = "dateTime", Decimal = "decimal",
        Double = "double", Duration = "duration", Float = "float", Integer = "integer", Long = "long", Short = "short",
        String = "string", Time = "time", UnsignedByte = "unsignedByte", UnsignedInteger = "unsignedInteger",
        UnsignedLong = "unsignedLong", UnsignedShort = "unsignedShort", Uuid = "uuid", LineString = "lineString",
        MultiLineString = "multiLineString", MultiPoint = "multiPoint", MultiPolygon = "multiPolygon", Point = "point",
        Polygon = "polygon", ScaledDecimal = "scaledDecimal",
    }
);

/// What a member's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text {
        chars_max: usize,
    },
    Localized {
        chars_max: usize,
    },
    Name,
    Bool,
    Integer {
        least: i64,
        most: i64,
    },
    Dtmi,
    CommandType,
    /// A standard schema, one of these.
    Value(&'static [Standard]),
    EnumValue,
    Elements(Elements),
}

/// A member that holds elements, or references to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elements {
    pub classes: &'static [Class],
    pub least: usize,
    pub most: usize,
    /// Whether a standard schema may stand there too.
    pub standard: bool,
    /// Whether the element may be written in an earlier version of the language.
    pub may_be_older: bool,
}

const COMPLEX: &[Class] = &[Class::Array, Class::Enum, Class::Map, Class::Object];
const CONTENTS: &[Class] = &[Class::Command, Class::Component, Class::Property, Class::Relationship, Class::Telemetry];

const fn elements(classes: &'static [Class], least: usize, most: usize) -> Form {
    Form::Elements(Elements { classes, least, most, standard: false, may_be_older: false })
}

const SCHEMA: Form = Form::Elements(Elements { classes: COMPLEX, least: 1, most: 1, standard: true, may_be_older: true });

impl Class {
    /// Whether `@type` may be left out where an element of this class stands.
    pub fn is_understood(self) -> bool {
        use Class::*;
        matches!(self, CommandPayload | CommandRequest | CommandResponse | EnumValue | Field | MapKey | MapValue)
    }

    pub fn is_complex_schema(self) -> bool {
        COMPLEX.contains(&self)
    }

    /// The form of a member, if elements of this class have it.
    pub fn form(self, member: Member, version: Version) -> Option<Form> {
        use Class as C;
        use Member as M;
        let limits = version.limits();
        let v2 = version == Version::V2;
        Some(match (self, member) {
            (_, M::Comment) => Form::Text { chars_max: limits.comment_chars_max },
            (_, M::Description) => Form::Localized { chars_max: limits.description_chars_max },
            (_, M::DisplayName) => Form::Localized { chars_max: limits.display_name_chars_max },
            (C::Array | C::Enum | C::Interface | C::Map | C::Object, M::Name) => return None,
            (_, M::Name) => Form::Name,

            (C::Interface, M::Contents) => elements(CONTENTS, 0, usize::MAX),
            (C::Interface, M::Extends) => {
                Form::Elements(Elements { classes: &[C::Interface], least: 0, most: usize::MAX, standard: false, may_be_older: true })
            }
            (C::Interface, M::Schemas) => elements(COMPLEX, 0, usize::MAX),

            (C::Property | C::Telemetry | C::Field | C::MapValue, M::Schema) => SCHEMA,
            (C::CommandPayload | C::CommandRequest | C::CommandResponse, M::Schema) => SCHEMA,
            (C::CommandRequest | C::CommandResponse, M::Nullable) if version >= Version::V4 => Form::Bool,
            (C::Component, M::Schema) => {
                Form::Elements(Elements { classes: &[C::Interface], least: 1, most: 1, standard: false, may_be_older: true })
            }
            (C::Property | C::Relationship, M::Writable) => Form::Bool,

            (C::Command, M::CommandType) if version < Version::V4 => Form::CommandType,
            (C::Command, M::Request) => elements(if v2 { &[C::CommandPayload] } else { &[C::CommandRequest] }, 0, 1),
            (C::Command, M::Response) => elements(if v2 { &[C::CommandPayload] } else { &[C::CommandResponse] }, 0, 1),

            (C::Relationship, M::MaxMultiplicity) => Form::Integer { least: 1, most: limits.multiplicity_max },
            (C::Relationship, M::MinMultiplicity) => Form::Integer { least: 0, most: 0 },
            (C::Relationship, M::Properties) => elements(&[C::Property], 0, limits.relationship_properties_max),
            (C::Relationship, M::Target) => Form::Dtmi,

            (C::Array, M::ElementSchema) => SCHEMA,
            (C::Enum, M::EnumValues) => elements(&[C::EnumValue], usize::from(v2), limits.enum_values_max),
            (C::Enum, M::ValueSchema) => Form::Value(&[Standard::Integer, Standard::String]),
            (C::EnumValue, M::EnumValue) => Form::EnumValue,
            (C::Map, M::MapKey) => elements(&[C::MapKey], 1, 1),
            (C::Map, M::MapValue) => elements(&[C::MapValue], 1, 1),
            (C::MapKey, M::Schema) => Form::Value(&[Standard::String]),
            (C::Object, M::Fields) => elements(&[C::Field], usize::from(v2), limits.fields_max),
            _ => return None,
        })
    }

    /// The members that must be there.
    pub fn required(self, version: Version) -> &'static [Member] {
        use Class as C;
        use Member as M;
        match self {
            C::Interface => &[],
            C::Command | C::Relationship => &[M::Name],
            C::Component | C::Property | C::Telemetry | C::Field | C::MapKey | C::MapValue => &[M::Name, M::Schema],
            C::CommandPayload | C::CommandRequest | C::CommandResponse => &[M::Name, M::Schema],
            C::EnumValue => &[M::Name, M::EnumValue],
            C::Array => &[M::ElementSchema],
            C::Map => &[M::MapKey, M::MapValue],
            C::Enum if version == Version::V2 => &[M::ValueSchema, M::EnumValues],
            C::Enum => &[M::ValueSchema],
            C::Object if version == Version::V2 => &[M::Fields],
            C::Object => &[],
        }
    }

    /// The class that one of the texts of `@type` names: a term, or the identifier that this version has for it.
    pub fn of_type(text: &str, version: Version) -> Option<Self> {
        Self::of_term(identified(text, "dtmi:dtdl:class:", version).unwrap_or(text))
    }
}

impl Member {
    /// Whether it holds one element at most, so that its own name is enough to find that.
    pub fn holds_one(self) -> bool {
        use Member::*;
        matches!(self, ElementSchema | MapKey | MapValue | Request | Response | Schema)
    }

    /// The member that a name means: a term, or the identifier that this version has for it.
    pub fn of_name(text: &str, version: Version) -> Option<Self> {
        Self::of_term(identified(text, "dtmi:dtdl:property:", version).unwrap_or(text))
    }
}

impl Standard {
    /// The standard schema that a text means in this version.
    pub fn of_text(text: &str, version: Version) -> Option<Self> {
        let by_id = identified(text, "dtmi:dtdl:instance:Schema:", version);
        let by_place = identified(text, "dtmi:standard:schema:geospatial:", version);
        let known = Self::of_term(by_id.or(by_place).unwrap_or(text))?;
        let fits = match by_place {
            Some(_) => known.is_geospatial(),
            None => by_id.is_none() || !known.is_geospatial(),
        };
        (fits && version >= known.since()).then_some(known)
    }

    fn since(self) -> Version {
        use Standard::*;
        match self {
            Byte | Bytes | Decimal | Short | UnsignedByte | UnsignedInteger | UnsignedLong | UnsignedShort | Uuid | ScaledDecimal => {
                Version::V4
            }
            _ => Version::V2,
        }
    }

    pub fn is_geospatial(self) -> bool {
        use Standard::*;
        matches!(self, LineString | MultiLineString | MultiPoint | MultiPolygon | Point | Polygon)
    }

    pub fn is_numeric(self) -> bool {
        use Standard::*;
        matches!(
            self,
            Byte | Decimal | Double | Float | Integer | Long | Short | UnsignedByte | UnsignedInteger | UnsignedLong | UnsignedShort
        )
    }
}

/// The term in an identifier of the language itself, such as `dtmi:dtdl:class:Array;3`, of this very version.
fn identified<'a>(text: &'a str, prefix: &str, version: Version) -> Option<&'a str> {
    let (term, number) = text.strip_prefix(prefix)?.split_once(';')?;
    (Version::of_number(number) == Some(version)).then_some(term)
}

/// Whether a text means something in the language itself, so that no extension can give it another meaning.
pub fn is_of_the_language(text: &str) -> bool {
    const REST: &[&str] = &[
        "AdjunctType",
        "Alias",
        "aliasFor",
        "asynchronous",
        "Boolean",
        "CommandType",
        "ComplexSchema",
        "Content",
        "Date",
        "DateTime",
        "Double",
        "DtdlExtension",
        "Duration",
        "Entity",
        "exponent",
        "Float",
        "Integer",
        "languageMajorVersion",
        "LatentType",
        "Long",
        "metamodel",
        "model",
        "NamedEntity",
        "NamedLatentType",
        "NumericSchema",
        "PrimitiveSchema",
        "Schema",
        "SchemaField",
        "SemanticType",
        "SemanticUnit",
        "String",
        "symbol",
        "synchronous",
        "TemporalSchema",
        "Time",
        "Unit",
        "UnitAttribute",
    ];
    Class::of_term(text).is_some() || Member::of_term(text).is_some() || Standard::of_term(text).is_some() || REST.contains(&text)
}
