/* Reads MessagePack as strictly as can be: shortest forms, nothing behind the end. What is otherwise ends the program. */
#ifndef K2_FUZZ_WALK_H
#define K2_FUZZ_WALK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(true_thing)                                                                  \
    do {                                                                                  \
        if (!(true_thing)) {                                                              \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #true_thing);    \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

struct walk {
    const uint8_t *at, *end;
};

static uint64_t walk_big_endian(struct walk *walk, int bytes)
{
    uint64_t value = 0;
    MUST(walk->end - walk->at >= bytes);
    while (bytes--)
        value = value << 8 | *walk->at++;
    return value;
}

static uint8_t walk_byte(struct walk *walk)
{
    return (uint8_t)walk_big_endian(walk, 1);
}

static uint64_t walk_number(struct walk *walk)
{
    uint8_t head = walk_byte(walk);
    if (head < 0x80)
        return head;
    MUST(head >= 0xcc && head <= 0xcf);
    uint64_t value = walk_big_endian(walk, 1 << (head - 0xcc));
    MUST(value >= (head == 0xcc ? 0x80 : 1ull << (4 << (head - 0xcc))));
    return value;
}

static uint32_t walk_array(struct walk *walk)
{
    uint8_t head = walk_byte(walk);
    if (head >> 4 == 9)
        return head & 15;
    MUST(head == 0xdc || head == 0xdd);
    uint32_t count = (uint32_t)walk_big_endian(walk, head == 0xdc ? 2 : 4);
    MUST(count >= (head == 0xdc ? 16u : 65536u));
    return count;
}

/* Text, or bytes, of this kind of head (0xd9 or 0xc4). */
static struct walk walk_block(struct walk *walk, uint8_t kind)
{
    uint8_t head = walk_byte(walk);
    uint64_t length;
    if (kind == 0xd9 && head >> 5 == 5) {
        length = head & 31;
    } else {
        MUST(head >= kind && head <= kind + 2);
        length = walk_big_endian(walk, 1 << (head - kind));
        MUST(length >= (head > kind ? 1ull << (4 << (head - kind)) : kind == 0xd9 ? 32 : 0));
    }
    MUST(length <= (uint64_t)(walk->end - walk->at));
    struct walk block = {walk->at, walk->at + length};
    walk->at += length;
    return block;
}

static void walk_decimal(struct walk *walk)
{
    struct walk text = walk_block(walk, 0xd9);
    int points = 0;
    MUST(text.end - text.at >= 1 && text.end - text.at <= 40 && *text.at != '.' && text.end[-1] != '.');
    for (; text.at < text.end; text.at++) {
        points += *text.at == '.';
        MUST(*text.at == '.' || (*text.at >= '0' && *text.at <= '9'));
    }
    MUST(points <= 1);
}

/* A field of an event: its number, if it is one. */
static uint64_t walk_field(struct walk *walk)
{
    MUST(walk->at < walk->end);
    uint8_t head = *walk->at;
    if (head == 0xc2 || head == 0xc3) {
        walk->at++;
    } else if (head >> 4 == 9 || head == 0xdc || head == 0xdd) {
        for (uint32_t left = walk_array(walk); left; left--) {
            MUST(walk_array(walk) == 2);
            walk_decimal(walk);
            walk_decimal(walk);
        }
    } else if (head < 0x80 || (head >= 0xcc && head <= 0xcf)) {
        return walk_number(walk);
    } else {
        walk_decimal(walk);
    }
    return 0;
}

#endif
