#include "lane.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "names.h"
#include "pack.h"

/* A time further ahead of our clock proves nothing about copies (doubts.FAR_NS). */
#define FAR_NS 600000000000LL

/* Copies are made in steps of 16 bytes: so much may be written behind an event. */
#define WIDE 16
#define LONGEST_DECIMAL_COPY 48

/* No message is longer: a longer frame is not plain. Encoded levels are shorter than their JSON, but for heads and one wide copy. */
#define LONGEST_MESSAGE UINT16_MAX
#define LEVELS_ROOM (LONGEST_MESSAGE + 4 * PACK_HEAD + LONGEST_DECIMAL_COPY)

/* A read that would bring more bytes of events is refused: their places are numbers of 32 bits. Real ones bring less than a thousandth. */
#ifndef LANE_MOST_BYTES
#define LANE_MOST_BYTES (1u << 30)
#endif

/* So many bytes behind a literal may be read. */
#define LITERAL_SLACK 8

/* So many events of a topic are remembered while a second line may bring them again. */
#define REMEMBERED 128

#define NONE UINT32_MAX

struct shape {
    struct lane_item items[LANE_MAX_ITEMS];
    int item_count;
    int fields[LANE_MAX_FIELDS];
    int field_count;
    int first_id, last_id, made, venue_time, link_first, link_last;
};

enum state { ASK = 0, ARMED = 1, BLOCKED = 2 };

/* What was accepted, but for the time of the read. */
struct memory {
    int64_t last_id;
    uint64_t hash;
};

struct stream {
    uint8_t *text; /* name, symbol, head of a batch: one after the other */
    uint32_t name_length, symbol_length, batch_head_length;
    uint32_t topic_index, kind;
    int shape;

    enum state state;
    uint64_t known_at; /* the settlement after which ``state`` and ``place`` were told */
    struct lane_place place;

    struct memory *memories; /* a ring of REMEMBERED; NULL while one line alone brings the topic */
    uint32_t memory_count;

    /* of this read */
    uint64_t read; /* its number */
    uint32_t count, head, tail, bytes;
    int64_t batch_first, seen_first, seen_last;

    /* since the last settlement */
    int touched;
    uint32_t settle_at; /* its place in ``settle_topics`` */
    uint64_t passed, duplicates;
    int64_t heard_ns;
    uint8_t *newest;
    size_t newest_size, newest_room;
};

struct event {
    uint32_t at, size, next;
};

struct value {
    int64_t number;
    const uint8_t *text;
    uint32_t length;
    enum lane_item_type type;
};

struct list {
    uint32_t *items;
    uint32_t count, room;
};

struct lane {
    uint8_t *prefix;
    size_t prefix_length;
    struct shape *shapes;
    int shape_count;
    struct names names; /* of streams */
    struct stream *streams;
    uint32_t stream_room;
    uint32_t *of_topic;
    uint32_t topic_count;
    uint64_t settlement, reads; /* numbers that never come again: a stream remembers those of its last ones */

    struct list read_topics;    /* streams of this read, in the order in which they came */
    struct list settle_topics;  /* streams since the last settlement */
    struct event *events;
    uint32_t event_count, event_room;
    uint8_t *scratch; /* the events of this read */
    size_t scratch_room, scratch_used;
    uint8_t *levels; /* of one message */
    int remembering;
    int unfinished;  /* the last stop was STOP_ASK: the next call goes on with the same read */

    uint64_t taken[LANE_MAX_KINDS];
    uint64_t left[LANE_MAX_KINDS][WHY_COUNT];
};

/* ── tables ──────────────────────────────────────────────────────────────────────────────────────────────── */

static int list_add(struct list *list, uint32_t item)
{
    if (list->count == list->room) {
        uint32_t room = list->room ? list->room * 2 : 64;
        uint32_t *items = realloc(list->items, room * sizeof *items);
        if (!items)
            return -1;
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = item;
    return 0;
}

static struct stream *find(const struct lane *lane, const uint8_t *name, size_t length)
{
    uint32_t number = names_find(&lane->names, name, length);
    return number == NO_NAME ? NULL : &lane->streams[number];
}

static int grow_tables(struct lane *lane)
{
    if (names_grow(&lane->names))
        return -1;
    if (lane->names.room == lane->stream_room)
        return 0;
    struct stream *streams = realloc(lane->streams, lane->names.room * sizeof *streams);
    if (!streams)
        return -1;
    lane->streams = streams;
    lane->stream_room = lane->names.room;
    return 0;
}

struct lane *lane_new(const uint8_t *prefix, size_t length)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    lane->prefix = calloc(1, length + LITERAL_SLACK);
    lane->levels = malloc(LEVELS_ROOM);
    if (!lane->prefix || !lane->levels) {
        lane_free(lane);
        return NULL;
    }
    memcpy(lane->prefix, prefix, length);
    lane->prefix_length = length;
    lane->settlement = 1;
    return lane;
}

