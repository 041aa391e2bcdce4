// Where the slots of a team meet.
#include "pool.h"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Looks before a thread goes to sleep, some ten microseconds: longer than parts of a step differ on an idle machine, shorter than the slice of
// time that another process gets.
constexpr int LOOKS = 1000;

static void rest() {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

static void sleep_while(std::atomic<int32_t> &word, int32_t value) {
#if defined(__linux__)
    syscall(SYS_futex, (int32_t *)&word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
#else
    (void)word, (void)value;
    sched_yield();
#endif
}
static void wake_all(std::atomic<int32_t> &word) {
#if defined(__linux__)
    syscall(SYS_futex, (int32_t *)&word, FUTEX_WAKE_PRIVATE, 1 << 30, nullptr, nullptr, 0);
#else
    (void)word;
#endif
}

void tg_meet(tg_barrier *barrier, int64_t taken) {
    tg_barrier &b = *barrier;
    const int32_t round = b.round.load(std::memory_order_acquire);
    if (b.missing.fetch_sub(taken, std::memory_order_acq_rel) == taken) { // the last to come
        b.missing.store(b.parts, std::memory_order_relaxed);
        b.round.store(round + 1, std::memory_order_seq_cst);
        if (b.asleep.load(std::memory_order_seq_cst)) wake_all(b.round);
        return;
    }
    for (int i = 0; i < LOOKS; ++i) {
        if (b.round.load(std::memory_order_acquire) != round) return;
        rest();
    }
    b.asleep.fetch_add(1, std::memory_order_seq_cst);
    while (b.round.load(std::memory_order_seq_cst) == round) sleep_while(b.round, round);
    b.asleep.fetch_sub(1, std::memory_order_seq_cst);
}
