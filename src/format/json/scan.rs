//! The lexical layer: a strict JSON scanner (RFC 8259) over a record's bytes.
//!
//! Nothing is built here: the scanner moves over the text, checks it, and says where values lie.
//! Strings are checked for UTF-8 as they are found; outside strings JSON is ASCII anyway, so that a
//! text accepted to its end is valid UTF-8 as a whole.

use super::super::reject::excerpt;
use super::block::{BLOCK, Marks};
use super::fault::{Fault, Outcome};

/// How deeply arrays and objects may nest in fields that no column takes.
pub(super) const DEPTH_MAX: usize = 128;

/// A position in a record's text.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    pos: usize,
}

/// Where the inside of a string lies, without its quotes.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// True if there are escapes in it, so that it must be unescaped to be read.
    pub(super) escaped: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, pos: 0 }
    }

    #[inline]
    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    #[inline]
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    #[inline]
    pub(super) fn set_pos(&mut self, pos: usize) {
        self.pos = pos;
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.pos..).unwrap_or_default()
    }

    /// The byte here; 0 at the end, which no JSON token begins with.
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.text.get(self.pos).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn bump(&mut self) {
        self.pos += 1;
    }

    #[inline]
    pub(super) fn at_end(&self) -> bool {
        self.pos >= self.text.len()
    }

    #[inline]
    pub(super) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.pos) {
            self.pos += 1;
        }
    }

    /// The first byte of the next value, after any whitespace.
    #[inline]
    pub(super) fn value_start(&mut self) -> u8 {
        let byte = self.peek();
        if byte > b' ' {
            return byte;
        }
        self.skip_whitespace();
        self.peek()
    }

    /// Moves over `word` if it stands here.
    #[inline]
    pub(super) fn eat(&mut self, word: &[u8]) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.pos += word.len();
        }
        found
    }

    /// Moves over a separator in an array or object; true if it was `,`, false if it was `end`.
    #[inline]
    pub(super) fn another(&mut self, end: u8) -> Outcome<bool> {
        let byte = self.value_start();
        if byte != b',' && byte != end {
            return Err(self.unexpected(match end {
                b']' => "`,` or `]`",
                _ => "`,` or `}`",
            }));
        }
        self.pos += 1;
        Ok(byte == b',')
    }

    /// Moves over the `:` after a key.
    pub(super) fn colon(&mut self) -> Outcome {
        if self.value_start() != b':' {
            return Err(self.unexpected("`:`"));
        }
        self.pos += 1;
        Ok(())
    }

    /// Moves over a string, whose opening quote must stand here.
    #[inline]
    pub(super) fn string(&mut self) -> Outcome<Span> {
        if self.peek() != b'"' {
            return Err(self.unexpected("a string"));
        }
        let start = self.pos + 1;
        let mut escaped = false;
        let mut high = 0;
        let mut at = start;
        loop {
            at = find_special(self.text, at, &mut high);
            match self.text.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    // What follows is checked when the string is unescaped.
                    escaped = true;
                    at += 2;
                }
                Some(control) => {
                    return Err(Fault::new(format!(
                        "not valid JSON at byte {at}: the control character 0x{control:02x} in a string must be escaped"
                    )));
                }
                None => return Err(Fault::new("not valid JSON: the text ends inside a string")),
            }
        }
        if high != 0 {
            self.check_utf8(start, at)?;
        }
        self.pos = at + 1;
        Ok(Span {
            start,
            end: at,
            escaped,
        })
    }

    /// Moves over the string here and appends its inside to `out`, if it is the usual one: ASCII and
    /// without escapes. Otherwise nothing happens.
    #[inline]
    pub(super) fn copy_plain_string(&mut self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        let start = self.pos + 1;
        let mut at = start;
        // Copied block by block while it is searched, a little too much: shorter than two passes.
        while let Some(block) = block_at(self.text, at) {
            let marks = Marks::of(block);
            if !marks.is_plain() {
                break;
            }
            out.extend_from_slice(block);
            let index = marks.first_special();
            if index >= BLOCK {
                at += BLOCK;
                continue;
            }
            if block[index] != b'"' {
                break;
            }
            out.truncate(before + (at - start) + index);
            self.pos = at + index + 1;
            return true;
        }
        // The last string of a text mostly ends in the last block.
        if let Some(marks) = marks_at(self.text, at)
            && marks.is_plain()
            && let Some(rest) = self.text.get(at..at + marks.first_special())
            && self.text.get(at + rest.len()) == Some(&b'"')
        {
            out.extend_from_slice(rest);
            self.pos = at + rest.len() + 1;
            return true;
        }
        out.truncate(before);
        false
    }

    #[inline]
    pub(super) fn slice(&self, span: Span) -> &'a [u8] {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    #[inline(never)]
    fn check_utf8(&self, start: usize, end: usize) -> Outcome {
        match std::str::from_utf8(&self.text[start..end]) {
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::new(format!(
                "not valid UTF-8 at byte {}",
                start + error.valid_up_to()
            ))),
        }
    }

    /// Moves over any value, checking it as strictly as one that is read.
    ///
    /// `depth` is how many arrays and objects are open around it.
    pub(super) fn skip_value(&mut self, depth: usize, scratch: &mut Vec<u8>) -> Outcome {
        match self.value_start() {
            b'"' => self.skip_string(scratch),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' if self.eat(b"true") => Ok(()),
            b'f' if self.eat(b"false") => Ok(()),
            b'n' if self.eat(b"null") => Ok(()),
            b'[' | b'{' if depth >= DEPTH_MAX => Err(Fault::new(format!(
                "at byte {}: arrays and objects nest more than {DEPTH_MAX} levels deep",
                self.pos
            ))),
            b'[' => {
                self.bump();
                if self.value_start() == b']' {
                    self.bump();
                    return Ok(());
                }
                loop {
                    self.skip_value(depth + 1, scratch)?;
                    if !self.another(b']')? {
                        return Ok(());
                    }
                }
            }
            b'{' => {
                self.bump();
                if self.value_start() == b'}' {
                    self.bump();
                    return Ok(());
                }
                loop {
                    self.skip_whitespace();
                    self.skip_string(scratch)?;
                    self.colon()?;
                    self.skip_value(depth + 1, scratch)?;
                    if !self.another(b'}')? {
                        return Ok(());
                    }
                }
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    fn skip_string(&mut self, scratch: &mut Vec<u8>) -> Outcome {
        let span = self.string()?;
        if span.escaped {
            scratch.clear();
            unescape(self.slice(span), scratch)?;
        }
        Ok(())
    }

    /// The text is not JSON here.
    #[cold]
    pub(super) fn unexpected(&self, expected: &str) -> Fault {
        match self.rest() {
            [] => Fault::new(format!(
                "not valid JSON: the text ends where {expected} is expected"
            )),
            rest => Fault::new(format!(
                "not valid JSON at byte {}: expected {expected}, found `{}`",
                self.pos,
                excerpt(rest, 16)
            )),
        }
    }

    /// The value here is not of the type `expected`.
    #[cold]
    pub(super) fn mismatch(&mut self, expected: &str) -> Fault {
        let start = self.pos;
        let found = match self.peek() {
            b'"' => match self.string() {
                Ok(span) => format!("string \"{}\"", excerpt(self.slice(span), 40)),
                Err(fault) => return fault,
            },
            b'-' | b'0'..=b'9' => match self.number() {
                Ok(number) => format!("number {}", excerpt(number.text, 50)),
                Err(fault) => return fault,
            },
            b'[' => "an array".to_owned(),
            b'{' => "an object".to_owned(),
            b't' if self.eat(b"true") => "true".to_owned(),
            b'f' if self.eat(b"false") => "false".to_owned(),
            b'n' if self.eat(b"null") => "null".to_owned(),
            _ => return self.unexpected("a value"),
        };
        self.pos = start;
        Fault::new(format!("expected {expected}, found {found}"))
    }
}

/// The block that begins at `at`, if the text reaches so far.
#[inline]
fn block_at(text: &[u8], at: usize) -> Option<&[u8; BLOCK]> {
    text.get(at..)?.first_chunk()
}

/// The marks of the text from `at` on, up to a block's length or the text's end; `None` if the text is shorter
/// than a block.
#[inline]
fn marks_at(text: &[u8], at: usize) -> Option<Marks> {
    if let Some(block) = block_at(text, at) {
        return Some(Marks::of(block));
    }
    // At the end the last block serves, without what lies before `at`.
    let left = text.len().checked_sub(at)?;
    let block = text.last_chunk()?;
    (left > 0).then(|| Marks::of(block).behind(BLOCK - left))
}

/// Where the first quote, backslash or control character from `at` on stands, or the text's end.
///
/// `high` gets a bit set if a byte on the way is not ASCII.
#[inline]
pub(super) fn find_special(text: &[u8], mut at: usize, high: &mut u32) -> usize {
    while let Some(marks) = marks_at(text, at) {
        if !marks.is_plain() {
            *high |= marks.high;
        }
        let index = marks.first_special();
        if index < BLOCK {
            return at + index;
        }
        at = (at + BLOCK).min(text.len());
    }
    while let Some(&byte) = text.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            return at;
        }
        *high |= u32::from(byte & 0x80);
        at += 1;
    }
    at
}

