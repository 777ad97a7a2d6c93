// Launches entries by name with a list of arguments, as a driver does, and refuses what does not fit the entry: too few or
// too many, a value of another size, elements of another size, a buffer that is written and was not said to be.
//
// CUDA's entries take scalars by value; Metal's take them by reference, and behind the buffers what they are told of their
// place: one number (the thread in the grid), a pair and a number (the group, and the thread in it), or three numbers (the
// group, the thread in it, its threads).
#pragma once
#include "simt.h"

#include <type_traits>

namespace launcher {
enum Kind { IN, OUT, VALUE };

// `at`: the elements, or the value. `size`: of an element (1: bytes, whatever they mean), or of the value.
struct Given {
    void* at;
    size_t size;
    int kind;
};

enum Answer { DONE = 0, NO_SUCH_ENTRY = 1, WRONG_NUMBER = 2, WRONG_ARGUMENT = 100 /* and its position */ };

struct Entry {
    const char* name;
    bool fibers;
    std::function<int(const Given*, int, simt::Dim3, simt::Dim3, bool)> run;
};

template <class P> bool fits(const Given& g) {
    using V = std::remove_cv_t<std::remove_reference_t<P>>;
    if constexpr (std::is_pointer_v<V>) {
        using E = std::remove_pointer_t<V>;
        return g.kind != VALUE && (std::is_const_v<E> || g.kind == OUT) && (g.size == 1 || g.size == sizeof(E));
    } else {
        return g.kind == VALUE && g.size == sizeof(V);
    }
}

template <class P> P take(const Given& g) {
    using V = std::remove_reference_t<P>;
    if constexpr (std::is_pointer_v<std::remove_cv_t<V>>)
        return static_cast<std::remove_cv_t<V>>(g.at);
    else
        return *static_cast<V*>(g.at);
}

inline unsigned index() {
    return simt::block_index().x * simt::block_size().x + simt::thread_index().x;
}

#ifdef CHEHRA_METAL
template <class P> constexpr bool is_buffer = std::is_pointer_v<P> || std::is_reference_v<P>;
// The nth of `many` things that an entry is told of its place.
template <class P> P place(int nth, int many) {
    if constexpr (std::is_same_v<P, uint>) {
        if (many == 1) return index();
        return nth == 0 ? simt::block_index().x : nth == 1 ? simt::thread_index().x : simt::block_size().x;
    } else {
        return P{simt::block_index().x, simt::block_index().y};
    }
}
#else
template <class P> constexpr bool is_buffer = true;
template <class P> P place(int, int) {
    simt::fail("CUDA's entries are not told where they are");
    std::abort();
}
#endif

template <class P, size_t I> P argument(const Given* given, int buffers, int places) {
    if constexpr (is_buffer<P>)
        return take<P>(given[I]);
    else
        return place<P>(int(I) - buffers, places);
}

template <class... P, size_t... I>
Entry entry(const char* name, void (*f)(P...), bool fibers, std::index_sequence<I...>) {
    return {name, fibers, [f](const Given* given, int count, simt::Dim3 grid, simt::Dim3 size, bool fibers) -> int {
                const int buffers = (0 + ... + int(is_buffer<P>)), places = int(sizeof...(P)) - buffers;
                if (count != buffers) return WRONG_NUMBER;
                int wrong = 0;
                ((is_buffer<P> && !wrong && !fits<P>(given[I < size_t(buffers) ? I : 0]) ? wrong = WRONG_ARGUMENT + int(I) : 0),
                 ...);
                if (wrong) return wrong;
                simt::launch(grid, size, fibers, [&] { f(argument<P, I>(given, buffers, places)...); });
                return DONE;
            }};
}

template <class... P> Entry entry(const char* name, void (*f)(P...), bool fibers) {
    return entry(name, f, fibers, std::index_sequence_for<P...>{});
}

inline int launch(const std::vector<Entry>& entries, const char* name, const Given* given, int count, unsigned across,
                  unsigned down, unsigned threads) {
    for (const Entry& e : entries)
        if (!std::strcmp(e.name, name)) return e.run(given, count, {across, down}, {threads}, e.fibers);
    return NO_SUCH_ENTRY;
}
} // namespace launcher

// Entries that both dialects have.
#define ENTRIES_OF(suffix, T)                                                                                          \
    PLAIN(warp_##suffix) PLAIN(crop_resize_##suffix) PLAIN(shrink_##suffix) PLAIN(im2col_##suffix)                     \
    PLAIN(bias_act_##suffix) PLAIN(depthwise_##suffix) PLAIN(affine_##suffix) PLAIN(scale_channels_##suffix)           \
    PLAIN(to_f32_##suffix) PLAIN(from_f32_##suffix)                                                                    \
    PLAIN(sigmoid_##suffix) PLAIN(upsample2_add_##suffix) PLAIN(max_pool2_##suffix) PLAIN(subsample_##suffix)          \
    PLAIN(global_avg_pool_##suffix)
#define PLAIN(name) launcher::entry(#name, name, false),
#define WITH_BARRIERS(name) launcher::entry(#name, name, true),
