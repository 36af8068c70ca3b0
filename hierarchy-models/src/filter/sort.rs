//! The order of a search: `id`, `-created_at`, `metadata.floor`.

use crate::{
    expression::{Cursor, SyntaxError},
    id::Name,
};

use super::{Field, parse};

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sort {
    pub by: SortBy,
    /// The greatest first. Twins that do not have the value come last all the same.
    pub descending: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub enum SortBy {
    #[default]
    Id,
    CreatedAt,
    /// False and true, then numbers, then texts.
    Metadata(Vec<Name>),
}

impl Sort {
    /// Reads an order.
    ///
    /// # Errors
    /// The column at fault, and what should stand there.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text)?;
        let descending = cursor.accept("-");
        let by = match parse::field(&mut cursor, "id, created_at or metadata.NAME")? {
            parse::Named::CreatedAt => SortBy::CreatedAt,
            parse::Named::Field(Field::Id) => SortBy::Id,
            parse::Named::Field(Field::Metadata(names)) => SortBy::Metadata(names),
            _ => return Err(SyntaxError { column: 1, reason: "twins are sorted by id, created_at or metadata.NAME".into() }),
        };
        cursor.expect_end()?;
        Ok(Self { by, descending })
    }
}
