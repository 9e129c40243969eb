// Part of Inkstone. Licence: see LICENSE.
//
// Makes thread pools, runs a few calls on each and destroys it at once, again and again: a helper that is late for
// the last call must not sleep for ever. Ends with status 1 after five seconds without progress.
//
//   clang -O2 -I Sources/CKernels/include Sources/CKernels/pool.c Tests/operation/pool_stress.c -lpthread -o pool_stress
//   ./pool_stress 300000 3

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "CKernels.h"

enum { CALLS = 7, TASKS = 3, SECONDS = 5 };

static atomic_long rounds;
static atomic_long tasks;

static void task(void *context, size_t index, int thread) {
    (void)context, (void)index, (void)thread;
    atomic_fetch_add(&tasks, 1);
}

static void watch(int signal) {
    static long last = -1;
    (void)signal;
    long now = atomic_load(&rounds);
    if (now == last) {
        static const char text[] = "a pool does not end\n";
        if (write(STDERR_FILENO, text, sizeof text - 1)) {}
        _exit(1);
    }
    last = now;
    alarm(SECONDS);
}

int main(int count, char **arguments) {
    long wanted = count > 1 ? atol(arguments[1]) : 300000;
    int threads = count > 2 ? atoi(arguments[2]) : 3;
    signal(SIGALRM, watch);
    alarm(SECONDS);
    for (long round = 0; round < wanted; round++) {
        ink_pool *pool = ink_pool_create(threads);
        if (!pool) return 1;
        for (int call = 0; call < CALLS; call++) ink_pool_run(pool, TASKS, task, NULL);
        ink_pool_destroy(pool);
        atomic_fetch_add(&rounds, 1);
    }
    if (atomic_load(&tasks) != wanted * CALLS * TASKS) return 1;
    printf("ok   %ld pools of %d threads\n", wanted, threads);
    return 0;
}
