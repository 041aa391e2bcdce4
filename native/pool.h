// Threads for a call: torch's pool where it was given, else the calling thread.
#pragma once

#include <atomic>
#include <time.h>

#include "job.h"

extern tg_parallel_for tg_pool;

inline double tg_seconds(clockid_t clock = CLOCK_MONOTONIC) {
    timespec now;
    clock_gettime(clock, &now);
    return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

// How many threads are worth having for the calls of one thread. Where another process has one of the processors, a part waits for it, and the
// calling thread for the part, for milliseconds: one thread less is then faster. Each call tells how long it took and how long the calling
// thread was at work in it, on a processor; when, on the whole, one less would have been faster, there is one less for a while, then another try. The
// results do not depend on it: the parts of a call are the same.
class tg_pace {
  public:
    int64_t threads(int64_t wanted);
    // Of `count` parts the calling thread did `done` in `worked` seconds of a processor; all of them took `took`, on that many threads.
    void tell(double took, double worked, int64_t done, int64_t count, int64_t threads);

  private:
    int64_t left_out = 0;
    double balance = 0, until = 0, pause = 0;
};
// A call's own view of it: what the calling thread does is told apart by the address of `owner`.
struct tg_share {
    const char *owner;
    double begun, begun_work, worked = 0;
    int64_t done = 0;
    tg_share();
    void finish(int64_t parts); // by any thread that has done some parts
    void tell(int64_t count, int64_t threads);
};
int64_t tg_threads(int64_t wanted); // 1 where there is no pool

template <class F> struct tg_work {
    F *call;
    int64_t count;
    std::atomic<int64_t> next;
    tg_share share;
    static void take(int64_t, int64_t, void *context) {
        tg_work &work = *(tg_work *)context;
        int64_t done = 0;
        for (int64_t i; (i = work.next.fetch_add(1, std::memory_order_relaxed)) < work.count; ++done) (*work.call)(i);
        work.share.finish(done);
    }
};

// Runs call(i) for i in 0 .. count on at most `threads` threads. Whoever is free takes the next one: on a busy machine a thread that has
// lost its processor holds up only the part it has begun.
template <class F> void tg_each(int64_t count, int64_t threads, F call) {
    const int64_t helpers = tg_threads(threads < count ? threads : count);
    if (helpers <= 1) {
        for (int64_t i = 0; i < count; ++i) call(i);
        return;
    }
    tg_work<F> work{&call, count, {0}, {}};
    tg_pool(0, helpers, 1, tg_work<F>::take, &work);
    tg_work<F>::take(0, 0, &work); // what is left: the pool may have had fewer threads
    work.share.tell(count, helpers);
}

// Parts that spin for a while, then sleep: on a busy machine the one that is waited for may have lost its processor to another process, and a
// sleeping thread gives it back.
struct tg_barrier {
    std::atomic<int64_t> missing{0};
    std::atomic<int32_t> round{0};
    std::atomic<int32_t> asleep{0};
    int64_t parts = 0;
};

// Runs call(team, first part, end of parts, barrier) for `teams` teams of `parts` parts: each thread takes some parts of a team as one. Those of
// one team run at the same time and meet at the barrier. The pool hands out ranges; a thread that is given a whole team waits for nobody,
// so a pool that runs everything on one thread serves as well.
template <class F> struct tg_teams {
    F *call;
    int64_t parts;
    tg_barrier *barriers;
    tg_share share;
    static void take(int64_t begin, int64_t end, void *context) {
        tg_teams &work = *(tg_teams *)context;
        const int64_t done = end - begin;
        while (begin < end) {
            const int64_t team = begin / work.parts, last = (team + 1) * work.parts < end ? (team + 1) * work.parts : end;
            const bool whole = last - begin == work.parts;
            (*work.call)(team, begin % work.parts, begin % work.parts + (last - begin), whole ? nullptr : work.barriers + team);
            begin = last;
        }
        work.share.finish(done);
    }
};

template <class F> void tg_each_team(int64_t teams, int64_t parts, int64_t threads, tg_barrier *barriers, F call) {
    for (int64_t i = 0; i < teams; ++i) barriers[i].missing = barriers[i].parts = parts;
    tg_teams<F> work{&call, parts, barriers, {}};
    const int64_t all = teams * parts, helpers = tg_threads(threads < all ? threads : all);
    if (helpers <= 1) return tg_teams<F>::take(0, all, &work);
    tg_pool(0, all, (all + helpers - 1) / helpers, tg_teams<F>::take, &work); // in ranges, no more of them than threads
    work.share.tell(all, helpers);
}
