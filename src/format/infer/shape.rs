//! What was seen at one place of the samples.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::super::json::temporal::{self, LastDate};

/// How many values of which kind were seen at one place, and the places within it.
#[derive(Default)]
pub(super) struct Shape {
    pub(super) nulls: usize,
    pub(super) booleans: usize,
    /// Whole numbers that a `long` holds.
    pub(super) longs: usize,
    /// Whole numbers from 2^63 on, below 2^64.
    pub(super) huge: usize,
    /// All other numbers.
    pub(super) doubles: usize,
    pub(super) strings: Strings,
    pub(super) objects: usize,
    pub(super) arrays: usize,
    /// The objects' fields in the order in which they were first seen.
    pub(super) fields: Vec<(String, Shape)>,
    places: HashMap<String, usize>,
    /// The arrays' elements.
    pub(super) element: Option<Box<Shape>>,
}

/// How many strings were seen, and how many of them could be something more precise.
#[derive(Clone, Copy, Default)]
pub(super) struct Strings {
    pub(super) all: usize,
    pub(super) timestamptz: usize,
    pub(super) timestamp: usize,
    pub(super) date: usize,
    pub(super) uuid: usize,
    /// `NaN` and the infinities.
    pub(super) not_finite: usize,
}

impl Shape {
    /// Adds what another one has seen.
    pub(super) fn merge(&mut self, other: Shape) {
        self.nulls += other.nulls;
        self.booleans += other.booleans;
        self.longs += other.longs;
        self.huge += other.huge;
        self.doubles += other.doubles;
        self.objects += other.objects;
        self.arrays += other.arrays;
        self.strings.all += other.strings.all;
        self.strings.timestamptz += other.strings.timestamptz;
        self.strings.timestamp += other.strings.timestamp;
        self.strings.date += other.strings.date;
        self.strings.uuid += other.strings.uuid;
        self.strings.not_finite += other.strings.not_finite;
        for (name, shape) in other.fields {
            self.field(name).merge(shape);
        }
        if let Some(element) = other.element {
            self.element.get_or_insert_default().merge(*element);
        }
    }

    fn field(&mut self, name: String) -> &mut Shape {
        let next = self.fields.len();
        let at = *self.places.entry(name.clone()).or_insert(next);
        if at == next {
            self.fields.push((name, Shape::default()));
        }
        &mut self.fields[at].1
    }

    fn string(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut last = LastDate::default();
        let seen = &mut self.strings;
        seen.all += 1;
        if temporal::timestamp(bytes, true, false, &mut last).is_ok() {
            seen.timestamptz += 1;
        } else if temporal::timestamp(bytes, false, false, &mut last).is_ok() {
            seen.timestamp += 1;
        } else if temporal::date(bytes, &mut last).is_ok() {
            seen.date += 1;
        } else if bytes.len() == 36 && uuid::Uuid::try_parse_ascii(bytes).is_ok() {
            seen.uuid += 1;
        } else if matches!(text, "NaN" | "Infinity" | "-Infinity") {
            seen.not_finite += 1;
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.nulls += 1;
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.booleans += 1;
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.longs += 1;
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        if i64::try_from(value).is_ok() {
            self.longs += 1;
        } else {
            self.huge += 1;
        }
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.doubles += 1;
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.string(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.arrays += 1;
        let element = self.element.get_or_insert_default();
        while elements.next_element_seed(&mut **element)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        self.objects += 1;
        while let Some(name) = fields.next_key::<String>()? {
            fields.next_value_seed(self.field(name))?;
        }
        Ok(())
    }
}
