//! The versions of the language and the limits that each of them sets.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V2,
    V3,
    V4,
}

/// Sizes are in characters (Unicode scalar values), counts in values, depths in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub name_chars_max: usize,
    pub display_name_chars_max: usize,
    pub description_chars_max: usize,
    pub comment_chars_max: usize,
    /// An identifier of any element.
    pub id_chars_max: usize,
    pub interface_id_chars_max: usize,
    /// `extends` members on the way from an Interface to its furthest base.
    pub extends_depth_max: usize,
    /// Interfaces that one Interface names in its own `extends`.
    pub extends_direct_max: usize,
    /// Values of all `extends` members above an Interface.
    pub extends_total_max: usize,
    /// Contents of an Interface, inherited ones included.
    pub contents_max: usize,
    /// Elements under the contents of an Interface, those of components and bases included.
    pub elements_max: usize,
    /// `schema` and `elementSchema` members on a way down from a complex schema.
    pub schema_depth_max: usize,
    pub fields_max: usize,
    pub enum_values_max: usize,
    /// Properties of a Relationship.
    pub relationship_properties_max: usize,
    pub multiplicity_max: i64,
    /// The text of one Interface, white space and the Interfaces defined inside it not counted.
    pub interface_bytes_max: usize,
}

const V2: Limits = Limits {
    name_chars_max: 64,
    display_name_chars_max: 64,
    description_chars_max: 512,
    comment_chars_max: 512,
    id_chars_max: 2048,
    interface_id_chars_max: 128,
    extends_depth_max: 10,
    extends_direct_max: 2,
    extends_total_max: 1024,
    contents_max: 300,
    elements_max: 100_000,
    schema_depth_max: 5,
    fields_max: 30,
    enum_values_max: 100,
    relationship_properties_max: 300,
    multiplicity_max: 500,
    interface_bytes_max: 1 << 20,
};

const V3: Limits = Limits {
    name_chars_max: 512,
    display_name_chars_max: 512,
    extends_direct_max: 1024,
    contents_max: 100_000,
    fields_max: 100_000,
    enum_values_max: 100_000,
    relationship_properties_max: 100_000,
    multiplicity_max: i32::MAX as i64,
    ..V2
};

const V4: Limits = Limits { extends_depth_max: 12, schema_depth_max: 8, ..V3 };

impl Limits {
    /// With the limit extension `dtmi:dtdl:limits:onvif;1`.
    pub const fn onvif(self) -> Self {
        Self { schema_depth_max: 24, description_chars_max: 4096, ..self }
    }
}

impl Version {
    pub const fn limits(self) -> Limits {
        match self {
            Self::V2 => V2,
            Self::V3 => V3,
            Self::V4 => V4,
        }
    }

    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }

    pub fn of_number(text: &str) -> Option<Self> {
        match text {
            "2" => Some(Self::V2),
            "3" => Some(Self::V3),
            "4" => Some(Self::V4),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DTDL v{}", self.number())
    }
}
