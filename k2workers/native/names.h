/* How a name is found in a table. Not keyed: who chooses names may make a look-up slow, never wrong or endless. */
#ifndef K2_NAMES_H
#define K2_NAMES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

#endif