void lane_free(struct lane *lane)
{
    for (int shape = 0; shape < lane->shape_count; shape++)
        for (int item = 0; item < lane->shapes[shape].item_count; item++)
            free((void *)lane->shapes[shape].items[item].literal);
    free(lane->shapes);
    for (uint32_t index = 0; index < lane->names.count; index++) {
        free(lane->streams[index].text);
        free(lane->streams[index].newest);
        free(lane->streams[index].memories);
    }
    free(lane->streams);
    names_free(&lane->names);
    free(lane->of_topic);
    free(lane->read_topics.items);
    free(lane->settle_topics.items);
    free(lane->events);
    free(lane->scratch);
    free(lane->levels);
    free(lane->prefix);
    free(lane);
}

static int is_slot(int slot, int least)
{
    return slot >= least && slot < LANE_MAX_FIELDS;
}

/* Whether every field, and every slot with a meaning, is filled by an item of a fitting type. */
static int is_sound(const struct lane_shape_spec *spec)
{
    int type_of[LANE_MAX_FIELDS];
    const int numbers[] = {spec->first_id, spec->last_id, spec->made, spec->venue_time, spec->link_first, spec->link_last};
    if (spec->item_count < 1 || spec->item_count > LANE_MAX_ITEMS || spec->field_count < 1
        || spec->field_count > LANE_MAX_FIELDS || spec->first_id < 0 || spec->last_id < 0
        || (spec->link_first < 0) != (spec->link_last < 0))
        return 0;
    for (int slot = 0; slot < LANE_MAX_FIELDS; slot++)
        type_of[slot] = -1;
    for (int at = 0; at < spec->item_count; at++) {
        const struct lane_item *item = &spec->items[at];
        int valued = item->type == ITEM_ID || item->type == ITEM_PREDECESSOR || item->type == ITEM_TIME || item->type == ITEM_FLAG
                     || item->type == ITEM_DECIMAL || item->type == ITEM_LEVELS;
        if (item->type > ITEM_PREDECESSOR || !is_slot(item->slot, valued ? 0 : -1))
            return 0;
        if (item->type == ITEM_LITERAL && (!item->literal || !item->length || item->length > LONGEST_MESSAGE))
            return 0;
        if (item->type == ITEM_TIME && (!item->unit || item->high > (uint64_t)INT64_MAX / item->unit))
            return 0;
        if (valued)
            type_of[item->slot] = item->type;
    }
    for (int at = 0; at < spec->field_count; at++)
        if (!is_slot(spec->fields[at], -1) || (spec->fields[at] >= 0 && type_of[spec->fields[at]] < 0))
            return 0;
    for (size_t at = 0; at < sizeof numbers / sizeof *numbers; at++)
        if (!is_slot(numbers[at], -1)
            || (numbers[at] >= 0 && type_of[numbers[at]] != ITEM_ID && type_of[numbers[at]] != ITEM_PREDECESSOR
                && type_of[numbers[at]] != ITEM_TIME))
            return 0;
    return 1;
}

int lane_add_shape(struct lane *lane, const struct lane_shape_spec *spec)
{
    if (!is_sound(spec))
        return -1;
    struct shape *shapes = realloc(lane->shapes, ((size_t)lane->shape_count + 1) * sizeof *shapes);
    if (!shapes)
        return -1;
    lane->shapes = shapes;
    struct shape *shape = &shapes[lane->shape_count];
    memset(shape, 0, sizeof *shape);
    for (int at = 0; at < spec->item_count; at++) {
        struct lane_item *item = &shape->items[at];
        *item = spec->items[at];
        item->literal = NULL;
        if (item->type == ITEM_LITERAL) {
            uint8_t *literal = calloc(1, item->length + LITERAL_SLACK);
            if (!literal) {
                while (at--)
                    free((void *)shape->items[at].literal);
                return -1;
            }
            memcpy(literal, spec->items[at].literal, item->length);
            item->literal = literal;
        }
    }
    shape->item_count = spec->item_count;
    memcpy(shape->fields, spec->fields, (size_t)spec->field_count * sizeof *spec->fields);
    shape->field_count = spec->field_count;
    shape->first_id = spec->first_id;
    shape->last_id = spec->last_id;
    shape->made = spec->made;
    shape->venue_time = spec->venue_time;
    shape->link_first = spec->link_first;
    shape->link_last = spec->link_last;
    return lane->shape_count++;
}

