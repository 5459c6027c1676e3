/* Hides the epoll_wait of libfaketime: a signal handler that runs inside it sees the real time, so PostgreSQL's
   timeouts fire at once where the clock is behind, and never where it is ahead. */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    return (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout, NULL, 8);
}
