#include "publish.h"

#include <stdlib.h>

#include "names.h"
#include "pack.h"

#define NONE UINT32_MAX

/* A batch as workers write it: an array of seven. */
#define BATCH_FIELDS 7

/* Behind the topic and its space: an array of nine, of which eight have a fixed width (wire.publication). */
#define HEADER_SIZE 57

/* Every event ends with a time of nine bytes. */
#define SHORTEST_EVENTS 10

struct topic {
    uint8_t *name;
    uint32_t name_length;
    int armed;
    struct publish_place place; /* after the last turn */

    /* of this turn */
    uint32_t batches, head, tail, schema;
    uint64_t count; /* of events; below 2^32 */
    size_t size;    /* of their bytes, without the heads of arrays */
    int64_t first_id, last_id; /* of the first and the last batch */
    int64_t lowest, reached;   /* of all of them */

    /* since the last settlement */
    int touched;
    uint64_t passed;
    int64_t lowest_passed;
    uint8_t *bars;
    size_t bars_size, bars_room; /* a size of 0: none came */
    uint32_t bars_schema, bars_count;
    int64_t bars_first, bars_last;
};

/* The events of one batch of this turn. */
struct segment {
    const uint8_t *events; /* with the head of their array */
    size_t size;
    uint32_t head_size, count, next;
    int64_t first_id;
};

struct publish {
    struct names names; /* of topics */
    struct topic *topics;
    uint32_t topic_room;
    uint32_t *due, *touched; /* numbers of topics, with room for all of them */
    uint32_t due_count, touched_count;
    struct segment *segments;
    uint32_t segment_count, segment_room;
    uint8_t is_data[PUBLISH_MAX_SCHEMA];
};

struct batch {
    const uint8_t *topic, *events;
    size_t topic_length, events_size;
    uint64_t schema, count, first_id, last_id, continuity;
};

/* ── topics ──────────────────────────────────────────────────────────────────────────────────────────────── */

struct publish *publish_new(void)
{
    return calloc(1, sizeof(struct publish));
}

void publish_free(struct publish *publish)
{
    for (uint32_t at = 0; at < publish->names.count; at++) {
        free(publish->topics[at].name);
        free(publish->topics[at].bars);
    }
    free(publish->topics);
    names_free(&publish->names);
    free(publish->due);
    free(publish->touched);
    free(publish->segments);
    free(publish);
}

int publish_add_schema(struct publish *publish, uint32_t schema)
{
    if (schema >= PUBLISH_MAX_SCHEMA)
        return -1;
    publish->is_data[schema] = 1;
    return 0;
}

static struct topic *find(const struct publish *publish, const uint8_t *name, size_t length)
{
    uint32_t number = names_find(&publish->names, name, length);
    return number == NO_NAME ? NULL : &publish->topics[number];
}

static int grow(void **items, size_t count, size_t item_size)
{
    void *grown = realloc(*items, count * item_size);
    if (!grown)
        return -1;
    *items = grown;
    return 0;
}

static int grow_topics(struct publish *publish)
{
    if (names_grow(&publish->names))
        return -1;
    uint32_t room = publish->names.room;
    if (room == publish->topic_room)
        return 0;
    if (grow((void **)&publish->topics, room, sizeof *publish->topics)
        || grow((void **)&publish->due, room, sizeof *publish->due)
        || grow((void **)&publish->touched, room, sizeof *publish->touched))
        return -1;
    publish->topic_room = room;
    return 0;
}

static struct topic *add(struct publish *publish, const uint8_t *name, size_t length)
{
    if (!length || length > PUBLISH_MAX_NAME || grow_topics(publish))
        return NULL;
    uint8_t *copy = malloc(length);
    if (!copy)
        return NULL;
    memcpy(copy, name, length);
    struct topic *topic = &publish->topics[publish->names.count];
    *topic = (struct topic){.name = copy, .name_length = (uint32_t)length};
    names_add(&publish->names, copy, length);
    return topic;
}

int64_t publish_arm(struct publish *publish, const uint8_t *name, size_t length, const struct publish_place *place)
{
    struct topic *topic = find(publish, name, length);
    if (!topic)
        topic = add(publish, name, length);
    if (!topic)
        return -1;
    topic->place = *place;
    topic->armed = 1;
    return topic - publish->topics;
}