int lane_add_stream(struct lane *lane, const struct lane_stream_spec *spec)
{
    if (spec->shape < 0 || spec->shape >= lane->shape_count || spec->kind >= LANE_MAX_KINDS || !spec->name_length
        || spec->name_length > 1024 || spec->symbol_length > 1024 || spec->topic_length > 1024
        || spec->topic_index >= 1u << 24 || find(lane, spec->name, spec->name_length))
        return -1;
    if (spec->topic_index < lane->topic_count && lane->of_topic[spec->topic_index] != NONE)
        return -1; /* a second stream of the topic */
    if (spec->topic_index >= lane->topic_count) {
        uint32_t count = spec->topic_index + 64;
        uint32_t *of_topic = realloc(lane->of_topic, count * sizeof *of_topic);
        if (!of_topic)
            return -1;
        for (uint32_t at = lane->topic_count; at < count; at++)
            of_topic[at] = NONE;
        lane->of_topic = of_topic;
        lane->topic_count = count;
    }
    if (grow_tables(lane))
        return -1;
    uint8_t *text = calloc(1, spec->name_length + spec->symbol_length + spec->topic_length + 1 + PACK_HEAD + PACK_NUMBER + LITERAL_SLACK);
    if (!text)
        return -1;
    struct stream *stream = &lane->streams[lane->names.count];
    memset(stream, 0, sizeof *stream);
    stream->text = text;
    memcpy(text, spec->name, spec->name_length);
    memcpy(text + spec->name_length, spec->symbol, spec->symbol_length);
    uint8_t *head = text + spec->name_length + spec->symbol_length, *to = pack_array_head(head, 7);
    to = pack_text_head(to, (uint32_t)spec->topic_length);
    memcpy(to, spec->topic, spec->topic_length);
    to = pack_number(to + spec->topic_length, spec->schema);
    stream->name_length = (uint32_t)spec->name_length;
    stream->symbol_length = (uint32_t)spec->symbol_length;
    stream->batch_head_length = (uint32_t)(to - head);
    stream->topic_index = spec->topic_index;
    stream->kind = spec->kind;
    stream->shape = spec->shape;
    lane->of_topic[spec->topic_index] = lane->names.count;
    names_add(&lane->names, text, spec->name_length);
    return 0;
}

static struct stream *of_topic(const struct lane *lane, uint32_t topic_index)
{
    if (topic_index >= lane->topic_count || lane->of_topic[topic_index] == NONE)
        return NULL;
    return &lane->streams[lane->of_topic[topic_index]];
}

int lane_arm(struct lane *lane, uint32_t topic_index, const struct lane_place *place)
{
    struct stream *stream = of_topic(lane, topic_index);
    if (!stream || place->last_id < 0 || place->reach < 0)
        return -1;
    stream->state = ARMED;
    stream->known_at = lane->settlement;
    stream->place = *place;
    return 0;
}

int lane_block(struct lane *lane, uint32_t topic_index)
{
    struct stream *stream = of_topic(lane, topic_index);
    if (!stream)
        return -1;
    stream->state = BLOCKED;
    stream->known_at = lane->settlement;
    return 0;
}

/* ── reading a message ───────────────────────────────────────────────────────────────────────────────────── */

/* With eight bytes at a time where they can be had, and one by one elsewhere: the same answers. */
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

static inline uint64_t eight_from(const uint8_t *from)
{
    uint64_t eight;
    memcpy(&eight, from, 8);
    return eight;
}

/* How many of the bytes from here on are digits; may read 7 bytes behind the first that is none. */
static inline uint32_t digits(const uint8_t *from, uint32_t most)
{
    uint32_t count = 0;
    while (count < most) {
        uint64_t eight = eight_from(from + count) ^ 0x3030303030303030u;
        uint64_t other = (((eight & 0x7f7f7f7f7f7f7f7fu) + 0x7676767676767676u) | eight) & 0x8080808080808080u;
        if (other)
            return count + (uint32_t)(__builtin_ctzll(other) >> 3);
        count += 8;
    }
    return count;
}

/* What so many digits mean; at most 19, which fit 64 bits. */
static inline uint64_t value_of(const uint8_t *digit, uint32_t length)
{
    uint64_t value = 0;
    for (; length >= 8; digit += 8, length -= 8) {
        /* pairs of digits, pairs of those, and pairs of those again */
        uint64_t eight = eight_from(digit) & 0x0f0f0f0f0f0f0f0fu;
        eight = (eight * 10 + (eight >> 8)) & 0x00ff00ff00ff00ffu;
        eight = (eight * 100 + (eight >> 16)) & 0x0000ffff0000ffffu;
        eight = (eight * 10000 + (eight >> 32)) & 0xffffffffu;
        value = value * 100000000 + eight;
    }
    for (; length; digit++, length--)
        value = value * 10 + (*digit - (uint32_t)'0');
    return value;
}

/* Whether these bytes are the literal's, behind which there is room to read LITERAL_SLACK more. */
static inline int is_literal(const uint8_t *at, const uint8_t *literal, size_t length)
{
    for (; length >= 8; at += 8, literal += 8, length -= 8)
        if (eight_from(at) != eight_from(literal))
            return 0;
    return !length || !((eight_from(at) ^ eight_from(literal)) << (64 - 8 * length));
}

