/* A process that forks children and measures them, as parent.rs does, but linked as the question is.
 *
 * parent ROUND SAMPLES WARM_UP HEAP GRAPH STEP,STEP... NAME prints a line for each sample:
 * S GRAPH NAME STEP ROUND NANOSECONDS 1, between tabs. Children end when this process does, however that ends. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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
    static long taken[10000];
    int hold[2], answer[2], held = 0, ready = 0;
    char byte, *step;
    if (argc != 8)
        return 100;
    int samples = atoi(argv[2]), warm_up = atoi(argv[3]);
    size_t heap = strtoul(argv[4], NULL, 10);
    char *memory = malloc(heap ? heap : 1);
    if (samples > 10000 || !memory || prctl(PR_SET_PDEATHSIG, SIGKILL) || pipe(hold) || pipe(answer))
        return perror("begin"), 111;
    memset(memory, 1, heap);
    for (step = strtok(argv[6], ","); step; step = strtok(NULL, ",")) {
        for (; held < atoi(step); held++) {
            pid_t pid = fork();
            if (pid == 0) {
                close(hold[1]);
                _exit(write(answer[1], "x", 1) != 1 || read(hold[0], &byte, 1) != 0);
            }
            if (pid < 0) {
                printf("N\tno more than %d live children could be made\n", held);
                goto end;
            }
        }
        /* Children that have not run yet would compete with what is measured. */
        for (; ready < held; ready++)
            if (read(answer[0], &byte, 1) != 1)
                return perror("read"), 111;
        for (int turn = 0; turn < warm_up + samples; turn++) {
            alarm(60);
            long start = now();
            pid_t pid = fork();
            if (pid == 0)
                _exit(write(answer[1], "x", 1) != 1);
            if (pid < 0 || read(answer[0], &byte, 1) != 1)
                return perror("fork"), 111;
            long first = now();
            if (waitpid(pid, NULL, 0) != pid)
                return perror("wait"), 111;
            if (turn >= warm_up)
                taken[turn - warm_up] = first - start;
        }
        for (int i = 0; i < samples; i++)
            printf("S\t%s\t%s\t%s\t%s\t%ld\t1\n", argv[5], argv[7], step, argv[1], taken[i]);
        /* A child must not find unwritten lines. */
        fflush(stdout);
    }
end:
    close(hold[1]);
    while (wait(NULL) > 0) {
    }
    free(memory);
    return 0;
}
