#include "fuzz_target.h"

#include <malloc.h>
#include <stdlib.h>

size_t fuzz_held;
long fuzz_refuse_at = -1;
int fuzz_refused;

static int is_refused(void)
{
    int refused = fuzz_refuse_at >= 0 && fuzz_refuse_at-- == 0;
    fuzz_refused |= refused;
    return refused;
}

static void *counted(void *block)
{
    fuzz_held += block ? malloc_usable_size(block) : 0;
    return block;
}

static void *counted_malloc(size_t size)
{
    return is_refused() ? NULL : counted(malloc(size));
}

static void *counted_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : counted(calloc(count, size));
}

static void *counted_realloc(void *block, size_t size)
{
    if (is_refused())
        return NULL;
    fuzz_held -= block ? malloc_usable_size(block) : 0;
    return counted(realloc(block, size));
}

static void counted_free(void *block)
{
    fuzz_held -= block ? malloc_usable_size(block) : 0;
    free(block);
}

/* So that this bound is met too. */
#define LANE_MOST_BYTES FUZZ_MOST_BYTES

#define malloc counted_malloc
#define calloc counted_calloc
#define realloc counted_realloc
#define free counted_free
#include "lane.c"

void fuzz_age(struct lane *lane, unsigned long long age)
{
    lane_settled(lane, 0);
    lane->reads = lane->reads < age ? age : lane->reads;
    lane->settlement = lane->settlement < age ? age : lane->settlement;
}