#else

static inline uint32_t digits(const uint8_t *from, uint32_t most)
{
    uint32_t count = 0;
    while (count < most && from[count] >= '0' && from[count] <= '9')
        count++;
    return count;
}

static inline uint64_t value_of(const uint8_t *digit, uint32_t length)
{
    uint64_t value = 0;
    for (; length; digit++, length--)
        value = value * 10 + (*digit - (uint32_t)'0');
    return value;
}

static inline int is_literal(const uint8_t *at, const uint8_t *literal, size_t length)
{
    return !memcmp(at, literal, length);
}

#endif

/* A whole number without a sign or needless zeros, at most INT64_MAX; NULL if there is none. */
static const uint8_t *read_number(const uint8_t *at, int64_t *number)
{
    uint32_t length = digits(at, 20);
    if (!length || length > 19 || (length > 1 && *at == '0'))
        return NULL;
    uint64_t value = value_of(at, length);
    if (value > INT64_MAX)
        return NULL;
    *number = (int64_t)value;
    return at + length;
}

/* Digits, perhaps with a point between; NULL if they are too many, or none. */
static const uint8_t *read_long_decimal(const uint8_t *at, const uint8_t *end)
{
    uint32_t whole = digits(at, LANE_MAX_DECIMAL);
    /* Digits behind the end may be followed by a point too: what is looked at from there would be too far behind it. */
    if (!whole || whole >= LANE_MAX_DECIMAL || at + whole >= end)
        return NULL;
    if (at[whole] != '.')
        return at + whole;
    uint32_t part = digits(at + whole + 1, LANE_MAX_DECIMAL);
    const uint8_t *behind = at + whole + 1 + part;
    return !part || whole + 1 + part > LANE_MAX_DECIMAL || behind >= end ? NULL : behind;
}

#ifdef __SSE2__

/* The same, for a decimal that ends within 16 bytes in one look at all of them. */
static inline const uint8_t *read_decimal(const uint8_t *at, const uint8_t *end)
{
    const __m128i nine = _mm_set1_epi8(9);
    __m128i value = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)at), _mm_set1_epi8('0'));
    uint32_t others = 0xffff ^ (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(value, nine), nine));
    uint32_t last = others & (others - 1); /* but for the first of those that are no digits */
    if (!others)
        return read_long_decimal(at, end);
    uint32_t whole = (uint32_t)__builtin_ctz(others), length = whole;
    if (at[whole] == '.') {
        if (!last)
            return read_long_decimal(at, end);
        length = (uint32_t)__builtin_ctz(last);
        if (length == whole + 1)
            return NULL;
    }
    return whole && at + length < end ? at + length : NULL;
}

#else
#define read_decimal read_long_decimal
#endif

/* Copy a decimal in wide steps: up to LONGEST_DECIMAL_COPY bytes are written, and as many read. */
static inline uint8_t *put_decimal(uint8_t *to, const uint8_t *from, uint32_t length)
{
    to = pack_text_head(to, length);
    memcpy(to, from, WIDE);
    if (length > WIDE)
        memcpy(to + WIDE, from + WIDE, LONGEST_DECIMAL_COPY - WIDE);
    return to + length;
}

/* Pairs of decimals, written to ``to`` as an array of arrays; NULL if they are not plain. The room is the caller's duty: what is
 * written is shorter than what is read, but for the head and one wide copy. */
static const uint8_t *read_levels(const uint8_t *at, const uint8_t *end, uint8_t *to, struct value *value)
{
    uint8_t *pairs = to + PACK_HEAD, *next = pairs;
    uint32_t count = 0;
    if (*at != '[')
        return NULL;
    if (at[1] == ']') {
        at += 2;
    } else {
        do {
            at++; /* over the bracket or comma */
            if (at + 4 >= end || at[0] != '[' || at[1] != '"')
                return NULL;
            const uint8_t *price = at + 2, *behind = read_decimal(price, end);
            if (!behind || memcmp(behind, "\",\"", 3))
                return NULL;
            const uint8_t *quantity = behind + 3, *last = read_decimal(quantity, end);
            if (!last || memcmp(last, "\"]", 2))
                return NULL;
            *next++ = 0x92;
            next = put_decimal(next, price, (uint32_t)(behind - price));
            next = put_decimal(next, quantity, (uint32_t)(last - quantity));
            at = last + 2;
            count++;
        } while (at < end && *at == ',');
        if (at >= end || *at != ']')
            return NULL;
        at++;
    }
    uint8_t *begin = pairs - pack_array_head_size(count);
    pack_array_head(begin, count);
    value->text = begin;
    value->length = (uint32_t)(next - begin);
    return at;
}

