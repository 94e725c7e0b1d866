//! The place where the kernel tells a thread on which processor it runs (rseq(2)).

/// From now on it is told no more, neither to this process nor to those that are forked from it. glibc (since 2.35) asks
/// for it at the start of every program, and the kernel writes there whenever a process continues: after each fork that
/// is a page copied in the child and one in the supervisor. Who wants to know its processor asks by a system call.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
pub fn forget_processor() {
    /// The length that glibc registers, and the signature that it does it with (sys/rseq.h).
    const LENGTH: usize = 32;
    const SIGNATURE: usize = 0x5305_3053;
    const UNREGISTER: usize = 1;
    let Some(place) = place() else { return };
    // SAFETY: the kernel forgets the place if it is the registered one, and changes nothing otherwise. glibc, the only one
    // that knows it too, finds a processor number there that says that there is none.
    let _ = unsafe { super::raw::call(libc::SYS_rseq, [place, LENGTH, UNREGISTER, SIGNATURE, 0]) };
}

/// Where it is for this thread; `None` in an older glibc, which has no such place.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn place() -> Option<usize> {
    let (offset, thread): (*const isize, usize);
    // SAFETY: the address of a variable of glibc's from the table of such addresses, null where there is none; and the
    // address of this thread's block, the first word of itself (System V ABI, thread-local storage). Nothing is written.
    unsafe {
        std::arch::asm!(
            ".weak __rseq_offset",
            "mov {offset}, qword ptr [rip + __rseq_offset@GOTPCREL]",
            "mov {thread}, qword ptr fs:[0]",
            offset = out(reg) offset,
            thread = out(reg) thread,
            options(nostack, preserves_flags, readonly),
        );
    }
    // SAFETY: where it is not null it is a constant of glibc's, a ptrdiff_t.
    unsafe { offset.as_ref() }.map(|&offset| thread.wrapping_add_signed(offset))
}

/// Elsewhere what the page costs is paid.
#[cfg(not(all(target_arch = "x86_64", target_env = "gnu")))]
pub fn forget_processor() {}

#[cfg(all(test, target_arch = "x86_64", target_env = "gnu"))]
mod tests {
    use super::*;

    /// The number of the processor in struct rseq, or a negative one when the kernel does not tell.
    fn told() -> i32 {
        let place = place().expect("a glibc since 2.35");
        // SAFETY: a struct rseq begins with two numbers of 32 bits, of which the second is this; it is there as long as its
        // thread. The kernel writes it between two instructions, hence volatile.
        unsafe { (place as *const i32).add(1).read_volatile() }
    }

    #[test]
    fn the_kernel_tells_no_more() {
        // The registration is a thread's own: the one of the other tests stays.
        let numbers = std::thread::spawn(|| {
            let before = told();
            forget_processor();
            (before, told())
        });
        let (before, after) = numbers.join().unwrap();
        assert!(before >= 0, "it was told before: {before} (kernel without rseq, or GLIBC_TUNABLES?)");
        assert!(after < 0, "{after}");
        assert!(nix::sched::sched_getcpu().is_ok());
    }
}
