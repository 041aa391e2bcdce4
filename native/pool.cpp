// Where the slots of a team meet, and how many threads a call is given.
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

static thread_local tg_pace pace;
static thread_local char here;

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

// Seconds by which one thread less must have been faster, all in all, before it is tried; and by how much it may have been slower before
// that counts no more.
constexpr double ENOUGH = 2e-3, FORGOTTEN = -2e-2;
// Seconds before one thread more is tried again: longer each time it does not help.
constexpr double FIRST_PAUSE = 0.05, LAST_PAUSE = 0.5;

int64_t tg_pace::threads(int64_t wanted) {
    if (left_out && tg_seconds() > until) --left_out, until += pause;
    return wanted > left_out ? wanted - left_out : 1;
}

void tg_pace::tell(double took, double worked, int64_t done, int64_t count, int64_t threads) {
    const int64_t fewer = (count + threads - 2) / (threads - 1); // parts that a thread would have had to do
    balance += took - worked / double(done) * double(fewer);
    if (balance < FORGOTTEN) balance = FORGOTTEN, pause = FIRST_PAUSE;
    if (balance < ENOUGH) return;
    balance = 0;
    pause = pause < FIRST_PAUSE ? FIRST_PAUSE : 2 * pause < LAST_PAUSE ? 2 * pause : LAST_PAUSE;
    until = tg_seconds() + pause;
    ++left_out;
}

int64_t tg_threads(int64_t wanted) { return tg_pool && wanted > 1 ? pace.threads(wanted) : 1; }

static double worked_here() { return tg_seconds(CLOCK_THREAD_CPUTIME_ID); }
tg_share::tg_share() : owner(&here), begun(tg_seconds()), begun_work(worked_here()) {}
void tg_share::finish(int64_t parts) {
    if (owner != &here || !parts) return;
    done += parts;
    worked = worked_here() - begun_work;
}
void tg_share::tell(int64_t count, int64_t threads) {
    if (done) pace.tell(tg_seconds() - begun, worked, done, count, threads);
}