/* Fill the slots from a message that ends at ``end``; 0 if it is not of this shape. ``levels`` is room for encoded levels. */
static int read_message(const struct shape *shape, const struct stream *stream, const uint8_t *at, const uint8_t *end,
                        struct value *values, uint8_t *levels)
{
    for (int i = 0; i < shape->item_count; i++) {
        const struct lane_item *item = &shape->items[i];
        struct value *value = item->slot >= 0 ? &values[item->slot] : NULL;
        if (at >= end)
            return 0;
        switch (item->type) {
        case ITEM_LITERAL:
            if ((size_t)(end - at) < item->length || !is_literal(at, item->literal, item->length))
                return 0;
            at += item->length;
            continue;
        case ITEM_SYMBOL:
            if ((size_t)(end - at) < stream->symbol_length
                || !is_literal(at, stream->text + stream->name_length, stream->symbol_length))
                return 0;
            at += stream->symbol_length;
            continue;
        case ITEM_ID:
            at = read_number(at, &value->number);
            break;
        case ITEM_PREDECESSOR:
            at = read_number(at, &value->number);
            if (!at || value->number == INT64_MAX)
                return 0;
            value->number++;
            break;
        case ITEM_TIME:
            at = read_number(at, &value->number);
            if (!at || (uint64_t)value->number < item->low || (uint64_t)value->number > item->high)
                return 0;
            value->number *= (int64_t)item->unit;
            break;
        case ITEM_FLAG:
        case ITEM_SKIPPED_FLAG: {
            int flag = !memcmp(at, "true", 4);
            if (!flag && memcmp(at, "false", 5))
                return 0;
            at += flag ? 4 : 5;
            if (!value)
                continue;
            value->number = flag;
            break;
        }
        case ITEM_DECIMAL: {
            const uint8_t *text = at;
            at = read_decimal(text, end);
            if (!at)
                return 0;
            value->text = text;
            value->length = (uint32_t)(at - text);
            break;
        }
        case ITEM_LEVELS:
            at = read_levels(at, end, levels, value);
            if (!at)
                return 0;
            levels = (uint8_t *)value->text + value->length;
            break;
        }
        if (!at)
            return 0;
        value->type = item->type;
    }
    return at == end;
}

/* Write the event of a message. */
static uint8_t *put_event(uint8_t *to, const struct shape *shape, const struct value *values, int64_t received_ns)
{
    to = pack_array_head(to, (uint32_t)shape->field_count);
    for (int i = 0; i < shape->field_count; i++) {
        if (shape->fields[i] < 0) {
            to = pack_number(to, (uint64_t)received_ns);
            continue;
        }
        const struct value *value = &values[shape->fields[i]];
        switch (value->type) {
        case ITEM_DECIMAL:
            to = put_decimal(to, value->text, value->length);
            break;
        case ITEM_LEVELS:
            memcpy(to, value->text, value->length);
            to += value->length;
            break;
        case ITEM_FLAG:
            to = pack_flag(to, value->number != 0);
            break;
        default:
            to = pack_number(to, (uint64_t)value->number);
        }
    }
    return to;
}

/* Room in the scratch for the event of these values. */
static int make_room(struct lane *lane, const struct shape *shape, const struct value *values)
{
    size_t most = lane->scratch_used + PACK_HEAD + (size_t)shape->field_count * PACK_NUMBER + LONGEST_DECIMAL_COPY;
    for (int i = 0; i < shape->field_count; i++)
        if (shape->fields[i] >= 0)
            most += values[shape->fields[i]].length;
    if (most > LANE_MOST_BYTES)
        return -1;
    if (most <= lane->scratch_room)
        return 0;
    uint8_t *scratch = realloc(lane->scratch, most * 2);
    if (!scratch)
        return -1;
    lane->scratch = scratch;
    lane->scratch_room = most * 2;
    return 0;
}

/* ── judging it ──────────────────────────────────────────────────────────────────────────────────────────── */

enum judgement { NEXT, COPY, OTHER };

void lane_remember(struct lane *lane, int remember)
{
    lane->remembering = remember;
    for (uint32_t index = 0; index < lane->names.count && !remember; index++) {
        free(lane->streams[index].memories);
        lane->streams[index].memories = NULL;
        lane->streams[index].memory_count = 0;
    }
}

/* An encoded event but for its last field, the time of the read (of nine bytes). */
static uint64_t hash_of_event(const uint8_t *event, size_t size)
{
    return name_hash(event, size < PACK_NUMBER ? size : size - PACK_NUMBER);
}

static int remember(struct stream *stream, int64_t last_id, uint64_t hash)
{
    if (!stream->memories && !(stream->memories = malloc(REMEMBERED * sizeof *stream->memories)))
        return -1;
    stream->memories[stream->memory_count++ % REMEMBERED] = (struct memory){last_id, hash};
    return 0;
}

