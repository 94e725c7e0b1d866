//! The kernel as the executables see it: the stack that it leaves at the start, and the few system calls that the library
//! does not make.

#![allow(unsafe_code, reason = "this is the system-call layer of the freestanding executables")]

use core::arch::{asm, naked_asm};
use core::ffi::{CStr, c_char};
use core::net::{IpAddr, SocketAddr};
use core::ptr;

use connection::{Clock, Endpoint, Fd, Pressure, Time};
use rustix::fd::BorrowedFd;
use rustix::fs::FileType;

const WRITE: usize = 1;
const MMAP: usize = 9;
const RT_SIGACTION: usize = 13;
const RT_SIGPROCMASK: usize = 14;
const ALARM: usize = 37;
/// For [`address`]: our end of a socket.
pub(crate) const GETSOCKNAME: usize = 51;
/// For [`address`]: the other end.
pub(crate) const GETPEERNAME: usize = 52;
const SETSOCKOPT: usize = 54;
const CLOCK_GETTIME: usize = 228;
const ARCH_PRCTL: usize = 158;
const EXIT_GROUP: usize = 231;

const EXECVE: usize = 59;
const AT_EXECFN: usize = 31;
const ARCH_SET_FS: usize = 0x1002;
const SA_RESTORER: usize = 0x0400_0000;
const SIGTERM: usize = 15;

const PROT_READ_WRITE: usize = 3;
const MAP_PRIVATE_ANONYMOUS: usize = 0x22;

const SIGPIPE: usize = 13;
const SIGHUP: usize = 1;
const SIGUSR2: usize = 12;
const SIGALRM: usize = 14;
const SIG_DFL: usize = 0;
const SIG_SETMASK: usize = 2;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const SOL_SOCKET: usize = 1;
const IPPROTO_TCP: usize = 6;
const TCP_NODELAY: usize = 1;
/// For [`timeout`]: how long a read waits.
pub(crate) const SO_RCVTIMEO: usize = 20;
/// For [`timeout`]: how long a write waits.
pub(crate) const SO_SNDTIMEO: usize = 21;

/// Where the kernel enters. The stack pointer points at argc; the ABI wants it aligned to 16 before a call, and a frame
/// pointer of zero ends the chain of frames for debuggers.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {begin}", "ud2", begin = sym begin)
}

extern "C" fn begin(stack: *const usize) -> ! {
    crate::main(Stack(stack))
}

/// What the kernel left on the stack: argc, argv, null, environment, null (System V ABI, "Process Initialization").
pub(crate) struct Stack(*const usize);

/// An array of strings that ends with a null pointer; only [`Stack`] makes one.
pub(crate) struct Vector(*const *const c_char);

impl Stack {
    pub(crate) fn arguments(&self) -> Vector {
        // SAFETY: `begin` is handed the initial stack pointer; behind argc lies argv, which ends with a null pointer.
        Vector(unsafe { self.0.add(1) }.cast())
    }

    /// The path that this executable was executed by (getauxval(3), AT_EXECFN); behind the environment's null pointer lies
    /// the auxiliary vector, pairs of numbers that end with a zero.
    pub(crate) fn executable(&self) -> Option<&'static CStr> {
        // SAFETY: as below; each step stays before the end of the array that it is in, which the zero marks.
        unsafe {
            let mut word = self.environment().0.cast::<usize>();
            while *word != 0 {
                word = word.add(1);
            }
            let mut pair = word.add(1).cast::<[usize; 2]>();
            while (*pair)[0] != 0 {
                if (*pair)[0] == AT_EXECFN {
                    return Some(CStr::from_ptr((*pair)[1] as *const c_char));
                }
                pair = pair.add(1);
            }
            None
        }
    }

    pub(crate) fn environment(&self) -> Vector {
        // SAFETY: as above; behind argv's null pointer, which is its element argc, lies the environment.
        Vector(unsafe { self.0.add(1 + *self.0 + 1) }.cast())
    }
}

