// Part of Inkstone. Licence: see LICENSE.

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define PAUSE() _mm_pause()
#elif defined(__aarch64__)
// YIELD does nothing on processors without threads that share a core; ISB waits, like x86's PAUSE.
#define PAUSE() __asm__ volatile("isb" ::: "memory")
#else
#define PAUSE() ((void)0)
#endif

// Kernel calls follow each other within microseconds during a step, so an idle thread spins before
// it sleeps: a wake-up by the operating system costs more than most small layers. The limit keeps
// an idle server from using the processor.
enum { SPINS = 4000 };

// A call is open while it has tasks left. Helper threads join an open call; the calling thread runs
// tasks too, then closes the call and waits for the helpers that joined. A helper that sleeps or
// was preempted before joining delays no call. The state is one word, so that joining and closing
// are mutually exclusive: calls * CALL + joined helpers * HELPER + OPEN.
enum { OPEN = 1, HELPER = 2, CALL = 1 << 16 };

// The mutex and the condition variables serve only to sleep. A sleeper publishes that it sleeps,
// then reads the state again; a waker changes the state, then reads whether a thread sleeps. All
// four accesses are sequentially consistent, so at least one of the two observes the other.
struct ink_pool {
    int threads;
    pthread_t *handles;
    pthread_mutex_t mutex;
    pthread_cond_t start, done;
    atomic_int stopping;
    size_t count;
    ink_task task;
    void *context;
    // On cache lines of their own: threads spin on one while others update another.
    _Alignas(64) atomic_ullong call;
    _Alignas(64) atomic_size_t next;
    _Alignas(64) atomic_int sleepers;  // helpers that wait for `start`
    atomic_int caller_sleeps;          // the calling thread waits for `done`
};

typedef struct {
    ink_pool *pool;
    int thread;
} start_argument;

static void run_tasks(ink_pool *pool, int thread) {
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (index >= pool->count) return;
        pool->task(pool->context, index, thread);
    }
}

// Joins the call if it is open. Returns the state at that moment.
static unsigned long long join(ink_pool *pool, unsigned long long call) {
    while (call & OPEN) {
        if (atomic_compare_exchange_weak(&pool->call, &call, call + HELPER)) break;
    }
    return call;
}

// Whether the call is closed and no helper runs its tasks.
static int is_finished(unsigned long long call) { return (call & (CALL - 1)) == 0; }

static void *helper_main(void *argument) {
    start_argument start = *(start_argument *)argument;
    free(argument);
    ink_pool *pool = start.pool;
    unsigned long long seen = 0;  // calls
    for (;;) {
        unsigned long long call = atomic_load(&pool->call);
        for (int i = 0; i < SPINS && call / CALL == seen; i++) {
            PAUSE();
            call = atomic_load_explicit(&pool->call, memory_order_acquire);
        }
        if (call / CALL == seen) {
            pthread_mutex_lock(&pool->mutex);
            atomic_fetch_add(&pool->sleepers, 1);
            while ((call = atomic_load(&pool->call)) / CALL == seen)
                pthread_cond_wait(&pool->start, &pool->mutex);
            atomic_fetch_sub(&pool->sleepers, 1);
            pthread_mutex_unlock(&pool->mutex);
        }
        // The call that is joined may be a later one than that which ended the wait. Nothing waits
        // for the helpers of the last one, which stops the pool.
        call = join(pool, call);
        if (atomic_load(&pool->stopping)) return NULL;
        seen = call / CALL;
        if (!(call & OPEN)) continue;
        run_tasks(pool, start.thread);
        if (is_finished(atomic_fetch_sub(&pool->call, HELPER) - HELPER) &&
            atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

static void announce(ink_pool *pool) {
    atomic_fetch_add(&pool->call, CALL + OPEN);
    if (atomic_load(&pool->sleepers) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->mutex);
}

ink_pool *ink_pool_create(int threads) {
    if (threads < 1) threads = 1;
    ink_pool *pool = aligned_alloc(64, sizeof *pool);
    if (!pool) return NULL;
    memset(pool, 0, sizeof *pool);
    pool->handles = calloc((size_t)threads, sizeof *pool->handles);
    if (!pool->handles) {
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->threads = 1;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    for (int i = 1; i < threads; i++) {
        start_argument *argument = malloc(sizeof *argument);
        if (!argument) break;
        *argument = (start_argument){pool, i};
        if (pthread_create(&pool->handles[i], &attributes, helper_main, argument) != 0) {
            free(argument);
            break;  // fewer threads are slower but correct; see ink_pool_threads
        }
        pool->threads++;
    }
    pthread_attr_destroy(&attributes);
    return pool;
}

void ink_pool_destroy(ink_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stopping, 1);
    announce(pool);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->handles[i], NULL);
    pthread_cond_destroy(&pool->start);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->handles);
    free(pool);
}

int ink_pool_threads(const ink_pool *pool) { return pool->threads; }

void ink_pool_run(ink_pool *pool, size_t count, ink_task task, void *context) {
    if (count == 0) return;
    if (pool->threads == 1 || count == 1) {
        for (size_t i = 0; i < count; i++) task(context, i, 0);
        return;
    }
    pool->count = count;
    pool->task = task;
    pool->context = context;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    announce(pool);
    run_tasks(pool, 0);
    if (is_finished(atomic_fetch_sub(&pool->call, OPEN) - OPEN)) return;
    for (int i = 0; i < SPINS; i++) {
        if (is_finished(atomic_load_explicit(&pool->call, memory_order_acquire))) return;
        PAUSE();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, 1);
    while (!is_finished(atomic_load(&pool->call))) pthread_cond_wait(&pool->done, &pool->mutex);
    atomic_store(&pool->caller_sleeps, 0);
    pthread_mutex_unlock(&pool->mutex);
}