/* Whether exactly this event was accepted a short while ago. */
static int is_remembered(const struct stream *stream, int64_t last_id, uint64_t hash)
{
    uint32_t count = stream->memory_count < REMEMBERED ? stream->memory_count : REMEMBERED;
    for (uint32_t back = 1; stream->memories && back <= count; back++) {
        const struct memory *memory = &stream->memories[(stream->memory_count - back) % REMEMBERED];
        if (memory->last_id <= last_id)
            return memory->last_id == last_id && memory->hash == hash;
    }
    return 0;
}

static enum judgement judge(const struct shape *shape, const struct lane_place *place, const struct value *values,
                            int64_t received_ns)
{
    int64_t first = values[shape->first_id].number, last = values[shape->last_id].number;
    int64_t link = shape->link_first >= 0 ? values[shape->link_first].number : -1;
    if (last < first || (link >= 0 && values[shape->link_last].number < link))
        return OTHER;
    if (place->rule == RULE_RISING)
        return last > place->last_id && last - place->last_id <= place->reach ? NEXT : OTHER;
    /* Nothing here is negative, so no difference overflows. */
    if (first - place->last_id == 1)
        return place->link >= 0 && link - place->link != 1 ? OTHER : NEXT;
    if (place->drop_copies & DROP_OLDER && last <= place->last_id && shape->made >= 0 && place->made >= 0) {
        int64_t made = values[shape->made].number;
        if (made - received_ns <= FAR_NS && (made < place->made || (made == place->made && last == place->last_id)))
            return COPY;
    }
    return OTHER;
}

/* What the message in the next frame is, without any effect. */
static int look(struct lane *lane, const uint8_t *message, const uint8_t *end, int64_t received_ns, struct value *values,
                struct stream **found, enum judgement *judgement)
{
    *found = NULL;
    if ((size_t)(end - message) <= lane->prefix_length || !is_literal(message, lane->prefix, lane->prefix_length))
        return WHY_STREAM;
    const uint8_t *name = message + lane->prefix_length;
    const uint8_t *quote = memchr(name, '"', (size_t)(end - name));
    struct stream *stream = quote ? find(lane, name, (size_t)(quote - name)) : NULL;
    if (!stream)
        return WHY_STREAM;
    *found = stream;
    if (stream->known_at != lane->settlement)
        stream->state = ASK;
    if (stream->state == BLOCKED)
        return WHY_TOPIC;
    const struct shape *shape = &lane->shapes[stream->shape];
    if (!read_message(shape, stream, quote, end, values, lane->levels))
        return WHY_SHAPE;
    if (stream->state == ASK)
        return -1;
    *judgement = judge(shape, &stream->place, values, received_ns);
    if (*judgement == OTHER && stream->memories && stream->place.drop_copies & DROP_SAME && values[shape->last_id].number <= stream->place.last_id) {
        if (make_room(lane, shape, values))
            return WHY_ORDER;
        uint8_t *event = lane->scratch + lane->scratch_used;
        size_t size = (size_t)(put_event(event, shape, values, received_ns) - event);
        if (is_remembered(stream, values[shape->last_id].number, hash_of_event(event, size)))
            *judgement = COPY;
    }
    return *judgement == OTHER ? WHY_ORDER : -1;
}

/* ── one read ────────────────────────────────────────────────────────────────────────────────────────────── */

/* Whether the frame that begins here is whole, and where its text lies: STOP_SPAN for yes. */
static enum lane_stop frame_at(const uint8_t *data, size_t at, size_t filled, size_t *begin, size_t *end)
{
    if (filled - at < 2)
        return STOP_END;
    if (data[at] != 0x81) /* a whole text message: FIN, opcode 1 (RFC 6455, part 5.2) */
        return STOP_FRAME;
    size_t length = data[at + 1];
    if (length < 126) {
        *begin = at + 2;
    } else if (length == 126) {
        if (filled - at < 4)
            return STOP_END;
        length = (size_t)data[at + 2] << 8 | data[at + 3];
        if (length < 126)
            return STOP_FRAME; /* a longer form than needed */
        *begin = at + 4;
    } else {
        return STOP_FRAME; /* masked, or of more than 65,535 bytes */
    }
    *end = *begin + length;
    return *end > filled ? STOP_END : STOP_SPAN;
}

static int touch(struct lane *lane, struct stream *stream, const struct shape *shape, const struct value *values,
                 int64_t now_ns)
{
    uint32_t index = (uint32_t)(stream - lane->streams);
    if (stream->read != lane->reads) {
        if (list_add(&lane->read_topics, index))
            return -1;
        stream->read = lane->reads;
        stream->count = stream->bytes = 0;
        stream->head = stream->tail = NONE;
        stream->seen_first = values[shape->first_id].number;
    }
    if (!stream->touched) {
        stream->settle_at = lane->settle_topics.count;
        if (list_add(&lane->settle_topics, index))
            return -1;
        stream->touched = 1;
        stream->passed = stream->duplicates = 0;
        stream->newest_size = 0;
    }
    stream->seen_last = values[shape->last_id].number;
    stream->heard_ns = now_ns;
    return 0;
}

