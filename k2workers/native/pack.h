/* MessagePack in its shortest forms, as msgspec writes it. Nothing here allocates; the caller has the room. */
#ifndef K2_PACK_H
#define K2_PACK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The most bytes that the head of a text, of bytes, of an array, or a whole number takes. */
#define PACK_HEAD 5
#define PACK_NUMBER 9

static inline uint8_t *pack_big_endian(uint8_t *to, uint64_t value, int bytes)
{
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value << (64 - 8 * bytes));
    memcpy(to, &value, (size_t)bytes);
    return to + bytes;
#else
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(value >> shift);
    return to;
#endif
}

static inline uint8_t *pack_number(uint8_t *to, uint64_t value)
{
    if (value < 0x80) {
        *to++ = (uint8_t)value;
        return to;
    }
    if (value <= UINT8_MAX) {
        *to++ = 0xcc;
        return pack_big_endian(to, value, 1);
    }
    if (value <= UINT16_MAX) {
        *to++ = 0xcd;
        return pack_big_endian(to, value, 2);
    }
    if (value <= UINT32_MAX) {
        *to++ = 0xce;
        return pack_big_endian(to, value, 4);
    }
    *to++ = 0xcf;
    return pack_big_endian(to, value, 8);
}

static inline size_t pack_number_size(uint64_t value)
{
    return value < 0x80 ? 1 : value <= UINT8_MAX ? 2 : value <= UINT16_MAX ? 3 : value <= UINT32_MAX ? 5 : 9;
}

static inline uint8_t *pack_flag(uint8_t *to, int flag)
{
    *to++ = flag ? 0xc3 : 0xc2;
    return to;
}

static inline uint8_t *pack_array_head(uint8_t *to, uint32_t count)
{
    if (count < 16) {
        *to++ = (uint8_t)(0x90 | count);
        return to;
    }
    if (count <= UINT16_MAX) {
        *to++ = 0xdc;
        return pack_big_endian(to, count, 2);
    }
    *to++ = 0xdd;
    return pack_big_endian(to, count, 4);
}

static inline size_t pack_array_head_size(uint32_t count)
{
    return count < 16 ? 1 : count <= UINT16_MAX ? 3 : 5;
}

static inline uint8_t *pack_text_head(uint8_t *to, uint32_t length)
{
    if (length < 32) {
        *to++ = (uint8_t)(0xa0 | length);
        return to;
    }
    if (length <= UINT8_MAX) {
        *to++ = 0xd9;
        return pack_big_endian(to, length, 1);
    }
    if (length <= UINT16_MAX) {
        *to++ = 0xda;
        return pack_big_endian(to, length, 2);
    }
    *to++ = 0xdb;
    return pack_big_endian(to, length, 4);
}

static inline uint8_t *pack_bytes_head(uint8_t *to, uint32_t length)
{
    if (length <= UINT8_MAX) {
        *to++ = 0xc4;
        return pack_big_endian(to, length, 1);
    }
    if (length <= UINT16_MAX) {
        *to++ = 0xc5;
        return pack_big_endian(to, length, 2);
    }
    *to++ = 0xc6;
    return pack_big_endian(to, length, 4);
}

static inline size_t pack_bytes_head_size(uint32_t length)
{
    return length <= UINT8_MAX ? 2 : length <= UINT16_MAX ? 3 : 5;
}

#endif
