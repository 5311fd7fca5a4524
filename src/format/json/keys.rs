//! From an object's keys to columns, without looking most of them up.
//!
//! Records of one topic look alike, so each object type remembers, in the order of the last records,
//! the literal text of each key, from behind the `{` or `,` to the value: `"user_id": `. Reading a
//! key is then one comparison with the literal that is due. Keys that are missing, new or in another
//! order only cost a look-up, and move the memory along; what is accepted never depends on it.

use super::fault::{Fault, Outcome};
use super::scan::{Scanner, unescape};

/// A literal is compared in one go up to this length.
const WINDOW: usize = 32;
/// How many literals ahead are tried when the one that is due does not match.
const LOOKAHEAD: usize = 4;
/// Keys that no column takes are remembered too, but not without limit.
const UNKNOWN_MAX: usize = 64;

/// The keys of one object type: which column each means, and in which order they come.
pub(in crate::format) struct Keys {
    /// Names in order, each with its column.
    names: Vec<(Box<[u8]>, usize)>,
    slots: Vec<Slot>,
    /// For each column the last object that had it.
    seen: Vec<u64>,
    /// Counts objects.
    object: u64,
}

/// A key as it stood in an earlier record.
struct Slot {
    /// `"name":` with all whitespace.
    literal: Vec<u8>,
    /// The literal's beginning, and a mask of as many bytes.
    words: [u64; WINDOW / 8],
    masks: [u64; WINDOW / 8],
    /// The column it means; `None` if no column takes it.
    column: Option<usize>,
}

impl Slot {
    fn new(literal: &[u8], column: Option<usize>) -> Self {
        let mut slot = Self {
            literal: Vec::new(),
            words: [0; WINDOW / 8],
            masks: [0; WINDOW / 8],
            column,
        };
        slot.set(literal);
        slot
    }

    fn set(&mut self, literal: &[u8]) {
        self.literal.clear();
        self.literal.extend_from_slice(literal);
        let mut window = [0; WINDOW];
        let mut mask = [0; WINDOW];
        for (index, byte) in literal.iter().take(WINDOW).enumerate() {
            window[index] = *byte;
            mask[index] = 0xff;
        }
        self.words = words(&window);
        self.masks = words(&mask);
    }

    #[inline]
    fn begins(&self, text: &[u8]) -> bool {
        match text.first_chunk::<WINDOW>() {
            Some(window) if self.literal.len() <= WINDOW => {
                let mut difference = 0;
                for (index, word) in words(window).into_iter().enumerate() {
                    difference |= (word ^ self.words[index]) & self.masks[index];
                }
                difference == 0
            }
            _ => text.starts_with(&self.literal),
        }
    }
}

#[inline]
fn words(window: &[u8; WINDOW]) -> [u64; WINDOW / 8] {
    let mut words = [0; WINDOW / 8];
    for (word, bytes) in words.iter_mut().zip(window.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

impl Keys {
    /// The keys of an object type whose columns have these names.
    pub(in crate::format) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut names: Vec<_> = names
            .enumerate()
            .map(|(column, name)| (Box::from(name.as_bytes()), column))
            .collect();
        names.sort_unstable();
        Self {
            seen: vec![0; names.len()],
            names,
            slots: Vec::new(),
            object: 0,
        }
    }

    /// A new object begins.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.object += 1;
    }

    /// Notes that this object has `column`; false if it had it already.
    #[inline]
    pub(super) fn note(&mut self, column: usize) -> bool {
        match self.seen.get_mut(column) {
            Some(seen) if *seen != self.object => {
                *seen = self.object;
                true
            }
            _ => false,
        }
    }

    /// True if this object had `column`.
    pub(super) fn has(&self, column: usize) -> bool {
        self.seen.get(column) == Some(&self.object)
    }

    /// Moves over the key that is due, if it is there; gives its column, `None` if none takes it.
    #[inline]
    pub(super) fn expected(
        &self,
        due: &mut usize,
        scan: &mut Scanner<'_>,
    ) -> Option<Option<usize>> {
        let rest = scan.rest();
        let ahead = self.slots.get(*due..)?.iter().take(LOOKAHEAD);
        for (skipped, slot) in ahead.enumerate() {
            if slot.begins(rest) {
                *due += skipped + 1;
                scan.set_pos(scan.pos() + slot.literal.len());
                return Some(slot.column);
            }
        }
        None
    }

    /// Moves over any key; gives its column, `None` if none takes it.
    #[cold]
    #[inline(never)]
    pub(super) fn read(
        &mut self,
        due: &mut usize,
        scan: &mut Scanner<'_>,
        scratch: &mut Vec<u8>,
    ) -> Outcome<Option<usize>> {
        let start = scan.pos();
        if scan.value_start() != b'"' {
            return Err(scan.unexpected("a key in quotes"));
        }
        let span = scan.string()?;
        let mut name = scan.slice(span);
        if span.escaped {
            scratch.clear();
            unescape(name, scratch)?;
            name = scratch;
        }
        let column = self
            .names
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .ok()
            .map(|index| self.names[index].1);
        scan.colon()?;
        scan.skip_whitespace();
        if let Some(literal) = scan.text().get(start..scan.pos()) {
            self.learn(due, literal, column);
        }
        Ok(column)
    }

    /// Remembers that `literal` came where another one was due.
    fn learn(&mut self, due: &mut usize, literal: &[u8], column: Option<usize>) {
        let known = self.slots.iter().position(|slot| {
            slot.column == column && (column.is_some() || slot.literal == literal)
        });
        match known {
            Some(at) => {
                if self.slots[at].literal != literal {
                    self.slots[at].set(literal);
                }
                let slot = self.slots.remove(at);
                if at < *due {
                    *due -= 1;
                }
                self.slots.insert(*due, slot);
            }
            None if self.slots.len() < self.names.len() + UNKNOWN_MAX => {
                self.slots.insert(*due, Slot::new(literal, column));
            }
            None => return,
        }
        *due += 1;
    }
}

/// The fault of an object that has the same key twice: which one is meant is anyone's guess.
#[cold]
pub(super) fn duplicate() -> Fault {
    Fault::new("its key stands twice in the object")
}
