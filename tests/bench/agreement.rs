//! The numbers agree with those that a C program of a few lines comes to.

use std::process::Command;

use super::common::{Scratch, handler, peer, run};
use super::{measure, median, summary};

/// Medians of fork, and of vfork and exec of a program, each until a byte is read, in nanoseconds.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static int order(const void *a, const void *b) { return *(long *)a < *(long *)b ? -1 : *(long *)a > *(long *)b; }
static long now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000L + t.tv_nsec; }
int main(int argc, char **argv) {
    long taken[301]; char bytes[64], *none[] = {NULL}; int pipes[2];
    if (pipe(pipes)) return 1;
    for (int exec = 0; exec < 2; exec++) {
        for (int i = 0; i < 301; i++) {
            long start = now();
            pid_t pid = exec ? vfork() : fork();
            if (pid == 0 && !exec) _exit(write(pipes[1], "x", 1) != 1);
            if (pid == 0) { dup2(pipes[1], 1); execve(argv[1], argv + 1, none); _exit(111); }
            if (pid < 0 || read(pipes[0], bytes, sizeof bytes) < 1) return 1;
            taken[i] = now() - start;
            waitpid(pid, NULL, 0);
        }
        qsort(taken, 301, sizeof *taken, order);
        printf("%ld\n", taken[150]);
    }
    return 0;
}
"#;

/// Other tests run meanwhile, so the bounds are wide; a unit that is wrong, a wait that is forgotten or a process that is
/// not made are beyond them.
const BOUNDS: std::ops::Range<f64> = 0.2..5.0;

#[test]
fn spawn_agrees_with_c() {
    let Some(cc) = peer("cc") else { return };
    let scratch = Scratch::new();
    let (source, program) = (scratch.file("agree.c", PROGRAM), scratch.join("agree"));
    // vfork(2) in C writes to a variable of the parent, which gcc may warn of.
    let compiled = run(Command::new(cc).args(["-O2", "-w", "-static", "-o"]).arg(&program).arg(&source));
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = run(Command::new(&program).arg(handler("tine-time")));
    let said = String::from_utf8_lossy(&output.stdout);
    let theirs: Vec<f64> = said.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(theirs.len(), 2, "{output:?}");
    let table = measure(&["spawn", "--quick", "--children", "1"], &scratch.join("out"));
    let summary = summary(&scratch.join("out"));
    for (method, theirs) in ["fork", "vfork + exec"].into_iter().zip(theirs) {
        let ours = median(&summary, "first", method, "1");
        assert!(BOUNDS.contains(&(ours / theirs)), "{method}: {ours} ns, {theirs} ns in C\n{table}");
    }
}
