//! Taking what is left on the stack out of memory.
//!
//! Below the stack pointer lies what functions left that have returned: between two connections, bytes of a client who
//! has gone. How deep they went nobody wrote down, but each function that was called left its return address, which is
//! not zero. So where more memory is zero than the largest frame takes, nobody was below since the last time.

use super::raw;

/// More than any function here keeps on the stack, in bytes: the largest buffer is 32 KiB.
const LARGEST_FRAME: usize = 48 << 10;

/// Overwrites with zeroes whatever returned functions left below the caller's frame. What is zero is only read, so that
/// pages that nobody wrote to stay the kernel's page of zeroes.
///
/// To be called where nothing below matters: never in a signal handler.
#[cfg(target_arch = "x86_64")]
// In the caller itself: a frame of its own would be a piece that is not wiped.
#[inline(always)]
pub fn wipe_stack() {
    // SAFETY: what lies below the stack pointer is nobody's: without `nostack` the compiler keeps nothing in the 128 bytes
    // there that functions may otherwise use, and a signal that arrives meanwhile has its frame there only until it
    // returns to this code. Reading further down is growing the stack, which the kernel allows to its limit. Blocks of 64
    // bytes are aligned as SSE2, which is part of x86-64, has it.
    unsafe {
        std::arch::asm!(
            "pxor {zero}, {zero}",
            "movdqu [rsp - 16], {zero}",
            "mov {at}, rsp",
            "and {at}, -16",
            "2:",
            "mov {left:e}, {blocks}",
            "3:",
            "sub {at}, 64",
            "movdqa {a}, [{at}]",
            "por {a}, [{at} + 16]",
            "por {a}, [{at} + 32]",
            "por {a}, [{at} + 48]",
            "pcmpeqb {a}, {zero}",
            "pmovmskb {mask:e}, {a}",
            "cmp {mask:e}, 0xffff",
            "je 4f",
            "movdqa [{at}], {zero}",
            "movdqa [{at} + 16], {zero}",
            "movdqa [{at} + 32], {zero}",
            "movdqa [{at} + 48], {zero}",
            "jmp 2b",
            "4:",
            "dec {left:e}",
            "jnz 3b",
            blocks = const LARGEST_FRAME / 64,
            at = out(reg) _,
            left = out(reg) _,
            mask = out(reg) _,
            a = out(xmm_reg) _,
            zero = out(xmm_reg) _,
        );
    }
}

/// The same to a fixed depth.
#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
pub fn wipe_stack() {
    let mut room = [0u8; 2 * LARGEST_FRAME];
    std::hint::black_box(&mut room);
}

/// How deep below the caller's frame the work goes that a fresh child is made for, in bytes.
const DEPTH: usize = 8 << 10;

/// Gives a forked child its own copies of the stack's pages from a little below its frame up to the byte at `last`, all in
/// one call (madvise(2), MADV_POPULATE_WRITE).
///
/// The child writes to most of them at once, and each would be a page fault. The others its parent writes to, before each
/// fork anew: it would go on with a copy, and what the child never touches would stay the parent's in the kernel's books.
/// Whoever then asks who uses such a page (the kernel, to reclaim or to move memory) looks at each child there is, and
/// holds a lock meanwhile that every fork wants.
#[inline(always)]
pub fn own_stack(last: usize) {
    const PAGE: usize = 4096;
    let here = 0u8;
    let start = ((&raw const here).addr() - DEPTH) & !(PAGE - 1);
    let Some(bytes) = last.checked_sub(start) else { return };
    // SAFETY: to make pages present, with what they hold already, changes nothing that a program can see. It fails where
    // the kernel does not know it (before Linux 5.14): then each page is copied when it is first written to.
    let _ = unsafe { raw::call(libc::SYS_madvise, [start, bytes + 1, libc::MADV_POPULATE_WRITE as usize, 0, 0]) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    const SECRET: [u8; 16] = *b"what it was told";

    /// Leaves the secret this deep, below frames that wrote nothing.
    #[inline(never)]
    fn leave(depth: usize) {
        let mut space = [std::mem::MaybeUninit::<u8>::uninit(); 8 << 10];
        black_box(&mut space);
        if depth > 0 {
            leave(depth - 1);
        } else {
            let mut words = [SECRET; 8];
            black_box(&mut words);
        }
        black_box(&mut space);
    }

    /// How often it lies on this thread's stack, as the kernel shows it.
    #[inline(never)]
    fn copies() -> usize {
        let here = 0u8;
        let here = std::ptr::from_ref(&here) as usize;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let bounds = |line: &str| {
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
        };
        let (start, end) = maps.lines().filter_map(bounds).find(|(start, end)| (*start..*end).contains(&here)).unwrap();
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut stack = vec![0; end - start];
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut stack, start as u64).unwrap();
        // Not the copy in the executable's data; and a secret that is looked for must not be its own finding.
        stack.windows(SECRET.len()).filter(|bytes| bytes.iter().zip(SECRET).all(|(a, b)| *a == b)).count()
    }

    #[test]
    fn nothing_is_left_however_deep_it_lay() {
        for depth in [0, 1, 10, 40] {
            leave(depth);
            let before = copies();
            leave(depth);
            wipe_stack();
            assert_eq!(copies(), 0, "at depth {depth}");
            assert!(depth < 10 || before > 0, "the check is able to fail");
        }
    }
}
