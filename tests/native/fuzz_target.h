/* The lane as the fuzzer has it: its memory is counted and may be refused, and it may be old. */
#ifndef K2_FUZZ_TARGET_H
#define K2_FUZZ_TARGET_H

#include <stddef.h>

#include "lane.h"

/* Bytes that lanes hold now. */
extern size_t fuzz_held;
/* So many allocations from now on, one is refused; -1: none. */
extern long fuzz_refuse_at;
/* Whether one was. */
extern int fuzz_refused;

/* A read may bring so many bytes of events. */
#define FUZZ_MOST_BYTES (1u << 17)

/* Give the lane the counters of one that is this old, and forget every place. */
void fuzz_age(struct lane *lane, unsigned long long age);

#endif