void publish_block(struct publish *publish, const uint8_t *name, size_t length)
{
    struct topic *topic = find(publish, name, length);
    if (topic)
        topic->armed = 0;
}

/* ── MessagePack, in whatever length the head says ───────────────────────────────────────────────────────── */

struct cursor {
    const uint8_t *at, *end;
};

/* The next bytes; NULL if there are not so many. */
static const uint8_t *skip(struct cursor *cursor, size_t size)
{
    if ((size_t)(cursor->end - cursor->at) < size)
        return NULL;
    const uint8_t *found = cursor->at;
    cursor->at += size;
    return found;
}

/* A number of so many bytes, big endian; -1 if they are not there. */
static int read_big_endian(struct cursor *cursor, int size, uint64_t *value)
{
    const uint8_t *bytes = skip(cursor, (size_t)size);
    if (!bytes)
        return -1;
    *value = 0;
    for (int at = 0; at < size; at++)
        *value = *value << 8 | bytes[at];
    return 0;
}

/* A whole number that is not negative, and at most ``most``. */
static int read_number(struct cursor *cursor, uint64_t most, uint64_t *value)
{
    const uint8_t *head = skip(cursor, 1);
    if (!head)
        return -1;
    if (*head < 0x80)
        *value = *head;
    else if (*head < 0xcc || *head > 0xcf || read_big_endian(cursor, 1 << (*head - 0xcc), value))
        return -1;
    return *value <= most ? 0 : -1;
}

/* A length behind one of three heads, for 1, 2 and 4 bytes; ``short_head`` with ``short_most`` holds it in the head itself. */
static int read_length(struct cursor *cursor, uint8_t first, uint8_t last, int size, uint8_t short_head, uint8_t short_most, uint64_t *length)
{
    const uint8_t *head = skip(cursor, 1);
    if (!head)
        return -1;
    if (short_most && *head >= short_head && *head <= short_head + short_most) {
        *length = *head - short_head;
        return 0;
    }
    if (*head < first || *head > last)
        return -1;
    return read_big_endian(cursor, size << (*head - first), length);
}

static int read_array(struct cursor *cursor, uint64_t *count)
{
    return read_length(cursor, 0xdc, 0xdd, 2, 0x90, 15, count);
}

static int read_text(struct cursor *cursor, const uint8_t **text, size_t *length)
{
    uint64_t found;
    if (read_length(cursor, 0xd9, 0xdb, 1, 0xa0, 31, &found))
        return -1;
    *length = (size_t)found;
    *text = skip(cursor, *length);
    return *text ? 0 : -1;
}

static int read_bytes(struct cursor *cursor, const uint8_t **bytes, size_t *size)
{
    uint64_t found;
    if (read_length(cursor, 0xc4, 0xc6, 1, 0, 0, &found))
        return -1;
    *size = (size_t)found;
    *bytes = skip(cursor, *size);
    return *bytes ? 0 : -1;
}

static int read_batch(struct cursor *cursor, struct batch *batch)
{
    uint64_t fields;
    return read_array(cursor, &fields) || fields != BATCH_FIELDS || read_text(cursor, &batch->topic, &batch->topic_length)
                   || read_number(cursor, UINT16_MAX, &batch->schema) || read_number(cursor, UINT32_MAX, &batch->count)
                   || read_number(cursor, INT64_MAX, &batch->first_id) || read_number(cursor, INT64_MAX, &batch->last_id)
                   || read_number(cursor, UINT16_MAX, &batch->continuity)
                   || read_bytes(cursor, &batch->events, &batch->events_size)
               ? -1
               : 0;
}

/* ── a bundle ────────────────────────────────────────────────────────────────────────────────────────────── */

static int follows(enum publish_rule rule, int64_t last_id, int64_t batch_first, int64_t batch_last)
{
    switch (rule) {
    case PUBLISH_CHAIN:
        return batch_first - 1 == last_id;
    case PUBLISH_RISING:
        return batch_first > last_id;
    case PUBLISH_BAR:
        return batch_last >= last_id;
    case PUBLISH_ANY:
        return 1;
    }
    return 0;
}

