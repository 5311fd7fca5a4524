//! How the program's memory is managed, whoever's program it is.

/// Keeps glibc from hoarding blocks of megabytes (batches, row groups) in the heaps of the threads, and from giving
/// back what the next batch takes again.
///
/// Its threshold for giving a block back to the system grows to 32 MB by itself; held at 1 MB, six
/// workers peak at 264 MB instead of 340. Whoever holds it also holds the other one at 128 KB, from which on a heap's free
/// end goes back: every batch is then paid for with page faults. With 8 MB they are 40,000 for a million records
/// instead of 100,000, which is 0.06 s of CPU, for 20 MB more. (mimalloc: 480 MB; jemalloc: 310 MB, at the CPU time
/// of before.)
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)] // calls of C
pub(super) fn return_large_blocks() {
    const BLOCK_BYTES: libc::c_int = 1 << 20;
    const END_BYTES: libc::c_int = 8 << 20;
    // SAFETY: only sets parameters of the allocator, which takes its own lock for that.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCK_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, END_BYTES);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn return_large_blocks() {}