static int add_event(struct lane *lane, struct stream *stream, const struct shape *shape, const struct value *values,
                     int64_t received_ns)
{
    if (lane->event_count == lane->event_room) {
        uint32_t room = lane->event_room ? lane->event_room * 2 : 256;
        struct event *events = realloc(lane->events, room * sizeof *events);
        if (!events)
            return -1;
        lane->events = events;
        lane->event_room = room;
    }
    if (make_room(lane, shape, values))
        return -1;
    uint8_t *begin = lane->scratch + lane->scratch_used;
    const uint8_t *end = put_event(begin, shape, values, received_ns);
    if (lane->remembering
        && remember(stream, values[shape->last_id].number, hash_of_event(begin, (size_t)(end - begin))))
        return -1;
    uint32_t index = lane->event_count++;
    lane->events[index] = (struct event){(uint32_t)lane->scratch_used, (uint32_t)(end - begin), NONE};
    lane->scratch_used += (size_t)(end - begin);
    if (stream->head == NONE) {
        stream->head = index;
        stream->batch_first = values[shape->first_id].number;
    } else {
        lane->events[stream->tail].next = index;
    }
    stream->tail = index;
    stream->bytes += (uint32_t)(end - begin);
    stream->count++;
    stream->passed++;
    stream->place.last_id = values[shape->last_id].number;
    if (shape->link_last >= 0 && stream->place.link != LINK_NONE)
        stream->place.link = values[shape->link_last].number;
    if (shape->made >= 0) {
        int64_t made = values[shape->made].number;
        stream->place.made = made - received_ns > FAR_NS ? -1 : made;
    }
    return 0;
}

static uint32_t batch_body_size(const struct stream *stream)
{
    return (uint32_t)pack_array_head_size(stream->count) + stream->bytes;
}

static uint32_t batch_count(const struct lane *lane)
{
    uint32_t count = 0;
    for (uint32_t at = 0; at < lane->read_topics.count; at++)
        count += lane->streams[lane->read_topics.items[at]].count > 0;
    return count;
}

static size_t bundle_size(const struct lane *lane)
{
    size_t size = 0;
    for (uint32_t at = 0; at < lane->read_topics.count; at++) {
        const struct stream *stream = &lane->streams[lane->read_topics.items[at]];
        if (stream->count) {
            uint32_t body = batch_body_size(stream);
            size += stream->batch_head_length + pack_number_size(stream->count)
                    + pack_number_size((uint64_t)stream->batch_first) + pack_number_size((uint64_t)stream->place.last_id)
                    + pack_number_size(stream->place.continuity) + pack_bytes_head_size(body) + body;
        }
    }
    return size ? pack_array_head_size(batch_count(lane)) + size : 0;
}

void lane_write(struct lane *lane, uint8_t *to)
{
    to = pack_array_head(to, batch_count(lane));
    for (uint32_t at = 0; at < lane->read_topics.count; at++) {
        const struct stream *stream = &lane->streams[lane->read_topics.items[at]];
        if (!stream->count)
            continue;
        memcpy(to, stream->text + stream->name_length + stream->symbol_length, stream->batch_head_length);
        to = pack_number(to + stream->batch_head_length, stream->count);
        to = pack_number(to, (uint64_t)stream->batch_first);
        to = pack_number(to, (uint64_t)stream->place.last_id);
        to = pack_number(to, stream->place.continuity);
        to = pack_bytes_head(to, batch_body_size(stream));
        to = pack_array_head(to, stream->count);
        for (uint32_t event = stream->head; event != NONE; event = lane->events[event].next) {
            memcpy(to, lane->scratch + lane->events[event].at, lane->events[event].size);
            to += lane->events[event].size;
        }
    }
}

/* Keep the newest event of each topic of this read, for the account. */
static int keep_newest(struct lane *lane)
{
    for (uint32_t at = 0; at < lane->read_topics.count; at++) {
        struct stream *stream = &lane->streams[lane->read_topics.items[at]];
        if (!stream->count)
            continue;
        const struct event *event = &lane->events[stream->tail];
        if (event->size > stream->newest_room) {
            uint8_t *newest = realloc(stream->newest, event->size * (size_t)2);
            if (!newest)
                return -1;
            stream->newest = newest;
            stream->newest_room = event->size * (size_t)2;
        }
        memcpy(stream->newest, lane->scratch + event->at, event->size);
        stream->newest_size = event->size;
    }
    return 0;
}

