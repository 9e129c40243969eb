// Part of Inkstone. Licence: see LICENSE.
//
// What the sanitizers need to know of Swift's runtime, linked by Tests/operation/sanitize into the tests and
// into the program. FINDINGS and SUPPRESSIONS are paths; THREAD is defined for ThreadSanitizer.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Tests start processes with environments of their own, so the options are part of the programs.
// LeakSanitizer cannot see what Swift keeps in global values.
const char *__asan_default_options(void) {
    return "detect_leaks=0:log_path=" FINDINGS ":suppressions=" SUPPRESSIONS;
}
// Tests end workers by signals: without a handler of ThreadSanitizer's own they do what they do elsewhere.
const char *__tsan_default_options(void) {
    return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:second_deadlock_stack=1"
           ":log_path=" FINDINGS ":suppressions=" SUPPRESSIONS;
}

// The processes that read untrusted files limit their memory; the shadow memory of the sanitizers alone is
// far beyond the limit. Other limits are set.
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    if (resource == RLIMIT_DATA) return 0;
    return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
}

#ifdef THREAD

// Swift's runtime and its Synchronization module are not instrumented, so ThreadSanitizer does not see how
// they order accesses and reports races between accesses that are ordered. These functions take the
// place of the runtime's, call them, and declare the order to ThreadSanitizer.

void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

static void *original(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) abort();
    return function;
}

// `Mutex`: an instrumented atomic operation takes a free lock, but the runtime and the kernel hand over one
// that another thread waits for.
#define MUTEX(name) "$s15Synchronization12_MutexHandleV" name
#define LOCK MUTEX("9_lockSlowyys6UInt32VF")
#define TRY_LOCK MUTEX("12_tryLockSlowSbyF")
#define UNLOCK MUTEX("11_unlockSlowyyF")

SWIFT void mutex_lock(uint32_t thread, SELF void *handle) __asm__(LOCK);
SWIFT bool mutex_try_lock(SELF void *handle) __asm__(TRY_LOCK);
SWIFT void mutex_unlock(SELF void *handle) __asm__(UNLOCK);

SWIFT void mutex_lock(uint32_t thread, SELF void *handle) {
    ((SWIFT void (*)(uint32_t, SELF void *))original(LOCK))(thread, handle);
    __tsan_acquire(handle);
}

SWIFT bool mutex_try_lock(SELF void *handle) {
    bool is_locked = ((SWIFT bool (*)(SELF void *))original(TRY_LOCK))(handle);
    if (is_locked) __tsan_acquire(handle);
    return is_locked;
}

SWIFT void mutex_unlock(SELF void *handle) {
    __tsan_release(handle);
    ((SWIFT void (*)(SELF void *))original(UNLOCK))(handle);
}

// Reference counts: accesses before a release come before those of the thread that then finds that it has
// the only reference, and changes the value in place. The lowest bits of a reference and the highest ones are
// flags; one whose sign is set is a value without a count.
static void *counted(void *reference) {
    return (intptr_t)reference > 0 ? (void *)((uintptr_t)reference & 0xfffffffffffff8) : NULL;
}

#define RELEASING(name, parameters, ...)                            \
    void name parameters {                                          \
        static void(*_Atomic function) parameters;                  \
        if (!function) function = original(#name);                  \
        if (counted(reference)) __tsan_release(counted(reference)); \
        function(__VA_ARGS__);                                      \
    }
RELEASING(swift_release, (void *reference), reference)
RELEASING(swift_release_n, (void *reference, uint32_t count), reference, count)
RELEASING(swift_bridgeObjectRelease, (void *reference), reference)
RELEASING(swift_bridgeObjectRelease_n, (void *reference, uint32_t count), reference, count)

#define TESTING(name)                                                             \
    bool name(void *reference) {                                                  \
        static bool(*_Atomic function)(void *);                                   \
        if (!function) function = original(#name);                                \
        bool is_unique = function(reference);                                     \
        if (is_unique && counted(reference)) __tsan_acquire(counted(reference));  \
        return is_unique;                                                         \
    }
TESTING(swift_isUniquelyReferenced)
TESTING(swift_isUniquelyReferenced_native)
TESTING(swift_isUniquelyReferenced_nonNull)
TESTING(swift_isUniquelyReferenced_nonNull_native)
TESTING(swift_isUniquelyReferenced_nonNull_bridgeObject)
TESTING(swift_isUniquelyReferencedNonObjC)
TESTING(swift_isUniquelyReferencedNonObjC_nonNull)
TESTING(swift_isUniquelyReferencedNonObjC_nonNull_bridgeObject)

// Continuations: the runtime declares that a task resumes after the call that resumes it, unless that call came
// before the task had suspended. So the function that a task resumes with is replaced by one that declares it,
// and calls the original.
#define ASYNC __attribute__((swiftasynccall))
#define CONTEXT __attribute__((swift_async_context))

typedef struct context {
    struct context *parent;
    ASYNC void (*resume)(CONTEXT struct context *context);
} async_context;

typedef struct awaited {
    struct awaited *next;
    async_context *context;
    ASYNC void (*resume)(CONTEXT async_context *context);
} awaited;

SWIFT void *swift_task_getCurrent(void);

// A lock that ThreadSanitizer does not see: one that it sees would order all continuations.
static struct {
    int lock;
    awaited *list;
} buckets[1024];

static awaited **enter(async_context *context, int **lock) {
    size_t bucket = ((uintptr_t)context >> 4) % (sizeof buckets / sizeof *buckets);
    *lock = &buckets[bucket].lock;
    while (__atomic_exchange_n(*lock, 1, __ATOMIC_ACQUIRE)) {}
    return &buckets[bucket].list;
}

static void leave(int *lock) { __atomic_store_n(lock, 0, __ATOMIC_RELEASE); }

ASYNC static void resume_awaited(CONTEXT async_context *context) {
    int *lock;
    awaited **place = enter(context, &lock);
    while ((*place)->context != context) place = &(*place)->next;
    awaited *found = *place;
    *place = found->next;
    leave(lock);
    ASYNC void (*resume)(CONTEXT async_context *) = found->resume;
    free(found);
    __tsan_acquire(swift_task_getCurrent());
    __attribute__((musttail)) return resume(context);
}

ASYNC void swift_continuation_await(async_context *context) {
    awaited *added = malloc(sizeof *added);
    if (!added) abort();
    *added = (awaited){NULL, context, context->resume};
    int *lock;
    awaited **list = enter(context, &lock);
    added->next = *list;
    *list = added;
    leave(lock);
    context->resume = resume_awaited;
    static ASYNC void (*_Atomic function)(async_context *);
    if (!function) function = original("swift_continuation_await");
    ASYNC void (*await)(async_context *) = function;
    __attribute__((musttail)) return await(context);
}

#endif
