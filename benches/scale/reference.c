/* The least that HTTP over a process for each connection can be: what the forking modes are held to.
   Usage: reference PORT; it answers every request with the same page, on connections that are kept. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char answer[1024];

static void serve(int client) {
    char head[2048];
    size_t length = 0;
    for (;;) {
        ssize_t n = read(client, head + length, sizeof head - 1 - length);
        if (n <= 0) _exit(0);
        head[length += (size_t)n] = 0;
        if (!strstr(head, "\r\n\r\n")) {
            if (length == sizeof head - 1) _exit(0);
            continue;
        }
        if (write(client, answer, strlen(answer)) < 0 || strstr(head, "Connection: close")) _exit(0);
        length = 0;
    }
}

int main(int count, char **words) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (count != 2) return 100;
    address.sin_port = htons((unsigned short)atoi(words[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 111;
    strcpy(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 512\r\n\r\n");
    memset(answer + strlen(answer), 'x', 512);
    signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
    for (;;) {
        int client = accept(listener, 0, 0);
        if (client < 0) continue;
        if (fork() == 0) {
            close(listener);
            serve(client);
        }
        close(client);
    }
}
