//! JSON as `serde_json` writes it, byte for byte, in about half its time for documents of many small members.
//!
//! The name of a struct's field is an identifier and needs no look at each byte, a string is looked at eight bytes at a time, and
//! a number that comes again at once is not worked out again. A `RawValue` is not known here: it is a secret between `serde_json` and itself.

use serde::{Serialize, ser};
use serde_json::{
    Error,
    ser::{CompactFormatter, Formatter},
};

use super::text::Text;

/// Writes a document.
pub struct Writer<'a>(pub &'a mut Text);

impl Writer<'_> {
    fn put(self, piece: &'static [u8]) -> Result<(), Error> {
        self.0.put(piece);
        Ok(())
    }
}

/// A list or an object that is being written. Its first bracket is written with its first part, in the place of a comma.
pub struct Parts<'a> {
    text: &'a mut Text,
    next: u8,
    end: &'static [u8],
}

impl<'a> Parts<'a> {
    fn items(text: &'a mut Text, end: &'static [u8]) -> Result<Self, Error> {
        Ok(Self { text, next: b'[', end })
    }

    fn members(text: &'a mut Text, end: &'static [u8]) -> Result<Self, Error> {
        Ok(Self { text, next: b'{', end })
    }

    /// Items or members of one variant: `{"variant":` stands before them.
    fn of_variant(text: &mut Text, variant: &'static str) -> Result<(), Error> {
        text.put(b"{");
        text.string(variant)?;
        text.put(b":");
        Ok(())
    }

    #[inline]
    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.text.put(&[self.next]);
        self.next = b',';
        value.serialize(Writer(self.text))
    }

    /// A member's name, of whatever type it is; a number becomes a text.
    #[inline]
    fn item_as_name(&mut self, key: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        let start = self.text.as_bytes().len() + 1;
        self.item(key)?;
        match self.text.as_bytes().get(start) {
            Some(b'"') => Ok(()),
            Some(b'-' | b'0'..=b'9' | b't' | b'f') => {
                self.text.quote_from(start);
                Ok(())
            }
            _ => Err(ser::Error::custom("a member's name must be a text")),
        }
    }

    #[inline(always)]
    fn field(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.text.put(&[self.next, b'"']);
        self.text.put(name.as_bytes());
        self.text.put(b"\":");
        self.next = b',';
        value.serialize(Writer(self.text))
    }

    fn finish(self) -> Result<(), Error> {
        if self.next != b',' {
            self.text.put(&[self.next]);
        }
        self.text.put(self.end);
        Ok(())
    }
}

macro_rules! parts {
    ($($kind:ident $method:ident($($name:ident: $type:ty)?) $to:ident;)*) => {$(
        impl ser::$kind for Parts<'_> {
            type Ok = ();
            type Error = Error;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, $($name: $type,)? value: &T) -> Result<(), Error> {
                self.$to($($name,)? value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

parts! {
    SerializeSeq serialize_element() item;
    SerializeTuple serialize_element() item;
    SerializeTupleStruct serialize_field() item;
    SerializeTupleVariant serialize_field() item;
    SerializeStruct serialize_field(name: &'static str) field;
    SerializeStructVariant serialize_field(name: &'static str) field;
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.item_as_name(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.text.put(b":");
        value.serialize(Writer(self.text))
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

macro_rules! numbers {
    ($($method:ident $write:ident $type:ty;)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Error> {
            CompactFormatter.$write(self.0, value).map_err(Error::io)
        }
    )*};
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    numbers! {
        serialize_bool write_bool bool;
        serialize_i8 write_i8 i8;
        serialize_i16 write_i16 i16;
        serialize_i32 write_i32 i32;
        serialize_i64 write_i64 i64;
        serialize_u8 write_u8 u8;
        serialize_u16 write_u16 u16;
        serialize_u32 write_u32 u32;
        serialize_u64 write_u64 u64;
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        if value.is_finite() { CompactFormatter.write_f32(self.0, value).map_err(Error::io) } else { self.put(b"null") }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.0.float(value)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.0.string(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.0.string(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.put(b"null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.put(b"null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.put(b"null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.0.string(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        Parts::of_variant(self.0, variant)?;
        value.serialize(Writer(self.0))?;
        self.put(b"}")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Parts::items(self.0, b"]")
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Error> {
        Parts::items(self.0, b"]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Parts::items(self.0, b"]")
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Parts::of_variant(self.0, variant)?;
        Parts::items(self.0, b"]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Parts::members(self.0, b"}")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Parts::members(self.0, b"}")
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Parts::of_variant(self.0, variant)?;
        Parts::members(self.0, b"}}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    enum Shape {
        Point,
        Circle(f64),
        Line(i8, u64),
        Box { width: f32, r#type: char },
    }

    #[derive(Serialize)]
    struct Pair(bool, ());

    #[derive(Serialize)]
    struct Inner {
        a: f64,
        b: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
    }

    #[derive(Serialize)]
    struct Whole {
        texts: Vec<&'static str>,
        floats: Vec<f64>,
        shapes: Vec<Shape>,
        #[serde(flatten)]
        inner: Inner,
        pair: Pair,
        nothing: Option<u8>,
        something: Option<u8>,
        by_number: BTreeMap<i32, &'static [u8]>,
        by_text: BTreeMap<&'static str, serde_json::Value>,
        empty: (Vec<u8>, BTreeMap<String, u8>),
    }

    fn written(document: &impl Serialize) -> String {
        let mut text = Text::with_capacity(0);
        document.serialize(Writer(&mut text)).unwrap();
        String::from_utf8(text.into_bytes()).unwrap()
    }

    #[test]
    fn a_document_is_written_as_serde_json_does() {
        let document = Whole {
            texts: vec!["", "plain", "Grüße, 世界 \u{7f}", "a \"quote\" \\ and\n\t\u{0}\u{1f}", "\u{2028}", "<&>"],
            floats: vec![0.0, -0.0, 0.0, 1.0, 1.0, 20.928571428571427, 1e16, 1e-7, f64::MIN_POSITIVE, f64::MIN, f64::NAN, f64::INFINITY],
            shapes: vec![Shape::Point, Shape::Circle(1.5), Shape::Line(-1, u64::MAX), Shape::Box { width: 0.1, r#type: '"' }],
            inner: Inner { a: 2.5, b: 2.5, left_out: None },
            pair: Pair(true, ()),
            nothing: None,
            something: Some(7),
            by_number: [(-1, &b"ab"[..]), (2, &[])].into(),
            by_text: [("k\n", serde_json::json!({"deep": [1, -2, 2.5, null, false, "x"]}))].into(),
            empty: (vec![], BTreeMap::new()),
        };
        assert_eq!(written(&document), serde_json::to_string(&document).unwrap());
    }

    #[test]
    fn the_longest_number_has_text() {
        for number in [f64::MIN_POSITIVE, -f64::MIN_POSITIVE, -2.2250738585072014e-308, f64::MAX, -1.7976931348623157e308, 5e-324] {
            assert_eq!(written(&number), serde_json::to_string(&number).unwrap());
        }
    }

    #[test]
    fn a_member_without_a_name_is_an_error() {
        let nameless = BTreeMap::from([(vec![1], 1)]);
        assert!(nameless.serialize(Writer(&mut Text::with_capacity(0))).is_err());
    }
}
