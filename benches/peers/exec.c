/* vfork + exec + exit + wait, timed: exec ROUNDS eof|request ROOT EMPTY PROGRAM... prints a line per sample: INDEX NANOSECONDS.
 *
 * C, because vfork(2) returns twice, which no Rust function may. The programs take turns. Their descriptors 0 and 1 are
 * a socket, as a super-server gives it: at its end of file, or with one request before that (written, and the answer
 * read, outside of the measured time). A program that hangs ends the run by alarm(2). */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

int main(int argc, char **argv)
{
    static const char get[] = "GET /512.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static char answer[4096];
    if (argc < 5)
        return 100;
    int rounds = atoi(argv[1]), request = !strcmp(argv[2], "request");
    alarm(60);
    for (int round = 0; round < rounds; round++)
        for (int i = 4; i < argc; i++) {
            char *arguments[] = {argv[i], "--quiet", argv[3], NULL}, *environment[] = {NULL};
            int pair[2], status;
            if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
                return perror("socketpair"), 111;
            if ((request && write(pair[1], get, sizeof get - 1) < 0) || shutdown(pair[1], SHUT_WR))
                return perror("socketpair"), 111;
            long start = now();
            pid_t pid = vfork();
            if (pid == 0) {
                dup2(pair[0], 0);
                dup2(pair[0], 1);
                execve(argv[i], arguments, environment);
                _exit(111);
            }
            if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
                return fprintf(stderr, "%s: wait status %d\n", argv[i], status), 111;
            long end = now();
            close(pair[0]);
            /* The first program is the empty one, which answers nothing. */
            if (request && i > 4 && read(pair[1], answer, sizeof answer) < 512)
                return fprintf(stderr, "%s: no answer\n", argv[i]), 111;
            close(pair[1]);
            /* Behind the clock, and buffered. */
            printf("%d %ld\n", i - 4, end - start);
        }
    return 0;
}
