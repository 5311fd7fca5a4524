//! A declaration's text as tokens, each with its place.

use std::fmt;

use crate::error::{Error, Result};

/// A token and where it begins, counted in characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) place: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare name, keyword or number.
    Word(String),
    /// A name in double quotes or backticks.
    Name(String),
    /// A text in single quotes.
    Text(String),
    /// One of `, : < > ( )`.
    Symbol(char),
    End,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Word(word) => write!(f, "`{word}`"),
            Kind::Name(name) => write!(f, "the name {name:?}"),
            Kind::Text(text) => write!(f, "the text '{text}'"),
            Kind::Symbol(symbol) => write!(f, "`{symbol}`"),
            Kind::End => f.write_str("the end"),
        }
    }
}

/// An error about what stands at `place`.
pub(super) fn error_at(place: usize, message: impl fmt::Display) -> Error {
    Error::config(format!("declared columns, character {place}: {message}"))
}

/// All tokens of `text`, the last of which is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().enumerate().peekable();
    while let Some((index, c)) = chars.next() {
        let place = index + 1;
        let kind = match c {
            c if c.is_whitespace() => continue,
            ',' | ':' | '<' | '>' | '(' | ')' => Kind::Symbol(c),
            '"' | '`' | '\'' => {
                let mut inside = String::new();
                loop {
                    match chars.next() {
                        Some((_, end)) if end == c => match chars.next_if(|(_, next)| *next == c) {
                            Some(_) => inside.push(c),
                            None => break,
                        },
                        Some((_, other)) => inside.push(other),
                        None => {
                            return Err(error_at(place, format_args!("this {c} is never closed")));
                        }
                    }
                }
                match c {
                    '\'' => Kind::Text(inside),
                    _ => Kind::Name(inside),
                }
            }
            c if is_word(c) => {
                let mut word = String::from(c);
                while let Some((_, next)) = chars.next_if(|(_, next)| is_word(*next)) {
                    word.push(next);
                }
                Kind::Word(word)
            }
            other => {
                return Err(error_at(place, format_args!("`{}` has no meaning here", other.escape_debug()))
                    .advice("put a name that has other characters than letters, digits and `_` in double quotes"));
            }
        };
        tokens.push(Token { kind, place });
    }
    tokens.push(Token {
        kind: Kind::End,
        place: text.chars().count() + 1,
    });
    Ok(tokens)
}

/// True for a character of a bare name.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