static int add_segment(struct publish *publish, struct topic *topic, const struct batch *batch, uint32_t head_size)
{
    if (publish->segment_count == publish->segment_room) {
        if (publish->segment_room > UINT32_MAX / 4)
            return -1;
        uint32_t room = publish->segment_room ? publish->segment_room * 2 : 1024;
        if (grow((void **)&publish->segments, room, sizeof *publish->segments))
            return -1;
        publish->segment_room = room;
    }
    if (topic->place.rule == PUBLISH_BAR && topic->bars_room < batch->events_size) {
        if (grow((void **)&topic->bars, batch->events_size, 1)) /* so that ``publish_done`` cannot fail */
            return -1;
        topic->bars_room = batch->events_size;
    }
    uint32_t at = publish->segment_count++;
    publish->segments[at] = (struct segment){
        batch->events, batch->events_size, head_size, (uint32_t)batch->count, NONE, (int64_t)batch->first_id,
    };
    if (topic->batches++)
        publish->segments[topic->tail].next = at;
    else
        topic->head = at;
    topic->tail = at;
    return 0;
}

static enum publish_why take_batch(struct publish *publish, const struct batch *batch)
{
    if (batch->schema >= PUBLISH_MAX_SCHEMA || !publish->is_data[batch->schema])
        return PUBLISH_SCHEMA;
    struct topic *topic = find(publish, batch->topic, batch->topic_length);
    if (!topic || !topic->armed || topic->place.continuity != batch->continuity)
        return PUBLISH_TOPIC;
    /* Batches are joined without their heads, so these must be the shortest, as a worker writes them. */
    uint8_t head[PACK_HEAD];
    uint32_t head_size = (uint32_t)(pack_array_head(head, (uint32_t)batch->count) - head);
    if (batch->events_size < SHORTEST_EVENTS || memcmp(batch->events, head, head_size))
        return PUBLISH_FORM;
    int first_of_turn = !topic->batches;
    int64_t first_id = (int64_t)batch->first_id, last_id = (int64_t)batch->last_id;
    int64_t reached = first_of_turn ? topic->place.last_id : topic->reached;
    if (!follows(topic->place.rule, reached, first_id, last_id))
        return PUBLISH_ORDER;
    if (!first_of_turn && (topic->schema != batch->schema || topic->count + batch->count > UINT32_MAX))
        return PUBLISH_SCHEMA;
    if (add_segment(publish, topic, batch, head_size))
        return PUBLISH_MEMORY;
    if (first_of_turn) {
        publish->due[publish->due_count++] = (uint32_t)(topic - publish->topics);
        topic->schema = (uint32_t)batch->schema;
        topic->count = topic->size = 0;
        topic->first_id = topic->lowest = first_id;
    }
    topic->count += batch->count;
    topic->size += batch->events_size - head_size;
    topic->last_id = last_id;
    topic->reached = last_id > reached ? last_id : reached;
    topic->lowest = first_id < topic->lowest ? first_id : topic->lowest;
    return PUBLISH_TAKEN;
}

static enum publish_why take_batches(struct publish *publish, const uint8_t *bundle, size_t size)
{
    struct cursor cursor = {bundle, bundle + size};
    struct batch batch;
    uint64_t count;
    if (read_array(&cursor, &count) || !count)
        return PUBLISH_FORM;
    for (; count; count--) {
        if (read_batch(&cursor, &batch))
            return PUBLISH_FORM;
        enum publish_why why = take_batch(publish, &batch);
        if (why != PUBLISH_TAKEN)
            return why;
    }
    return cursor.at == cursor.end ? PUBLISH_TAKEN : PUBLISH_FORM;
}

enum publish_why publish_take(struct publish *publish, const uint8_t *bundle, size_t size)
{
    enum publish_why why = take_batches(publish, bundle, size);
    if (why != PUBLISH_TAKEN)
        publish_undo(publish);
    return why;
}

static void end_turn(struct publish *publish)
{
    for (uint32_t at = 0; at < publish->due_count; at++)
        publish->topics[publish->due[at]].batches = 0;
    publish->due_count = publish->segment_count = 0;
}