/* Take message after message from ``read->stopped_at`` on, until one is not for the lane. */
static int take_messages(struct lane *lane, const uint8_t *data, size_t filled, int64_t received_ns, int64_t now_ns,
                         struct lane_read *read)
{
    struct value values[LANE_MAX_FIELDS];
    memset(values, 0, sizeof values);
    for (;;) {
        size_t begin, end;
        struct stream *stream;
        enum judgement judgement;
        read->stop = frame_at(data, read->stopped_at, filled, &begin, &end);
        if (read->stop != STOP_SPAN || look(lane, data + begin, data + end, received_ns, values, &stream, &judgement) >= 0)
            return 0;
        if (stream->state == ASK) {
            read->stop = STOP_ASK;
            read->topic_index = stream->topic_index;
            return 0;
        }
        const struct shape *shape = &lane->shapes[stream->shape];
        if (touch(lane, stream, shape, values, now_ns))
            return -1;
        if (judgement == COPY) {
            stream->duplicates++;
        } else {
            if (add_event(lane, stream, shape, values, received_ns))
                return -1;
            if (shape->venue_time >= 0)
                read->newest_ns = values[shape->venue_time].number;
        }
        lane->taken[stream->kind]++;
        read->frames++;
        read->stopped_at = end;
    }
}

/* How far the messages reach that are Python's, from where the lane stopped. */
static void find_span(struct lane *lane, const uint8_t *data, size_t filled, int64_t received_ns, struct lane_read *read)
{
    struct value values[LANE_MAX_FIELDS];
    memset(values, 0, sizeof values);
    size_t begin, end;
    while (frame_at(data, read->span_end, filled, &begin, &end) == STOP_SPAN) {
        struct stream *stream;
        enum judgement judgement;
        int why = look(lane, data + begin, data + end, received_ns, values, &stream, &judgement);
        if (why < 0)
            return;
        lane->left[stream ? stream->kind : 0][why]++;
        read->span_end = end;
    }
}

int lane_take(struct lane *lane, const uint8_t *data, size_t begin, size_t filled, int64_t received_ns, int64_t now_ns,
              struct lane_read *read)
{
    memset(read, 0, sizeof *read);
    if (begin > filled || received_ns < 0)
        return -1;
    read->stopped_at = begin;
    if (!lane->unfinished) {
        lane->reads++;
        lane->read_topics.count = lane->event_count = 0;
        lane->scratch_used = 0;
    }
    lane->unfinished = 0;
    if (take_messages(lane, data, filled, received_ns, now_ns, read))
        return -1;
    read->span_end = read->stopped_at;
    if (read->stop == STOP_ASK) {
        lane->unfinished = 1;
        return 0;
    }
    if (keep_newest(lane))
        return -1;
    read->bundle_size = bundle_size(lane);
    if (read->stop == STOP_SPAN)
        find_span(lane, data, filled, received_ns, read);
    return 0;
}

/* ── accounts ────────────────────────────────────────────────────────────────────────────────────────────── */

uint32_t lane_touched_count(const struct lane *lane)
{
    return lane->read_topics.count;
}

void lane_touched(const struct lane *lane, uint32_t at, uint32_t *topic_index, int64_t *first_id, int64_t *last_id)
{
    const struct stream *stream = &lane->streams[lane->read_topics.items[at]];
    *topic_index = stream->topic_index;
    *first_id = stream->seen_first;
    *last_id = stream->seen_last;
}

uint32_t lane_account_count(const struct lane *lane)
{
    return lane->settle_topics.count;
}

static void account_of(const struct stream *stream, struct lane_account *account)
{
    account->topic_index = stream->topic_index;
    account->last_id = stream->place.last_id;
    account->passed = stream->passed;
    account->duplicates = stream->duplicates;
    account->heard_ns = stream->heard_ns;
    account->newest = stream->newest_size ? stream->newest : NULL;
    account->newest_size = stream->newest_size;
}

void lane_account(const struct lane *lane, uint32_t at, struct lane_account *account)
{
    account_of(&lane->streams[lane->settle_topics.items[at]], account);
}

int lane_settle_one(struct lane *lane, uint32_t topic_index, struct lane_account *account)
{
    struct stream *stream = of_topic(lane, topic_index);
    if (!stream)
        return 0;
    stream->state = ASK;
    if (!stream->touched)
        return 0;
    account_of(stream, account);
    uint32_t last = lane->settle_topics.items[--lane->settle_topics.count];
    lane->settle_topics.items[stream->settle_at] = last;
    lane->streams[last].settle_at = stream->settle_at;
    stream->touched = 0;
    return 1;
}

void lane_settled(struct lane *lane, int keep)
{
    for (uint32_t at = 0; at < lane->settle_topics.count; at++)
        lane->streams[lane->settle_topics.items[at]].touched = 0;
    lane->settle_topics.count = 0;
    if (!keep)
        lane->settlement++;
}

uint64_t lane_taken(const struct lane *lane, uint32_t kind)
{
    return kind < LANE_MAX_KINDS ? lane->taken[kind] : 0;
}

uint64_t lane_left(const struct lane *lane, uint32_t kind, enum lane_why why)
{
    return kind < LANE_MAX_KINDS && why >= 0 && why < WHY_COUNT ? lane->left[kind][why] : 0;
}
