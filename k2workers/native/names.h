/* How a name is found in a table. Not keyed: who chooses names may make a look-up slow, never wrong or endless. */
#ifndef K2_NAMES_H
#define K2_NAMES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NO_NAME UINT32_MAX

static inline uint64_t name_hash(const uint8_t *name, size_t length)
{
    uint64_t hash = length * 0x9e3779b97f4a7c15u, part;
    for (; length >= 8; name += 8, length -= 8) {
        memcpy(&part, name, 8);
        hash = (hash ^ part) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    part = 0;
    memcpy(&part, name, length);
    hash = (hash ^ part) * 0xff51afd7ed558ccdu;
    return hash ^ (hash >> 32);
}

/* Names by number, from 0 in the order in which they were added. Their bytes are the caller's, and stay where they are. */
struct names {
    struct named {
        const uint8_t *name;
        size_t length;
        uint64_t hash;
    } *of;
    uint32_t *slots; /* open addressing: numbers; at most a quarter is full */
    uint32_t count, room;
};

static inline void names_free(struct names *names)
{
    free(names->of);
    free(names->slots);
}

/* The number of a name; NO_NAME if it is not known. */
static inline uint32_t names_find(const struct names *names, const uint8_t *name, size_t length)
{
    if (!names->room)
        return NO_NAME;
    uint64_t hash = name_hash(name, length);
    uint32_t mask = names->room * 4 - 1, number;
    for (uint32_t at = (uint32_t)hash & mask; (number = names->slots[at]) != NO_NAME; at = (at + 1) & mask) {
        const struct named *named = &names->of[number];
        if (named->hash == hash && named->length == length && !memcmp(named->name, name, length))
            return number;
    }
    return NO_NAME;
}

static inline void names_put(struct names *names, uint32_t number)
{
    uint32_t mask = names->room * 4 - 1, at = (uint32_t)names->of[number].hash & mask;
    while (names->slots[at] != NO_NAME)
        at = (at + 1) & mask;
    names->slots[at] = number;
}

/* Room for one more; -1 without memory. */
static inline int names_grow(struct names *names)
{
    if (names->count < names->room)
        return 0;
    if (names->room > UINT32_MAX / 16)
        return -1;
    uint32_t room = names->room ? names->room * 2 : 64;
    struct named *of = realloc(names->of, room * sizeof *of);
    if (of)
        names->of = of;
    uint32_t *slots = malloc((size_t)room * 4 * sizeof *slots);
    if (!of || !slots) {
        free(slots);
        return -1;
    }
    memset(slots, 0xff, (size_t)room * 4 * sizeof *slots); /* NO_NAME everywhere */
    free(names->slots);
    names->slots = slots;
    names->room = room;
    for (uint32_t number = 0; number < names->count; number++)
        names_put(names, number);
    return 0;
}

/* One that is not known, after ``names_grow``. */
static inline void names_add(struct names *names, const uint8_t *name, size_t length)
{
    names->of[names->count] = (struct named){name, length, name_hash(name, length)};
    names_put(names, names->count++);
}

#endif
