//! Thirty-two bytes of text looked at in one go.
//!
//! On x86-64 with SSE2, which every such processor has: no dispatch, and a third of the instructions of
//! the portable version (`cargo bench --bench decode`). Both give the same marks for every block.

/// How many bytes are looked at in one go.
pub(super) const BLOCK: usize = 32;

/// What stands where in a block: one bit a byte, the first byte's lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Bytes that a string can't simply hold: quotes, backslashes, control characters.
    pub(super) special: u32,
    /// Bytes that are not ASCII.
    pub(super) high: u32,
}

impl Marks {
    /// Looks at a block.
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        #[cfg(target_arch = "x86_64")]
        return sse2(block);
        #[cfg(not(target_arch = "x86_64"))]
        return portable(block);
    }

    /// The marks without those of the first `count` bytes, which must be fewer than a block.
    #[inline]
    pub(super) fn behind(self, count: usize) -> Self {
        Self {
            special: self.special >> count,
            high: self.high >> count,
        }
    }

    /// The first special byte's place; [`BLOCK`] or more if there is none.
    #[inline]
    pub(super) fn first_special(self) -> usize {
        self.special.trailing_zeros() as usize
    }

    /// True if all bytes before the first special one are ASCII.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        // All bits below the lowest one of `special`; all bits if it has none.
        self.high & self.special.wrapping_sub(1) & !self.special == 0
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code)]
fn sse2(block: &[u8; BLOCK]) -> Marks {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8, _mm_xor_si128,
    };
    // SAFETY: SSE2 is a part of x86-64, and both loads lie within the block.
    unsafe {
        let half = |start: usize| {
            let bytes = _mm_loadu_si128(block.as_ptr().add(start).cast::<__m128i>());
            // Exchanging bit 1 moves the quote (0x22) to 0x20, next to the control characters, which stay
            // below: one comparison finds both.
            let moved = _mm_xor_si128(bytes, _mm_set1_epi8(2));
            let low = _mm_cmpeq_epi8(_mm_min_epu8(moved, _mm_set1_epi8(0x20)), moved);
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let special = _mm_movemask_epi8(_mm_or_si128(low, backslash)) as u32;
            (special, _mm_movemask_epi8(bytes) as u32)
        };
        let (first, second) = (half(0), half(BLOCK / 2));
        Marks {
            special: first.0 | second.0 << 16,
            high: first.1 | second.1 << 16,
        }
    }
}

/// The same for processors that have nothing better in common.
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) fn portable(block: &[u8; BLOCK]) -> Marks {
    let mut marks = Marks {
        special: 0,
        high: 0,
    };
    for (index, byte) in block.iter().enumerate() {
        let special = *byte == b'"' || *byte == b'\\' || *byte < 0x20;
        marks.special |= u32::from(special) << index;
        marks.high |= u32::from(*byte >> 7) << index;
    }
    marks
}
