// Runs the body of a kernel on the CPU: blocks one after another, the threads of a block as fibers, so that barriers and
// shuffles work. For checking numbers and indices in tests. It shows nothing of races, of the order of memory accesses or of
// launch arguments: those need a GPU.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

namespace simt {
struct Dim3 {
    unsigned x, y, z;
    Dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

enum Wait { RUNNABLE, AT_BLOCK, AT_WARP, DONE };

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    Dim3 thread;
    unsigned index = 0;
    Wait wait = RUNNABLE;
};

struct Block {
    ucontext_t scheduler;
    std::vector<Fiber> fibers;
    Fiber* current = nullptr;
    const std::function<void()>* body = nullptr;
    uint64_t exchanged[1024];
};

inline Block*& block() {
    static thread_local Block* value = nullptr;
    return value;
}
inline Dim3& block_index() {
    static thread_local Dim3 value;
    return value;
}
inline Dim3& block_size() {
    static thread_local Dim3 value;
    return value;
}
inline Dim3& grid_size() {
    static thread_local Dim3 value;
    return value;
}
inline Dim3& thread_index() {
    static thread_local Dim3 value;
    return block() ? block()->current->thread : value;
}
inline unsigned lane() { return block()->current->index & 31u; }

inline void fail(const char* what) {
    std::fprintf(stderr, "host kernels: %s\n", what);
    std::abort();
}

inline void park(Wait wait) {
    Block* b = block();
    if (!b) fail("a barrier in a kernel launched without fibers");
    b->current->wait = wait;
    swapcontext(&b->current->context, &b->scheduler);
}

inline void block_barrier() { park(AT_BLOCK); }
inline void warp_barrier() { park(AT_WARP); }

template <class T> T shuffle(T value, unsigned from_lane) {
    static_assert(sizeof(T) <= 8, "a shuffle moves eight bytes at most");
    Block* b = block();
    unsigned me = b->current->index, first = me & ~31u;
    std::memcpy(&b->exchanged[me], &value, sizeof(T));
    warp_barrier();
    T result = value;
    if (first + from_lane < b->fibers.size()) std::memcpy(&result, &b->exchanged[first + from_lane], sizeof(T));
    warp_barrier();
    return result;
}

inline void enter() {
    Block* b = block();
    (*b->body)();
    b->current->wait = DONE;
    swapcontext(&b->current->context, &b->scheduler);
}

// Lets go whoever stands at a barrier that all have reached; whether anybody was.
inline bool release(Block& b) {
    size_t done = 0, at_block = 0;
    for (Fiber& f : b.fibers) {
        done += f.wait == DONE;
        at_block += f.wait == AT_BLOCK;
    }
    if (at_block && done + at_block == b.fibers.size()) {
        if (done) fail("a block barrier that some threads have left the kernel without reaching");
        for (Fiber& f : b.fibers) f.wait = RUNNABLE;
        return true;
    }
    bool released = false;
    for (size_t warp = 0; warp < b.fibers.size(); warp += 32) {
        size_t end = std::min(warp + 32, b.fibers.size()), at = 0, live = 0;
        for (size_t i = warp; i < end; ++i) {
            live += b.fibers[i].wait != DONE;
            at += b.fibers[i].wait == AT_WARP;
        }
        if (!at || at != live) continue;
        for (size_t i = warp; i < end; ++i)
            if (b.fibers[i].wait == AT_WARP) b.fibers[i].wait = RUNNABLE;
        released = true;
    }
    return released;
}

inline void run_block(Dim3 size, const std::function<void()>& body) {
    const size_t stack = 64 << 10;
    Block b;
    b.body = &body;
    b.fibers.resize(size_t(size.x) * size.y * size.z);
    block() = &b;
    unsigned n = 0;
    for (unsigned z = 0; z < size.z; ++z)
        for (unsigned y = 0; y < size.y; ++y)
            for (unsigned x = 0; x < size.x; ++x, ++n) {
                Fiber& f = b.fibers[n];
                f.thread = Dim3(x, y, z);
                f.index = n;
                f.stack.reset(new char[stack]);
                getcontext(&f.context);
                f.context.uc_stack.ss_sp = f.stack.get();
                f.context.uc_stack.ss_size = stack;
                f.context.uc_link = nullptr;
                makecontext(&f.context, enter, 0);
            }
    for (;;) {
        bool ran = false, all_done = true;
        for (Fiber& f : b.fibers)
            if (f.wait == RUNNABLE) {
                b.current = &f;
                swapcontext(&b.scheduler, &f.context);
                ran = true;
            }
        for (Fiber& f : b.fibers) all_done &= f.wait == DONE;
        if (all_done) break;
        if (!release(b) && !ran) fail("a deadlock of divergent barriers");
    }
    block() = nullptr;
}

// fibers = false: plain loops, where barriers abort.
inline void launch(Dim3 grid, Dim3 size, bool fibers, const std::function<void()>& body) {
    block_size() = size;
    grid_size() = grid;
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) {
                block_index() = Dim3(x, y, z);
                if (fibers) {
                    run_block(size, body);
                    continue;
                }
                Dim3& t = thread_index();
                for (t.z = 0; t.z < size.z; ++t.z)
                    for (t.y = 0; t.y < size.y; ++t.y)
                        for (t.x = 0; t.x < size.x; ++t.x) body();
            }
}

// One thread an element, 256 to a block.
inline void launch_elements(long long count, const std::function<void()>& body) {
    launch({unsigned((count + 255) / 256)}, {256}, false, body);
}

template <class T> inline T bits(float x) {
    T result;
    static_assert(sizeof(T) == 4, "");
    std::memcpy(&result, &x, 4);
    return result;
}
template <class T> inline float from_bits(T x) {
    float result;
    static_assert(sizeof(T) == 4, "");
    std::memcpy(&result, &x, 4);
    return result;
}

// IEEE half, rounded to nearest even.
struct Half {
    uint16_t u;
    Half() = default;
    explicit Half(float f) {
        uint32_t x = bits<uint32_t>(f), sign = (x >> 16) & 0x8000u, a = x & 0x7fffffffu;
        if (a > 0x7f800000u) {
            u = uint16_t(sign | 0x7e00u);
        } else if (a >= 0x477ff000u) {
            u = uint16_t(sign | 0x7c00u);
        } else if (a < 0x38800000u) { // subnormal: let the FPU round
            u = uint16_t(sign | (bits<uint32_t>(from_bits(a) + 0.5f) - 0x3f000000u));
        } else {
            u = uint16_t(sign | ((a + 0xc8000fffu + ((a >> 13) & 1)) >> 13));
        }
    }
    operator float() const {
        uint32_t sign = uint32_t(u & 0x8000u) << 16, e = (u >> 10) & 31, m = u & 0x3ffu;
        if (e == 31) return from_bits(sign | 0x7f800000u | (m << 13));
        if (e) return from_bits(sign | ((e + 112) << 23) | (m << 13));
        return from_bits(bits<uint32_t>(float(m) * 5.9604644775390625e-8f) | sign);
    }
};

// The upper half of a float, rounded to nearest even.
struct Bfloat {
    uint16_t u;
    Bfloat() = default;
    explicit Bfloat(float f) {
        uint32_t x = bits<uint32_t>(f);
        u = (x & 0x7fffffffu) > 0x7f800000u ? uint16_t(x >> 16 | 0x40u) : uint16_t((x + 0x7fffu + (x >> 16 & 1)) >> 16);
    }
    operator float() const { return from_bits(uint32_t(u) << 16); }
};
} // namespace simt
