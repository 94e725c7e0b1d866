//! Any system call with any arguments: what no program offers, but for one that stands for code of an attacker's.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use nix::errno::Errno;
use nix::libc;

/// Makes the call; the pointers among its arguments are for the kernel to judge, and lead into `memory` where they are
/// good. A process that it makes ends at once.
pub fn call(number: i64, [a, b, c, d, e, f]: [i64; 6], memory: &mut [u8]) -> i64 {
    std::hint::black_box(memory);
    // SAFETY: nothing of Rust's is promised: whoever names the call owns this process. Those that `tests/escapes` names
    // write to `memory` alone, of which nobody holds another reference.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if number == libc::SYS_clone && result == 0 {
        // SAFETY: _exit takes a number and does not come back.
        unsafe { libc::_exit(0) }
    }
    if result == -1 { -i64::from(Errno::last_raw()) } else { result }
}

/// The same by `int 0x80`, where numbers and registers are those of i386, and pointers have 32 bits.
#[cfg(target_arch = "x86_64")]
pub fn call_as_i386(number: i64, [a, b, c, d, _, _]: [i64; 6], memory: &mut [u8]) -> i64 {
    std::hint::black_box(memory);
    let mut result = number;
    // SAFETY: as above. The kernel takes ebx, ecx, edx, esi and leaves r8 to r11 zeroed; rbx is not ours to name, so it is
    // exchanged for the call.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}", "int 0x80", "xchg rbx, {first}",
            first = inout(reg) a => _,
            inlateout("rax") result, in("rcx") b, in("rdx") c, in("rsi") d,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            options(nostack),
        );
    }
    i64::from(result as i32)
}

/// Other machines have no such door.
#[cfg(not(target_arch = "x86_64"))]
pub fn call_as_i386(_: i64, _: [i64; 6], _: &mut [u8]) -> i64 {
    -i64::from(libc::ENOSYS)
}
