//! System calls without libc, for what runs in a fresh child.
//!
//! Two reasons. A forked child takes a page fault for each stretch of text that it is the first to touch, and libc's
//! lies apart from ours: these calls are inline. And a child that shares its parent's memory until it executes must not
//! write where libc does: `errno` would be the parent's.

use libc::{c_int, c_long};

/// Makes a system call: its result, or errno.
///
/// # Safety
///
/// As for the call itself: pointers among the arguments are valid for what it reads and writes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn call(number: c_long, [a, b, c, d, e]: [usize; 5]) -> Result<usize, c_int> {
    // SAFETY: the caller's word; no call of five arguments looks at a sixth.
    unsafe { call_with_six(number, [a, b, c, d, e, 0]) }
}

/// The same for a system call of six arguments.
///
/// # Safety
///
/// As for the call itself: pointers among the arguments are valid for what it reads and writes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn call_with_six(number: c_long, arguments: [usize; 6]) -> Result<usize, c_int> {
    let result: isize;
    // SAFETY: the system call convention of x86-64: these registers hold the arguments, rcx and r11 are overwritten, the
    // stack is not touched. What the call does to memory is the caller's word.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    // The last page of addresses is errors, negated.
    if (-4095..0).contains(&result) { Err(-result as c_int) } else { Ok(result as usize) }
}

/// The same by way of libc, which costs page faults and writes errno.
///
/// # Safety
///
/// As for the call itself: pointers among the arguments are valid for what it reads and writes.
#[cfg(not(target_arch = "x86_64"))]
pub unsafe fn call(number: c_long, [a, b, c, d, e]: [usize; 5]) -> Result<usize, c_int> {
    // SAFETY: the caller's word; no call of five arguments looks at a sixth.
    unsafe { call_with_six(number, [a, b, c, d, e, 0]) }
}

/// The same for a system call of six arguments.
///
/// # Safety
///
/// As for the call itself: pointers among the arguments are valid for what it reads and writes.
#[cfg(not(target_arch = "x86_64"))]
pub unsafe fn call_with_six(number: c_long, [a, b, c, d, e, f]: [usize; 6]) -> Result<usize, c_int> {
    // SAFETY: the caller's word; errno is this thread's.
    unsafe {
        let result = libc::syscall(number, a, b, c, d, e, f);
        usize::try_from(result).map_err(|_| *libc::__errno_location())
    }
}

/// Whether [`call`] leaves the memory that libc shares between caller and callee alone.
pub const WITHOUT_LIBC: bool = cfg!(target_arch = "x86_64");
