//! Tokens to fields: recursive descent, one function a rule of the grammar.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, StructType, Type,
};

use super::super::builder::NESTING_MAX;
use super::lexer::{Kind, Token, error_at, tokens};
use crate::error::{Error, Result};

/// All names of types that stand alone, with what they mean.
const SIMPLE_TYPES: [(&str, PrimitiveType); 22] = [
    ("boolean", PrimitiveType::Boolean),
    ("bool", PrimitiveType::Boolean),
    ("int", PrimitiveType::Int),
    ("integer", PrimitiveType::Int),
    ("long", PrimitiveType::Long),
    ("bigint", PrimitiveType::Long),
    ("float", PrimitiveType::Float),
    ("real", PrimitiveType::Float),
    ("double", PrimitiveType::Double),
    ("date", PrimitiveType::Date),
    ("time", PrimitiveType::Time),
    ("timestamp", PrimitiveType::Timestamp),
    ("timestamp_ntz", PrimitiveType::Timestamp),
    ("timestamptz", PrimitiveType::Timestamptz),
    ("timestamp_ltz", PrimitiveType::Timestamptz),
    ("string", PrimitiveType::String),
    ("text", PrimitiveType::String),
    ("varchar", PrimitiveType::String),
    ("uuid", PrimitiveType::Uuid),
    ("binary", PrimitiveType::Binary),
    ("bytes", PrimitiveType::Binary),
    ("varbinary", PrimitiveType::Binary),
];

/// Names of types that go on with `(` or `<`.
const COMPOUND_TYPES: [&str; 7] = [
    "decimal", "numeric", "fixed", "list", "array", "map", "struct",
];

const TYPES_ADVICE: &str = "types are boolean, int, long, float, double, decimal(p, s), date, time, timestamp, timestamptz, \
     string, uuid, fixed(n), binary, list<…>, map<…, …> and struct<name: …, …>";

/// A field without its id.
struct Declared {
    name: String,
    required: bool,
    of: Shape,
    doc: Option<String>,
}

/// A type without ids.
enum Shape {
    Primitive(PrimitiveType),
    List(Box<Shape>, bool),
    Map(Box<Shape>, Box<Shape>, bool),
    Struct(Vec<Declared>),
}