void publish_undo(struct publish *publish)
{
    end_turn(publish);
}

/* ── frames ──────────────────────────────────────────────────────────────────────────────────────────────── */

uint32_t publish_count(const struct publish *publish)
{
    return publish->due_count;
}

void publish_frame(const struct publish *publish, uint32_t at, struct publish_frame *frame)
{
    const struct topic *topic = &publish->topics[publish->due[at]];
    size_t size = topic->name_length + 1 + HEADER_SIZE + pack_array_head_size((uint32_t)topic->count) + topic->size;
    *frame = (struct publish_frame){publish->due[at], topic->place.sequence + 1, size};
}

static uint8_t *put(uint8_t *to, uint8_t lead, uint64_t value, int bytes)
{
    *to = lead;
    return pack_big_endian(to + 1, value, bytes);
}

void publish_write(const struct publish *publish, uint32_t at, uint64_t epoch, uint64_t publish_ns, uint8_t *to)
{
    const struct topic *topic = &publish->topics[publish->due[at]];
    memcpy(to, topic->name, topic->name_length);
    to += topic->name_length;
    *to++ = ' ';
    *to++ = 0x99;
    to = put(to, 0xcd, topic->schema, 2);
    to = put(to, 0xcf, epoch, 8);
    to = put(to, 0xcf, topic->place.sequence + 1, 8);
    to = put(to, 0xce, topic->count, 4);
    to = put(to, 0xd3, (uint64_t)topic->first_id, 8);
    to = put(to, 0xd3, (uint64_t)topic->last_id, 8);
    to = put(to, 0xcf, publish_ns, 8);
    to = put(to, 0xcd, topic->place.continuity, 2);
    to = pack_array_head(to, (uint32_t)topic->count);
    for (uint32_t number = topic->head; number != NONE; number = publish->segments[number].next) {
        const struct segment *segment = &publish->segments[number];
        memcpy(to, segment->events + segment->head_size, segment->size - segment->head_size);
        to += segment->size - segment->head_size;
    }
}

static void note_bars(const struct publish *publish, struct topic *topic)
{
    const struct segment *newest = &publish->segments[topic->tail];
    memcpy(topic->bars, newest->events, newest->size);
    topic->bars_size = newest->size;
    topic->bars_schema = topic->schema;
    topic->bars_count = newest->count;
    topic->bars_first = newest->first_id;
    topic->bars_last = topic->last_id;
}

void publish_done(struct publish *publish)
{
    for (uint32_t at = 0; at < publish->due_count; at++) {
        struct topic *topic = &publish->topics[publish->due[at]];
        topic->place.last_id = topic->reached;
        topic->place.sequence++;
        if (!topic->touched) {
            topic->touched = 1;
            topic->passed = 0;
            topic->lowest_passed = topic->lowest;
            topic->bars_size = 0;
            publish->touched[publish->touched_count++] = publish->due[at];
        }
        topic->passed += topic->count;
        if (topic->lowest < topic->lowest_passed)
            topic->lowest_passed = topic->lowest;
        if (topic->place.rule == PUBLISH_BAR)
            note_bars(publish, topic);
    }
    end_turn(publish);
}

/* ── settlement ──────────────────────────────────────────────────────────────────────────────────────────── */

uint32_t publish_account_count(const struct publish *publish)
{
    return publish->touched_count;
}

void publish_account(const struct publish *publish, uint32_t at, struct publish_account *account)
{
    const struct topic *topic = &publish->topics[publish->touched[at]];
    *account = (struct publish_account){
        .topic = publish->touched[at],
        .last_id = topic->place.last_id,
        .sequence = topic->place.sequence,
        .passed = topic->passed,
        .lowest = topic->lowest_passed,
        .bars = topic->bars_size ? topic->bars : NULL,
        .bars_size = topic->bars_size,
        .bars_schema = topic->bars_schema,
        .bars_count = topic->bars_count,
        .bars_first = topic->bars_first,
        .bars_last = topic->bars_last,
    };
}

void publish_settled(struct publish *publish)
{
    for (uint32_t at = 0; at < publish->touched_count; at++)
        publish->topics[publish->touched[at]].touched = 0;
    publish->touched_count = 0;
}