impl Vector {
    pub(crate) fn first(&self) -> *const *const c_char {
        self.0
    }
}

/// One system call with up to five arguments.
///
/// # Safety
/// The call with these arguments must touch no memory but what its pointers may be used for.
pub(super) unsafe fn call(number: usize, [a, b, c, d, e]: [usize; 5]) -> isize {
    // SAFETY: the caller's promise; the kernel does not look at an argument that a call does not have.
    unsafe { call_6(number, [a, b, c, d, e, 0]) }
}

/// One system call.
///
/// # Safety
/// As above.
unsafe fn call_6(number: usize, arguments: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel clobbers rcx, r11 and the result alone; memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
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
    result
}

/// Ends the process.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: exit_group has no pointers and does not return.
    unsafe { asm!("syscall", in("rax") EXIT_GROUP, in("rdi") status, options(noreturn, nostack)) }
}

/// Becomes another program, with the same arguments and environment; errno, as it comes back only when that fails.
#[cold]
pub(crate) fn become_program(path: &CStr, stack: &Stack) -> i32 {
    let arguments = [path.as_ptr() as usize, stack.arguments().0 as usize, stack.environment().0 as usize, 0, 0];
    // SAFETY: the kernel reads a string, and the two arrays that it gave to us.
    -(unsafe { call(EXECVE, arguments) } as i32)
}

/// Writes a message, as far as the descriptor takes it.
pub(crate) fn write(fd: i32, text: &[u8]) {
    // SAFETY: the kernel reads `text` and no further.
    unsafe { call(WRITE, [fd as usize, text.as_ptr() as usize, text.len(), 0, 0]) };
}

/// alarm(2).
pub(crate) fn alarm(seconds: u32) {
    // SAFETY: alarm has no pointers.
    unsafe { call(ALARM, [seconds as usize, 0, 0, 0, 0]) };
}

/// clock_gettime(2) as a system call: a process this short would spend more on finding and mapping the vDSO.
pub(crate) fn now(clock: Clock) -> Time {
    let clock = match clock {
        Clock::Wall => 0,
        Clock::Monotonic => 1,
    };
    let mut time = [0i64; 2];
    // SAFETY: the kernel writes one timespec, which on this architecture is two 64-bit numbers.
    unsafe { call(CLOCK_GETTIME, [clock, &raw mut time as usize, 0, 0, 0]) };
    Time { seconds: time[0], nanoseconds: time[1] as u32 }
}

/// To be called when the handler of SIGTERM is there, which `tine` leaves blocked until then.
///
/// A super-server may leave signals ignored or blocked across exec. SIGALRM must end us, or a timeout is none; SIGPIPE
/// must not, so that a client that goes away is logged.
pub(crate) fn default_signals() {
    // struct sigaction of the kernel: handler, flags, restorer, mask.
    let default = [SIG_DFL, 0, 0, 0];
    // A blocked SIGPIPE is as good as an ignored one, and costs no call of its own. With the other two a whole service is
    // told to read its files anew, or to give way: who is in the middle of an answer is not meant.
    let blocked = [SIGPIPE, SIGHUP, SIGUSR2].iter().fold(0u64, |mask, signal| mask | 1 << (signal - 1));
    // SAFETY: the kernel reads the structures, which are complete, and none is asked for in return; neither disposition
    // runs code of ours.
    unsafe {
        call(RT_SIGACTION, [SIGALRM, &raw const default as usize, 0, 8, 0]);
        call(RT_SIGPROCMASK, [SIG_SETMASK, &raw const blocked as usize, 0, 8, 0]);
    }
}

