//! The tests' allocator: it counts what each thread asks for.
//!
//! Counts are the same on every machine and in every hour, so they can be asserted where times can't.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

/// What a thread has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// How often; growing counts too.
    pub(crate) times: u64,
    /// For how many bytes in all.
    pub(crate) bytes: u64,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked { times: 0, bytes: 0 }) };
}

fn count(bytes: usize) {
    // A thread that ends has no counter any more.
    let _ = ASKED.try_with(|asked| {
        let Asked { times, bytes: sum } = asked.get();
        asked.set(Asked {
            times: times + 1,
            bytes: sum + bytes as u64,
        });
    });
}

// SAFETY: everything is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// What `work` gives, and what this thread has asked for meanwhile.
pub(crate) fn asked_by<T>(work: impl FnOnce() -> T) -> (T, Asked) {
    let before = ASKED.get();
    let done = work();
    let after = ASKED.get();
    let asked = Asked {
        times: after.times - before.times,
        bytes: after.bytes - before.bytes,
    };
    (done, asked)
}