/// Appends what the inside of a string means to `out`.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Outcome {
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let escape = rest.get(at + 1).copied().unwrap_or(0);
        rest = rest.get(at + 2..).unwrap_or_default();
        let byte = match escape {
            b'"' | b'\\' | b'/' => escape,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let c = unicode_escape(&mut rest)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => {
                return Err(Fault::new(format!(
                    "not valid JSON: unknown escape `\\{}` in a string",
                    other.escape_ascii()
                )));
            }
        };
        out.push(byte);
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The character of a `\u` escape, whose digits begin `rest`; of two, if the first is a surrogate.
fn unicode_escape(rest: &mut &[u8]) -> Outcome<char> {
    let first = four_digits(rest)?;
    let code = match first {
        0xd800..=0xdbff => {
            let low = match rest.strip_prefix(b"\\u") {
                Some(after) => {
                    *rest = after;
                    four_digits(rest)?
                }
                None => 0,
            };
            if !(0xdc00..=0xdfff).contains(&low) {
                return Err(lone_surrogate(first));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00)
        }
        code => code,
    };
    char::from_u32(code).ok_or_else(|| lone_surrogate(first))
}

fn lone_surrogate(code: u32) -> Fault {
    Fault::new(format!(
        "a string holds half of a surrogate pair, `\\u{code:04x}`, which is not a character"
    ))
}

fn four_digits(rest: &mut &[u8]) -> Outcome<u32> {
    let digits = rest.first_chunk::<4>().and_then(|digits| {
        digits.iter().try_fold(0, |code, digit| {
            Some(code * 16 + char::from(*digit).to_digit(16)?)
        })
    });
    *rest = rest.get(4..).unwrap_or_default();
    digits.ok_or_else(|| {
        Fault::new("not valid JSON: `\\u` in a string must be followed by four hexadecimal digits")
    })
}