/// Has SIGTERM raise `pressure` rather than end us in the middle of an answer; a read that waits is interrupted.
///
/// A handler knows nothing but what is global, and a global variable would be a second segment to map at each exec. But
/// nothing here uses the register that points to thread-local storage elsewhere.
///
/// # Safety
/// `pressure` stays where it is until the process ends.
pub(crate) unsafe fn drain_on_sigterm(pressure: &Pressure) {
    const { assert!(size_of::<Pressure>() == 1, "on_sigterm sets one byte") };
    let action = [on_sigterm as *const () as usize, SA_RESTORER, restore as *const () as usize, 0];
    // SAFETY: fs is used by nobody else; what it points to stays, by the caller's word. The kernel reads the structure,
    // which is complete. The handler sets an atomic byte and returns by way of the restorer.
    unsafe {
        call(ARCH_PRCTL, [ARCH_SET_FS, ptr::from_ref(pressure) as usize, 0, 0, 0]);
        call(RT_SIGACTION, [SIGTERM, &raw const action as usize, 0, 8, 0]);
    }
}

/// `Pressure::drain` on what fs points to.
#[unsafe(naked)]
unsafe extern "C" fn on_sigterm() {
    naked_asm!("mov byte ptr fs:[0], 1", "ret")
}

/// Where a signal handler returns to: rt_sigreturn(2).
#[unsafe(naked)]
unsafe extern "C" fn restore() {
    naked_asm!("mov eax, 15", "syscall")
}

/// Memory of its own for what is kept until the process ends; empty when there is none.
pub(crate) fn memory(len: usize) -> &'static mut [u8] {
    // SAFETY: an anonymous mapping is of nobody else, is zero, and is never unmapped.
    unsafe {
        let place = call_6(MMAP, [0, len, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0]);
        if place > 0 { core::slice::from_raw_parts_mut(place as *mut u8, len) } else { &mut [] }
    }
}

/// Sets a socket's timeout; false when it is no socket.
pub(crate) fn timeout(fd: usize, option: usize, seconds: u32) -> bool {
    let time = [i64::from(seconds), 0];
    // SAFETY: the kernel reads one timeval, which on this architecture is two 64-bit numbers.
    unsafe { call(SETSOCKOPT, [fd, SOL_SOCKET, option, &raw const time as usize, 16]) == 0 }
}

/// Sends each segment at once.
pub(crate) fn no_delay(fd: usize) {
    let on = 1i32;
    // SAFETY: the kernel reads one int.
    unsafe { call(SETSOCKOPT, [fd, IPPROTO_TCP, TCP_NODELAY, &raw const on as usize, 4]) };
}

/// Whether two descriptors are one socket.
pub(crate) fn same_socket(a: i32, b: i32) -> bool {
    let (a, b) = (Fd(a), Fd(b));
    // SAFETY: used for these two calls; if a number is not open, the kernel says so.
    let (a, b) = unsafe { (BorrowedFd::borrow_raw(a.0), BorrowedFd::borrow_raw(b.0)) };
    let is_socket = |stat: &rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
    match rustix::fs::fstat(a) {
        Ok(first) if is_socket(&first) => {
            rustix::fs::fstat(b).is_ok_and(|second| (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino))
        }
        _ => false,
    }
}

/// One end of a socket.
pub(crate) fn address(of: usize, fd: usize) -> Endpoint {
    // Both families begin alike: family, port; an IPv4 address follows at once, an IPv6 one behind its flow.
    let mut name = [0u8; 28];
    let mut len = name.len() as u32;
    // SAFETY: the kernel writes at most `len` bytes of `name`, and how many there are into `len`.
    let result = unsafe { call(of, [fd, &raw mut name as usize, &raw mut len as usize, 0, 0]) };
    let [f0, f1, p0, p1, ref address @ ..] = name;
    let family = if result == 0 { u16::from_ne_bytes([f0, f1]) } else { 0 };
    let ip = match (family, address) {
        (AF_INET, [a, b, c, d, ..]) => IpAddr::from([*a, *b, *c, *d]),
        (AF_INET6, [_, _, _, _, ip @ .., _, _, _, _]) => IpAddr::from(*ip),
        _ => return Endpoint::UNKNOWN,
    };
    Endpoint::from(SocketAddr::new(ip, u16::from_be_bytes([p0, p1])))
}
