/* Runs the aggregator's plain case alone, for sanitizers: bundles of a file, damaged at random, in memory that ends where they end.
 *
 * publish_driver FILE SEED ROUNDS; the file holds bundles, each behind its size (four bytes, big endian). Prints how many were taken, and how
 * many left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publish.h"

#define MOST_BUNDLES 4096
#define MOST_HELD 8

static struct {
    uint8_t *bytes;
    size_t size;
} bundles[MOST_BUNDLES];

static uint64_t state;

static uint32_t chance(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static int load(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t head[4];
    int count = 0;
    if (!file)
        return 0;
    while (count < MOST_BUNDLES && fread(head, 1, 4, file) == 4) {
        size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        bundles[count].bytes = malloc(size + 1);
        bundles[count].size = size;
        if (!bundles[count].bytes || fread(bundles[count].bytes, 1, size, file) != size)
            break;
        count++;
    }
    fclose(file);
    return count;
}

/* A copy that ends where its memory ends, perhaps damaged. */
static uint8_t *damaged(int which, size_t *size)
{
    size_t whole = bundles[which].size, keep = chance(4) ? whole : chance((uint32_t)whole + 1), more = chance(8) ? 0 : chance(9);
    uint8_t *copy = malloc(keep + more ? keep + more : 1);
    if (!copy)
        exit(2);
    memcpy(copy, bundles[which].bytes, keep);
    for (size_t at = keep; at < keep + more; at++)
        copy[at] = (uint8_t)chance(256);
    *size = keep + more;
    if (*size)
        for (uint32_t times = chance(3) ? 0 : chance(4) + 1; times; times--)
            copy[chance((uint32_t)*size)] = (uint8_t)(chance(2) ? chance(256) : "\x97\xdc\xdd\xc4\xc5\xc6\xcf\xd3\xdb\xff"[chance(10)]);
    return copy;
}

/* Have the topics of a bundle that is whole stand somewhere, mostly right in front of its first batch. */
static void arm(struct publish *publish, int which)
{
    const uint8_t *at = bundles[which].bytes, *end = at + bundles[which].size;
    for (; at < end; at++) {
        if ((*at & 0xe0) != 0xa0 || at + 1 + (*at & 0x1f) > end || at == bundles[which].bytes || at[-1] != 0x97)
            continue;
        const struct publish_place place = {(enum publish_rule)chance(4), chance(4) ? 0 : (int64_t)chance(1000) - 2, chance(5), 585};
        publish_arm(publish, at + 1, *at & 0x1f, &place);
        if (!chance(20))
            publish_block(publish, at + 1, *at & 0x1f);
    }
}

static void give_out(struct publish *publish, uint64_t *bytes)
{
    for (uint32_t at = 0; at < publish_count(publish); at++) {
        struct publish_frame frame;
        publish_frame(publish, at, &frame);
        uint8_t *to = malloc(frame.size);
        if (!to)
            exit(2);
        publish_write(publish, at, chance(1000), chance(1000), to);
        for (size_t byte = 0; byte < frame.size; byte++)
            *bytes += to[byte];
        free(to);
    }
    publish_done(publish);
}

static void settle(struct publish *publish, uint64_t *bytes)
{
    for (uint32_t at = 0; at < publish_account_count(publish); at++) {
        struct publish_account account;
        publish_account(publish, at, &account);
        for (size_t byte = 0; account.bars && byte < account.bars_size; byte++)
            *bytes += account.bars[byte];
    }
    publish_settled(publish);
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? load(argv[1]) : 0;
    if (!count)
        return 2;
    state = strtoull(argv[2], NULL, 10);
    uint64_t taken = 0, left = 0, bytes = 0;
    struct publish *publish = NULL;
    uint8_t *held[MOST_HELD];
    int holding = 0;
    for (long round = strtol(argv[3], NULL, 10); round; round--) {
        if (!publish || !chance(500)) {
            if (publish)
                publish_free(publish);
            publish = publish_new();
            for (uint32_t schema = 1; schema < 12; schema++)
                publish_add_schema(publish, schema);
        }
        if (!holding && !chance(3))
            arm(publish, (int)chance((uint32_t)count));
        int which = (int)chance((uint32_t)count);
        if (!holding && chance(2))
            arm(publish, which);
        size_t size;
        held[holding] = damaged(which, &size);
        int plain = publish_take(publish, held[holding++], size) == PUBLISH_TAKEN;
        *(plain ? &taken : &left) += 1;
        if (plain && holding < MOST_HELD && chance(3))
            continue;
        if (plain && chance(10))
            give_out(publish, &bytes);
        else
            publish_undo(publish);
        while (holding)
            free(held[--holding]);
        if (!chance(5))
            settle(publish, &bytes);
    }
    while (holding)
        free(held[--holding]);
    publish_free(publish);
    for (int at = 0; at < count; at++)
        free(bundles[at].bytes);
    printf("%llu %llu\n", (unsigned long long)taken, (unsigned long long)left);
    return bytes == 1; /* so that nothing of it is left out */
}