/// The fields that `text` declares, with fresh ids.
pub(super) fn parse(text: &str) -> Result<Vec<NestedFieldRef>> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let columns = parser.columns(&Kind::End, 0)?;
    let mut next_id = 1;
    Ok(numbered(columns, &mut next_id))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        // The last token is `End`, and nothing moves beyond it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn expected(&self, what: &str) -> Error {
        let token = self.peek();
        error_at(
            token.place,
            format_args!("expected {what}, found {}", token.kind),
        )
    }

    fn eat_symbol(&mut self, symbol: char) -> bool {
        let found = self.peek().kind == Kind::Symbol(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn symbol(&mut self, symbol: char) -> Result<()> {
        if self.eat_symbol(symbol) {
            return Ok(());
        }
        Err(self.expected(&format!("`{symbol}`")))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found =
            matches!(&self.peek().kind, Kind::Word(found) if found.eq_ignore_ascii_case(word));
        if found {
            self.at += 1;
        }
        found
    }

    /// Columns up to `end`, which is moved over.
    fn columns(&mut self, end: &Kind, depth: usize) -> Result<Vec<Declared>> {
        let mut columns = Vec::<Declared>::new();
        let mut places = BTreeMap::<String, usize>::new();
        loop {
            let place = self.peek().place;
            let column = self.column(depth)?;
            if let Some(earlier) = places.insert(column.name.to_lowercase(), place) {
                return Err(error_at(
                    place,
                    format_args!(
                        "the name {:?} was declared at character {earlier} already (upper and lower case are the same to many readers)",
                        column.name
                    ),
                ));
            }
            columns.push(column);
            let comma = self.eat_symbol(',');
            if self.peek().kind == *end {
                self.at += 1;
                return Ok(columns);
            }
            if !comma {
                return Err(self.expected(match end {
                    Kind::End => "`,`, `not null` or `comment`",
                    _ => "`,`, `>`, `not null` or `comment`",
                }));
            }
        }
    }

    fn column(&mut self, depth: usize) -> Result<Declared> {
        let name = match self.peek().kind.clone() {
            Kind::Word(name) | Kind::Name(name) if !name.is_empty() => name,
            _ => return Err(self.expected("the name of a column")),
        };
        self.at += 1;
        self.eat_symbol(':');
        let of = self.shape(depth)?;
        let required = self.required()?;
        let doc = if self.eat_word("comment") {
            match self.next() {
                Token {
                    kind: Kind::Text(text),
                    ..
                } => Some(text),
                other => {
                    return Err(error_at(
                        other.place,
                        format_args!("expected a text in single quotes, found {}", other.kind),
                    ));
                }
            }
        } else {
            None
        };
        Ok(Declared {
            name,
            required,
            of,
            doc,
        })
    }

    /// `not null`, `null` or nothing.
    fn required(&mut self) -> Result<bool> {
        if self.eat_word("not") {
            if self.eat_word("null") {
                return Ok(true);
            }
            return Err(self.expected("`null` after `not`"));
        }
        self.eat_word("null");
        Ok(false)
    }

    fn shape(&mut self, depth: usize) -> Result<Shape> {
        if depth >= NESTING_MAX {
            return Err(error_at(
                self.peek().place,
                format_args!("types nest more than {NESTING_MAX} levels deep"),
            ));
        }
        let token = self.peek().clone();
        let Kind::Word(word) = &token.kind else {
            return Err(self.expected("a type").advice(TYPES_ADVICE));
        };
        self.at += 1;
        let name = word.to_ascii_lowercase();
        if let Some((_, simple)) = SIMPLE_TYPES.iter().find(|(known, _)| *known == name) {
            if self.peek().kind == Kind::Symbol('(') {
                return Err(self
                    .expected(&format!("nothing after the type `{name}`"))
                    .advice("in Iceberg it has no length"));
            }
            return Ok(Shape::Primitive(simple.clone()));
        }
        match name.as_str() {
            "decimal" | "numeric" => self.decimal(),
            "fixed" => {
                self.symbol('(')?;
                let length = self.number("a length in bytes", 1, i32::MAX as u32)?;
                self.symbol(')')?;
                Ok(Shape::Primitive(PrimitiveType::Fixed(u64::from(length))))
            }
            "list" | "array" => {
                self.symbol('<')?;
                let element = self.shape(depth + 1)?;
                let required = self.required()?;
                self.symbol('>')?;
                Ok(Shape::List(Box::new(element), required))
            }
            "map" => {
                self.symbol('<')?;
                let place = self.peek().place;
                let key = self.shape(depth + 1)?;
                if !matches!(key, Shape::Primitive(_)) {
                    return Err(error_at(place, "a map's keys must be of a primitive type"));
                }
                // A key is never null, whether this is said or not.
                self.required()?;
                self.symbol(',')?;
                let value = self.shape(depth + 1)?;
                let required = self.required()?;
                self.symbol('>')?;
                Ok(Shape::Map(Box::new(key), Box::new(value), required))
            }
            "struct" => {
                self.symbol('<')?;
                Ok(Shape::Struct(self.columns(&Kind::Symbol('>'), depth + 1)?))
            }
            "timestamp_ns" | "timestamptz_ns" => Err(error_at(
                token.place,
                format_args!("the type `{name}` exists only from Iceberg's format version 3 on"),
            )
            .advice("declare a timestamp or timestamptz: they keep microseconds")),
            _ => Err(unknown_type(&token, &name)),
        }
    }

    fn decimal(&mut self) -> Result<Shape> {
        self.symbol('(')?;
        let precision = self.number("a precision", 1, 38)?;
        let scale = if self.eat_symbol(',') {
            self.number("a scale", 0, precision)?
        } else {
            0
        };
        self.symbol(')')?;
        Ok(Shape::Primitive(PrimitiveType::Decimal {
            precision,
            scale,
        }))
    }

    fn number(&mut self, what: &str, min: u32, max: u32) -> Result<u32> {
        let value = match &self.peek().kind {
            Kind::Word(word) => word
                .parse()
                .ok()
                .filter(|value| (min..=max).contains(value)),
            _ => None,
        };
        let value = value.ok_or_else(|| self.expected(&format!("{what} from {min} to {max}")))?;
        self.at += 1;
        Ok(value)
    }
}

fn unknown_type(token: &Token, name: &str) -> Error {
    let known = SIMPLE_TYPES
        .iter()
        .map(|(known, _)| *known)
        .chain(COMPOUND_TYPES);
    let nearest = known
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let error = error_at(
        token.place,
        format_args!("expected a type, found {}", token.kind),
    );
    match nearest {
        Some((_, nearest)) => error.advice(format!("did you mean `{nearest}`? {TYPES_ADVICE}")),
        None => error.advice(TYPES_ADVICE),
    }
}

/// Gives ids to the fields of one level, then to what is nested in each of them.
fn numbered(declared: Vec<Declared>, next_id: &mut i32) -> Vec<NestedFieldRef> {
    let first = take_ids(next_id, declared.len());
    (first..)
        .zip(declared)
        .map(|(id, declared)| {
            let field_type = typed(declared.of, next_id);
            let mut field = NestedField::new(id, declared.name, field_type, declared.required);
            field.doc = declared.doc;
            Arc::new(field)
        })
        .collect()
}

fn typed(of: Shape, next_id: &mut i32) -> Type {
    match of {
        Shape::Primitive(primitive) => Type::Primitive(primitive),
        Shape::List(element, required) => {
            let id = take_ids(next_id, 1);
            let element = NestedField::list_element(id, typed(*element, next_id), required);
            Type::List(ListType::new(Arc::new(element)))
        }
        Shape::Map(key, value, required) => {
            let id = take_ids(next_id, 2);
            let key = NestedField::map_key_element(id, typed(*key, next_id));
            let value = NestedField::map_value_element(id + 1, typed(*value, next_id), required);
            Type::Map(MapType::new(Arc::new(key), Arc::new(value)))
        }
        Shape::Struct(declared) => Type::Struct(StructType::new(numbered(declared, next_id))),
    }
}

/// The first of `count` ids in a row.
fn take_ids(next_id: &mut i32, count: usize) -> i32 {
    let first = *next_id;
    *next_id += count as i32;
    first
}
